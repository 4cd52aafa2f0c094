// The key-value machine: exact meanings, what survives a crash, damage found, memory bounded, and a model for the rest.
import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { t } from 'tap'
import { numberOfCode, StrettoError } from '../../lib/base/errors.ts'
import { answerBytesMax } from '../../lib/kv/execute.ts'
import { KvMachine } from '../../lib/kv/kv-machine.ts'
import { entryKey } from '../../lib/kv/rows.ts'
import type { Page } from '../../lib/kv/scan.ts'
import { stateLevel } from '../../lib/kv/state-level.ts'
import type { Batch, Outcomes, Source } from '../../lib/machine/machine.ts'
import { logOrigin } from '../../lib/raft/types.ts'
import { type Packed, pack, unpack } from '../../lib/record/pack.ts'
import { type Command, packCommand } from '../../lib/wire/kv/commands.ts'
import { anyCommandArbitrary } from './any-command.ts'
import {
  Bed,
  bytes,
  del,
  env,
  increment,
  type Plain,
  plain,
  promised,
  put,
  Records,
  temporaryFolder,
  text
} from './bed.ts'
import { keyArbitrary, Model, type Said, said } from './model.ts'

const runs = Number(process.env['FC_RUNS'] ?? 60)

const conditionFailed = numberOfCode('CONDITION_FAILED')
const badRequest = numberOfCode('BAD_REQUEST')
const tooLarge = numberOfCode('TOO_LARGE')

void t.test('each command, its revision and its answer', async t => {
  const first = { key: 'a', value: '1', create: 2, mod: 2, version: 1 }
  const second = { key: 'a', value: '2', create: 2, mod: 3, version: 2 }
  const table: [string, Command, Said][] = [
    ['the first put makes revision 2', put('a', '1'), [0, 2, null]],
    ['a put over it', put('a', '2', { previous: true }), [0, 3, [first]]],
    ['only if absent, and it is there', put('a', 'x', { ifRevision: 0 }), [conditionFailed, 3, [second]]],
    ['only if at another revision', put('a', 'x', { ifRevision: 2 }), [conditionFailed, 3, [second]]],
    ['only if at this revision', put('a', '3', { ifRevision: 3 }), [0, 4, null]],
    ['only if absent, and it is', put('b', '1', { ifRevision: 0, previous: true }), [0, 5, [null]]],
    ['only if at a revision, but absent', put('c', '1', { ifRevision: 5 }), [conditionFailed, 5, [null]]],
    ['deleting what is absent changes nothing', del('c'), [0, 5, [0, null]]],
    ['deleting what is absent, only if absent', del('c', { ifRevision: 0, previous: true }), [0, 5, [0, null]]],
    [
      'deleting at another revision',
      del('b', { ifRevision: 2 }),
      [conditionFailed, 5, [{ ...first, key: 'b', create: 5, mod: 5 }]]
    ],
    ['deleting what is there', del('b', { ifRevision: 5 }), [0, 6, [1, null]]],
    ['a new life begins at version 1', put('b', '2', { previous: true }), [0, 7, [null]]],
    [
      'deleting with a wish',
      del('b', { previous: true }),
      [0, 8, [1, { key: 'b', value: '2', create: 7, mod: 7, version: 1 }]]
    ],
    ['counting from nothing', increment('n', 5), [0, 9, [5]]],
    ['counting down', increment('n', -7), [0, 10, [-2]]],
    ['counting by nothing is a write', increment('n', 0), [0, 11, [-2]]],
    ['counting what is no number', increment('a', 1), [0, 12, [4]]],
    ['a value that is no number', put('w', '1.5'), [0, 13, null]],
    ['is not counted', increment('w'), [badRequest, 13, null]],
    ['a sign without need', put('w', '+1'), [0, 14, null]],
    ['is not counted either', increment('w'), [badRequest, 14, null]],
    ['the largest', put('w', String(Number.MAX_SAFE_INTEGER)), [0, 15, null]],
    ['cannot grow', increment('w', 1), [badRequest, 15, null]],
    ['but shrink', increment('w', -1), [0, 16, [Number.MAX_SAFE_INTEGER - 1]]],
    ['beyond the exact numbers', put('w', '-9007199254740993'), [0, 17, null]],
    ['is not counted', increment('w', 1), [badRequest, 17, null]]
  ]
  for (const records of ['in one record', 'in a record each']) {
    const folder = temporaryFolder()
    t.teardown(folder.remove)
    const bed = await new Bed(folder.path).open()
    t.same(bed.opened, { durable: logOrigin, sidecar: null }, 'an empty folder is the origin')
    t.equal(bed.machine.revision, 1, 'an empty store is at revision 1')
    const log = new Records()
    const commands = table.map(([, command]) => command)
    const batches =
      records === 'in one record' ? [log.commands(commands)] : commands.map(command => log.commands([command]))
    const outcomes = await bed.apply(...batches)
    const all = batches.flatMap((batch, at) => said(batch, outcomes[at]!))
    for (const [at, [name, , expected]] of table.entries()) t.same(all[at], expected, `${name}, ${records}`)
    await bed.close()
  }
})

void t.test('records that are not, or not wholly, executed', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  const bed = await new Bed(folder.path).open()
  const log = new Records()
  t.same(await bed.apply(), [], 'no batches')
  const skipping = log.commands([put('a', '1'), put('b', '1'), put('c', '1')], { skip: [false, true, false] })
  const [skipped] = await bed.apply(skipping)
  t.same(said(skipping, skipped!), [[0, 2, null], null, [0, 3, null]], 'a skipped command has a place and no outcome')
  t.equal(skipped!.revision, 2)
  t.equal(await bed.get('b'), null)
  const [expired] = await bed.apply(...log.cut([[]], { expiry: true }))
  t.equal(expired!.revision, 3, 'an expiry with nothing due changes nothing')
  const malformed: [string, Packed[]][] = [
    ['an unknown command', [[99, bytes('a')]]],
    ['a key that is text', [[1, 'a', bytes('1')]]],
    ['fields of a later version', [[1, bytes('a'), bytes('1'), null, 0, 0, 0, null, 0, 7]]],
    ['one good command and one bad', [packCommand(put('a', 'x')), [4, bytes('a'), 0.5]]],
    ['no command at all', [null]]
  ]
  for (const [name, commands] of malformed) {
    const [batch] = log.cut([commands])
    t.match(
      bed.machine.check(batch!.commands, batch!.count),
      { code: 'BAD_REQUEST' },
      `${name} is refused before it is proposed`
    )
    const [outcomes] = await bed.apply(batch!)
    t.same(
      said(batch!, outcomes!),
      commands.map(() => [badRequest, 3, null]),
      `${name} is an outcome, never a throw`
    )
  }
  t.equal((await bed.get('a'))?.value, '1', 'nothing of a malformed record was executed')
  t.equal(bed.machine.check(skipping.commands, 3), null)
  t.match(bed.machine.check(skipping.commands, 2), { code: 'BAD_REQUEST' }, 'another number of commands')
  await bed.close()
})

void t.test('the entries that one record may answer with are bounded', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  const value = 'v'.repeat(1_000_000)
  const keys = ['a', 'b', 'c', 'd', 'e', 'f']
  const cold = [false, true]
  for (const flushed of cold) {
    const path = `${folder.path}/${String(flushed)}`
    let bed = await new Bed(path).open()
    const log = new Records()
    for (const key of keys) await bed.apply(log.commands([put(key, value)]))
    if (flushed) {
      await bed.flush(log.last)
      await bed.close()
      bed = await new Bed(path).open()
    }
    const batch = log.commands([
      ...keys.map(key => put(key, 'x', { previous: true })),
      put('a', 'y', { ifRevision: 0 })
    ])
    const [outcomes] = await bed.apply(batch)
    const status = outcomes!.each!.map(each => each!.status)
    t.same(status, [0, 0, 0, 0, tooLarge, tooLarge, conditionFailed], 'as many as fit, then none')
    t.equal(outcomes!.each![6]!.answer, null, 'a failed condition is told without the entry')
    t.ok(outcomes!.each!.reduce((sum, each) => sum + (each!.answer?.length ?? 0), 0) < answerBytesMax + 1000)
    t.equal((await bed.get('d'))?.value, 'x')
    t.equal((await bed.get('e'))?.value?.length, value.length, 'what was refused is as it was')
    await bed.close()
  }
})

function wish(key: string): Command {
  return put(key, 'x', { previous: true })
}

/** Outcomes with a check value for each answer. */
function digests(outcomes: readonly Outcomes[]) {
  return outcomes.map(({ revision, each }) => [
    revision,
    each?.map(one => one && [one.status, one.revision, one.answer && crc32(one.answer)])
  ])
}

void t.test('large values from disk are there when an answer needs them, and else are not kept', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  const value = 'v'.repeat(1_000_000)
  const keys = ['a', 'b', 'c', 'd', 'e', 'f']
  const records: [string, Command[][], (number | null)[][]][] = [
    [
      'what one record may not answer, the next one may',
      [keys.map(wish), [wish('e')], [wish('f'), wish('a')]],
      [[0, 0, 0, 0, tooLarge, tooLarge], [0], [0, 0]]
    ],
    [
      'an increment of what is no number leaves it for the next',
      [[increment('a'), increment('a'), wish('a')], [wish('a')]],
      [[badRequest, badRequest, 0], [0]]
    ],
    [
      'what is replaced first is not needed',
      [[put('a', '1'), wish('a'), del('b'), wish('b')], [wish('a')]],
      [[0, 0, 0, 0], [0]]
    ],
    [
      'a failed condition leaves it for the next record',
      [[put('a', 'x', { ifRevision: 1 })], [del('a', { previous: true })]],
      [[conditionFailed], [0]]
    ]
  ]
  for (const [number, [name, commands, expected]] of records.entries()) {
    const cold = await new Bed(`${folder.path}/${number}`).open()
    const log = new Records()
    for (const key of keys) await cold.apply(log.commands([put(key, value)]))
    await cold.flush(log.last)
    await cold.close()
    const bed = await new Bed(`${folder.path}/${number}`).open()
    const warm = await new Bed(`${folder.path}/warm ${number}`).open()
    const again = new Records()
    for (const key of keys) await warm.apply(again.commands([put(key, value)]))
    const batches = log.cut(commands.map(each => each.map(packCommand)))
    const outcomes = await bed.apply(...batches)
    t.same(
      outcomes.map((each, at) => said(batches[at]!, each).map(one => one![0])),
      expected,
      name
    )
    t.same(
      digests(await warm.apply(...batches)),
      digests(outcomes),
      'and a machine with all of it in memory says the same'
    )
    await Promise.all([bed.close(), warm.close()])
  }
})

void t.test('questions: several gets and counts from one revision, and revisions that cannot be read', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  const bed = await new Bed(folder.path).open()
  const log = new Records()
  await bed.apply(
    log.commands([put('a', '1'), put('b', '2'), put('b/1', '3'), put('b/2', '4'), del('b/1'), put('c', '5')])
  )
  await bed.flush(log.last)
  await bed.apply(log.commands([put('b/3', '6'), del('c')]))
  const answer = await bed.ask(
    { op: 'get', key: bytes('a'), atRevision: 0 },
    { op: 'count', from: bytes('b'), to: bytes('c') },
    { op: 'get', key: bytes('c'), atRevision: 0 },
    { op: 'count', from: bytes(''), to: null },
    { op: 'count', from: bytes('x'), to: bytes('b') }
  )
  t.equal(answer[0], 9)
  t.same(plain(answer[1]), { key: 'a', value: '1', create: 2, mod: 2, version: 1 })
  t.same(answer.slice(2), [3, null, 4, 0])
  t.equal((await bed.get('a', 9))?.value, '1', 'the present revision')
  t.equal((await bed.get('a', 5))?.value, '1', 'an older one at which the key was what it is')
  t.equal(await bed.get('b/3', 7), null, 'an older one at which it was not there')
  t.equal(await bed.get('nothing', 7), null)
  await t.rejects(bed.get('c', 8), { code: 'UNAVAILABLE' }, 'what stood there is in the log, and there is none')
  t.equal(await bed.get('nothing', 9), null)
  await t.rejects(bed.get('a', 10), { code: 'FUTURE_REVISION' })
  await t.rejects(bed.all({ atRevision: 8 }), { code: 'UNAVAILABLE' })
  await t.rejects(bed.all({ atRevision: 10 }), { code: 'FUTURE_REVISION' })
  t.equal((await bed.all({ atRevision: 9 })).length, 4)
  for (const bad of [new Uint8Array(0), pack([7]), pack([[9, bytes('a')]])]) {
    await t.rejects(
      promised(done => bed.machine.query(bad, done)),
      { code: 'BAD_REQUEST' }
    )
    await t.rejects(
      promised(done => bed.machine.scan(bad).page(1000, done)),
      { code: 'BAD_REQUEST' }
    )
  }
  const many = Array.from({ length: 65 }, () => ({ op: 'count' as const, from: bytes(''), to: null }))
  await t.rejects(bed.ask(...many), { code: 'TOO_LARGE' })
  t.equal(bed.machine.openScans, 0, 'nothing is left open')
  await bed.close()
  await t.rejects(bed.get('a'), { code: 'STOPPED' })
  await t.rejects(bed.apply(log.commands([put('a', '1')])), { code: 'STOPPED' })
})

void t.test('an answer that would be too large is refused, from memory and from disk', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  let bed = await new Bed(folder.path).open()
  const log = new Records()
  const keys = Array.from({ length: 12 }, (_, at) => `k${at}`)
  for (const key of keys) await bed.apply(log.commands([put(key, 'v'.repeat(900_000))]))
  const requests = keys.map(key => ({ op: 'get' as const, key: bytes(key), atRevision: 0 }))
  await t.rejects(bed.ask(...requests), { code: 'TOO_LARGE' })
  await bed.flush(log.last)
  await bed.close()
  bed = await new Bed(folder.path).open()
  await t.rejects(bed.ask(...requests), { code: 'TOO_LARGE' })
  t.equal((await bed.ask(...requests.slice(0, 8))).length, 9)
  await bed.close()
})

void t.test('a crash leaves exactly the state of the last flush (nothing between, nothing twice)', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  let bed = await new Bed(folder.path).open()
  const log = new Records()
  await bed.apply(log.commands([increment('n', 1), put('a', 'old'), put('gone', 'x')]))
  await bed.flush(log.last, bytes('sidecar 1'))
  const durable = log.last
  const later = [
    log.commands([increment('n', 10), put('a', 'new'), del('gone')]),
    log.commands([increment('n', 100), put('b', '1')])
  ]
  const before = await bed.apply(...later)
  await bed.close()

  bed = await new Bed(folder.path).open()
  t.same(bed.opened?.durable, durable)
  t.equal(text(bed.opened!.sidecar!), 'sidecar 1')
  t.equal(bed.machine.revision, 4)
  t.same(
    (await bed.all({})).map(entry => [entry.key, entry.value, entry.mod]),
    [
      ['a', 'old', 3],
      ['gone', 'x', 4],
      ['n', '1', 2]
    ]
  )
  t.same(await bed.apply(...later), before, 'what is applied again answers as before')
  t.equal((await bed.get('n'))?.value, '111')

  // The process dies while the next generation is being written: none of it may be seen, its sidecar included.
  const dying = bed.flush(log.last, bytes('sidecar 2'))
  await Promise.all([t.rejects(dying, { code: 'STOPPED' }), bed.close()])
  bed = await new Bed(folder.path).open()
  t.same(bed.opened?.durable, durable)
  t.equal((await bed.get('n'))?.value, '1')
  await bed.close()
})

void t.test('a flush that changes nothing still moves the applied id and the sidecar', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  let bed = await new Bed(folder.path).open()
  await bed.flush({ index: 7, term: 3 }, bytes('s'))
  await bed.close()
  bed = await new Bed(folder.path).open()
  t.same(bed.opened?.durable, { index: 7, term: 3 })
  t.equal(bed.machine.revision, 1)
  await bed.close()
})

void t.test('a flush that the disk refuses ends this life of the machine', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  const level = stateLevel(folder.path)
  const bed = await new Bed(folder.path, undefined, level).open()
  const log = new Records()
  await bed.apply(log.commands([put('a', '1')]))
  const batch = level.batch.bind(level)
  const refusing = () =>
    Object.assign(batch(), { write: () => Promise.reject(new Error('IO error: No space left on device')) })
  Object.assign(level, { batch: refusing })
  await t.rejects(bed.flush(log.last), { code: 'NO_SPACE', fate: 'unknown' })
  await t.rejects(bed.apply(log.commands([put('b', '1')])), { code: 'NO_SPACE' })
  await t.rejects(bed.get('a'), { code: 'NO_SPACE' })
  await t.rejects(bed.all({}), { code: 'NO_SPACE' })
  await bed.close()
})

void t.test('a flush is built over several turns, and commands are applied meanwhile', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  // Each look at the clock finds that a millisecond has passed.
  let now = 0
  let turns = 0
  const slow = { ...env, now: () => ++now, soon: (turn: () => void) => (turns++, env.soon(turn)) }
  const machine = new KvMachine(stateLevel(folder.path), slow)
  await promised(done => machine.open(done))
  const log = new Records()
  const apply = (commands: Command[]) => promised(done => machine.apply([log.commands(commands)], done))
  await apply(Array.from({ length: 1000 }, (_, at) => put(`k${at}`, 'v')))
  const upTo = log.last
  turns = 0
  let flushed = false
  const flush = promised<void>(done => machine.flush(upTo, bytes(''), done)).then(() => (flushed = true))
  await apply([put('k1', 'w'), del('k2')])
  t.notOk(flushed, 'an apply is answered before the flush ends')
  await flush
  t.ok(turns >= 10, `${turns} turns`)
  await promised<void>(done => machine.close(done))
  const bed = await new Bed(folder.path).open()
  t.equal((await bed.get('k1'))?.value, 'v', 'the generation was frozen before')
  t.equal((await bed.get('k2'))?.value, 'v')
  await bed.close()
})

void t.test('a row that was read before a flush has overtaken it is not served, and not kept', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  const log = new Records()
  const first = await new Bed(folder.path).open()
  await first.apply(log.commands([put('a', 'old')]))
  await first.flush(log.last)
  await first.close()
  const level = stateLevel(folder.path)
  const bed = await new Bed(folder.path, { tableBytesMax: 1_000_000, cleanCacheBytesMax: 0 }, level).open()
  const getMany = level.getMany.bind(level)
  let release: () => void = () => t.fail('nothing was read')
  const started = new Promise<void>(resolve => {
    const slow = async (keys: Uint8Array[]) => {
      Object.assign(level, { getMany })
      const rows = await getMany(keys)
      await new Promise<void>(free => {
        release = free
        resolve()
      })
      return rows
    }
    Object.assign(level, { getMany: slow })
  })
  const asked = bed.get('a')
  await started
  await bed.apply(log.commands([put('a', 'new'), put('z', 'what takes its place in the cache')]))
  await bed.flush(log.last)
  release()
  t.equal((await asked)?.value, 'new')
  t.equal((await bed.get('a'))?.value, 'new')
  await bed.close()
})

void t.test('a damaged row is found wherever it is read, and never served', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  const log = new Records()
  let bed = await new Bed(folder.path).open()
  await bed.apply(log.commands([put('a', 'sound'), put('b', 'x'.repeat(300)), put('c', 'sound')]))
  await bed.flush(log.last)
  const row = await bed.level.get(entryKey('b'))
  row![100]! ^= 4
  await bed.level.put(entryKey('b'), row!)
  await bed.close()
  const reads: [string, (bed: Bed) => Promise<unknown>][] = [
    ['a get', bed => bed.get('b')],
    ['a scan', bed => bed.all({})],
    ['a scan for keys', bed => bed.all({ keysOnly: true })],
    ['an apply', bed => bed.apply(log.commands([put('b', '1')]))]
  ]
  for (const [name, read] of reads) {
    bed = await new Bed(folder.path).open()
    await t.rejects(read(bed), { code: 'CORRUPT' }, name)
    await bed.close()
  }
  bed = await new Bed(folder.path).open()
  await t.rejects(bed.apply(log.commands([put('a', '1'), put('b', '1')])), { code: 'CORRUPT' })
  await t.rejects(bed.apply(log.commands([put('a', '1')])), { code: 'CORRUPT' }, 'nothing is applied any more')
  await bed.close()
})

void t.test('memory is bounded while 200,000 keys are written', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  const tableBytesMax = 4_194_304
  const cleanCacheBytesMax = 2_097_152
  const bed = await new Bed(folder.path, { tableBytesMax, cleanCacheBytesMax }).open()
  const log = new Records()
  let flushing: Promise<void> | null = null
  let flushes = 0
  let unflushedMax = 0
  let cacheMax = 0
  for (let from = 0; from < 200_000; from += 1000) {
    const commands = Array.from({ length: 1000 }, (_, at) => put(`key/${from + at}`, `value ${from + at}`))
    await bed.apply(log.commands(commands))
    unflushedMax = Math.max(unflushedMax, bed.machine.unflushedBytes)
    cacheMax = Math.max(cacheMax, bed.machine.cacheBytes)
    if (flushing === null && bed.machine.unflushedBytes >= tableBytesMax) {
      flushes++
      flushing = bed.flush(log.last).then(() => {
        flushing = null
        return undefined
      })
    }
  }
  await flushing
  t.ok(flushes >= 10, `${flushes} flushes`)
  t.ok(unflushedMax <= 2 * tableBytesMax + 1_000_000, `at most ${unflushedMax} bytes unflushed`)
  t.ok(cacheMax <= cleanCacheBytesMax + 262_144, `at most ${cacheMax} bytes in the cache`)
  t.same(await bed.ask({ op: 'count', from: bytes('key/'), to: bytes('key0') }), [200_001, 200_000])
  for (const at of [0, 1, 99_999, 199_999]) t.equal((await bed.get(`key/${at}`))?.value, `value ${at}`)
  await bed.close()
})

void t.test('an apply waits for room only while a flush can make it', { timeout: 10_000 }, async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  const bed = await new Bed(folder.path, { tableBytesMax: 1000, cleanCacheBytesMax: 1000 }).open()
  const log = new Records()
  const big = () => bed.apply(log.commands([put('a', 'v'.repeat(2000))]))
  await big()
  await big()
  t.pass('no flush is under way, so nobody waits for one')
  const order: string[] = []
  const flush = bed.flush(log.last).then(() => order.push('flushed'))
  await big().then(() => order.push('applied'))
  await Promise.all([flush, big().then(() => order.push('applied after the flush'))])
  t.same(order, ['applied', 'flushed', 'applied after the flush'])
  await bed.close()
})

type Action =
  | { readonly kind: 'apply'; readonly records: readonly (readonly Command[])[] }
  | { readonly kind: 'flush'; readonly wait: boolean }
  | { readonly kind: 'crash' }
  | { readonly kind: 'scan'; readonly from: string; readonly to: string | null; readonly reverse: boolean }
  | { readonly kind: 'page' }
  | { readonly kind: 'ask'; readonly keys: readonly string[] }

const recordsArbitrary = fc.array(fc.array(anyCommandArbitrary, { minLength: 1, maxLength: 5 }), {
  minLength: 1,
  maxLength: 3
})
const actionArbitrary: fc.Arbitrary<Action> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('apply' as const), records: recordsArbitrary }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('flush' as const), wait: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'crash' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('scan' as const),
      from: fc.oneof(fc.constant(''), keyArbitrary),
      to: fc.option(keyArbitrary),
      reverse: fc.boolean()
    })
  },
  { weight: 3, arbitrary: fc.constant({ kind: 'page' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('ask' as const), keys: fc.array(keyArbitrary, { maxLength: 5 }) })
  }
)

/** The machine beside the model, and whatever the actions leave open. */
class Pair {
  readonly #path: string
  readonly #records = new Records()
  /** All that was ever applied, what was answered, and how the model stood after it. */
  readonly #log: { readonly batch: Batch; readonly answered: unknown; readonly model: Model }[] = []
  #bed: Bed
  #model = new Model()
  #flushing: Promise<unknown> = Promise.resolve()
  #scans: { readonly source: Source; readonly revision: number; expected: Plain[] }[] = []

  constructor(path: string) {
    this.#path = path
    this.#bed = this.#newBed()
  }

  open(): Promise<unknown> {
    return this.#bed.open()
  }

  async take(action: Action): Promise<void> {
    switch (action.kind) {
      case 'apply':
        return this.#apply(action.records)
      case 'flush':
        return this.#flush(action.wait)
      case 'crash':
        return this.#crash()
      case 'scan':
        return this.#scan(action)
      case 'page':
        return this.#page()
      case 'ask':
        return this.#ask(action.keys)
    }
  }

  /** Reads the open scans to their ends and compares the whole state. */
  async end(): Promise<void> {
    while (this.#scans.length > 0) await this.#page()
    assert.equal(this.#bed.machine.openScans, 0)
    assert.deepEqual(await this.#bed.all({}, 100), this.#model.range('', null))
    await this.#flushing
    assert.deepEqual(await this.#bed.all({ reverse: true }, 100), this.#model.range('', null).toReversed())
    await this.#bed.close()
  }

  #newBed(): Bed {
    return new Bed(this.#path, { tableBytesMax: 1_000_000, cleanCacheBytesMax: 1500 })
  }

  async #apply(records: readonly (readonly Command[])[]): Promise<void> {
    const batches = this.#records.cut(records.map(commands => commands.map(packCommand)))
    const outcomes = await this.#bed.apply(...batches)
    for (const [at, batch] of batches.entries()) {
      const answered = said(batch, outcomes[at]!)
      assert.deepEqual(
        answered,
        records[at]!.map(command => this.#model.execute(command))
      )
      this.#log.push({ batch, answered, model: this.#model.copy() })
    }
  }

  async #flush(wait: boolean): Promise<void> {
    await this.#flushing
    const upTo = this.#records.last
    this.#flushing = this.#bed.flush(upTo, bytes(String(upTo.index))).catch((error: unknown) => {
      if (!(error instanceof StrettoError) || error.code !== 'STOPPED') throw error
    })
    if (wait) await this.#flushing
  }

  async #crash(): Promise<void> {
    this.#scans = []
    await Promise.all([this.#flushing, this.#bed.close()])
    this.#bed = this.#newBed()
    await this.#bed.open()
    const { durable, sidecar } = this.#bed.opened!
    assert.equal(sidecar === null ? '0' : text(sidecar), String(durable.index))
    const model = this.#log[durable.index - 1]?.model ?? new Model()
    assert.equal(this.#bed.machine.revision, model.revision)
    assert.deepEqual(await this.#bed.all({}, 100), model.range('', null))
    for (const { batch, answered } of this.#log.slice(durable.index)) {
      const [outcomes] = await this.#bed.apply(batch)
      assert.deepEqual(said(batch, outcomes!), answered)
    }
  }

  #scan({ from, to, reverse }: { readonly from: string; readonly to: string | null; readonly reverse: boolean }): void {
    const source = this.#bed.scan({ from: bytes(from), to: to === null ? null : bytes(to), reverse })
    const expected = this.#model.range(from, to)
    this.#scans.push({ source, revision: this.#model.revision, expected: reverse ? expected.toReversed() : expected })
  }

  async #page(): Promise<void> {
    const scan = this.#scans.shift()
    if (scan === undefined) return
    const page = await promised<Page>(done => scan.source.page(60, done))
    const [revision, ...entries] = unpack(page.bytes) as readonly Packed[]
    assert.equal(revision, scan.revision)
    assert.deepEqual(entries.map(plain), scan.expected.slice(0, entries.length))
    scan.expected = scan.expected.slice(entries.length)
    assert.equal(page.last, scan.expected.length === 0)
    if (!page.last) this.#scans.push(scan)
  }

  async #ask(keys: readonly string[]): Promise<void> {
    const gets = keys.map(key => ({ op: 'get' as const, key: bytes(key), atRevision: 0 }))
    const [revision, count, ...entries] = await this.#bed.ask(
      { op: 'count', from: bytes('a'), to: bytes('b') },
      ...gets
    )
    assert.equal(revision, this.#model.revision)
    assert.equal(count, this.#model.range('a', 'b').length)
    assert.deepEqual(
      entries.map(plain),
      keys.map(key => this.#model.entries.get(key) ?? null)
    )
  }
}

void t.test('it is the model, whatever is flushed, lost, scanned and asked in between', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  let number = 0
  const property = fc.asyncProperty(fc.array(actionArbitrary, { maxLength: 40, size: 'max' }), async actions => {
    const pair = new Pair(`${folder.path}/${number++}`)
    await pair.open()
    for (const action of actions) await pair.take(action)
    await pair.end()
  })
  await fc.assert(property, { numRuns: runs })
  t.pass(`${runs} runs`)
})

void t.test('machines that cut the same log differently and flush at other times answer alike', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  let number = 0
  const step = fc.record({
    records: recordsArbitrary,
    together: fc.boolean(),
    flush: fc.constantFrom('no', 'start', 'wait')
  })
  const property = fc.asyncProperty(fc.array(step, { maxLength: 12, size: 'max' }), async steps => {
    const log = new Records()
    const one = await new Bed(`${folder.path}/${number++}`).open()
    const other = await new Bed(`${folder.path}/${number++}`, { tableBytesMax: 500, cleanCacheBytesMax: 200 }).open()
    let flushing: Promise<void> = Promise.resolve()
    for (const { records, together, flush } of steps) {
      const batches = log.cut(records.map(commands => commands.map(packCommand)))
      const expected = await one.apply(...batches)
      const found = []
      if (together) found.push(...(await other.apply(...batches)))
      else for (const batch of batches) found.push(...(await other.apply(batch)))
      assert.deepEqual(digests(found), digests(expected))
      if (flush === 'no') continue
      await flushing
      flushing = other.flush(log.last)
      if (flush === 'wait') await flushing
    }
    await flushing
    assert.deepEqual(await other.all({}, 200), await one.all({}))
    assert.equal(other.machine.revision, one.machine.revision)
    await Promise.all([one.close(), other.close()])
  })
  await fc.assert(property, { numRuns: Math.ceil(runs / 2) })
  t.pass()
})
