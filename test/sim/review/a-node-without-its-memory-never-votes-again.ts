// Both slots unreadable is amnesia: whoever cannot know whom it has voted for takes no part any more, under that name.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { Scene } from '../../help/scene.ts'
import { voted } from '../../help/voted.ts'

/** Where a slot tells the chain value at the mark and, for an id of two letters, the length of whom was voted for. */
const chainAt = 40
const voteAt = 72

/**
 * B votes for A and dies. Both of its slots are damaged: the vote is gone, and the mark is another, so that it would not
 * stand itself. C, which has heard nothing of A, asks B for its vote.
 */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 4, nodes: 3, depth: 'deep' })
  const { b, c } = await voted(scene)
  const { slots } = b.disk
  for (const slot of [0, 1] as const) {
    const bytes = new Uint8Array(slots.durable[slot]!)
    bytes[chainAt]! ^= 1
    bytes[voteAt] = 0
    slots.durable[slot] = bytes
    slots.cached[slot] = bytes
  }
  b.start()
  await scene.pass(10_000)
  hold(b.life === null, 'IP3', () => `${b.id} goes on without its memory`)
  const told = scene.lines.some(line => line.startsWith(`${b.id}: `) && line.includes('members replace'))
  hold(told, 'IX2', () => `${b.id} does not say what to do`)
  hold(c.node!.raft.status.role !== 'leader', 'IS1', () => `${c.id} leads alone`)
  scene.cluster.wires.heal()
  await scene.elect(scene.others(b))
  await scene.level(scene.others(b))
}
