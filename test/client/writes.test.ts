// Writes against a cluster that follows a script: order, frames, retries, floors, fates, sessions, back-pressure.
import { t } from 'tap'
import { readU16, readU32, readU64 } from '../../lib/base/bytes.ts'
import { StrettoError } from '../../lib/base/errors.ts'
import type { ClientOptions, PutOptions } from '../../lib/client/options.ts'
import { commandAt, recordAt } from '../../lib/record/record.ts'
import { frameKind, writeApplied } from '../../lib/wire/client.ts'
import { readCommands } from '../../lib/wire/kv/read-commands.ts'
import { ClientRig, microtasks } from '../help/client-rig.ts'
import { sessionText } from '../help/model-cluster.ts'

const { command, resolve, ping } = frameKind

function strettoError(error: unknown): StrettoError {
  if (error instanceof StrettoError) return error
  throw error
}

const serialOf = (record: Uint8Array): number => readU64(record, commandAt.serial)
const countIn = (record: Uint8Array): number => readU16(record, commandAt.count)
const floorOf = (record: Uint8Array): number => readU64(record, commandAt.floor)

void t.test('calls of one tick leave in one frame, in call order, and reads with them in one message', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const leader = rig.node('n1')
  const before = leader.messages.length
  const calls = [
    db.put('k', '1'),
    db.put('k', '2'),
    db.delete('x'),
    db.increment('n', 3),
    db.put('k', '4'),
    db.get('k'),
    db.get('n')
  ]
  const [one, two, gone, count, four, entry, number] = await rig.settled(Promise.all(calls))
  t.same(one, { revision: 2 })
  t.same(two, { revision: 3 })
  t.same(gone, { revision: 3, deleted: 0 })
  t.same(count, { value: 3, revision: 4 })
  t.same(four, { revision: 5 })
  t.same(entry, { key: 'k', value: '4', createRevision: 2, modRevision: 5, version: 3, leaseId: 0 })
  t.match(number, { value: '3' })
  t.same(leader.messages.slice(before), [2], 'one message with a record and a question')
  const record = leader.kinds(command)[0]!
  t.same(
    readCommands(record.slice(commandAt.commands), 5).map(one => one.op),
    ['put', 'put', 'delete', 'increment', 'put']
  )
  t.equal(readU64(record, recordAt.index), 5000, 'the patience of the client')
  await rig.settled(db.close())
})

void t.test('results: previous entries, conditions, what failed them', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient<unknown>({ valueEncoding: 'json' })
  t.same(await rig.settled(db.put('a', { x: 1 }, { previous: true })), { revision: 2, previous: null })
  t.match(await rig.settled(db.put('a', [2], { previous: true, ifRevision: 2 })), {
    revision: 3,
    previous: { value: { x: 1 } }
  })
  const failed = strettoError(await rig.rejection(db.put('a', 3, { ifAbsent: true })))
  t.match(failed, { code: 'CONDITION_FAILED', fate: 'not-applied', retryable: false })
  t.match(failed.current, { key: 'a', value: [2], modRevision: 3, version: 2 })
  t.equal(strettoError(await rig.rejection(db.delete('b', { ifRevision: 9 }))).current, null)
  t.match(await rig.settled(db.delete('a', { previous: true })), { revision: 4, deleted: 1, previous: { value: [2] } })
  t.same(await rig.settled(db.delete('a', { previous: true })), { revision: 4, deleted: 0, previous: null })
  await rig.settled(db.put('t', 'text'))
  t.match(await rig.rejection(db.increment('t', Number.MAX_SAFE_INTEGER)), { code: 'BAD_REQUEST', fate: 'not-applied' })
  await rig.settled(db.close())
})

void t.test('faults of a call reject and never throw', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const wrong: PutOptions & { tll: number } = { tll: 1000 }
  const faults: [string, () => Promise<unknown>][] = [
    ['BAD_REQUEST', () => db.put('', 'x')],
    ['TOO_LARGE', () => db.put('k', 'x'.repeat(1_048_577))],
    ['TOO_LARGE', () => db.get('k'.repeat(9000))],
    ['BAD_REQUEST', () => db.put('k', 'x', { ifAbsent: true, ifRevision: 3 })],
    ['BAD_REQUEST', () => db.put('k', 'x', wrong)],
    ['BAD_REQUEST', () => db.put('k', 'x', { timeout: '5 seconds' })],
    ['BAD_REQUEST', () => db.put('k', 'x', { ifRevision: -1 })],
    ['BAD_REQUEST', () => db.increment('k', 0.5)],
    ['BAD_REQUEST', () => db.get('k', { minRevision: Number.NaN })],
    ['BAD_REQUEST', () => db.count({ prefix: 'a', from: 'b' })],
    ['BAD_REQUEST', () => db.resolve('nonsense')]
  ]
  for (const [code, fault] of faults) t.match(await rig.rejection(fault()), { code, fate: 'not-applied' })
  t.equal(rig.node('n1').kinds(command).length, 0)
  const options: ClientOptions<string> & { valueEncodng: string } = { valueEncodng: 'json' }
  t.throws(() => rig.client(options), { code: 'BAD_REQUEST' }, 'an unknown option names itself')
  t.throws(() => rig.client({}, ['nowhere']), { code: 'BAD_REQUEST' })
  await rig.settled(db.close())
})

void t.test(
  'after a break all that is unanswered is sent first, in order, the same bytes but for the patience',
  async t => {
    const rig = new ClientRig()
    const db = await rig.readyClient()
    const [leader, follower] = [rig.node('n1'), rig.node('n2')]
    leader.intercept = frame => frame[4] === command
    const calls: Promise<unknown>[] = []
    for (let tick = 0; tick < 3; tick++) {
      calls.push(db.put('k', `a${tick}`), db.put('k', `b${tick}`))
      rig.time.run(20)
    }
    const first = leader.kinds(command)
    rig.cluster.leader = 'n2'
    leader.cut()
    calls.push(db.put('k', 'last'))
    await rig.settled(Promise.all(calls))
    const again = [...follower.kinds(command), ...rig.node('n3').kinds(command)]
    t.same(again.map(serialOf), [1, 3, 5, 7])
    for (const [at, record] of first.entries()) {
      const same = again[at]!.slice()
      t.ok(readU64(same, recordAt.index) < 5000, 'less patience is left')
      same.set(record.subarray(recordAt.index, recordAt.index + 8), recordAt.index)
      t.same(same, record)
    }
    t.equal(rig.cluster.store.text('k'), 'last')
    t.equal(rig.cluster.store.executed.length, 7)
    await rig.settled(db.close())
  }
)

void t.test('an answer lost with its link is given again, from the memory of the cluster', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const leader = rig.node('n1')
  let lost = false
  leader.intercept = (frame, link) => {
    if (frame[4] !== command || lost) return false
    lost = true
    link.apply(frame)
    link.link.close()
    return true
  }
  t.same(await rig.settled(db.increment('n', 5)), { value: 5, revision: 2 })
  t.equal(rig.cluster.store.text('n'), '5')
  await rig.settled(db.close())
})

void t.test('the floor follows the answers, in order, and frees the window', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const leader = rig.node('n1')
  const held: (() => void)[] = []
  leader.intercept = (frame, link) => {
    if (frame[4] !== command) return false
    const answer = link.apply(frame)
    held.push(() => link.link.send(answer))
    return true
  }
  const calls = [1, 2, 3, 4].map(at => {
    const call = db.put(`k${at}`, 'v')
    rig.time.run(10)
    return call
  })
  held[1]!()
  await rig.settled(calls[1]!)
  held[3]!()
  await rig.settled(calls[3]!)
  const fifth = db.put('k5', 'v')
  rig.time.run(10)
  t.equal(floorOf(leader.kinds(command)[4]!), 0, 'the first is not answered')
  held[0]!()
  await rig.settled(calls[0]!)
  const sixth = db.put('k6', 'v')
  rig.time.run(10)
  t.equal(floorOf(leader.kinds(command)[5]!), 2)
  for (const release of held) release()
  await rig.settled(Promise.all([...calls, fifth, sixth]))
  leader.intercept = () => false
  await rig.settled(db.put('k7', 'v'))
  t.equal(floorOf(leader.kinds(command)[6]!), 6)
  await rig.settled(db.close())
})

void t.test('never more than 4,096 serials beyond the floor: further calls wait in order', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const leader = rig.node('n1')
  const held: (() => void)[] = []
  leader.intercept = (frame, link) => {
    if (frame[4] !== command) return false
    held.push(() => link.applied(frame))
    return true
  }
  const calls = Array.from({ length: 5000 }, (_, at) => db.put(`k${at % 7}`, String(at)))
  rig.time.run(50)
  const sent = leader.kinds(command)
  t.equal(
    sent.reduce((sum, record) => sum + countIn(record), 0),
    4096
  )
  t.ok(
    sent.every(record => record.length <= 66_000),
    'records of about 64 KiB at most'
  )
  held.shift()!()
  rig.time.run(50)
  t.ok(leader.kinds(command).length > sent.length, 'an answer makes room')
  leader.intercept = () => false
  while (held.length > 0) held.shift()!()
  await rig.settled(Promise.all(calls))
  t.same(
    rig.cluster.store.executed.map(({ command }) =>
      Number(new TextDecoder().decode(command.op === 'put' ? command.value : undefined))
    ),
    [...calls.keys()]
  )
  await rig.settled(db.close())
})

void t.test('bytes are bounded: 16 MiB on their way, 64 MiB waiting, then OVERLOADED and not applied', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const leader = rig.node('n1')
  leader.intercept = frame => frame[4] === command
  const value = 'v'.repeat(1_000_000)
  const calls = Array.from({ length: 90 }, () => db.put('k', value))
  const outcomes = Promise.allSettled(calls)
  await microtasks()
  rig.time.run(50)
  const inFlight = leader.kinds(command).reduce((sum, record) => sum + record.length, 0)
  t.ok(inFlight >= 16_000_000 && inFlight <= 18_500_000, `${inFlight} bytes on their way`)
  const overloaded = (await rig.settled(outcomes))
    .filter(({ status }) => status === 'rejected')
    .map(one => (one.status === 'rejected' ? strettoError(one.reason) : null))
  t.ok(overloaded.filter(error => error?.code === 'OVERLOADED' && error.fate === 'not-applied').length >= 20)
  const late = overloaded.filter(error => error?.code === 'TIMED_OUT')
  t.equal(
    late.filter(error => error?.fate === 'unknown').length,
    leader.kinds(command).length,
    'those that were sent may be applied'
  )
  t.ok(
    late.some(error => error?.fate === 'not-applied' && error.operationId === undefined),
    'those that waited are not'
  )
  await rig.settled(db.close())
})

void t.test('a refusal holds back all that follows, and the same record comes again', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const leader = rig.node('n1')
  let refusals = 2
  leader.intercept = (frame, link) => {
    if (frame[4] !== command || serialOf(frame) !== 1 || refusals-- <= 0) return false
    link.refuse(frame, { code: 'OVERLOADED', retryAfterMs: 40 })
    return true
  }
  const one = db.put('k', '1')
  rig.time.run(1)
  const two = db.put('k', '2')
  rig.time.run(10)
  const three = db.put('k', '3')
  await rig.settled(Promise.all([one, two, three]))
  t.same(
    rig.cluster.store.executed.map(({ id }) => id.split('-')[1]),
    ['1', '2', '3']
  )
  t.equal(rig.cluster.store.text('k'), '3')
  t.equal(
    new Set(leader.kinds(command).map(record => `${serialOf(record)} ${readU32(record, recordAt.term)}`)).size,
    3,
    'serials and numbers stay'
  )
  await rig.settled(db.close())
})

void t.test('a refusal for good is told with its fate', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const leader = rig.node('n1')
  leader.intercept = (frame, link) => {
    if (frame[4] !== command) return false
    link.refuse(frame, { code: 'NO_SPACE', retryAfterMs: 1_000 })
    return true
  }
  const refused = strettoError(await rig.rejection(db.put('k', 'v')))
  t.match(refused, { code: 'NO_SPACE', fate: 'not-applied', retryable: true, retryAfterMs: 1_000 })
  leader.intercept = (frame, link) => {
    if (frame[4] !== command) return false
    link.apply(frame)
    link.link.close()
    leader.intercept = (again, next) => {
      if (again[4] !== command) return false
      next.refuse(again, { code: 'NO_SPACE' })
      return true
    }
    for (const other of rig.cluster.nodes) if (other !== leader) other.intercept = leader.intercept
    return true
  }
  const unknown = strettoError(await rig.rejection(db.put('k', 'w')))
  t.match(unknown, { code: 'NO_SPACE', fate: 'unknown' }, 'an earlier attempt may have been applied')
  t.same(await rig.settled(db.resolve(unknown.operationId!)), { applied: { revision: 2 } })
  await rig.settled(db.close())
})

void t.test(
  'deadlines: unknown once sent, not applied before; abandoned writes are resolved and never sent again',
  async t => {
    const rig = new ClientRig()
    const db = await rig.readyClient()
    const leader = rig.node('n1')
    leader.intercept = frame => frame[4] === command
    const late = strettoError(await rig.rejection(db.put('k', 'lost', { timeout: 300 })))
    t.match(late, { code: 'TIMED_OUT', fate: 'unknown', retryable: true })
    t.match(late.operationId, /^[0-9a-f]{36}-1$/)
    rig.time.run(20)
    t.equal(leader.kinds(resolve).length, 1, 'asked in the background')
    t.equal(await rig.settled(db.resolve(late.operationId!)), 'not-applied')
    leader.intercept = () => false
    leader.cut()
    await rig.settled(db.put('k', 'next'))
    const records = rig.cluster.nodes.flatMap(node => node.kinds(command))
    t.same(records.map(serialOf), [1, 2])
    t.equal(floorOf(records[1]!), 1, 'the floor has moved on')
    t.equal(await rig.settled(db.resolve(late.operationId!)), 'not-applied', 'and it stays so')
    t.equal(rig.cluster.store.executed.length, 1)
    await rig.settled(db.close())
  }
)

void t.test('resolve tells what was applied, also to another client; and expired when nobody knows', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  for (const node of rig.cluster.nodes) {
    node.intercept = (frame, link) => {
      if (frame[4] === command) link.apply(frame)
      return frame[4] === command || frame[4] === resolve
    }
  }
  const errors: StrettoError[] = []
  const calls = [
    () => db.put('a', 'x', { timeout: 100 }),
    () => db.increment('n', 4, { timeout: 100 }),
    () => db.delete('a', { timeout: 100, previous: true })
  ]
  for (const call of calls) errors.push(strettoError(await rig.rejection(call())))
  for (const node of rig.cluster.nodes) node.intercept = () => false
  const other = rig.client()
  const ask = (error: StrettoError): Promise<unknown> => rig.settled(other.resolve(error.operationId!))
  t.same(await ask(errors[0]!), { applied: { revision: 2 } })
  t.same(await ask(errors[1]!), { applied: { revision: 3, value: 4 } })
  t.match(await ask(errors[2]!), { applied: { revision: 4, deleted: 1, previous: { value: 'x' } } })
  rig.cluster.store.sessions.clear()
  rig.cluster.store.horizon = rig.cluster.time
  t.equal(await ask(errors[0]!), 'expired')
  await rig.settled(other.close())
})

void t.test('without any node: not applied in time, and why', async t => {
  const rig = new ClientRig()
  rig.time.run(1)
  for (const node of rig.cluster.nodes) rig.fabric.kill(node.id)
  const db = rig.client()
  const error = strettoError(await rig.rejection(db.put('k', 'v', { timeout: 400 })))
  t.match(error, { code: 'TIMED_OUT', fate: 'not-applied', operationId: undefined })
  t.match(error.message, /127\.0\.0\.1:700\d: refused/)
  t.match(await rig.rejection(db.ready({ timeout: 100 })), { code: 'TIMED_OUT' })
  t.match(await rig.rejection(db.get('k', { timeout: 100 })), { code: 'TIMED_OUT', fate: 'not-applied' })
  await rig.settled(db.close())
})

void t.test('a signal ends the wait with its reason, before and after sending', async t => {
  const rig = new ClientRig()
  const db = rig.client()
  const reason = new Error('enough')
  t.equal(await rig.rejection(db.put('k', 'v', { signal: AbortSignal.abort(reason) })), reason)
  const controller = new AbortController()
  const { signal } = controller
  const calls = Promise.allSettled([db.put('k', 'queued', { signal }), db.get('k', { signal }), db.ready({ signal })])
  controller.abort(reason)
  for (const outcome of await rig.settled(calls)) t.same(outcome, { status: 'rejected', reason })
  await rig.settled(db.ready())
  const leader = rig.node('n1')
  rig.time.run(100)
  leader.intercept = frame => frame[4] === command
  const second = new AbortController()
  const sent = db.put('k', 'sent', { signal: second.signal })
  rig.time.run(20)
  second.abort(reason)
  t.equal(await rig.rejection(sent), reason)
  rig.time.run(20)
  t.equal(leader.kinds(resolve).length, 1, 'what became of it is asked, so that the floor moves on')
  t.equal(rig.cluster.store.executed.length, 0)
  await rig.settled(db.close())
})

void t.test('notAfter is fixed at the call, in cluster time, and kept over attempts', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const leader = rig.node('n1')
  const calledAt = rig.cluster.time
  leader.intercept = frame => frame[4] === command
  const call = db.put('k', 'v', { notAfter: 500, timeout: 5000 })
  rig.time.run(700)
  for (const node of rig.cluster.nodes) node.intercept = () => false
  leader.cut()
  t.match(await rig.rejection(call), { code: 'TIMED_OUT', fate: 'not-applied' })
  for (const record of rig.cluster.nodes.flatMap(node => node.kinds(command))) {
    const notAfter = readU64(record, commandAt.notAfter)
    t.ok(Math.abs(notAfter - calledAt - 500) <= 3, `${notAfter - calledAt} ms after the call`)
  }
  t.equal(rig.cluster.store.executed.length, 0)
  await rig.settled(db.close())
})

void t.test('an expired session: first attempts go on in a new one, in order; a retry is unknown', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  await rig.settled(db.put('k', '0'))
  rig.time.run(1000)
  rig.cluster.store.sessions.clear()
  rig.cluster.store.horizon = rig.cluster.time
  const calls = [db.put('k', '1'), db.put('k', '2')]
  rig.time.run(1)
  calls.push(db.put('k', '3'))
  await rig.settled(Promise.all(calls))
  t.equal(rig.cluster.store.text('k'), '3')
  const sessions = new Set(rig.cluster.nodes.flatMap(node => node.kinds(command)).map(sessionText))
  t.equal(sessions.size, 2)
  for (const node of rig.cluster.nodes) {
    node.intercept = (frame, link) => {
      if (frame[4] !== command) return false
      link.apply(frame)
      rig.cluster.store.sessions.clear()
      rig.cluster.store.horizon = rig.cluster.time
      for (const other of rig.cluster.nodes) other.intercept = () => false
      link.link.close()
      return true
    }
  }
  t.match(await rig.rejection(db.put('k', '4')), { code: 'SESSION_EXPIRED', fate: 'unknown' })
  t.match(await rig.settled(db.put('k', '5')), { revision: 7 }, 'the next one has a new session')
  await rig.settled(db.close())
})

void t.test('a session unused for long is left before the cluster forgets it', async t => {
  const rig = new ClientRig(1)
  const db = await rig.readyClient()
  await rig.settled(db.put('k', '1'))
  const leader = rig.node('n1')
  rig.time.run(1_900_000)
  t.ok(leader.kinds(ping).length > 0, 'an idle link is looked after')
  await rig.settled(db.put('k', '2'))
  t.equal(new Set(leader.kinds(command).map(sessionText)).size, 2)
  t.equal(serialOf(leader.kinds(command)[1]!), 1)
  await rig.settled(db.close())
})

void t.test('an answer whose content was too large to be kept says so', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  rig.node('n1').intercept = (frame, link) => {
    if (frame[4] !== command) return false
    const each = [
      { status: 0, revision: 9, answer: null },
      { status: 0, revision: 10, answer: null }
    ]
    link.link.send(writeApplied({ number: readU32(frame, recordAt.term), term: 1, index: 20, revision: 9, each }))
    return true
  }
  const calls = [db.put('k', 'v', { previous: true }), db.delete('k', { previous: true })]
  t.same(await rig.settled(Promise.all(calls)), [
    { revision: 9, resultGone: true },
    { revision: 10, deleted: 1, resultGone: true }
  ])
  await rig.settled(db.close())
})

void t.test('close takes no more calls, waits for those made, and ends the links', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const call = db.put('k', 'v')
  const range = db.range()
  const closing = db.close()
  t.match(await rig.rejection(db.put('k', 'w')), { code: 'STOPPED', fate: 'not-applied' })
  const late = db.range()
  t.match(await rig.rejection(late.next()), { code: 'STOPPED', fate: 'not-applied' })
  t.same(await rig.settled(late.next()), { done: true, value: undefined })
  await rig.settled(closing)
  t.match(await rig.rejection(range.next()), { code: 'STOPPED' }, 'of before, and begun too late')
  t.match(await rig.rejection(db.range().next()), { code: 'STOPPED' })
  t.same(await rig.settled(call), { revision: 2 })
  rig.time.run(10)
  t.ok(rig.cluster.nodes.every(node => node.links.size === 0))
  await db.close()
  const unused = rig.client()
  await rig.settled(unused[Symbol.asyncDispose]())
  t.pass('also one that never connected')
})

void t.test('a client is no promise: awaiting what `connect` gives is harmless', async t => {
  const rig = new ClientRig()
  const db = await Promise.resolve(rig.client())
  t.same(await rig.settled(db.put('k', 'v')), { revision: 2 })
  await rig.settled(db.close())
})

void t.test(
  'an abandoned write is not sent again on another path, though nobody knows yet what became of it',
  async t => {
    const rig = new ClientRig()
    const db = await rig.readyClient()
    for (const node of rig.cluster.nodes) node.intercept = frame => frame[4] === command || frame[4] === resolve
    const late = strettoError(await rig.rejection(db.put('k', 'lost', { timeout: 200 })))
    t.equal(late.fate, 'unknown')
    rig.cluster.leader = 'n2'
    rig.node('n1').cut()
    rig.time.run(200)
    const elsewhere = [rig.node('n2'), rig.node('n3')]
    t.equal(elsewhere.flatMap(node => node.kinds(command)).length, 0)
    t.ok(elsewhere.flatMap(node => node.kinds(resolve)).length > 0, 'only asked about')
    for (const node of rig.cluster.nodes) node.intercept = () => false
    rig.node('n2').cut()
    await rig.settled(db.put('k', 'next'))
    t.equal(rig.cluster.store.executed.length, 1)
    await rig.settled(db.close())
  }
)

void t.test('what an old path refuses after the client has moved on is nothing to it', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const links: (() => void)[] = []
  for (const id of ['n1', 'n2', 'n3']) {
    rig.node(id).intercept = (frame, link) => {
      if (frame[4] !== command) return false
      links.push(id === 'n1' ? () => link.refuse(frame, { code: 'NO_SPACE' }) : () => link.applied(frame))
      return true
    }
  }
  const call = db.put('k', 'v')
  rig.time.run(10)
  t.equal(links.length, 1)
  rig.cluster.elect('n2')
  rig.time.run(200)
  t.equal(links.length, 2, 'sent again to the new leader, while the old link still stands')
  links[0]!()
  rig.time.run(20)
  links[1]!()
  t.same(await rig.settled(call), { revision: 2 })
  await rig.settled(db.close())
})

void t.test('an answer to resolve that comes after the cluster was let forget is told from memory', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const leader = rig.node('n1')
  const asked: (() => void)[] = []
  leader.intercept = (frame, link) => {
    if (frame[4] === resolve) asked.push(() => link.applied(frame))
    return frame[4] === command || frame[4] === resolve
  }
  const late = strettoError(await rig.rejection(db.put('k', 'lost', { timeout: 200 })))
  rig.time.run(20)
  const answer = db.resolve(late.operationId!)
  rig.time.run(20)
  t.equal(asked.length, 2, 'once by the client itself, once for the user')
  asked[0]!()
  rig.time.run(20)
  leader.intercept = (frame, link) => {
    if (frame[4] === resolve) asked.push(() => link.applied(frame))
    return frame[4] === resolve
  }
  await rig.settled(db.put('k', 'next'))
  t.equal(floorOf(leader.kinds(command).at(-1)!), 1)
  asked[1]!()
  t.equal(await rig.settled(answer), 'not-applied')
  await rig.settled(db.close())
})
