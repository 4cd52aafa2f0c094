// What a node must not forget stands in both slots before long: whichever of them is damaged, the other has the same term.
import { readMemory } from '../../../lib/log/memory.ts'
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { Scene } from '../../help/scene.ts'

/** B has had two lives and has seen another term in the second. It dies, and the slot that was written last is damaged. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 14, nodes: 3, depth: 'deep' })
  const a = await scene.elect()
  const [b] = scene.others(a)
  b!.crash('killed')
  b!.start()
  await scene.elect()
  a.crash('killed')
  await scene.elect(scene.others(a))
  const { term } = b!.node!.raft.status
  await scene.pass(200)
  b!.crash('killed')
  const { slots } = b!.disk
  const sequences = slots.durable.map(slot => sequenceOf(slot))
  const newer = sequences[0]! > sequences[1]! ? 0 : 1
  const bytes = new Uint8Array(slots.durable[newer]!)
  bytes[0]! ^= 1
  slots.durable[newer] = bytes
  slots.cached[newer] = bytes
  a.start()
  b!.start()
  await scene.until('IX1', 'it starts', () => b!.node !== null)
  hold(b!.node!.raft.status.term >= term, 'IP3', () => `${b!.id} has forgotten term ${term}`)
  await scene.elect()
  await scene.level()
}

function sequenceOf(slot: Uint8Array | null): number {
  const content = slot === null ? null : readMemory(slot)
  return content === null || content === 'newer' ? -1 : content.sequence
}
