// Who counts is a disk, not a name: a node that comes back empty is not the member that has voted and acknowledged before.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { Scene } from '../../help/scene.ts'

/**
 * C is cut off since the founding; A and B commit. B's disk is wiped, and B starts again, empty, with the same list of nodes.
 * C, whose log is empty too, is all that it reaches: together they would be a majority that has never heard of anything.
 */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 34, nodes: 3, depth: 'deep' })
  const { nodes } = scene.cluster
  await scene.until('IL1', 'all are founded', () => nodes.every(({ node }) => node !== null))
  const c = nodes[2]!
  const lift = scene.isolate(c)
  const a = await scene.elect([nodes[0]!, nodes[1]!])
  const b = nodes.find(node => node !== a && node !== c)!
  await scene.write(a)
  await scene.level([a, b])
  hold(c.node!.raft.status.last.index === 0, 'IX1', () => `${c.id} has heard of it`)

  b.crash('power')
  b.disk.wipe()
  b.damaged = true
  scene.isolate(a)
  lift()
  b.start()
  await scene.pass(10_000)
  hold(b.life === null, 'IS5', () => `${b.id} is let in without its disk`)
  const told = scene.lines.some(line => line.startsWith(`${b.id}: `) && line.includes('members replace'))
  hold(told, 'IX2', () => `${b.id} does not say what to do: ${scene.lines.join('; ')}`)
  hold(c.node!.raft.status.role !== 'leader', 'IS1', () => `${c.id} leads alone`)
  scene.cluster.wires.heal()
  await scene.elect([a, c])
  await scene.level([a, c])
}
