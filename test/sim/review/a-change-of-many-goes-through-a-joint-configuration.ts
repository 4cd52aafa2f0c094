// From five voters to two of them, and back to five: majorities of the one and of the other need not have anybody in common.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { configurationOf, membershipOf, Scene } from '../../help/scene.ts'

/** Commands go on all the while. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 254, nodes: 5 })
  const leader = await scene.elect()
  const [second, ...rest] = scene.others(leader)
  for (const [voters, learners] of [
    [[leader, second!], rest],
    [[leader, second!, ...rest], []]
  ] as const) {
    await scene.write(leader)
    await scene.level()
    await scene.change(leader, voters, learners)
    await scene.write(leader)
    const { status } = leader.node!.raft
    const wanted = membershipOf(voters, learners)
    const done = status.membership.outgoing === null && status.membership.voters.join() === wanted.voters.join()
    hold(done, 'IC2', () => `the configuration is ${configurationOf(leader)}`)
  }
  await scene.level()
}
