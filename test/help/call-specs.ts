// What calls a client may be asked to make: few keys, conditions that hold or not, deadlines near and far.
import fc from 'fast-check'

export type CallSpec = {
  /** Null: long enough for any trouble to pass. */
  readonly timeout: number | null
  /** It can be given up. */
  readonly signal: boolean
} & Spec

type Spec =
  | {
      readonly kind: 'put'
      readonly key: number
      readonly condition: 'none' | 'absent' | 'known'
      readonly previous: boolean
    }
  | { readonly kind: 'increment'; readonly key: string }
  /** A put and a delete of a key of their own, neither awaited. */
  | { readonly kind: 'remove'; readonly previous: boolean }
  | { readonly kind: 'get'; readonly key: number; readonly consistency: 'linearizable' | 'session' | 'stale' }
  | { readonly kind: 'many' | 'count' | 'resolve' }
  | RangeSpec

export interface RangeSpec {
  readonly kind: 'range'
  /** 0 for none. */
  readonly limit: number
  readonly reverse: boolean
  /** So many entries are read, if there are so many. */
  readonly taken: number
}

const key = fc.nat({ max: 2 })
const one = <K extends string>(...kinds: readonly K[]): fc.Arbitrary<K> => fc.constantFrom(...kinds)

const specArbitrary: fc.Arbitrary<Spec> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: one('put'),
      key,
      condition: one('none', 'none', 'absent', 'known'),
      previous: fc.boolean()
    })
  },
  { weight: 3, arbitrary: fc.record({ kind: one('increment'), key: one('n0', 'n0', 'n1', 'k0') }) },
  { weight: 2, arbitrary: fc.record({ kind: one('remove'), previous: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: one('get'), key, consistency: one('linearizable', 'session', 'stale') })
  },
  { weight: 4, arbitrary: fc.record({ kind: one('many', 'count', 'resolve', 'resolve') }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: one('range'),
      limit: fc.nat({ max: 3 }),
      reverse: fc.boolean(),
      taken: fc.constantFrom(1, 2, 100)
    })
  }
)

export const callArbitrary: fc.Arbitrary<CallSpec> = fc
  .tuple(specArbitrary, fc.constantFrom(60, 400, 3000, null, null), fc.boolean())
  .map(([spec, timeout, signal]) => ({ ...spec, timeout, signal }))
