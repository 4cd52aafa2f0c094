// A second change begins only when the first is over: whoever is told that a change is done can rely on what it has asked for.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { membershipOf, Scene } from '../../help/scene.ts'

/** While the joint configuration of one change stands in the log, another one is asked for. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 256, nodes: 3 })
  const leader = await scene.elect()
  await scene.write(leader)
  await scene.level()
  const [second, third] = scene.others(leader)
  const { raft } = leader.node!
  const asked = [membershipOf([leader, second!], [third!]), membershipOf([leader, third!], [second!])] as const
  const first = scene.beginChange(leader, [leader, second!], [third!])
  await scene.until('IX1', 'the first has begun', () => raft.status.membership.outgoing !== null)
  const again = scene.beginChange(leader, [leader, third!], [second!])
  await scene.until('IL5', 'the second change is answered', () => again.result !== null)
  await scene.pass(1_000)
  for (const [at, { result }] of [first, again].entries()) {
    if (result instanceof Error || result === null) continue
    const { voters } = raft.membershipAt(result)
    hold(voters.join() === asked[at]!.voters.join(), 'IC1', () => `told of a change to other voters: ${voters.join()}`)
  }
  hold(typeof first.result === 'number', 'IL5', () => 'the first change is not done')
  await scene.change(leader, [leader, second!, third!])
  await scene.level()
}
