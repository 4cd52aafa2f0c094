// Any schedule of faults breaks nothing: fast-check makes them up, and what breaks something is told as its smallest case.
import fc from 'fast-check'
import { t } from 'tap'
import { type FaultClass, faultNames } from '../../lib/sim/faults.ts'
import { type Case, formatCase, runCase } from '../../lib/sim/shrink/case.ts'
import { type Outcome, shrinkCase } from '../../lib/sim/shrink/shrink.ts'
import { anySchedule } from '../help/any-case.ts'

const runs = Number(process.env['FC_RUNS'] ?? 24)
/** Of a failure that was told: the same cases once more, or only the one that failed. */
const again = {
  ...(process.env['FC_SEED'] !== undefined && { seed: Number(process.env['FC_SEED']) }),
  ...(process.env['FC_PATH'] !== undefined && { path: process.env['FC_PATH'] })
}
t.setTimeout(120_000 + runs * 5_000)

/** Storms of all classes, of two, and of one alone. */
const anyKinds: fc.Arbitrary<readonly FaultClass[]> = fc.oneof(
  fc.constant(faultNames),
  fc.subarray([...faultNames], { minLength: 1, maxLength: 2 })
)

function anyStorm(depth: Case['depth'], durationMs: number, eventsMax: number): fc.Arbitrary<Case> {
  const sizes = fc.record({ nodes: fc.constantFrom(3, 5, 4), clients: fc.integer({ min: 1, max: 4 }), kinds: anyKinds })
  return sizes.chain(({ nodes, clients, kinds }) =>
    fc.record({
      seed: fc.nat(),
      depth: fc.constant(depth),
      nodes: fc.constant(nodes),
      clients: fc.constant(clients),
      durationMs: fc.constant(durationMs),
      schedule: anySchedule({ nodes, durationMs, eventsMax, kinds })
    })
  )
}

interface Failure {
  readonly found: Case
  readonly seed: number
  readonly path: string
}

/** The first case that breaks something. It is not fast-check that makes it smaller: a run is dear, and the order matters. */
async function firstFailure(
  storms: fc.Arbitrary<Case>,
  numRuns: number,
  run: (tried: Case) => Promise<Outcome>
): Promise<Failure | null> {
  const property = fc.asyncProperty(storms, async found => (await run(found)).violation === null)
  const { failed, counterexample, seed, counterexamplePath } = await fc.check(property, {
    ...again,
    numRuns,
    endOnFailure: true
  })
  return failed ? { found: counterexample![0], seed, path: counterexamplePath! } : null
}

/** What somebody needs to see it again, for good. */
async function told({ found, seed, path }: Failure, run: (tried: Case) => Promise<Outcome>): Promise<string> {
  const { case: smallest, violation, runs, minimal } = await shrinkCase(found, { run, runsMax: 150 })
  return `${violation.invariant}: ${violation.message}
fast-check found it (FC_SEED=${seed} FC_PATH=${path}), and ${runs} runs made ${minimal ? 'as little as possible' : 'less'} of it.
Put this into a file of test/sim/regress, with a note, and see it again: npx stretto sim --schedule FILE
${formatCase(smallest)}`
}

for (const [depth, share, durationMs] of [
  ['shallow', 1, 1_500],
  ['deep', 4, 1_000]
] as const) {
  const numRuns = Math.ceil(runs / share)
  t.test(`${depth}: ${numRuns} schedules of up to 12 faults break nothing`, async t => {
    let operations = 0
    const run = async (found: Case): Promise<Outcome> => {
      const report = await runCase(found)
      operations += report.operations
      return report
    }
    const failure = await firstFailure(anyStorm(depth, durationMs, 12), numRuns, run)
    t.equal(failure === null ? '' : await told(failure, runCase), '')
    t.ok(operations > numRuns * 5, `${operations} calls of clients`)
  })
}

t.test('a failure is told as its smallest case, with what finds it again', async t => {
  const run = async ({ schedule, durationMs }: Case): Promise<Outcome> => {
    const broken = schedule.some(({ kind, at }) => kind === 'crash' && at > 200)
    return { violation: broken ? { invariant: 'IS1', message: 'two lead' } : null, virtualMs: durationMs }
  }
  const failure = await firstFailure(anyStorm('deep', 1_000, 12), 1_000, run)
  const text = await told(failure!, run)
  t.match(text, /^IS1: two lead\nfast-check found it \(FC_SEED=-?\d+ FC_PATH=[\d:]+\)/)
  t.match(text, /"schedule": \[\{ "at": \d{3}, "kind": "crash", "node": 0, "ms": 0, "amount": 0 \}\]/)
})

t.test('also fast-check itself comes from 40 faults to the two that matter', async t => {
  const schedules = anySchedule({ nodes: 5, durationMs: 10_000, eventsMax: 40 })
  const property = fc.property(schedules, schedule => {
    const torn = schedule.findIndex(({ kind }) => kind === 'torn')
    return torn < 0 || !schedule.slice(torn).some(({ kind, ms }) => kind === 'pause' && ms >= 60)
  })
  const { counterexample, numShrinks } = fc.check(property, { numRuns: 1_000, seed: 7 })
  t.same(counterexample, [
    [
      { at: 0, kind: 'torn', node: 0, ms: 0, amount: 0 },
      { at: 0, kind: 'pause', node: 0, ms: 60, amount: 0 }
    ]
  ])
  t.ok(numShrinks < 60, `${numShrinks} steps`)
})
