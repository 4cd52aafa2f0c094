// What the key-value machine tells of its past: any revision down to the compaction point, and the changes after it, compared
// with a model that keeps everything, whatever is flushed, cut, compacted or lost in a crash meanwhile.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { t } from 'tap'
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
