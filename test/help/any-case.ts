// Any case, and any schedule of faults, as fast-check draws and shrinks them.
import fc from 'fast-check'
import { type FaultClass, type FaultEvent, faultClasses, faultNames } from '../../lib/sim/faults.ts'
import { callKinds } from '../../lib/sim/kv-workload.ts'
import { type Case, writesAnything } from '../../lib/sim/shrink/case.ts'

/** Times and amounts are whole steps, so that shrinking them comes to an end early. */
function fraction(min: number, max: number): fc.Arbitrary<number> {
  const steps = 1_000
  return fc.nat(steps).map(step => Math.round((min + ((max - min) * step) / steps) * 1_000) / 1_000)
}

function anyFault(nodes: number, durationMs: number, kinds: readonly FaultClass[]): fc.Arbitrary<FaultEvent> {
  return fc.constantFrom(...kinds).chain(kind => {
    const { msMin, msMax, amountMin, amountMax } = faultClasses[kind]
    return fc.record({
      at: fc.nat(durationMs - 1),
      kind: fc.constant(kind),
      // In this order, so that who leads then shrinks to a node by its place.
      node: fc.oneof(
        { withCrossShrink: true },
        { weight: 3, arbitrary: fc.nat(nodes - 1) },
        { weight: 1, arbitrary: fc.constant('leader' as const) }
      ),
      ms: fc.integer({ min: msMin, max: msMax }),
      amount: fraction(amountMin, amountMax)
    })
  })
}

export interface ScheduleShape {
  readonly nodes: number
  readonly durationMs: number
  readonly eventsMin?: number
  readonly eventsMax: number
  readonly kinds?: readonly FaultClass[]
}

/** In the order of their times. */
export function anySchedule({
  nodes,
  durationMs,
  eventsMin = 0,
  eventsMax,
  kinds = faultNames
}: ScheduleShape): fc.Arbitrary<FaultEvent[]> {
  return fc
    .array(anyFault(nodes, durationMs, kinds), { minLength: eventsMin, maxLength: eventsMax, size: 'max' })
    .map(events => events.toSorted((a, b) => a.at - b.at))
}

const anyText = fc.string({ unit: 'binary', minLength: 1 })

/** Each field of it, whether it may be left out or not. */
export const anyCase: fc.Arbitrary<Case> = fc
  .record({ nodes: fc.integer({ min: 1, max: 9 }), durationMs: fc.integer({ min: 1, max: 60_000 }) })
  .chain(({ nodes, durationMs }) =>
    fc.record(
      {
        seed: fc.maxSafeNat(),
        depth: fc.constantFrom('shallow', 'deep'),
        nodes: fc.constant(nodes),
        clients: fc.integer({ min: 1, max: 64 }),
        durationMs: fc.constant(durationMs),
        workload: fc.record(
          {
            keys: fc.integer({ min: 1, max: 6 }),
            kinds: fc.subarray([...callKinds], { minLength: 1 }).filter(writesAnything),
            restMs: fc.integer({ min: 1, max: 5_000 })
          },
          { requiredKeys: [] }
        ),
        schedule: anySchedule({ nodes, durationMs, eventsMax: 8 }),
        invariant: anyText,
        note: anyText
      },
      { requiredKeys: ['seed', 'depth', 'nodes', 'clients', 'durationMs', 'schedule'] }
    )
  )
