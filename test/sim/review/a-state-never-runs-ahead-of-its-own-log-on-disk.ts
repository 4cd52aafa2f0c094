// A node may apply what its own disk has not yet, but does not flush it: after a crash its state would know more than its log.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { endOnDisk, Scene } from '../../help/scene.ts'

/** The leader's disk hangs for ten seconds; the others commit, it applies, and a flush is due. Then it is killed. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 211, nodes: 3 })
  const leader = await scene.elect()
  await scene.write(leader)
  await scene.level()
  leader.disk.knobs.hungUntil = scene.now + 10_000
  for (let number = 1; number <= 5; number++) await scene.write(leader)
  hold(leader.node!.applied > endOnDisk(leader), 'IX1', () => 'its disk does not hang')
  await scene.pass(8_000)
  leader.crash('killed')
  leader.disk.knobs.hungUntil = 0
  leader.start()
  await scene.until('IX1', 'it starts', () => leader.node !== null)
  hold(leader.node!.raft.status.trusted, 'IA2', () => `${leader.id} is not trusted`)
  await scene.elect()
  await scene.level()
}
