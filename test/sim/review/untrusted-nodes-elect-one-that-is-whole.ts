// An untrusted node votes, and what it acknowledges counts: else a power cut that damages two of three would be the end.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { loseEnd, Scene } from '../../help/scene.ts'

/** The power fails everywhere, and two of three nodes have lost the end of their logs. Only the third may lead. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 31, nodes: 3 })
  const leader = await scene.elect()
  for (let number = 1; number <= 5; number++) await scene.write(leader)
  await scene.level()
  const { last } = leader.node!.raft.status
  const { nodes } = scene.cluster
  for (const node of nodes) node.crash('power')
  const [whole, ...hurt] = nodes
  for (const [at, node] of hurt.entries()) loseEnd(node, last.index - 2 - at)
  for (const node of nodes) node.start()
  const next = await scene.elect()
  hold(next === whole, 'IS5', () => `${next.id} leads, which has lost its end`)
  await scene.write(next)
  await scene.level()
  await scene.until('IL3', 'all are trusted again', () => nodes.every(({ node }) => node!.raft.status.trusted))
}
