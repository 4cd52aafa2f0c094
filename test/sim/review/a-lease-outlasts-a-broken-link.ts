// Who has promised to elect nobody else for a while keeps it, also where its link to the leader is closed by the other side.
import { defaultConfig } from '../../../lib/raft/config.ts'
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { promised } from '../../help/promised.ts'
import { Scene } from '../../help/scene.ts'

/**
 * B has answered a round of A with a promise. Something closes all links of A, and A is held up, so that it has not seen it
 * and believes in its lease. C, which has promised nothing, stands at once; what it would commit, A would not tell.
 */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 73, nodes: 3, config: { ...defaultConfig, leaseReads: true } })
  const { a, until } = await promised(scene)
  scene.cluster.reset(a)
  a.stall(2_000)
  const { term } = a.node!.raft.status
  await scene.until('IL1', 'another leads', () => scene.cluster.checks.term > term)
  hold(
    scene.now >= until,
    'IK1',
    () => `another leads ${Math.ceil(until - scene.now)} ms before the lease of ${a.id} ends`
  )
}
