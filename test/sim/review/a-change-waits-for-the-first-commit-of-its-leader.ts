// Before a record of its own term is committed a leader may not know what the one before has begun: it changes nothing yet.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import type { SimNode } from '../../../lib/sim/node/sim-node.ts'
import { Scene } from '../../help/scene.ts'

/** All follow the first leader, and its first record reaches nobody. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 257, nodes: 3 })
  scene.hold(({ message }) => message.kind === 'append' && message.blocks.length > 0)
  await scene.until('IX1', 'somebody leads', () => scene.cluster.leader !== null)
  const leader = scene.cluster.leader!
  const others = scene.others(leader)
  await scene.pass(2_000)
  hold(leader.node!.raft.status.role === 'leader', 'IX1', () => 'it leads no more')
  hold(leader.node!.raft.status.commit === 0, 'IX1', () => 'something is committed')
  const tooEarly = scene.beginChange(leader, ...targetOf(leader, others))
  await scene.until('IL5', 'the change is answered', () => tooEarly.result !== null)
  hold(tooEarly.result instanceof Error, 'IC1', () => 'a change is done before anything is committed')
  scene.letAllPass()
  await scene.elect()
  await scene.change(scene.cluster.leader!, ...targetOf(leader, others))
  await scene.level()
}

function targetOf(leader: SimNode, [second, third]: readonly SimNode[]): [readonly SimNode[], readonly SimNode[]] {
  return [[leader, second!], [third!]]
}
