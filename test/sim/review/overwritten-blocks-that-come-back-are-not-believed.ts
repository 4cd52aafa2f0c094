// The mark is a record, not a length: a log whose overwritten blocks have come back is as long as was promised, and not it.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { blocksOf, damage, endOnDisk, Scene } from '../../help/scene.ts'

/**
 * Of five nodes, C leads and stores six records on itself and B alone. A is elected by D and E, overwrites them on B, and
 * commits its own with D; E is held back. B crashes, and the write that overwrote is lost: the old records are there again,
 * as many as B has promised. Then A dies, and C asks for votes with the very records that A has overwritten.
 */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 12, nodes: 5 })
  const c = await scene.elect()
  await scene.write(c, scene.draft('before'))
  await scene.level()
  const shared = c.node!.raft.status.last.index
  const [b, d, e, f] = scene.others(c)
  scene.part([c, b!], [d!, e!, f!])
  for (let number = 1; number <= 6; number++) scene.begin(c, scene.draft(`lost ${number}`, 2))
  await scene.until('IL3', 'the cut off leader has one follower', () => endOnDisk(b!) === shared + 6)
  const old = [...blocksOf(b!)]

  const a = await scene.elect([d!, e!, f!])
  const [near, far] = [d!, e!, f!].filter(node => node !== a)
  scene.hold(({ to, message }) => to === far!.key && message.kind === 'append' && message.blocks.length > 0)
  scene.cluster.wires.heal()
  scene.isolate(c)
  for (let number = 1; number <= 5; number++) await scene.write(a, scene.draft(`kept ${number}`, 3))
  // With the record that begins its term A has six as well.
  await scene.until('IL3', 'all that was there is overwritten', () => endOnDisk(b!) === shared + 6)

  b!.crash('killed')
  damage(b!, old)
  b!.start()
  await scene.until('IX1', 'it starts', () => b!.node !== null)
  hold(!b!.node!.raft.status.trusted, 'IP3', () => `${b!.id} believes what it had overwritten`)

  a.crash('killed')
  scene.cluster.wires.heal()
  const next = await scene.elect([c, b!, near!, far!])
  hold(next === near, 'IS5', () => `${next.id} leads, and only ${near!.id} has all that was committed`)
}
