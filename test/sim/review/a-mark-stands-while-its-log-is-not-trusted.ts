// A cut lowers the mark of a trusted log only: else a damaged node would forget, at its first repair, what it had promised.
import type { Envelope } from '../../../lib/raft/message.ts'
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { blocksOf, damage, endOnDisk, Scene } from '../../help/scene.ts'

/** So large that each travels in an append of its own. */
const large = 'x'.repeat(700_000)

/**
 * As long as B has promised, its log holds again what A has overwritten. A begins to mend it: B cuts, stores the first of
 * A's records, and is killed. A and D, which have all that was committed, are gone. E has just what B has now, and asks it.
 */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 35, nodes: 5 })
  const c = await scene.elect()
  await scene.write(c, scene.draft('before'))
  await scene.level()
  const shared = c.node!.raft.status.last.index
  const [b, ...rest] = scene.others(c)
  scene.part([c, b!], rest)
  for (let number = 1; number <= 4; number++) scene.begin(c, scene.draft(`lost ${number}`, 2))
  await scene.until('IX1', 'the cut off leader has one follower', () => endOnDisk(b!) === shared + 4)
  const old = [...blocksOf(b!)]

  const a = await scene.elect(rest)
  const [d, e] = rest.filter(node => node !== a)
  const laterThanFirst = ({ message }: Envelope): boolean =>
    message.kind === 'append' && message.blocks.length > 0 && message.blocks[0]!.first > shared + 2
  scene.hold(envelope => envelope.to === e!.key && laterThanFirst(envelope))
  scene.cluster.wires.heal()
  scene.isolate(c)
  for (let number = 1; number <= 3; number++) await scene.write(a, scene.draft(large, 3))
  await scene.until('IX1', 'all is overwritten', () => endOnDisk(b!) === shared + 4)

  b!.crash('killed')
  damage(b!, old)
  scene.hold(envelope => (envelope.to === e!.key || envelope.to === b!.key) && laterThanFirst(envelope))
  b!.start()
  await scene.until('IX1', 'the first record is mended', () => endOnDisk(b!) === shared + 2)
  b!.crash('killed')
  a.crash('killed')
  d!.crash('killed')
  scene.cluster.wires.heal()
  scene.letAllPass()
  hold(endOnDisk(e!) === shared + 2, 'IX1', () => `${e!.id} ends at ${endOnDisk(e!)}`)
  b!.start()
  await scene.pass(5_000)
  hold(scene.cluster.leader === null, 'IS5', () => 'somebody leads without what was committed')
  a.start()
  await scene.elect([a, b!, c, e!])
  d!.start()
  await scene.level()
  await scene.until('IL3', 'it is trusted again', () => b!.node!.raft.status.trusted)
}
