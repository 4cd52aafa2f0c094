// Waits until the state of each node on its disk contains what a story has just done.
import type { Scene } from './scene.ts'

/** Does `work`, which writes something, and waits until all nodes have applied and flushed it. */
export async function flushed(scene: Scene, work: () => Promise<unknown>): Promise<void> {
  await work()
  await scene.level()
  const { nodes } = scene.cluster
  const before = nodes.map(({ node }) => node!.counters.flushes)
  await scene.until('IX1', 'the state is flushed', () =>
    nodes.every(({ node }, at) => node !== null && node.counters.flushes > before[at]!)
  )
  await scene.pass(100)
}
