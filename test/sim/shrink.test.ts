// Failing cases are cut down to what they need: exactly, in a bounded number of runs, and always to the same one.
import { join } from 'node:path'
import fc from 'fast-check'
import { t } from 'tap'
import type { StrettoError } from '../../lib/base/errors.ts'
import { type FaultClass, type FaultEvent, faultNames } from '../../lib/sim/faults.ts'
import type { Case } from '../../lib/sim/shrink/case.ts'
import { type Outcome, type ShrinkProgress, shrinkCase } from '../../lib/sim/shrink/shrink.ts'
import { anySchedule } from '../help/any-case.ts'
import { Overlay } from '../mutants/overlay.ts'
import { planted } from '../mutants/planted.ts'

t.setTimeout(180_000)

const durationMs = 30_000

/** 40 faults, of which three are a crash of the leader, a partition within a second of it, and a torn write after it. */
const large: Case = {
  seed: 42,
  depth: 'shallow',
  nodes: 5,
  clients: 4,
  durationMs,
  schedule: [
    ...fc.sample(anySchedule({ nodes: 5, durationMs, eventsMax: 37, eventsMin: 37, kinds: ['drop', 'clock'] }), {
      seed: 1,
      numRuns: 1
    })[0]!,
    { at: 11_337, kind: 'crash', node: 'leader', ms: 1_234, amount: 7.3 } as const,
    { at: 11_842, kind: 'partition', node: 3, ms: 2_711, amount: 0.333 } as const,
    { at: 19_004, kind: 'torn', node: 4, ms: 17, amount: 0.8 } as const
  ].toSorted((a, b) => a.at - b.at)
}

/** As if only these three mattered, and at least two clients and three nodes. */
function breaksByThree({ schedule, clients, nodes }: Case): boolean {
  const first = (kind: FaultClass, suits: (event: FaultEvent) => boolean): FaultEvent | undefined =>
    schedule.find(event => event.kind === kind && suits(event))
  const crash = first('crash', ({ node }) => node === 'leader' || node === 1)
  if (crash === undefined || clients < 2 || nodes < 3) return false
  const partition = first('partition', ({ at, ms }) => Math.abs(at - crash.at) < 1_000 && ms >= 500)
  return partition !== undefined && first('torn', ({ at }) => at > crash.at) !== undefined
}

function fake(breaks: (tried: Case) => boolean, invariant = 'IS5'): (tried: Case) => Promise<Outcome> {
  return async tried => ({ violation: breaks(tried) ? { invariant, message: 'as planted' } : null, virtualMs: 24_321 })
}

t.test('of 40 faults the three that matter are left, for the smallest cluster, at round times', async t => {
  t.equal(large.schedule.length, 40)
  const told: ShrinkProgress[] = []
  const shrunk = await shrinkCase(large, { run: fake(breaksByThree), seeds: 0, progress: each => told.push(each) })
  t.same(shrunk.case, {
    seed: 42,
    depth: 'shallow',
    nodes: 3,
    clients: 2,
    durationMs: 100,
    workload: { keys: 1, kinds: ['put'], restMs: 2_000 },
    schedule: [
      { at: 0, kind: 'crash', node: 1, ms: 0, amount: 0 },
      { at: 0, kind: 'partition', node: 0, ms: 600, amount: 0 },
      { at: 10, kind: 'torn', node: 0, ms: 0, amount: 0 }
    ],
    invariant: 'IS5'
  })
  t.ok(shrunk.minimal)
  t.equal(told.length, shrunk.runs)
  t.same(
    told.map(({ runs }) => runs),
    told.map((_, at) => at + 1)
  )
  t.ok(shrunk.runs < 130, `${shrunk.runs} runs`)
  t.same([...new Set(told.map(({ stage }) => stage))], ['confirm', 'workload', 'nodes', 'faults', 'targets', 'times'])
})

t.test('whichever faults matter, exactly these are left, and each time the same', async t => {
  let runsMost = 0
  const needs = fc.uniqueArray(fc.nat(59), { minLength: 1, maxLength: 3 })
  const schedule = anySchedule({ nodes: 5, durationMs, eventsMin: 60, eventsMax: 60 })
  const property = fc.asyncProperty(schedule, needs, async (schedule, places) => {
    const needed = places.map(place => schedule[place]!.kind)
    const count = (kind: FaultClass, { schedule }: Pick<Case, 'schedule'>): number =>
      schedule.filter(event => event.kind === kind).length
    // So many of each of these kinds, of whatever else there is.
    const least = new Map(needed.map(kind => [kind, needed.filter(each => each === kind).length]))
    const run = fake(tried => [...least].every(([kind, times]) => count(kind, tried) >= times))
    const one = await shrinkCase({ ...large, schedule }, { run })
    t.same(one.case.schedule.map(({ kind }) => kind).sort(), needed.toSorted())
    t.equal(one.case.nodes, 1)
    t.same(await shrinkCase({ ...large, schedule }, { run }), one)
    runsMost = Math.max(runsMost, one.runs)
  })
  await fc.assert(property, { numRuns: 40 })
  t.ok(runsMost < 250, `at most ${runsMost} runs`)
})

t.test('what needs another seed when it is smaller is found with that one', async t => {
  const run = fake(({ seed, nodes, schedule }) => schedule.length >= 2 && (seed === 42 ? nodes === 5 : seed === 2))
  const given = await shrinkCase(large, { run, seeds: 0 })
  t.match(given.case, { seed: 42, nodes: 5 })
  const other = await shrinkCase(large, { run })
  t.match(other.case, { seed: 2, nodes: 1 })
  t.equal(other.case.schedule.length, 2)
})

t.test('the runs are bounded, and what was reached by then is told as not minimal', async t => {
  const run = fake(breaksByThree)
  const few = await shrinkCase(large, { run, runsMax: 20 })
  t.match(few, { runs: 20, minimal: false })
  t.ok(breaksByThree(few.case))
  t.ok(few.case.schedule.length < 40)
  let asked = 0
  const stopped = await shrinkCase(large, { run, stop: () => ++asked > 4 })
  t.match(stopped, { runs: 5, minimal: false, violation: { invariant: 'IS5', message: 'as planted' } })
  t.match(await shrinkCase(large, { run, stop: () => true }), { runs: 1, minimal: false })
})

t.test('only the same failure counts', async t => {
  await t.rejects(shrinkCase(large, { run: fake(() => false) }), {
    code: 'BAD_REQUEST',
    message: 'the case does not break any invariant, so there is nothing to shrink'
  } satisfies Partial<StrettoError>)
  await t.rejects(shrinkCase({ ...large, invariant: 'IS1' }, { run: fake(() => true) }), {
    message: 'the case does not break IS1, so there is nothing to shrink'
  })
  const twoOf =
    (code: string, more: string, fewer: string) =>
    async ({ schedule: { length } }: Case): Promise<Outcome> => ({
      violation: length > 9 ? { invariant: 'IX1', message: more } : { invariant: code, message: fewer },
      virtualMs: 0
    })
  const other = await shrinkCase(large, { run: twoOf('IK1', 'a text', 'a text') })
  t.equal(other.case.schedule.length, 10)
  const assertion = await shrinkCase(large, { run: twoOf('IX1', 'a text', 'another text') })
  t.equal(assertion.case.schedule.length, 10)
  const stack = await shrinkCase(large, { run: twoOf('IX1', 'a text\n at 1:2', 'a text\n at 3:4') })
  t.equal(stack.case.schedule.length, 0)
})

t.test('a bug planted in the code, found in a storm of all faults, needs two or three of them', async t => {
  const mutant = planted.find(({ name }) => name === 'votes-for-a-shorter-log')!
  const overlay = new Overlay(mutant.patches)
  t.teardown(() => overlay.remove())
  type Room = typeof import('../../lib/sim/shrink/shrink.ts') &
    typeof import('../../lib/sim/shrink/case.ts') &
    typeof import('../../lib/sim/run.ts')
  const room = async (name: string): Promise<Room> => (await import(join(overlay.folder, 'lib/sim', name))) as Room
  const [{ runSeed }, { caseOf, runCase }, { shrinkCase }] = [
    await room('run.ts'),
    await room('shrink/case.ts'),
    await room('shrink/shrink.ts')
  ]
  let found: Case | null = null
  for (let seed = 1; found === null && seed <= 40; seed++) {
    const options = { seed, nodes: 5, clients: 3, depth: 'shallow', faults: faultNames, durationMs: 20_000 } as const
    const report = await runSeed(options)
    const { violation, schedule } = report
    // What it does may come to light in another way first.
    if (violation?.invariant === mutant.invariant && schedule.length >= 30) found = caseOf(options, report)
  }
  t.equal(found?.invariant, mutant.invariant)
  const { case: smallest, runs } = await shrinkCase(found!, { runsMax: 250, seeds: 0 })
  t.ok(
    smallest.schedule.length <= 3,
    `${found!.schedule.length} faults became ${smallest.schedule.length} in ${runs} runs`
  )
  t.equal(smallest.clients, 1)
  t.match((await runCase(smallest)).violation, { invariant: 'IS5' })
})
