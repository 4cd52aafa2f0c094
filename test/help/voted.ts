// How several scenarios begin: of three nodes B has voted for A, which leads now; B is dead, C has heard nothing of it.
import type { Envelope } from '../../lib/raft/message.ts'
import type { Term } from '../../lib/raft/types.ts'
import type { SimNode } from '../../lib/sim/node/sim-node.ts'
import type { Scene } from './scene.ts'

export interface Voted {
  readonly a: SimNode
  readonly b: SimNode
  /** It has led the term before; A and it are cut off from each other. */
  readonly c: SimNode
  /** The one in which B has voted for A. */
  readonly term: Term
  /** How many writes the write-ahead file of B's log held before B was asked. */
  readonly writesBefore: number
}

export async function voted(scene: Scene): Promise<Voted> {
  const { nodes, world } = scene.cluster
  const c = await scene.elect()
  await scene.write(c)
  await scene.level()
  // The marks are on the disks.
  await scene.pass(100)
  const parts = scene.others(c).map(node => ({ node, lift: scene.part([c], [node]) }))
  let granted: Envelope | null = null
  let writesBefore = 0
  scene.onSent = envelope => {
    const { to, message } = envelope
    const { kind } = message
    if (kind === 'vote' && message.pre) writesBefore = nodes.find(node => node.key === to)!.disk.log.fileLength
    if (granted !== null || kind !== 'vote-reply' || message.pre || !message.granted) return
    granted = envelope
    // Its vote has left, and nothing comes after it.
    world.after(0, null, () => nodes.find(node => node.key === envelope.from)!.crash('killed'))
  }
  await scene.until('IL1', 'a vote is given', () => granted !== null)
  const { from, to, term }: Envelope = granted!
  const [a, b] = [nodes.find(node => node.key === to)!, nodes.find(node => node.key === from)!]
  await scene.until('IL1', 'who has the vote leads', () => a.node!.raft.status.role === 'leader')
  scene.onSent = () => {}
  scene.part([a], [b])
  parts.find(({ node }) => node === b)!.lift()
  await scene.until('IL1', 'who is heard by nobody leads no more', () => c.node!.raft.status.role !== 'leader')
  return { a, b, c, term, writesBefore }
}
