// Reads and ranges against a cluster that follows a script.
import { t } from 'tap'
import { readU32, readU64 } from '../../lib/base/bytes.ts'
import type { Client } from '../../lib/client/kv-client.ts'
import type { RangeOptions } from '../../lib/client/options.ts'
import { pack } from '../../lib/record/pack.ts'
import { frameKind, readQuestion, readSmall, writePage } from '../../lib/wire/client.ts'
import { readRequests, readScan } from '../../lib/wire/kv/questions.ts'
import { ClientRig } from '../help/client-rig.ts'

const { read, scan, credit, cancel } = frameKind

async function filled(rig: ClientRig, count: number): Promise<Client<string>> {
  const db = await rig.readyClient()
  const calls = Array.from({ length: count }, (_, at) => db.put(keyOf(at), `value ${at}`))
  await rig.settled(Promise.all(calls))
  return db
}

function keyOf(at: number): string {
  return `k/${String(at).padStart(4, '0')}`
}

async function keysIn(rig: ClientRig, db: Client<string>, options: RangeOptions): Promise<string[]> {
  const keys: string[] = []
  const all = async (): Promise<void> => {
    for await (const entry of db.range(options)) keys.push(entry.key)
  }
  await rig.settled(all())
  return keys
}

void t.test('reads of one tick on the same terms share a question; others have their own', async t => {
  const rig = new ClientRig()
  const db = await filled(rig, 3)
  const leader = rig.node('n1')
  const before = leader.kinds(read).length
  const calls = [
    db.get(keyOf(0)),
    db.get(keyOf(1), {}),
    db.get('absent'),
    db.count({ prefix: 'k/' }),
    db.get(keyOf(2), { consistency: 'session' }),
    db.get(keyOf(2), { consistency: 'stale', minRevision: 3 }),
    db.getMany([keyOf(2), 'absent', keyOf(0)]),
    db.getMany([])
  ]
  const [one, two, none, count, session, stale, many, nothing] = await rig.settled(Promise.all(calls))
  t.match(one, { key: keyOf(0), value: 'value 0', version: 1 })
  t.match(two, { value: 'value 1' })
  t.equal(none, null)
  t.equal(count, 3)
  t.match(session, { value: 'value 2' })
  t.match(stale, { value: 'value 2' })
  t.match(many, [{ value: 'value 2' }, null, { value: 'value 0' }])
  t.same(nothing, [])
  const questions = leader.kinds(read).slice(before).map(readQuestion)
  t.same(
    questions.map(({ body }) => readRequests(body).length),
    [4, 1, 1, 3]
  )
  t.same(
    questions.map(({ consistency }) => consistency),
    ['linearizable', 'session', 'stale', 'linearizable']
  )
  t.same(
    questions.map(({ leastRevision }) => leastRevision),
    [0, 0, 3, 0]
  )
  t.equal(questions[1]!.leastIndex, rig.cluster.store.index, 'a session read asks for all that this client has seen')
  t.equal(questions[0]!.leastIndex, 0)
  await rig.settled(db.close())
})

void t.test('read tells what it was served from', async t => {
  const rig = new ClientRig()
  const db = await filled(rig, 1)
  const { revision, index, term } = rig.cluster.store
  const reading = await rig.settled(db.read(keyOf(0), { consistency: 'stale' }))
  t.match(reading, { entry: { value: 'value 0' }, revision, index, term, servedBy: 'n1', consistency: 'stale', age: 7 })
  t.equal((await rig.settled(db.read('absent'))).entry, null)
  await rig.settled(db.close())
})

void t.test('a read is asked again elsewhere when its link ends, and after a refusal, until its deadline', async t => {
  const rig = new ClientRig()
  const db = await filled(rig, 1)
  const leader = rig.node('n1')
  leader.intercept = frame => frame[4] === read
  const lost = db.get(keyOf(0))
  rig.time.run(10)
  rig.cluster.leader = 'n2'
  leader.cut()
  t.match(await rig.settled(lost), { value: 'value 0' })
  for (const node of rig.cluster.nodes) {
    node.intercept = (frame, link) => {
      if (frame[4] === read) link.refuse(frame, { code: 'UNAVAILABLE', retryAfterMs: 5 })
      return frame[4] === read
    }
  }
  const refused = db.get(keyOf(0), { timeout: 2000 })
  const late = rig.rejection(db.get(keyOf(0), { timeout: 150 }))
  t.match(await late, { code: 'TIMED_OUT', fate: 'not-applied' })
  for (const node of rig.cluster.nodes) node.intercept = () => false
  t.match(await rig.settled(refused), { value: 'value 0' })
  await rig.settled(db.close())
})

void t.test('a refusal that concerns one of many is found out by asking each alone', async t => {
  const rig = new ClientRig()
  const db = await filled(rig, 3)
  rig.node('n1').intercept = (frame, link) => {
    if (frame[4] !== read) return false
    const requests = readRequests(readQuestion(frame).body)
    const wanted = requests.some(request => request.op === 'get' && request.atRevision === 999)
    if (wanted) link.refuse(frame, { code: 'FUTURE_REVISION' })
    return wanted
  }
  const outcomes = await rig.settled(
    Promise.allSettled([db.get(keyOf(0)), db.get(keyOf(1), { atRevision: 999 }), db.get(keyOf(2))])
  )
  t.match(outcomes, [
    { value: { value: 'value 0' } },
    { status: 'rejected', reason: { code: 'FUTURE_REVISION' } },
    { value: { value: 'value 2' } }
  ])
  await rig.settled(db.close())
})

void t.test('a value that the encoding cannot read rejects its own call alone', async t => {
  const rig = new ClientRig()
  const text = await filled(rig, 1)
  const json = rig.client<unknown>({ valueEncoding: 'json' })
  await rig.settled(json.put('number', 7))
  const outcomes = await rig.settled(Promise.allSettled([json.get(keyOf(0)), json.get('number')]))
  t.match(outcomes, [{ reason: { code: 'BAD_REQUEST', message: /decoded/ } }, { value: { value: 7 } }])
  t.match(await rig.rejection(json.put(keyOf(0), 1, { previous: true })), {
    code: 'BAD_REQUEST',
    fate: 'unknown',
    message: /^applied/
  })
  t.equal(rig.cluster.store.text(keyOf(0)), '1')
  await rig.settled(Promise.all([text.close(), json.close()]))
})

void t.test('ranges: bounds, limit, direction, keys only, in pages', async t => {
  const rig = new ClientRig()
  const db = await filled(rig, 60)
  await rig.settled(db.put('l', 'after'))
  const all = Array.from({ length: 60 }, (_, at) => keyOf(at))
  t.same(await keysIn(rig, db, { prefix: 'k/' }), all)
  t.same(await keysIn(rig, db, {}), [...all, 'l'])
  t.same(await keysIn(rig, db, { from: keyOf(10), to: keyOf(20) }), all.slice(10, 20))
  t.same(await keysIn(rig, db, { from: keyOf(55) }), [...all.slice(55), 'l'])
  t.same(await keysIn(rig, db, { prefix: 'k/', limit: 25 }), all.slice(0, 25))
  t.same(await keysIn(rig, db, { prefix: 'k/', reverse: true, limit: 7 }), all.toReversed().slice(0, 7))
  t.same(await keysIn(rig, db, { prefix: new Uint8Array([0xff, 0xff]) }), [])
  t.same(await keysIn(rig, db, { prefix: 'k/', keysOnly: true }), all)
  const range = db.range({ prefix: 'k/', keysOnly: true })
  t.equal(range.revision, null)
  const first = await rig.settled(range.next())
  t.match(first, { done: false, value: { key: keyOf(0), value: null, version: 1 } })
  t.equal(range.revision, rig.cluster.store.revision)
  t.same(await rig.settled(range.return!()), { done: true, value: undefined })
  t.same(await rig.settled(range.next()), { done: true, value: undefined })
  await rig.settled(db.close())
})

void t.test('a slow reader takes its time and the node is not asked for more than it has room for', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  await rig.settled(Promise.all(Array.from({ length: 3000 }, (_, at) => db.put(keyOf(at), 'v'.repeat(2000)))))
  const leader = rig.node('n1')
  leader.pageBytes = 60_000
  const range = db.range({ prefix: 'k/' })
  let received = 0
  await rig.settled(range.next())
  rig.time.run(60_000)
  const granted = (): number => leader.kinds(credit).reduce((sum, frame) => sum + readSmall(frame).amount, 0)
  t.equal(granted(), 1_048_576, 'one MiB ahead')
  received++
  const rest = async (): Promise<void> => {
    while ((await range.next()).done !== true) received++
  }
  await rig.settled(rest())
  t.equal(received, 3000)
  t.ok(granted() < 3000 * 2100 + 1_048_576, `${granted()} bytes of credit in all`)
  t.ok(leader.kinds(credit).length > 3, `${leader.kinds(credit).length} grants`)
  await rig.settled(db.close())
})

void t.test('a range goes on after the last key, at its revision, on another node', async t => {
  for (const reverse of [false, true]) {
    const rig = new ClientRig()
    const db = await filled(rig, 100)
    const revision = rig.cluster.store.revision
    const range = db.range({ prefix: 'k/', reverse, limit: 90 })
    const leader = rig.node('n1')
    let pages = 0
    leader.intercept = (frame, link) => {
      if (frame[4] !== scan) return false
      const { number, body } = readQuestion(frame)
      const asked = readScan(body)
      const entries = rig.cluster.store.between(asked.from, asked.to)
      if (reverse) entries.reverse()
      for (const entry of entries.slice(0, 30)) {
        pages++
        const { key, value, createRevision, modRevision, version, leaseId } = entry
        link.link.send(
          writePage({
            number,
            last: false,
            body: pack([revision, [key, value, createRevision, modRevision, version, leaseId]])
          })
        )
      }
      return true
    }
    const keys: string[] = []
    for (let at = 0; at < 10; at++) keys.push((await rig.settled(range.next())).value?.key ?? '')
    rig.cluster.leader = 'n2'
    leader.cut()
    const rest = async (): Promise<void> => {
      for await (const entry of range) keys.push(entry.key)
    }
    await rig.settled(rest())
    const all = Array.from({ length: 100 }, (_, at) => keyOf(at))
    t.same(keys, (reverse ? all.toReversed() : all).slice(0, 90))
    t.equal(pages, 30)
    const resumed = rig.cluster.nodes.flatMap(node => (node === leader ? [] : node.kinds(scan)))
    t.match(readScan(readQuestion(resumed[0]!).body), { atRevision: revision, limit: 60, reverse })
    await rig.settled(db.close())
  }
})

void t.test('a range that cannot go on says so, and no entry of another revision slips in', async t => {
  const rig = new ClientRig()
  const db = await filled(rig, 100)
  const leader = rig.node('n1')
  const range = db.range({ prefix: 'k/', timeout: 1000 })
  leader.intercept = frame => frame[4] === credit
  await rig.settled(range.next())
  rig.time.run(10)
  await rig.settled(db.put('k/new', 'x'))
  leader.cut()
  const seen: string[] = []
  const rest = async (): Promise<void> => {
    for await (const entry of range) seen.push(entry.key)
  }
  t.match(await rig.rejection(rest()), { code: 'UNAVAILABLE', message: /begin anew/ })
  t.notOk(seen.includes('k/new'))
  t.same(await rig.settled(range.next()), { done: true, value: undefined })
  await rig.settled(db.close())
})

void t.test('ranges end by deadline, signal, break, refusal and close', async t => {
  const rig = new ClientRig()
  const db = await filled(rig, 100)
  const leader = rig.node('n1')
  leader.intercept = frame => frame[4] === scan || frame[4] === credit
  t.match(await rig.rejection(db.range({ timeout: 200 }).next()), { code: 'TIMED_OUT' })
  const controller = new AbortController()
  const reason = new Error('enough')
  const aborted = rig.rejection(db.range({ signal: controller.signal }).next())
  rig.time.run(10)
  controller.abort(reason)
  t.equal(await aborted, reason)
  t.equal(await rig.rejection(db.range({ signal: controller.signal }).next()), reason)
  leader.intercept = () => false
  rig.time.run(10)
  const before = leader.kinds(cancel).length
  const stopEarly = async (): Promise<void> => {
    leader.intercept = frame => frame[4] === credit
    for await (const entry of db.range({ prefix: 'k/' })) {
      t.equal(entry.key, keyOf(0))
      break
    }
  }
  await rig.settled(stopEarly())
  rig.time.run(10)
  t.equal(leader.kinds(cancel).length, before + 1)
  leader.intercept = (frame, link) => {
    if (frame[4] === scan) link.refuse(frame, { code: 'COMPACTED' })
    return frame[4] === scan
  }
  t.match(await rig.rejection(db.range({ atRevision: 3 }).next()), { code: 'COMPACTED' })
  t.match(await rig.rejection(db.range({ limit: 0 }).next()), { code: 'BAD_REQUEST', message: /limit/ })
  leader.intercept = frame => frame[4] === scan || frame[4] === credit
  const open = rig.rejection(db.range().next())
  rig.time.run(10)
  await rig.settled(db.close())
  t.match(await open, { code: 'STOPPED' })
})

void t.test('a number that the node makes up is nothing to anybody', async t => {
  const rig = new ClientRig()
  const db = await filled(rig, 1)
  rig.node('n1').intercept = (frame, link) => {
    if (frame[4] === read) link.link.send(writePage({ number: readU32(frame, 8) + 1000, last: true, body: pack([1]) }))
    return false
  }
  t.match(await rig.settled(db.get(keyOf(0))), { value: 'value 0' })
  t.equal(readU64(rig.node('n1').kinds(read).at(-1)!, 16), 0)
  t.equal(rig.node('n1').linksAccepted, 1)
  await rig.settled(db.close())
})
