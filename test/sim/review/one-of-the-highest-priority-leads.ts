// Who is preferred comes to lead once all is quiet, is given the lead back when it returns, and never while it lags.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import type { SimNode } from '../../../lib/sim/node/sim-node.ts'
import { Scene } from '../../help/scene.ts'

/** Longer than it takes until a leader gives the lead away, once more after it has done so. */
const quietMs = 75_000

export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 51, nodes: 5 })
  const { nodes } = scene.cluster
  for (const [at, node] of nodes.entries()) {
    node.crash('killed')
    node.priority = [100, 0, 300, 300, 200][at]!
    node.start()
  }
  const preferred = nodes.filter(({ priority }) => priority === 300)
  const isPreferred = (): boolean => preferred.some(({ node }) => node?.raft.status.role === 'leader')
  await scene.elect()
  await scene.until('IL8', 'one of the highest priority leads', isPreferred, quietMs)
  const first = await scene.elect()
  const { term } = first.node!.raft.status
  await scene.pass(2 * quietMs)
  hold(
    first.node!.raft.status.term === term,
    'IL8',
    () => 'of two that are preferred alike, one gives way to the other'
  )

  for (const node of preferred) node.crash('killed')
  const left = scene.others(...preferred)
  await scene.elect(left)
  const second = left.find(({ priority }) => priority === 200)!
  const leads = ({ node }: SimNode): boolean => node?.raft.status.role === 'leader'
  await scene.until('IL8', 'the next one leads', () => leads(second), quietMs)
  for (const node of preferred) node.start()
  await scene.until('IL8', 'the lead is given back', isPreferred, quietMs)
}
