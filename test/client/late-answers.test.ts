// An answer that comes after its call has timed out: the client knows what became of the write, and `resolve` tells it.
import { t } from 'tap'
import { StrettoError } from '../../lib/base/errors.ts'
import { frameKind } from '../../lib/wire/client.ts'
import { ClientRig } from '../help/client-rig.ts'

const { command, resolve } = frameKind

t.test('resolve tells what a late answer has told, though the cluster was let forget it', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const late: (() => void)[] = []
  const asked: (() => void)[] = []
  rig.node('n1').intercept = (frame, link) => {
    if (frame[4] === command) {
      const answer = link.apply(frame)
      late.push(() => link.link.send(answer))
    }
    if (frame[4] === resolve) asked.push(() => link.applied(frame))
    return frame[4] === command || frame[4] === resolve
  }
  const error = await rig.rejection(db.increment('n', 7, { timeout: 60 }))
  t.match(error, { code: 'TIMED_OUT', fate: 'unknown' })
  const operationId = (error as StrettoError).operationId!
  rig.time.run(10)
  t.equal(asked.length, 1, 'the client asks what became of it')
  for (const answer of late) answer()
  rig.time.run(10)
  rig.node('n1').intercept = (frame, link) => {
    if (frame[4] === resolve) asked.push(() => link.applied(frame))
    return frame[4] === resolve
  }
  await rig.settled(db.put('k', 'the floor passes the increment'))
  const told = { applied: { revision: 2, value: 7 } }
  t.same(await rig.settled(db.resolve(operationId)), told, 'from memory')
  for (const answer of asked) answer()
  rig.time.run(10)
  t.same(await rig.settled(db.resolve(operationId)), told, 'also after the cluster has said that it forgot')
})

t.test('a late refusal for good is told as well', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const leader = rig.node('n1')
  const late: (() => void)[] = []
  leader.intercept = (frame, link) => {
    if (frame[4] === command) late.push(() => link.refuse(frame, { code: 'NO_SPACE' }))
    return frame[4] === command || frame[4] === resolve
  }
  const error = await rig.rejection(db.put('k', 'v', { timeout: 60 }))
  t.match(error, { code: 'TIMED_OUT', fate: 'unknown' })
  rig.time.run(10)
  for (const answer of late) answer()
  rig.time.run(10)
  leader.intercept = frame => frame[4] === resolve
  await rig.settled(db.put('k', 'the floor passes the first'))
  t.equal(await rig.settled(db.resolve((error as StrettoError).operationId!)), 'not-applied')
})

t.test('asking in the background is refused for good: the cluster does not forget the write', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const leader = rig.node('n1')
  let asked = 0
  leader.intercept = (frame, link) => {
    if (frame[4] === command) link.apply(frame)
    else if (frame[4] === resolve) {
      asked++
      link.refuse(frame, { code: 'NO_SPACE' })
    }
    return frame[4] === command || frame[4] === resolve
  }
  const error = await rig.rejection(db.increment('n', 7, { timeout: 60 }))
  t.match(error, { code: 'TIMED_OUT', fate: 'unknown' })
  rig.time.run(3_500)
  t.equal(asked, 4, 'it is asked again, and not at once')
  leader.intercept = frame => frame[4] === resolve
  await rig.settled(db.put('k', 'a later write takes the floor along'))
  leader.intercept = () => false
  const told = await rig.settled(db.resolve((error as StrettoError).operationId!))
  t.same(told, { applied: { revision: 2, value: 7 } })
  rig.time.run(3_000)
  t.equal(leader.kinds(resolve).length, asked + 2, 'the user, and once more by itself')
  await rig.settled(db.close())
})
