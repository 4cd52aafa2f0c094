// A damaged node is trusted again when it holds, durably and as its leader has it, all that it may have promised: not before.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { loseEnd, Scene } from '../../help/scene.ts'

/**
 * B has lost what A and B alone have committed. It hears A, asks it how far the log goes, and is told; but the records
 * themselves do not come. Then A dies, and C asks for B's vote, which lacks the same records.
 */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 33, nodes: 3 })
  const a = await scene.elect()
  await scene.write(a)
  await scene.level()
  const shared = a.node!.raft.status.last.index
  const [b, c] = scene.others(a)
  scene.hold(({ to, message }) => to === c!.key && message.kind === 'append' && message.blocks.length > 0)
  for (let number = 1; number <= 3; number++) await scene.write(a)
  b!.crash('killed')
  loseEnd(b!, shared)
  scene.hold(({ message }) => message.kind === 'append' && message.blocks.length > 0)
  b!.start()
  await scene.pass(1_000)
  hold(b!.node!.raft.status.leader === a.key, 'IX1', () => 'it does not hear its leader')
  a.crash('killed')
  scene.letAllPass()
  await scene.pass(5_000)
  hold(scene.cluster.leader === null, 'IS5', () => 'somebody leads without what was committed')
  a.start()
  await scene.elect()
  await scene.level()
  await scene.until('IL3', 'it is trusted again', () => b!.node!.raft.status.trusted)
}
