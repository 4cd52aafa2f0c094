// Pieces of a snapshot that are lost are sent again, from the place that the receiver names, and not from another.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { Scene } from '../../help/scene.ts'

/** In the middle of a snapshot, of which some has come, the link carries nothing for a moment: some pieces are lost. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 261, nodes: 3 })
  const leader = await scene.elect()
  const absent = await scene.leaveBehind(leader, 300, 1_048_576)
  absent.start()
  const { counters } = leader.node!
  await scene.until('IX1', 'some of it is sent', () => counters.snapshotBytesSent >= 524_288)
  const lift = scene.part([leader], [absent])
  await scene.pass(100)
  lift()
  await scene.until('IL3', 'the snapshot is taken up', () => absent.snapshots === 1, 8_000)
  await scene.level()
  // Four pieces for nothing, at the break; and what the rows have beside their values.
  const most = 300 * 3_000 + 4 * 65_536 + 300 * 200
  const sent = counters.snapshotBytesSent
  hold(sent < most, 'IL3', () => `${sent} bytes were sent, and ${most} are enough`)
}
