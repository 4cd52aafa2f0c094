// How the scenarios of leases begin: one follower has answered a round of the leader, and so promised to elect nobody else.
import { defaultConfig } from '../../lib/raft/config.ts'
import type { SimNode } from '../../lib/sim/node/sim-node.ts'
import type { Scene } from './scene.ts'

export interface Promised {
  /** The leader. */
  readonly a: SimNode
  /** Who has promised. */
  readonly b: SimNode
  /** When the lease of the leader ends by its own account, which counts from when it asked; virtual milliseconds. */
  readonly until: number
}

/** The cluster has lease reads. */
export async function promised(scene: Scene): Promise<Promised> {
  const a = await scene.elect()
  await scene.level()
  // Promises of before have run out.
  await scene.pass(1_000)
  let asked = 0
  let from = ''
  scene.onSent = ({ from: sender, message }) => {
    if (message.kind === 'append' && message.round > 0 && asked === 0) asked = scene.now
    if (message.kind === 'append-reply' && message.leaseMs > 0 && asked > 0) from = sender
  }
  const read = scene.beginRead(a)
  await scene.until('IL5', 'a read is answered', () => read.result !== null)
  scene.onSent = () => {}
  return { a, b: scene.cluster.nodes.find(node => node.key === from)!, until: asked + defaultConfig.leaseMs }
}
