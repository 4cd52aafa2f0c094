// The answers to a round say who led when it was asked: they must not confirm a read that has come since.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { Scene } from '../../help/scene.ts'

/**
 * A is asked for a read, and asks the others whether it still leads; their answers are late. B is elected and commits. A
 * has heard of nothing, is asked for the same again, and then the late answers arrive, one after the other.
 */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 232, nodes: 3 })
  const a = await scene.elect()
  await scene.write(a, scene.draft('old'))
  await scene.level()
  const late = scene.hold(({ to, message }) => to === a.key && message.kind === 'append-reply' && message.round > 0)
  const first = scene.beginRead(a)
  // After a while those are asked too that were spared at first.
  await scene.until('IX1', 'both are asked', () => new Set(late.map(({ envelope }) => envelope.from)).size === 2)

  scene.cluster.network.reset(a.key)
  scene.hold(({ from, to }) => from === a.key || to === a.key)
  const b = await scene.elect(scene.others(a))
  await scene.write(b, scene.draft('new'))
  hold(a.node!.raft.status.role === 'leader', 'IX1', () => `${a.id} has noticed that it leads no more`)
  const again = scene.beginRead(a)
  await scene.pass(20)
  const senders = new Set<string>()
  for (const { envelope, release } of late) {
    if (senders.has(envelope.from)) continue
    senders.add(envelope.from)
    release()
    await scene.pass(20)
  }
  hold(first.result !== null, 'IX1', () => 'the late answers have not confirmed what they were asked for')
  const told = again.result instanceof Error ? null : again.result
  hold(
    told === null || told.includes('new'),
    'IK1',
    () => `a read finds ${told?.join()} after another command was answered`
  )
  scene.letAllPass()
  await scene.elect()
  await scene.level()
}
