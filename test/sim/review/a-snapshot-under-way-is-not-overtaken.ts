// While a snapshot is on its way the log after it is kept, or by the time that it has come the next one would be needed.
import { Scene } from '../../help/scene.ts'

/** One of three comes back when the log is cut. Its snapshot takes longer than it takes the log to grow to its bound again. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 260, nodes: 3 })
  const leader = await scene.elect()
  const absent = await scene.leaveBehind(leader, 150, 65_536)
  absent.start()
  let level = false
  for (let at = 0; at < 1_000 && !level; at++) {
    scene.begin(leader, scene.draft('x'.repeat(60)))
    await scene.pass(30)
    level = absent.snapshots > 0 && leader.node!.raft.status.mode(absent.key) === 'replicate'
  }
  await scene.until('IL3', `${absent.id} comes level while there is news`, () => level, 0)
  await scene.level()
}
