// While a configuration is being left both halves must agree; and what one half could not decide is not in force any more.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { configurationOf, Scene } from '../../help/scene.ts'

/** Of five, two are to go on alone, and are cut off with the leader among them just as it has proposed that. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 253, nodes: 5 })
  const leader = await scene.elect()
  await scene.write(leader)
  await scene.level()
  const [second, ...rest] = scene.others(leader)
  const founding = configurationOf(leader)
  const rejoin = scene.part([leader, second!], rest)
  const change = scene.beginChange(leader, [leader, second!], rest)
  const isJoint = (): boolean => second!.node!.raft.status.membership.outgoing !== null
  await scene.until('IX1', 'the joint configuration is with both', isJoint)
  const next = await scene.elect(rest)
  await scene.write(next)
  await scene.pass(3_000)
  hold(isJoint(), 'IC1', () => `half of them have come to ${configurationOf(second!)}`)
  rejoin()
  await scene.until('IL5', 'the change is answered', () => change.result !== null)
  hold(change.result instanceof Error, 'IC1', () => 'the change is told to be committed')
  await scene.elect()
  await scene.level()
  for (const node of scene.cluster.nodes) {
    const found = configurationOf(node)
    hold(found === founding, 'IC2', () => `${node.id} acts by ${found}`)
  }
}
