// Cluster time never falls along the log, and stands still while nobody leads: a new leader begins where the last one ended.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { Scene } from '../../help/scene.ts'
import { stampsOf } from '../../help/stamps.ts'

/** The leader writes now and then, then loses power; the others miss it after a while. So it goes for each of them. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 132, nodes: 3 })
  const { nodes } = scene.cluster
  for (let time = 0; time < 4; time++) {
    const leader = await scene.elect()
    await scene.write(leader)
    await scene.pass(1_000)
    await scene.write(leader)
    await scene.level()
    const told = leader.node!.clusterTime
    const count = stampsOf(leader).length
    leader.crash('power')
    const others = scene.others(leader)
    const next = await scene.elect(others)
    const began = stampsOf(next)[count]!
    hold(began >= told - 1, 'IA4', () => `cluster time fell from ${told} to ${began}`)
    hold(began <= told + 5, 'IA4', () => `cluster time went on by ${began - told} ms while nobody led`)
    leader.start()
    await scene.elect()
    await scene.level()
  }
  for (const node of nodes) {
    const stamps = stampsOf(node)
    hold(
      stamps.every((stamp, at) => stamp >= (stamps[at - 1] ?? 0)),
      'IA4',
      () => `stamps fall along the log of ${node.id}`
    )
  }
}
