// A write that overwrote one block is lost below what mark and state cover: the old block fits by its key, and is not believed.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { Scene } from '../../help/scene.ts'

/**
 * Of five nodes, A leads and stores a record on itself and B alone. C is elected, overwrites it on B, commits more, and B's
 * state covers all of it. Then B is killed, and its write-ahead file has lost the one write that cut and overwrote. B leads
 * next, and A comes back, which still holds the record that nobody has committed.
 */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 5, nodes: 5, depth: 'deep' })
  const a = await scene.elect()
  await scene.write(a)
  await scene.level()
  const shared = a.node!.raft.status.last.index
  const [b, ...rest] = scene.others(a)
  scene.part([a, b!], rest)
  scene.begin(a, scene.draft('lost', 2))
  await scene.until('IL3', 'the cut off leader has one follower', () => b!.node!.raft.status.durable === shared + 1)

  const c = await scene.elect(rest)
  scene.cluster.wires.heal()
  scene.isolate(a)
  // The record that begins C's term overwrites, alone in its write.
  await scene.level([c, b!])
  for (let number = 1; number <= 3; number++) await scene.write(c)
  await scene.level([c, b!])
  const { flushes } = b!.node!.counters
  await scene.write(c)
  await scene.until('IX1', 'the state is flushed', () => b!.node!.counters.flushes > flushes)
  await scene.pass(500)

  b!.crash('killed')
  const lost = b!.disk.rot('log-undo', () => 0)
  hold(lost?.from === shared + 1 && lost.to === shared + 1, 'IX1', () => 'another write is lost than the one meant')
  b!.damaged = true
  b!.start()
  await scene.until('IL3', 'what was lost is brought again', () => b!.node?.raft.status.trusted === true)
  c.node!.transfer(b!.key)
  await scene.until('IL1', 'it leads', () => b!.node!.raft.status.role === 'leader')
  scene.cluster.wires.heal()
  await scene.elect()
  await scene.level()
}
