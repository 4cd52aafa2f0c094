// Who is no member any more is told so, or it would stand for election for ever; a leader among them makes room for another.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import type { SimNode } from '../../../lib/sim/node/sim-node.ts'
import { Scene } from '../../help/scene.ts'

/** Of four the leader is removed, then a follower. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 258, nodes: 4 })
  const leader = await scene.elect()
  await scene.write(leader)
  await scene.level()
  const left = scene.others(leader)
  await scene.change(leader, left)
  await scene.pass(2_000)
  hold(leader.node!.raft.status.role !== 'leader', 'IC2', () => `${leader.id} leads, and is no member`)
  const next = await scene.elect(left)
  await scene.write(next)
  await scene.level(left)
  const [removed, ...stay] = left.filter(node => node !== next)
  await scene.change(next, [next, ...stay])
  for (const node of [leader, removed!])
    await scene.until('IL3', `${node.id} knows that it is no member`, () => !isMember(node), 3_000)
  hold(next.node!.raft.status.role === 'leader', 'IL2', () => `${next.id} leads no more`)
  await scene.write(next)
  await scene.level([next, ...stay])
}

function isMember({ node, key }: SimNode): boolean {
  return node!.raft.status.membership.members.some(member => member.key === key)
}
