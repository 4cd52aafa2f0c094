// Whoever leads in a joint configuration leads out of it, also when it was another leader that has begun the change.
import { configurationOf, Scene } from '../../help/scene.ts'

/** A leader dies as soon as another node has the joint configuration in its log. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 255, nodes: 3 })
  const leader = await scene.elect()
  await scene.write(leader)
  await scene.level()
  const others = scene.others(leader)
  scene.beginChange(leader, others, [leader])
  const isJoint = (): boolean => others.some(({ node }) => node!.raft.status.membership.outgoing !== null)
  await scene.until('IX1', 'the joint configuration is with another', isJoint)
  leader.crash('killed')
  const next = await scene.elect(others)
  await scene.write(next)
  const keys = others.map(({ key }) => key).toSorted()
  const wanted = `${keys.join()} |  | ${leader.key}`
  await scene.until('IL1', 'they come to the new configuration', () => configurationOf(next) === wanted, 5_000)
  leader.start()
  await scene.level()
  await scene.until('IL3', 'all know it', () => scene.cluster.nodes.every(node => configurationOf(node) === wanted))
}
