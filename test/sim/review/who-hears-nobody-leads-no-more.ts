// A leader whose messages arrive and who hears no answers keeps all others from electing, unless it gives up by itself.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { Scene } from '../../help/scene.ts'

/** All that is sent to A is lost, and what A sends is not. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 13, nodes: 3 })
  const a = await scene.elect()
  await scene.write(a)
  const others = scene.others(a)
  const heal = scene.cluster.wires.cut(
    others.map(node => node.id),
    [a.id]
  )
  const b = await scene.elect(others, 10_000)
  hold(a.node!.raft.status.role !== 'leader', 'IL1', () => `${a.id} leads on, heard by all and hearing nobody`)
  await scene.write(b, scene.draft('y', 2))
  heal()
  await scene.elect()
  await scene.level()
}
