// What the key-value machine tells of its past, at every revision down to the compaction point, and the changes after it, compared
// with a model that keeps everything, whatever is flushed, cut, compacted or lost in a crash meanwhile.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { t } from 'tap'
import { type ErrorCode, numberOfCode } from '../../lib/base/errors.ts'
import type { HorizonTerms } from '../../lib/kv/past/horizon.ts'
import { type Command } from '../../lib/wire/kv/commands.ts'
import { type Effect, PastStory, type PlainChange } from '../help/past-story.ts'
import { bytes, del, increment, type Plain, put } from './bed.ts'

const runs = Number(process.env['FC_RUNS'] ?? 60)
const keys = ['a', 'a\0', 'ab', 'b', '\0', '\xff', 'n'] as const

interface Step {
  readonly command: Command
  readonly effect: Effect
}

/** A command, with what it does to a state in which keys are as in `present`. */
function stepOf(present: ReadonlyMap<string, Plain>, kind: number, key: string, value: string): Step {
  if (kind < 5) return { command: put(key, value), effect: new Map([[key, value]]) }
  if (kind < 7) return { command: del(key), effect: new Map([[key, null]]) }
  if (kind < 8) return { command: put(key, value, { ifRevision: 999 }), effect: new Map() }
  const number = Number(present.get('n')?.value ?? '0')
  if (kind < 9) return { command: increment('n', 3), effect: new Map([['n', String(number + 3)]]) }
  // Two keys at one revision, one of them with what a command computes.
  const command: Command = {
    op: 'txn',
    compares: [],
    onTrue: [
      { op: 'put', key: bytes('t'), value: bytes(value), ifRevision: null, previous: false },
      { op: 'delete', key: bytes('ab'), ifRevision: null, previous: false },
      { op: 'increment', key: bytes('n'), by: 1 }
    ],
    onFalse: []
  }
  const effect = new Map<string, string | null>([
    ['t', value],
    ['ab', null],
    ['n', String(number + 1)]
  ])
  return { command, effect }
}

type Act =
  | { readonly act: 'apply'; readonly commands: readonly [number, number, string][] }
  | { readonly act: 'cut'; readonly at: number }
  | { readonly act: 'order'; readonly at: number }
  | { readonly act: 'flush' | 'begin' | 'crash' | 'pass' | 'settle' }
  | { readonly act: 'read'; readonly at: number; readonly key: number; readonly flags: number }
  | {
      readonly act: 'changes'
      readonly from: number
      readonly to: number
      readonly flags: number
      readonly bytes: number
    }

const applied = fc.record({
  act: fc.constant('apply' as const),
  commands: fc.array(
    fc.tuple(fc.nat({ max: 9 }), fc.nat({ max: keys.length - 2 }), fc.string({ unit: 'binary-ascii', maxLength: 6 })),
    { minLength: 1, maxLength: 4 }
  )
})
const share = fc.nat({ max: 1000 })
const actArbitrary: fc.Arbitrary<Act> = fc.oneof(
  { weight: 8, arbitrary: applied },
  { weight: 3, arbitrary: fc.record({ act: fc.constantFrom('flush' as const, 'flush' as const, 'begin' as const) }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constantFrom('crash' as const, 'pass' as const, 'settle' as const) }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('cut' as const), at: share }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('order' as const), at: share }) },
  {
    weight: 8,
    arbitrary: fc.record({ act: fc.constant('read' as const), at: share, key: fc.nat({ max: 6 }), flags: fc.nat(7) })
  },
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constant('changes' as const),
      from: share,
      to: share,
      flags: fc.nat(3),
      bytes: fc.constantFrom(1, 200, 1_000_000)
    })
  }
)

/** Between the compaction revision and the present, both with a little beyond. */
function between(story: PastStory, at: number): number {
  const least = Math.max(1, story.machine.compactedRevision - 2)
  const most = story.model.revision + 2
  return least + Math.floor((at / 1001) * (most - least + 1))
}

/** What is read at `revision` is the truth; or compacted where it is now, or was when it was asked for. */
function check<T>(story: PastStory, revision: number, ask: () => T | string, truth: () => T, what: string): void {
  const before = story.machine.compactedRevision
  const found = ask()
  if (revision < before) return assert.equal(found, 'COMPACTED', what)
  if (revision > story.model.revision) return assert.equal(found, 'FUTURE_REVISION', what)
  if (found === 'COMPACTED' && revision < story.machine.compactedRevision) return
  assert.deepEqual(found, truth(), what)
}

function rangeOf(story: PastStory, revision: number, flags: number): Plain[] {
  const found = [...story.model.at(revision).values()].toSorted((a, b) => (a.key < b.key ? -1 : 1))
  if ((flags & 1) !== 0) found.reverse()
  return (flags & 2) === 0 ? found : found.map(entry => ({ ...entry, value: null }))
}

function read(story: PastStory, at: number, key: number, flags: number): void {
  const revision = between(story, at)
  const name = keys[key]!
  const { model } = story
  check(
    story,
    revision,
    () => story.get(name, revision),
    () => model.at(revision).get(name) ?? null,
    `get ${JSON.stringify(name)} at ${revision}`
  )
  const scan = { atRevision: revision, reverse: (flags & 1) !== 0, keysOnly: (flags & 2) !== 0 }
  check(
    story,
    revision,
    () => story.range(scan, (flags & 4) === 0 ? 1 : 1e6),
    () => rangeOf(story, revision, flags),
    `range at ${revision}`
  )
  check(
    story,
    revision,
    () => story.count('a', 'b', revision),
    () => rangeOf(story, revision, 0).filter(each => each.key >= 'a' && each.key < 'b').length,
    `count at ${revision}`
  )
}

function walk(story: PastStory, from: number, to: number, flags: number, bytesMax: number): void {
  const after = between(story, from)
  const upTo = Math.max(after, between(story, to))
  const previous = (flags & 1) !== 0
  const wants = (key: string): boolean => (flags & 2) === 0 || key.startsWith('a')
  const before = story.machine.compactedRevision
  const asked = { after, upTo, previous, wants }
  let found = story.changes(asked, bytesMax)
  // In a new life it may not be known yet how far back they go.
  for (let again = 0; found === 'UNAVAILABLE' && again < 10; again++) {
    story.bed.time.run(100)
    found = story.changes(asked, bytesMax)
  }
  if (upTo > story.model.revision) return assert.equal(found, 'FUTURE_REVISION')
  if (after < before) return assert.equal(found, 'COMPACTED')
  if (found === 'COMPACTED' && after < story.machine.compactedRevision) return
  const whole = story.model.changes.filter(each => each.revision > after && each.revision <= upTo && wants(each.key))
  const wanted = previous ? whole : whole.map(each => ({ ...each, before: null }))
  assert.deepEqual(sorted(found), sorted(wanted), `changes after ${after} up to ${upTo}`)
}

function sorted(changes: readonly PlainChange[] | string): readonly PlainChange[] | string {
  if (typeof changes === 'string') return changes
  return changes.toSorted((a, b) => a.revision - b.revision || (a.key < b.key ? -1 : 1))
}

function perform(story: PastStory, act: Act): void {
  switch (act.act) {
    case 'apply': {
      const steps: Step[] = []
      for (const [kind, key, value] of act.commands) {
        const step = stepOf(story.model.at(story.model.revision), kind, keys[key]!, value)
        steps.push(step)
        story.model.step(step.effect)
      }
      story.apply(steps.map(({ command }) => command))
      return
    }
    case 'cut': {
      // Never beyond what is on disk, and at the end of a block.
      const ends = story.log.ends.filter(end => end <= story.flushed.index)
      const end = ends[Math.floor((act.at / 1001) * ends.length)]
      return end === undefined ? undefined : story.cut(end)
    }
    case 'order':
      story.order(between(story, act.at))
      return
    case 'flush':
      return story.flush()
    case 'begin':
      return story.beginFlush()
    case 'crash':
      return story.crash()
    case 'pass':
      return story.pass([put('a', 'never'), put('b', 'never')])
    case 'settle':
      return story.settle()
    case 'read':
      return read(story, act.at, act.key, act.flags)
    case 'changes':
      return walk(story, act.from, act.to, act.flags, act.bytes)
  }
}

void t.test('the past is that of a model that forgets nothing', async () => {
  fc.assert(
    fc.property(fc.array(actArbitrary, { minLength: 10, maxLength: 60 }), fc.nat(), (acts, seed) => {
      const story = new PastStory(seed)
      for (const act of acts) perform(story, act)
      story.flush()
      story.settle()
      for (const at of [0, 200, 400, 600, 800, 1000]) {
        read(story, at, at % 7, at % 8)
        walk(story, at, 1000, at % 4, 1_000_000)
        walk(story, 0, at, at % 4, 300)
      }
    }),
    { numRuns: runs }
  )
})

void t.test(
  'a past that is bounded by age or bytes ends with a flush that is old enough, or far enough in the log',
  async t => {
    const story = new PastStory()
    const ends: number[] = []
    for (let round = 0; round < 8; round++) {
      story.step(new Map([['a', String(round)]]), put('a', String(round)))
      story.flush()
      ends.push(story.model.revision)
    }
    const horizon = (terms: HorizonTerms): number => story.bed.call<number>(done => story.machine.horizon(terms, done))
    // Blocks are stamped from 1000 on, one millisecond apart.
    t.equal(horizon({ before: 999, bytes: null }), 0, 'all are younger')
    t.equal(horizon({ before: 1000, bytes: null }), ends[0])
    t.equal(horizon({ before: 1004, bytes: null }), ends[4])
    t.equal(horizon({ before: 9999, bytes: null }), ends[7])
    t.equal(horizon({ before: null, bytes: 1e9 }), 0)
    t.equal(horizon({ before: null, bytes: 0 }), ends[7])
    const block = story.log.blockBytes
    t.equal(horizon({ before: null, bytes: block * 3 }), ends[4], 'three records follow')
    t.equal(horizon({ before: 1005, bytes: block * 3 }), ends[5], 'what lets go of more counts')
    t.equal(story.order(ends[4]!), 0)
    story.flush()
    story.settle()
    t.equal(story.machine.released, 5, 'the log may be cut up to the record that brought it')
  }
)

void t.test('the boundary: state from the compaction revision on, changes after it', async t => {
  const story = new PastStory()
  story.step(new Map([['a', '1']]), put('a', '1'))
  story.step(new Map([['a', '2']]), put('a', '2'))
  story.step(new Map([['a', null]]), del('a'))
  story.flush()
  story.step(new Map([['b', '1']]), put('b', '1'))
  const code = (name: ErrorCode): number => numberOfCode(name)
  t.equal(story.order(6), code('FUTURE_REVISION'))
  t.equal(story.order(4), 0)
  t.equal(story.order(4), code('COMPACTED'))
  t.equal(story.order(3), code('COMPACTED'))
  t.equal(story.machine.revision, 5, 'it does not advance the revision')
  for (const life of ['in memory', 'on disk', 'cut', 'again']) {
    if (life === 'on disk') story.flush()
    if (life === 'cut') story.cut(3)
    if (life === 'again') {
      story.flush()
      story.crash()
      story.settle()
    }
    t.equal(story.get('a', 3), 'COMPACTED', life)
    t.equal(story.get('a', 4), null, 'deleted at the very compaction revision')
    t.same(story.range({ atRevision: 4 }, 1e6), [])
    t.equal(story.count('', null, 5), 1)
    t.equal(story.get('a', 6), 'FUTURE_REVISION')
    t.equal(story.changes({ after: 3, upTo: 5 }), 'COMPACTED', 'etcd #18089, #19179: never a walk without the deletion')
    t.match(story.changes({ after: 4, upTo: 5 }), [{ revision: 5, key: 'b' }])
    t.same(story.changes({ after: 5, upTo: 5 }), [])
    t.equal(story.changes({ after: 5, upTo: 6 }), 'FUTURE_REVISION')
    t.equal(story.order(4), code('COMPACTED'), 'the order is remembered')
  }
})

void t.test('a deletion one revision above the compaction is told, with what was there', async t => {
  const story = new PastStory()
  story.step(new Map([['a', '1']]), put('a', '1'))
  story.flush()
  story.step(new Map([['a', null]]), del('a'))
  story.step(new Map([['a', '2']]), put('a', '2'))
  story.flush()
  story.order(2)
  story.cut(1)
  story.flush()
  story.settle()
  t.equal(story.machine.compactedRevision, 2)
  t.match(story.get('a', 2), { value: '1' }, 'its record is gone from the log, and its value is not')
  t.match(story.changes({ after: 2, upTo: 4, previous: true }), [
    { revision: 3, key: 'a', now: null, before: { value: '1' } },
    { revision: 4, key: 'a', now: { value: '2', create: 4, version: 1 }, before: null }
  ])
})

void t.test('a range stays at its revision while what it is of is replaced, flushed and cut', async t => {
  const story = new PastStory()
  const names = Array.from({ length: 200 }, (_, at) => `k${String(at).padStart(3, '0')}`)
  for (const round of ['old', 'new']) {
    for (const name of names) story.step(new Map([[name, round]]), put(name, round))
    story.flush()
  }
  const revision = 1 + names.length
  const wanted = rangeOf(story, revision, 0)
  let rounds = 0
  const entries = story.range({ atRevision: revision }, 500, () => {
    rounds++
    story.step(new Map([['k000', String(rounds)]]), put('k000', String(rounds)))
    if (rounds === 5) story.flush()
    // The log begins exactly where the range is of: all that it still needs has been kept.
    if (rounds === 6) story.cut(names.length)
  })
  t.same(entries, wanted)
  t.ok(rounds > 10)
})

void t.test('the changes of a busy key, all of them in memory, are passed over once a call', async t => {
  const story = new PastStory()
  const count = 40_000
  for (let from = 0; from < count; from += 4000) {
    const commands = Array.from({ length: 4000 }, (_, at) => put('busy', String(from + at)))
    story.apply(commands)
  }
  const begun = performance.now()
  const found = story.changes({ after: 1, upTo: 1 + count, previous: true }, 1_000_000)
  t.equal(found.length, count)
  // Passed over once for each change it would take a minute.
  t.ok(performance.now() - begun < 10_000, 'in no time')
})
