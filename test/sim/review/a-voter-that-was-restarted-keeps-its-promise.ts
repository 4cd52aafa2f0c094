// A promise to elect nobody else lives in memory: whoever has just been started may have given one, and keeps it.
import { defaultConfig } from '../../../lib/raft/config.ts'
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { promised } from '../../help/promised.ts'
import { Scene } from '../../help/scene.ts'

/**
 * B has answered a round of A with a promise, is killed, and is back at once. A is held up and believes in its lease; its
 * links are closed, and C, which has promised nothing, asks B.
 */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 74, nodes: 3, config: { ...defaultConfig, leaseReads: true } })
  const { a, b, until } = await promised(scene)
  b.crash('killed')
  b.start()
  a.stall(2_000)
  await scene.pass(5)
  scene.cluster.reset(a)
  const { term } = a.node!.raft.status
  await scene.until('IL1', 'another leads', () => scene.cluster.checks.term > term)
  hold(
    scene.now >= until,
    'IK1',
    () => `another leads ${Math.ceil(until - scene.now)} ms before the lease of ${a.id} ends`
  )
}
