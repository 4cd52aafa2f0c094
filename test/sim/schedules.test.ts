// fast-check deals the faults: any schedule, over any small cluster, breaks nothing; what does is cut down to a case in JSON.
import fc from 'fast-check'
import { t } from 'tap'
import { type Case, formatCase, runCase } from '../../lib/sim/case.ts'
import { type FaultEvent, faultClasses, faultNames } from '../../lib/sim/faults.ts'

const runs = Number(process.env['FC_RUNS'] ?? 25)
t.setTimeout(60_000 + runs * 4_000)
const stormMs = 4_000

const event: fc.Arbitrary<FaultEvent> = fc.constantFrom(...faultNames).chain(kind => {
  const { msMin, msMax, amountMin, amountMax } = faultClasses[kind]
  return fc.record({
    at: fc.integer({ min: 0, max: stormMs }),
    kind: fc.constant(kind),
    node: fc.oneof(fc.constant('leader' as const), fc.nat(2)),
    ms: fc.integer({ min: msMin, max: msMax }),
    amount: fc.integer({ min: amountMin * 1_000, max: amountMax * 1_000 }).map(thousandths => thousandths / 1_000)
  })
})

const storm: fc.Arbitrary<Case> = fc.record({
  seed: fc.nat(1_000_000),
  depth: fc.constantFrom('shallow' as const, 'shallow' as const, 'deep' as const),
  nodes: fc.constantFrom(3, 5),
  clients: fc.integer({ min: 1, max: 3 }),
  durationMs: fc.constant(stormMs),
  schedule: fc.array(event, { maxLength: 24 }).map(events => events.toSorted((a, b) => a.at - b.at))
})

t.test(`${runs} schedules break nothing`, async t => {
  const property = fc.asyncProperty(storm, async found => {
    const { violation } = await runCase(found)
    if (violation === null) return
    const text = formatCase({ ...found, invariant: violation.invariant, note: violation.message })
    throw new Error(
      `keep this as a file under test/sim/regress/, and replay it by stretto sim --schedule FILE:\n${text}`
    )
  })
  await fc.assert(property, { numRuns: runs })
  t.pass()
})
