// Letting go of history: what names a place below the base goes, all else stays, and no crash, flush or damage is in its way.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { t } from 'tap'
import { toHex } from '../../lib/base/bytes.ts'
import { KvMachine } from '../../lib/kv/kv-machine.ts'
import {
  allRows,
  effectsKey,
  generationKey,
  historyKey,
  indexOfGeneration,
  readHead,
  revisionOfGeneration,
  revisionOfHistory
} from '../../lib/kv/rows.ts'
import type { RowPair } from '../../lib/kv/snapshot-stream.ts'
import type { StateLevel } from '../../lib/kv/state-level.ts'
import type { LogId } from '../../lib/raft/types.ts'
import { pack } from '../../lib/record/pack.ts'
import { type FirstCommand } from '../../lib/wire/kv/commands.ts'
import { packRequest } from '../../lib/wire/kv/questions.ts'
import { SimDiskBed } from '../help/sim-disk-bed.ts'
import { bytes, del, increment, put, Records } from './bed.ts'
import { commandArbitrary } from './model.ts'

const runs = Number(process.env['FC_RUNS'] ?? 60)
const kind = { head: 0, entry: 1, history: 2, effects: 3, generation: 4 } as const

/** A machine on a simulated disk, in one life after the other. */
class Story {
  readonly bed: SimDiskBed
  readonly log = new Records()
  machine: KvMachine
  level: StateLevel
  onWrite: (() => void) | null = null

  constructor(seed = 1) {
    this.bed = new SimDiskBed(seed, {}, { issued: () => this.onWrite?.() })
    this.level = this.#mount()
    this.machine = this.#open()
  }

  #mount(): StateLevel {
    return this.bed.disk.mount(this.bed.time.env('n1')).state('state-1')
  }

  #open(): KvMachine {
    const options = { tableBytesMax: 1_000_000, cleanCacheBytesMax: 1500 }
    const machine = new KvMachine(this.level, this.bed.time.env('n1'), options)
    this.bed.call(done => machine.open(done))
    return machine
  }

  /** The power fails, and it starts again. */
  crash(): void {
    this.bed.crash(true)
    this.level = this.#mount()
    this.machine = this.#open()
  }

  apply(...commands: FirstCommand[]): void {
    const batch = this.log.commands(commands)
    this.bed.call(done => this.machine.apply([batch], done))
  }

  flush(): LogId {
    const { last } = this.log
    this.bed.call<void>(done => this.machine.flush(last, bytes('sidecar'), done))
    return last
  }

  /** Lets all that is under way come to its end. */
  settle(): void {
    this.bed.time.run(60_000)
  }

  rows(): RowPair[] {
    const cursor = this.level.iterator({ ...allRows, reverse: false, values: true, highWaterMarkBytes: 1e9 })
    return this.bed.wait(cursor.nextv(1e6))
  }

  rowsOf(which: number): RowPair[] {
    return this.rows().filter(([key]) => key[2] === which)
  }

  counts(): number[] {
    const rows = this.rows()
    return [kind.entry, kind.history, kind.effects, kind.generation].map(
      each => rows.filter(([key]) => key[2] === each).length
    )
  }

  get headCompacted(): number {
    return readHead(this.rowsOf(kind.head)[0]![1]).compacted
  }

  /** At which the last version named in each row was replaced, in the order of keys. */
  get historyRevisions(): number[] {
    return this.rowsOf(kind.history).map(([key]) => revisionOfHistory(key))
  }

  /** Revisions of the generations. */
  get generations(): number[] {
    return this.rowsOf(kind.generation).map(([key]) => revisionOfGeneration(key))
  }
}

/** Three flushes: of records 1 and 2, of 3 and 4, of 5. Revisions 5, 8 and 10. */
function threeFlushes(story: Story): void {
  story.apply(put('a', '1'), put('b', '1'))
  story.apply(put('a', '2'), increment('n'))
  story.flush()
  story.apply(put('a', '3'), del('b'))
  story.apply(increment('n'), put('a', 'x', { ifRevision: 1 }))
  story.flush()
  story.apply(put('a', '4'), increment('n'))
  story.flush()
}

void t.test('what names a place at or below the base goes, once the head says so durably', async t => {
  const story = new Story()
  threeFlushes(story)
  t.same(story.counts(), [2, 6, 3, 3])
  const before = hexOf(story.rows())
  story.machine.compacted(4)
  story.settle()
  t.same(hexOf(story.rows()), before, 'nothing goes before a flush has said so')
  t.equal(story.machine.compactedRevision, 8, 'although nothing below is read any more')
  t.equal(story.headCompacted, 0)
  story.apply(put('c', '1'))
  story.flush()
  t.equal(story.headCompacted, 8)
  t.equal(story.machine.compactedRevision, 8)
  story.settle()
  t.same(story.generations, [8, 10, 11], 'the newest generation at or below the base stays')
  t.same(
    story.rowsOf(kind.effects).map(([key]) => toHex(key)),
    [toHex(effectsKey(5))],
    'effects above the base stay'
  )
  t.same(story.historyRevisions, [9, 10], 'what was replaced later than that stays')
  t.equal(story.counts()[0], 3, 'entries stay, whenever they came')
  const reads: [number, string | null][] = [
    [7, 'COMPACTED'],
    [10, null],
    [11, null]
  ]
  for (const [revision, code] of reads) {
    const outcome = story.bed.outcome(done => story.machine.query(getAt('a', revision), done))
    t.equal(outcome.error === null ? null : (outcome.error as Error & { code: string }).code, code, `at ${revision}`)
  }
  story.crash()
  t.equal(story.machine.compactedRevision, 8, 'and it is known after a start')
})

void t.test('a base between two generations: readable is what the first one above it has', async t => {
  const story = new Story()
  threeFlushes(story)
  story.machine.compacted(3)
  story.settle()
  story.apply(put('c', '1'))
  story.flush()
  story.settle()
  t.equal(story.headCompacted, 8, 'changes of the rest of its generation are still in the log, those before not all')
  t.same(story.generations, [5, 8, 10, 11])
  t.same(story.historyRevisions, [9, 10])
  t.equal(story.counts()[2], 2, 'effects of records 4 and 5')
})

void t.test('flushes that change nothing have no generation', async t => {
  const story = new Story()
  threeFlushes(story)
  story.apply(del('nothing'))
  story.flush()
  story.machine.compacted(6)
  story.settle()
  story.apply(put('c', '1'))
  story.flush()
  story.settle()
  t.equal(story.headCompacted, 10)
  t.same(story.generations, [10, 11])
  t.same(story.counts(), [3, 0, 0, 2])
})

void t.test('a base that rises meanwhile, falls or comes again', async t => {
  const story = new Story()
  threeFlushes(story)
  story.machine.compacted(2)
  story.machine.compacted(4)
  story.machine.compacted(1)
  story.apply(put('c', '1'))
  story.flush()
  story.settle()
  for (const value of ['2', '3']) {
    story.apply(put('c', value))
    story.flush()
    story.settle()
  }
  t.equal(story.headCompacted, 8, 'the highest counts')
  t.same(story.generations, [8, 10, 11, 12, 13])
  let writes = 0
  story.onWrite = () => writes++
  story.machine.compacted(4)
  story.settle()
  t.equal(writes, 0, 'what is done is done')
  story.crash()
  story.machine.compacted(4)
  story.settle()
  t.same(story.generations, [8, 10, 11, 12, 13], 'in the next life it looks again, for what the cut has brought back')
  t.same(
    story.historyRevisions.filter(revision => revision <= 8),
    []
  )
})

/** `rounds` flushes, each of the same 4000 keys. */
function manyVersions(story: Story, rounds: number): void {
  for (let round = 0; round < rounds; round++) {
    story.apply(...Array.from({ length: 4000 }, (_, at) => put(`k${at}`, String(round))))
    story.flush()
  }
}

void t.test('many rows go in small batches', async t => {
  const story = new Story()
  manyVersions(story, 3)
  t.same(story.counts(), [4000, 8000, 0, 3])
  story.machine.compacted(2)
  story.settle()
  story.apply(put('a', '1'))
  story.flush()
  let writes = 0
  story.onWrite = () => writes++
  story.bed.time.until(() => writes === 2)
  t.ok(story.counts()[1]! > 6000, 'it has begun')
  story.apply(...Array.from({ length: 50 }, (_, at) => put(`k${at}`, 'more')))
  story.flush()
  story.settle()
  t.same(story.counts(), [4001, 4050, 0, 4])
  t.ok(writes > 4, 'slice by slice')
})

void t.test('nothing is looked at while a flush is under way', async t => {
  const story = new Story()
  story.apply(put('a', '1'))
  story.flush()
  manyVersions(story, 3)
  let looks = 0
  const iterator = story.level.iterator.bind(story.level)
  story.level.iterator = range => {
    looks++
    return iterator(range)
  }
  story.machine.compacted(1)
  story.settle()
  story.apply(put('a', '2'))
  story.flush()
  const begun = looks
  story.bed.time.until(() => looks > begun + 3)
  story.apply(put('a', '3'))
  story.bed.disk.knobs.syncMsMin = 500
  story.bed.disk.knobs.syncMsMax = 500
  let flushed = false
  story.machine.flush(story.log.last, bytes('s'), error => (flushed = error === null))
  story.bed.time.run(10)
  const before = looks
  story.bed.time.run(300)
  t.equal(flushed, false)
  t.equal(looks, before, 'it waits')
  story.settle()
  t.equal(flushed, true)
  t.ok(looks > before + 3, 'and goes on')
  t.equal(story.counts()[1], 8000 + 2)
})

void t.test('broken off by a power cut it is done again, and only then', async t => {
  for (let seed = 0; seed < 20; seed++) {
    const story = new Story(seed)
    for (let round = 0; round < 3; round++) {
      story.apply(...Array.from({ length: 700 }, (_, at) => put(`k${at}`, String(round))))
      story.flush()
    }
    story.machine.compacted(2)
    story.settle()
    story.apply(put('k0', 'last'))
    let writes = 0
    story.onWrite = () => {
      if (writes++ === seed % 6) story.bed.time.env('cut').after(story.bed.random.below(2), () => story.bed.crash(true))
    }
    story.machine.flush(story.log.last, bytes('s'), () => {})
    story.settle()
    story.onWrite = null
    story.crash()
    const [entries, history] = story.counts()
    t.equal(entries, 700)
    t.ok(story.headCompacted > 0 || history === 1400, 'nothing is missing that the head does not tell of')
    story.machine.compacted(2)
    story.settle()
    story.apply(put('k0', 'again'))
    story.flush()
    story.settle()
    const left = story.historyRevisions
    t.ok(left.length > 0 && left.every(revision => revision > 1401), 'all has gone but what names record 3 or later')
    t.same(story.generations.slice(0, 1), [1401])
  }
})

void t.test('damaged rows are not in the way, and a write that fails ends the machine', async t => {
  const story = new Story()
  threeFlushes(story)
  const spoilt = [historyKey('a', 2 + 2), generationKey(5)]
  const write = story.level.batch()
  for (const key of spoilt) write.put(key, bytes('nonsense'))
  story.bed.wait(write.write({ sync: true }))
  story.machine.compacted(4)
  story.settle()
  story.apply(put('c', '1'))
  story.flush()
  story.settle()
  t.same(story.historyRevisions, [9, 10])
  t.same(story.generations, [8, 10, 11])
  t.equal(story.bed.call<Uint8Array>(done => story.machine.query(getAt('c', 0), done)).length > 0, true)

  story.machine.compacted(5)
  story.settle()
  story.apply(put('c', '2'))
  story.flush()
  story.bed.disk.knobs.ioErrorChance = 1
  story.settle()
  story.bed.disk.knobs.ioErrorChance = 0
  const flushed = story.bed.outcome<void>(done => story.machine.flush(story.log.last, bytes('s'), done))
  t.ok(flushed.error, 'what would be written after it might not be found again')
})

function keysOf(rows: readonly RowPair[]): string[] {
  return rows.map(([key]) => toHex(key))
}

function hexOf(rows: readonly RowPair[]): string[] {
  return rows.map(([key, value]) => `${toHex(key)} ${toHex(value)}`)
}

function getAt(key: string, atRevision: number): Uint8Array {
  return pack([packRequest({ op: 'get', key: bytes(key), atRevision })])
}

type Step = { readonly commands: readonly FirstCommand[] } | { readonly base: number } | 'flush' | 'wait'

const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ commands: fc.array(commandArbitrary, { minLength: 1, maxLength: 6 }) }) },
  { weight: 2, arbitrary: fc.record({ base: fc.double({ min: 0, max: 1, noNaN: true }) }) },
  { weight: 3, arbitrary: fc.constant('flush' as const) },
  { weight: 1, arbitrary: fc.constant('wait' as const) }
)

/** What may stand in the database with a log that begins after `base`, of what stands in one that was never told. */
function checkRows(told: Story, untold: Story, base: number): void {
  const below = untold.rowsOf(kind.generation).filter(row => index(row) <= base)
  const newest = Math.max(0, ...below.map(([key]) => revisionOfGeneration(key)))
  const stays = ([key]: RowPair): boolean => {
    switch (key[2]) {
      case kind.history:
        return revisionOfHistory(key) > told.headCompacted
      case kind.effects:
        return toHex(key) >= toHex(effectsKey(base + 1))
      case kind.generation:
        return revisionOfGeneration(key) >= newest
      default:
        return key[2] === kind.entry
    }
  }
  const found = told.rows().filter(([key]) => key[2] !== kind.head)
  // With values in those of the history that the log does not hold any more.
  assert.deepEqual(keysOf(found), keysOf(untold.rows().filter(stays)))
  const others = ([key]: RowPair): boolean => key[2] !== kind.history
  assert.deepEqual(hexOf(found.filter(others)), hexOf(untold.rows().filter(stays).filter(others)))
}

function index([key, row]: RowPair): number {
  return indexOfGeneration(key, row)!
}

void t.test('after any story, exactly what the rest of the log needs is there', async () => {
  fc.assert(
    fc.property(fc.array(stepArbitrary, { maxLength: 25 }), steps => {
      const told = new Story()
      const untold = new Story()
      const both = [told, untold]
      let flushed = 0
      let base = 0
      for (const step of steps) {
        if (step === 'wait') told.settle()
        else if (step === 'flush') flushed = both.map(story => story.flush()).at(-1)!.index
        else if (typeof step === 'object' && 'commands' in step) for (const story of both) story.apply(...step.commands)
        else if (typeof step === 'object') {
          base = Math.max(base, Math.floor(step.base * flushed))
          told.machine.compacted(base)
        }
      }
      for (const story of both) story.flush()
      told.settle()
      told.crash()
      // What the last life has not come to, and what the cut has brought back.
      told.machine.compacted(base)
      told.settle()
      told.flush()
      told.settle()
      checkRows(told, untold, base)
    }),
    { numRuns: runs }
  )
})
