// A leader that is deposed cannot tell what becomes of what it was given: its callers are told so, and its reads go on.

import { hold } from '../../../lib/sim/ghost/violation.ts'
import { fateIn, Scene } from '../../help/scene.ts'

/** A leader is cut off with a command and a read that it was given; the others go on without it, and it comes back. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 252, nodes: 3 })
  const leader = await scene.elect()
  await scene.write(leader)
  await scene.level()
  const rejoin = scene.isolate(leader)
  const written = scene.begin(leader, scene.draft('lost', 2))
  const read = scene.beginRead(leader)
  const next = await scene.elect(scene.others(leader))
  await scene.write(next)
  await scene.until('IX1', 'it leads no more', () => leader.node!.raft.status.role !== 'leader')
  await scene.until('IL5', 'its caller is answered', () => written.result !== null, 1_000)
  hold(fateIn(written.result) === 'unknown', 'IO1', () => `told ${fateIn(written.result)}`)
  rejoin()
  await scene.until('IL5', 'its read is answered', () => read.result !== null, 10_000)
  await scene.elect()
  await scene.level()
}
