// Commands of every kind but those of leases, over the few keys of the model.
import fc from 'fast-check'
import {
  type Command,
  type Compare,
  type Operation,
  type RangeOperation,
  relations,
  type TxnCommand,
  targets
} from '../../lib/wire/kv/commands.ts'
import { bytes } from './bed.ts'
import { commandArbitrary, keyArbitrary, valueArbitrary } from './model.ts'

const key = keyArbitrary.map(bytes)
const range = fc
  .tuple(fc.oneof(fc.constant(''), keyArbitrary), fc.option(keyArbitrary, { freq: 3 }))
  .map(([from, to]) => {
    const [first, last] = to !== null && to < from ? [to, from] : [from, to]
    return { from: bytes(first), to: last === null ? null : bytes(last) }
  })
const revision = fc.integer({ min: 0, max: 40 })

const put = fc.record({
  op: fc.constant('put' as const),
  key,
  value: valueArbitrary.map(bytes),
  ifRevision: fc.constant(null),
  previous: fc.boolean()
})
const remove = fc.record({
  op: fc.constant('delete' as const),
  key,
  ifRevision: fc.constant(null),
  previous: fc.boolean()
})
const deleteRange = range.map(each => ({ op: 'deleteRange' as const, ...each }))
const number = fc.record({
  op: fc.constantFrom('increment' as const, 'min' as const, 'max' as const),
  key,
  by: fc.oneof(fc.integer({ min: -5, max: 5 }), fc.constantFrom(Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER))
})
const append = fc.record({ op: fc.constant('append' as const), key, value: valueArbitrary.map(bytes) })
const get = key.map(each => ({ op: 'get' as const, key: each }))
const read: fc.Arbitrary<RangeOperation> = fc
  .tuple(range, fc.record({ limit: fc.nat(4), reverse: fc.boolean(), keysOnly: fc.boolean(), countOnly: fc.boolean() }))
  .map(([bounds, rest]) => ({ op: 'range', ...bounds, ...rest }))

const compare: fc.Arbitrary<Compare> = fc
  .tuple(fc.constantFrom(...targets), fc.constantFrom(...relations), key, fc.option(range), valueArbitrary, revision)
  .map(([target, relation, from, bounds, value, operand]) => ({
    target,
    relation,
    ...(bounds ?? { from, to: undefined }),
    operand: target === 'value' ? bytes(value) : operand
  }))

const change = fc.oneof(put, put, remove, deleteRange, number, append)
const operation: fc.Arbitrary<Operation> = fc.oneof({ weight: 3, arbitrary: change }, get, read)

function txn(depth: number): fc.Arbitrary<TxnCommand> {
  const step = depth === 0 ? operation : fc.oneof({ weight: 4, arbitrary: operation }, txn(depth - 1))
  return fc.record({
    op: fc.constant('txn' as const),
    compares: fc.array(compare, { maxLength: 2 }),
    onTrue: fc.array(step, { maxLength: 4 }),
    onFalse: fc.array(step, { maxLength: 4 })
  })
}

const fenced = fc
  .tuple(fc.oneof(put, remove), key, fc.integer({ min: 1, max: 40 }))
  .map(([command, fencing, token]) => ({ ...command, fencing: { key: fencing, token } }))

export const anyCommandArbitrary: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: commandArbitrary },
  { weight: 2, arbitrary: number },
  { weight: 1, arbitrary: append },
  { weight: 1, arbitrary: deleteRange },
  { weight: 2, arbitrary: fenced },
  { weight: 5, arbitrary: txn(2) }
)
