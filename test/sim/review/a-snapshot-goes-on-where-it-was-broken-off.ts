// Pieces of a snapshot that are lost are sent again, from the place that the receiver names, and not from another.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { Scene } from '../../help/scene.ts'

/** In the middle of a snapshot, of which some has come, the link carries nothing for a moment: some pieces are lost. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 261, nodes: 3 })
  const leader = await scene.elect()
  await scene.write(leader)
  await scene.level()
  const [absent] = scene.others(leader)
  absent!.crash('killed')
  scene.boundLogs(32_768)
  for (const { limits } of scene.cluster.nodes) limits.snapshotBytesPerSecond = 1_048_576
  for (let at = 0; at < 300; at++) await scene.write(leader, scene.draft('x'.repeat(3_000)))
  await scene.pass(500)
  absent!.start()
  const { counters } = leader.node!
  await scene.until('IX1', 'some of it is sent', () => counters.snapshotBytesSent >= 524_288)
  const lift = scene.part([leader], [absent!])
  await scene.pass(100)
  lift()
  await scene.until('IL3', 'the snapshot is taken up', () => absent!.snapshots === 1, 8_000)
  await scene.level()
  // Twice four pieces for nothing: before the first announcement has come, and at the break.
  const most = 300 * 3_000 + 8 * 65_536
  const sent = counters.snapshotBytesSent
  hold(sent < most, 'IL3', () => `${sent} bytes were sent, and ${most} are enough`)
}
