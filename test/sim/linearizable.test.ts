// The checker of histories: agrees with trying every order, knows the classic anomalies, and is fast enough to be used.
import fc from 'fast-check'
import { t } from 'tap'
import { Random } from '../../lib/base/random.ts'
import { History, type Operation } from '../../lib/sim/history/history.ts'
import { checkLinearizable, type Verdict } from '../../lib/sim/history/linearizable.ts'
import { registerModel, type Value } from '../../lib/sim/history/register-model.ts'
import type { Key, Model } from '../../lib/sim/history/sequential-model.ts'
import { type StoreInput, type StoreOutput, transactionModel } from '../../lib/sim/history/transaction-model.ts'
import { execute, type HistoryShape, randomHistory, spoil } from '../help/random-history.ts'
import { story } from '../help/story.ts'

const runs = Number(process.env['FC_RUNS'] ?? 2_000)
t.setTimeout(60_000 + runs * 20)

type Recorded = Operation<StoreInput, StoreOutput>

/** Tries every order of the operations up to that place, with each that is unknown and without. */
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
      if (!fits) return false
      const others = left.filter(other => other !== operation)
      return goOn(after, others)
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

const longShape: HistoryShape = {
  operations: 2_000,
  clients: 10,
  keys: ['k'],
  values: null,
  writes: 0.5,
  cas: 0,
  transactions: 0,
  unknown: 0,
  hints: false
}

/** One of the last gets is answered with what was there long before. */
function spoilLate(random: Random, operations: readonly Recorded[]): void {
  const gets = operations.filter(({ outcome, input }) => outcome === 'ok' && input.f === 'get')
  const at = gets.length - 1 - random.below(5)
  gets[at]!.output = gets[at - 30]!.output
}

function agree(verdict: Verdict<unknown, StoreInput, StoreOutput>, operations: readonly Recorded[]): void {
  const expected = hasOrder(operations)
  if (verdict.valid !== expected) throw new Error(`the checker says ${verdict.valid}, and every order was tried`)
  const { counterexample } = verdict
  if (counterexample === undefined) return
  const { stuck, operations: part } = counterexample
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

t.test('what a model tells beside its steps saves time, and changes no verdict', async t => {
  const verdicts = new Map<string, number>()
  const shapes = anyShape.map(shape => ({ ...shape, operations: 4 * shape.operations }))
  fc.assert(
    fc.property(shapes, fc.boolean(), fc.integer(), fc.nat({ max: 2 }), (drawn, mixed, seed, spoilt) => {
      const random = new Random(seed)
      const shape = mixed ? { ...drawn, keys: ['a', 'b'], transactions: 0.5 } : drawn
      const { operations } = randomHistory(random, shape)
      for (let count = 0; count < spoilt; count++) spoil(random, operations)
      const { init, step, keyOf, reads } = transactionModel
      const { valid } = checkLinearizable(operations, { init, step, keyOf, reads }, { configurationsMax: 5_000 })
      if (valid === null) return
      tally(verdicts, valid, operations)
      const told = checkLinearizable(operations, transactionModel)
      if (told.valid !== valid) throw new Error(`${told.valid} with what the model tells, ${valid} without`)
    }),
    { numRuns: runs / 4 }
  )
  t.comment([...verdicts].map(([verdict, count]) => `${verdict}: ${count}`).join(', '))
  t.equal(verdicts.size, 4, 'linearizable and not, with unknown outcomes and without')
})

type Story = readonly [valid: boolean, name: string, operations: ReturnType<typeof story>]

const stories: readonly Story[] = [
  [true, 'nothing happened', story()],
  [true, 'a get of nothing', story([1, 'get'], [1, 'ok', null])],
  [false, 'a stale read', story([1, 'put', 1], [1, 'ok'], [1, 'put', 2], [1, 'ok'], [2, 'get'], [2, 'ok', 1])],
  [false, 'a read before the write', story([2, 'get'], [2, 'ok', 1], [1, 'put', 1], [1, 'ok'])],
  [true, 'a read of a write that is under way', story([1, 'put', 1], [2, 'get'], [2, 'ok', 1], [1, 'ok'])],
  [
    false,
    'a read that goes back behind another',
    story([1, 'put', 1], [2, 'get'], [2, 'ok', 1], [3, 'get'], [3, 'ok', null], [1, 'ok'])
  ],
  [
    false,
    'an update lost: two increments of the same number',
    story([1, 'put', 0], [1, 'ok'], [1, 'cas', 0, 1], [2, 'cas', 0, 1], [1, 'ok'], [2, 'ok'])
  ],
  [
    false,
    'an acknowledged write lost',
    story([1, 'put', 1], [1, 'ok'], [2, 'put', 2], [2, 'ok'], [3, 'get'], [3, 'ok', 2], [3, 'get'], [3, 'ok', 1])
  ],
  [false, 'a value that was never written', story([1, 'put', 1], [2, 'get'], [2, 'ok', 7], [1, 'ok'])],
  [false, 'a number is not its text', story([1, 'put', 1], [1, 'ok'], [2, 'get'], [2, 'ok', '1'])],
  [
    true,
    'a write of unknown outcome that surfaces later',
    story([1, 'put', 1], [1, 'info'], [2, 'put', 2], [2, 'ok'], [2, 'get'], [2, 'ok', 2], [2, 'get'], [2, 'ok', 1])
  ],
  [
    false,
    'a write of unknown outcome that surfaces twice',
    story(
      [1, 'put', 1],
      [1, 'info'],
      [2, 'get'],
      [2, 'ok', 1],
      [2, 'put', 2],
      [2, 'ok'],
      [2, 'get'],
      [2, 'ok', 2],
      [2, 'get'],
      [2, 'ok', 1]
    )
  ],
  [
    true,
    'a write of unknown outcome that never surfaces',
    story([1, 'put', 1], [1, 'info'], [2, 'get'], [2, 'ok', null])
  ],
  [true, 'a write that was never answered is unknown', story([1, 'put', 1], [2, 'get'], [2, 'ok', 1])],
  [
    false,
    'an unknown write does not surface before it was called',
    story([2, 'get'], [2, 'ok', 1], [1, 'put', 1], [1, 'info'])
  ],
  [false, 'a failed write that took effect', story([1, 'put', 1], [1, 'fail'], [2, 'get'], [2, 'ok', 1])],
  [
    false,
    'a write that is to fail, and is seen before',
    story([1, 'put', 1], [2, 'get'], [2, 'ok', 1], [1, 'fail'], [2, 'get'], [2, 'ok', 1])
  ],
  [
    false,
    'real time: two writes in order, and two readers that disagree with it',
    story(
      [1, 'put', 1],
      [1, 'ok'],
      [1, 'put', 2],
      [2, 'get'],
      [1, 'ok'],
      [2, 'ok', 2],
      [3, 'get'],
      [2, 'get'],
      [3, 'ok', 1],
      [2, 'ok', 2]
    )
  ],
  [
    false,
    'two readers see two writes in different orders',
    story(
      [1, 'put', 1],
      [2, 'put', 2],
      [3, 'get'],
      [3, 'ok', 1],
      [3, 'get'],
      [3, 'ok', 2],
      [3, 'get'],
      [3, 'ok', 1],
      [1, 'ok'],
      [2, 'ok']
    )
  ],
  [true, 'a cas under way is seen', story([1, 'cas', null, 1], [2, 'get'], [2, 'ok', 1], [1, 'ok'])],
  [false, 'a cas of something else', story([1, 'put', 1], [1, 'ok'], [2, 'cas', 2, 3], [2, 'ok'])],
  [
    true,
    'an unknown delete between two writes, of which only the second cas tells',
    story([1, 'delete'], [2, 'put', 5], [3, 'cas', null, 19], [3, 'ok'], [2, 'ok'], [4, 'cas', 19, 34], [4, 'ok'])
  ],
  [
    true,
    'an unknown write that one order needs early, and another keeps for later',
    story(
      [9, 'put', 1],
      [8, 'cas', 9, 1],
      [3, 'get'],
      [1, 'put', 1],
      [2, 'put', 2],
      [1, 'ok'],
      [3, 'ok', 2],
      [2, 'ok'],
      [2, 'get'],
      [2, 'ok', 1],
      [2, 'put', 3],
      [2, 'ok'],
      [2, 'get'],
      [2, 'ok', 1]
    )
  ]
]

t.test('stories', async t => {
  for (const [valid, name, operations] of stories) {
    t.equal(hasOrder(operations), valid, `${name}: by trying every order`)
    t.equal(checkLinearizable(operations, registerModel).valid, valid, name)
    t.equal(checkLinearizable(operations, transactionModel).valid, valid, `${name}: among transactions`)
  }
})

t.test('transactions happen at one point', async t => {
  const play = (found: readonly [Value, Value]): boolean | null => {
    const history = new History<StoreInput, StoreOutput>()
    const write = history.invoke(
      1,
      {
        f: 'txn',
        steps: [
          ['put', 'a', 1],
          ['put', 'b', 1]
        ]
      },
      0
    )
    const gets = (values: readonly [Value, Value]) =>
      [
        ['get', 'a', values[0]],
        ['get', 'b', values[1]]
      ] as const
    const read = history.invoke(2, { f: 'txn', steps: gets([null, null]) }, 1)
    history.ok(read, gets(found), 2)
    history.ok(
      write,
      [
        ['put', 'a', 1],
        ['put', 'b', 1]
      ],
      3
    )
    return checkLinearizable(history.operations, transactionModel).valid
  }
  t.equal(play([null, null]), true)
  t.equal(play([1, 1]), true)
  t.equal(play([1, null]), false)
  t.equal(play([null, 1]), false)
})

t.test('a transaction sees what it did itself', async t => {
  const play = (value: Value): boolean | null => {
    const history = new History<StoreInput, StoreOutput>()
    const steps = [
      ['put', 'a', 1],
      ['get', 'a', value],
      ['delete', 'a'],
      ['get', 'a', null]
    ] as const
    history.ok(history.invoke(1, { f: 'txn', steps }, 0), steps, 1)
    return checkLinearizable(history.operations, transactionModel).valid
  }
  t.equal(play(1), true)
  t.equal(play(null), false)
})

t.test('the counterexample: the shortest beginning, who is stuck, and what there was instead', async t => {
  const calls = [
    [1, 'put', 1],
    [1, 'ok'],
    [2, 'put', 2],
    [2, 'ok'],
    [3, 'get'],
    [4, 'put', 3],
    [3, 'ok', 1]
  ] as const
  const operations = story(...calls, [3, 'get'], [3, 'ok', 9])
  const verdict = checkLinearizable(operations, registerModel)
  t.match(verdict, { valid: false, operations: 5, partitions: 1 })
  t.strictSame(verdict.counterexample?.keys, ['k'])
  t.strictSame(verdict.counterexample?.operations, operations.slice(0, 4))
  t.equal(verdict.counterexample?.stuck, operations[2])
  t.strictSame(verdict.counterexample?.states, [2])
})

t.test('keys are judged apart, and those that a transaction joins together', async t => {
  const history = new History<StoreInput, StoreOutput>()
  for (const key of ['a', 'b', 'c', 'd']) history.ok(history.invoke(1, { f: 'put', key, value: 1 }, 0), null, 1)
  const steps = [
    ['get', 'b', 1],
    ['get', 'd', 1]
  ] as const
  history.ok(history.invoke(1, { f: 'txn', steps }, 2), steps, 3)
  t.match(checkLinearizable(history.operations, transactionModel), { valid: true, operations: 5, partitions: 3 })
  history.ok(history.invoke(1, { f: 'get', key: 'd' }, 4), null, 5)
  const { counterexample } = checkLinearizable(history.operations, transactionModel)
  t.strictSame(counterexample?.keys, ['b', 'd'])
  t.equal(counterexample?.operations.length, 4)
})

t.test('a search that is bounded says that it has not decided', async t => {
  const shape = { ...longShape, operations: 200 }
  const { operations } = randomHistory(new Random(1, 'bounded'), shape)
  t.match(checkLinearizable(operations, registerModel as typeof transactionModel, { configurationsMax: 5 }), {
    valid: null,
    configurations: 5,
    counterexample: undefined
  })
})

type LongHistory = readonly [name: string, shape: Partial<HistoryShape>, whenSpoilt: boolean, msMax: number]

const longHistories: readonly LongHistory[] = [
  ['values written once', {}, false, 1_000],
  ['with unknown outcomes', { unknown: 0.1 }, false, 1_000],
  ['with conditions', { cas: 0.3 }, false, 1_000],
  ['mostly writes', { writes: 0.9 }, false, 1_000],
  // Here a wrong answer may take an exhaustive search, or be explained by one of the unknown writes.
  ['five values', { values: 5 }, false, 10_000],
  ['five values, with unknown outcomes and conditions', { values: 5, unknown: 0.1, cas: 0.3 }, true, 10_000]
]

t.test('2,000 operations of ten clients on one key', async t => {
  for (const [name, shape, whenSpoilt, msMax] of longHistories) {
    for (const isSpoilt of [false, true]) {
      const random = new Random(7, name)
      const { operations } = randomHistory(random, { ...longShape, ...shape })
      if (isSpoilt) spoilLate(random, operations)
      const before = process.cpuUsage()
      const { valid, configurations } = checkLinearizable(operations, transactionModel)
      const ms = process.cpuUsage(before).user / 1_000
      t.comment(
        `${name}${isSpoilt ? ', spoilt' : ''}: ${valid} after ${configurations} configurations, ${Math.round(ms)} ms`
      )
      t.equal(valid, isSpoilt ? whenSpoilt : true, name)
      t.ok(ms < msMax, `${name}: in time`)
    }
  }
})
