// The checker of histories: agrees with trying every order, knows the classic anomalies, and is fast enough to be used.
import fc from 'fast-check'
import { t } from 'tap'
import { Random } from '../../lib/base/random.ts'
import type { Operation } from '../../lib/sim/history.ts'
import { checkLinearizable, type Verdict } from '../../lib/sim/linearizable.ts'
import { registerModel, type Value } from '../../lib/sim/register-model.ts'
import type { Key, Model } from '../../lib/sim/sequential-model.ts'
import { type StoreInput, type StoreOutput, transactionModel } from '../../lib/sim/transaction-model.ts'
import { execute, type HistoryShape, randomHistory, spoil } from '../help/random-history.ts'

const runs = Number(process.env['FC_RUNS'] ?? 3_000)
t.setTimeout(60_000 + runs * 20)

type Recorded = Operation<StoreInput, StoreOutput>

/** Tries every order of the operations up to that place, with and without each that is unknown. */
function hasOrder(operations: readonly Recorded[], place = Number.POSITIVE_INFINITY): boolean {
  const isCertain = (operation: Recorded): boolean => operation.outcome === 'ok' && operation.ended <= place
  const goOn = (store: ReadonlyMap<Key, Value>, left: readonly Recorded[]): boolean => {
    const certain = left.filter(isCertain)
    if (certain.length === 0) return true
    return left.some(operation => {
      if (certain.some(other => other.ended < operation.invoked)) return false
      const after = new Map(store)
      const output = execute(after, operation.input)
      const fits = !isCertain(operation) || JSON.stringify(output) === JSON.stringify(operation.output)
      return fits && goOn(after, left.filter(other => other !== operation)) // biome-ignore format: one thought
    })
  }
  return goOn(
    new Map(),
    operations.filter(({ outcome, invoked }) => outcome !== 'fail' && invoked <= place)
  )
}

/** The same model with less to go by: each must come to the same verdict. */
function variantsOf<S, I, O>(model: Model<S, I, O>, keys: readonly Key[]): Model<S, I, O>[] {
  const { init, step, keyOf, reads } = model
  const bare: Model<S, I, O> = { init, step, keyOf, reads }
  const { simplerFor, ...whole } = model
  const { traces, ...traceless } = whole
  const variants = [bare, traceless, whole]
  if (model.kindOf !== undefined) variants.push({ ...bare, kindOf: model.kindOf })
  if (simplerFor !== undefined) variants.push(model)
  if (traces !== undefined) variants.push({ ...whole, keysOf: () => keys })
  return variants
}

const anyShape: fc.Arbitrary<HistoryShape> = fc.record({
  operations: fc.integer({ min: 1, max: 7 }),
  clients: fc.integer({ min: 1, max: 5 }),
  keys: fc.constant(['k']),
  values: fc.constantFrom(null, 1, 2, 3),
  writes: fc.constantFrom(0.2, 0.5, 0.8),
  cas: fc.constantFrom(0, 0.3, 0.6),
  transactions: fc.constant(0),
  unknown: fc.constantFrom(0, 0.2, 0.5),
  hints: fc.boolean()
})

function agree(verdict: Verdict<unknown, StoreInput, StoreOutput>, operations: readonly Recorded[]): void {
  const expected = hasOrder(operations)
  if (verdict.valid !== expected) throw new Error(`the checker says ${verdict.valid}, and every order was tried`)
  const { counterexample } = verdict
  if (counterexample === undefined) return
  const { stuck } = counterexample
  // The part of the history that is about other keys may not be linearizable either, so it is left out.
  const part = operations.filter(
    operation => counterexample.operations.includes(operation) || operation.invoked > stuck.ended
  )
  if (hasOrder(part, stuck.ended)) throw new Error('the counterexample has an order')
  if (!hasOrder(part, stuck.ended - 1)) throw new Error('the counterexample could be shorter')
}

function tally(verdicts: Map<string, number>, valid: boolean, operations: readonly Recorded[]): void {
  const name = `${valid}${operations.some(({ outcome }) => outcome === 'info') ? ' with unknown' : ''}`
  verdicts.set(name, (verdicts.get(name) ?? 0) + 1)
}

for (const [name, shape, models] of [
  ['one key', {}, [registerModel as unknown as Model<unknown, StoreInput, StoreOutput>]],
  ['several keys', { keys: ['a', 'b', 3] }, [transactionModel]],
  ['transactions', { keys: ['a', 'b'], transactions: 0.6 }, [transactionModel]]
] as const) {
  t.test(`${name}: the verdict is that of trying every order`, async t => {
    const verdicts = new Map<string, number>()
    fc.assert(
      fc.property(anyShape, fc.integer(), fc.nat({ max: 3 }), (drawn, seed, spoilt) => {
        const random = new Random(seed)
        const { keys } = { ...drawn, ...shape }
        const { operations } = randomHistory(random, { ...drawn, ...shape })
        for (let count = 0; count < spoilt; count++) spoil(random, operations)
        const valid = hasOrder(operations)
        if (spoilt === 0 && !valid) throw new Error('the history of a store that behaves has an order')
        tally(verdicts, valid, operations)
        for (const model of models as readonly Model<unknown, StoreInput, StoreOutput>[]) {
          for (const variant of variantsOf(model, keys)) agree(checkLinearizable(operations, variant), operations)
        }
      }),
      { numRuns: runs }
    )
    t.comment([...verdicts].map(([verdict, count]) => `${verdict}: ${count}`).join(', '))
    t.equal(verdicts.size, 4, 'linearizable and not, with unknown outcomes and without')
  })
}
