// Who takes a snapshot in has what the records before it would have brought: state, sessions, and who the members are.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import type { SimNode } from '../../../lib/sim/node/sim-node.ts'
import { blocksOf, configurationOf, Scene } from '../../help/scene.ts'

/** One of four is down while the log is cut; afterwards another becomes a learner. Then it comes back, and leads. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 259, nodes: 4 })
  const leader = await scene.elect()
  await scene.write(leader)
  await scene.level()
  const [absent, learner, fourth] = scene.others(leader)
  absent!.crash('killed')
  const once = scene.draft('once', 7)
  await scene.write(leader, once)
  scene.boundLogs(2_048)
  for (let at = 0; at < 60; at++) await scene.write(leader, scene.draft('x'.repeat(100)))
  await scene.pass(1_000)
  hold(baseOf(leader) > 2, 'IX1', () => 'the log is not cut')
  scene.boundLogs(1_048_576)
  await scene.change(leader, [leader, absent!, fourth!], [learner!])
  await scene.write(leader)
  await scene.pass(1_000)
  absent!.start()
  await scene.elect()
  await scene.level()
  hold(absent!.snapshots === 1, 'IX1', () => `${absent!.snapshots} snapshots are taken up`)
  const [wanted, found] = [configurationOf(leader), configurationOf(absent!)]
  hold(found === wanted, 'IC2', () => `${absent!.id} acts by ${found}, the others by ${wanted}`)
  for (let at = 0; at < 20 && scene.cluster.leader !== absent; at++) {
    scene.cluster.leader?.node!.transfer(absent!.key)
    await scene.pass(500)
  }
  await scene.elect()
  await scene.write(absent!, once)
  const executed = (await scene.read(absent!)).filter(command => command === 'once').length
  hold(executed === 1, 'IO1', () => `a command is executed ${executed} times`)
  await scene.level()
  absent!.crash('killed')
  absent!.start()
  await scene.elect()
  await scene.level()
}

function baseOf(node: SimNode): number {
  return blocksOf(node)[0]!.first - 1
}
