// What a peer has acknowledged before it was started again is to be proved again: its disk may have lost it since.
import { blocksOf, endOnDisk, loseEnd, Scene } from '../../help/scene.ts'

/**
 * A's disk hangs while it leads; B has acknowledged a record, C has not got it. B is killed, loses the record, and is back.
 * Then A's disk has it too: with what B has said before, that would be a majority.
 */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 201, nodes: 3 })
  const a = await scene.elect()
  await scene.write(a)
  await scene.level()
  const shared = a.node!.raft.status.last.index
  const [b, c] = scene.others(a)
  scene.hold(({ to, message }) => to === c!.key && message.kind === 'append' && message.blocks.length > 0)
  a.disk.knobs.hungUntil = scene.now + 800
  const pending = scene.begin(a, scene.draft('lost', 2))
  await scene.until('IX1', 'it is acknowledged', () => a.node!.raft.status.match(b!.key) === shared + 1)
  b!.crash('killed')
  loseEnd(b!, shared)
  // What it has lost nobody may count on.
  b!.damaged = false
  scene.hold(({ message }) => message.kind === 'append' && message.blocks.length > 0)
  b!.start()
  await scene.until('IX1', 'the disk has it', () => endOnDisk(a) === shared + 1)
  await scene.pass(500)
  scene.letAllPass()
  await scene.until('IL5', 'a write is answered', () => pending.result !== null)
  await scene.level()
  await scene.until('IL3', 'the record is everywhere', () => blocksOf(b!).length === blocksOf(a).length)
}
