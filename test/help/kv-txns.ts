// Changes of several keys at once, as commands of fast-check: transactions, range deletes, updates and optimistic changes,
// each done to the model and to the cluster, and compared.
import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import { codeOfNumber } from '../../lib/base/errors.ts'
import { cmp, op } from '../../lib/client/client.ts'
import type { Comparison } from '../../lib/client/compares.ts'
import type { Entry } from '../../lib/client/entry.ts'
import type { Op, OpKind } from '../../lib/client/operations.ts'
import { isEntry } from '../../lib/server/json-entry.ts'
import {
  type Compare,
  type Operation,
  type RangeOperation,
  relations,
  type TxnCommand,
  targets
} from '../../lib/wire/kv/commands.ts'
import type { Believed, Bench, End } from './kv-bench.ts'
import { plainOf } from './kv-writes.ts'

/** Keys for these alone: their values stay small, so that no answer is above its limit. */
const keys = ['t/a', 't/a\0', 't/ab', 't/b', 't/é', 't/\uffff', 't/\u{10000}'].map(each => Buffer.from(each))
const end = Buffer.from('t0')
const key = fc.constantFrom(...keys)
const value = fc
  .oneof(fc.constantFrom('0', '7', '-3', '007', '', 'x'), fc.string({ unit: 'binary', maxLength: 8 }))
  .map(each => Buffer.from(each))
const range = fc.tuple(key, fc.constantFrom(...keys, end)).map(([one, other]) => {
  return Buffer.compare(one, other) < 0 ? { from: one, to: other } : { from: other, to: one }
})

const change: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ op: fc.constant('put' as const), key, value, ifRevision: fc.constant(null), previous: fc.boolean() }),
  fc.record({ op: fc.constant('delete' as const), key, ifRevision: fc.constant(null), previous: fc.boolean() }),
  range.map(each => ({ op: 'deleteRange' as const, ...each })),
  fc.record({
    op: fc.constantFrom('increment' as const, 'min' as const, 'max' as const),
    key,
    by: fc.integer({ min: -5, max: 5 })
  }),
  fc.record({ op: fc.constant('append' as const), key, value })
)
const read: fc.Arbitrary<Operation> = fc.oneof(
  key.map(each => ({ op: 'get' as const, key: each })),
  fc
    .tuple(range, fc.nat(3), fc.boolean(), fc.boolean(), fc.boolean())
    .map(([bounds, limit, reverse, keysOnly, countOnly]): RangeOperation => {
      return { op: 'range', ...bounds, limit: countOnly ? 0 : limit, reverse, keysOnly, countOnly }
    })
)
const compare: fc.Arbitrary<Compare> = fc
  .tuple(fc.constantFrom(...targets), fc.constantFrom(...relations), key, fc.option(range), value, fc.nat(60))
  .map(([target, relation, from, bounds, bytes, number]) => ({
    target,
    relation,
    ...(bounds ?? { from, to: undefined }),
    operand: target === 'value' ? bytes : number
  }))

function txnOf(depth: number): fc.Arbitrary<TxnCommand> {
  const step = depth === 0 ? fc.oneof(change, read) : fc.oneof(change, change, read, txnOf(depth - 1))
  const branch = fc.array(step, { maxLength: 4 })
  return fc.record({
    op: fc.constant('txn' as const),
    compares: fc.array(compare, { maxLength: 2 }),
    onTrue: branch,
    onFalse: branch
  })
}

type Steps = readonly Op<OpKind, Uint8Array>[]

function comparisonOf({ target, relation, from, to, operand }: Compare): Comparison<Uint8Array> {
  const tests = to === undefined ? cmp(from) : cmp({ from, ...(to !== null && { to }) })
  if (target === 'value') return tests.value[relation](operand as Uint8Array)
  return tests[target === 'leaseId' ? 'lease' : target][relation](operand as number)
}

function boundsOf({ from, to }: { readonly from: Uint8Array; readonly to: Uint8Array | null }) {
  return { from, ...(to !== null && { to }) }
}

function stepOf(step: Operation): Op<OpKind, Uint8Array> {
  switch (step.op) {
    case 'put':
      return op.put(step.key, step.value, { previous: step.previous })
    case 'delete':
      return op.delete(step.key, { previous: step.previous })
    case 'deleteRange':
      return op.deleteRange(boundsOf(step))
    case 'increment':
      return op.add(step.key, step.by)
    case 'min':
    case 'max':
      return op[step.op](step.key, step.by)
    case 'append':
      return op.append(step.key, step.value)
    case 'get':
      return op.get(step.key)
    case 'range': {
      if (step.countOnly) return op.count(boundsOf(step))
      const { limit, reverse, keysOnly } = step
      return op.getRange({ ...boundsOf(step), reverse, keysOnly, ...(limit !== 0 && { limit }) })
    }
    case 'txn':
      // oxlint-disable-next-line unicorn/no-thenable -- the branch is named so
      return op.txn({ if: step.compares.map(comparisonOf), then: stepsOf(step.onTrue), else: stepsOf(step.onFalse) })
  }
}

function stepsOf(steps: readonly Operation[]): Steps {
  return steps.map(stepOf)
}

/** What the client makes of an answer as the model gives it. */
function wanted(step: Operation, answer: unknown): unknown {
  const fields = answer as readonly unknown[]
  switch (step.op) {
    case 'put':
      return step.previous ? { previous: answer } : {}
    case 'delete':
      return step.previous ? { deleted: fields[0], previous: fields[1] } : { deleted: fields[0] }
    case 'deleteRange':
      return { deleted: answer }
    case 'append':
      return { length: answer }
    case 'get':
      return answer
    case 'range':
      return step.countOnly ? answer : { entries: fields.slice(1), more: fields[0] === 1 }
    case 'txn':
      return wantedOf(step, fields)
    default:
      return { value: answer }
  }
}

function wantedOf({ onTrue, onFalse }: TxnCommand, [first, responses]: readonly unknown[]) {
  const steps = first === 1 ? onTrue : onFalse
  const answers = responses as readonly unknown[]
  return { succeeded: first === 1, responses: steps.map((step, at) => wanted(step, answers[at])) }
}

function plainly(told: unknown): unknown {
  if (isEntry(told)) return plainOf(told as Entry<Uint8Array | null>)
  if (Array.isArray(told)) return told.map(plainly)
  if (typeof told !== 'object' || told === null) return told
  return Object.fromEntries(Object.entries(told).map(([name, each]) => [name, plainly(each)]))
}

function endOf(told: End<unknown>): unknown {
  return 'code' in told ? told.code : plainly(told.result)
}

/** What the model says of a transaction, as the client would. */
function execute(command: TxnCommand, { store }: Believed): unknown {
  const [status, revision, answer] = store.execute(command)
  return status === 0 ? { ...wantedOf(command, answer as readonly unknown[]), revision } : codeOfNumber(status)
}

type Doing = fc.AsyncCommand<Believed, Bench>

class Txn implements Doing {
  readonly #command: TxnCommand

  constructor(command: TxnCommand) {
    this.#command = command
  }

  check(): boolean {
    return true
  }

  async run(believed: Believed, bench: Bench): Promise<void> {
    const { compares, onTrue, onFalse } = this.#command
    const txn = bench.client
      .txn()
      .if(...compares.map(comparisonOf))
      .then(...stepsOf(onTrue))
      .else(...stepsOf(onFalse))
    const told = endOf(await bench.end(txn.commit()))
    deepStrictEqual(told, execute(this.#command, believed))
    believed.remember()
  }

  toString(): string {
    return `txn(${JSON.stringify(this.#command)})`
  }
}

class DeleteRange implements Doing {
  readonly #bounds: { readonly from: Buffer; readonly to: Buffer }
  readonly #atomic: boolean

  constructor(bounds: { readonly from: Buffer; readonly to: Buffer }, atomic: boolean) {
    this.#bounds = bounds
    this.#atomic = atomic
  }

  check(): boolean {
    return true
  }

  async run(believed: Believed, bench: Bench): Promise<void> {
    const told = await bench.end(bench.client.deleteRange(this.#bounds, { atomic: this.#atomic }))
    const [status, revision, answer] = believed.store.execute({ op: 'deleteRange', ...this.#bounds })
    deepStrictEqual([status, endOf(told)], [0, { deleted: (answer as readonly unknown[])[0], revision }])
    believed.remember()
  }

  toString(): string {
    return `deleteRange(${JSON.stringify(this.#bounds)}, ${this.#atomic})`
  }
}

/** Reads two keys and a range, and writes what it found. */
class Transact implements Doing {
  readonly #keys: readonly [Buffer, Buffer]
  readonly #bounds: { readonly from: Buffer; readonly to: Buffer }
  readonly #limit: number

  constructor(both: readonly [Buffer, Buffer], bounds: { readonly from: Buffer; readonly to: Buffer }, limit: number) {
    this.#keys = both
    this.#bounds = bounds
    this.#limit = limit
  }

  check(): boolean {
    return true
  }

  async run(believed: Believed, bench: Bench): Promise<void> {
    const [one, other] = this.#keys
    const told = await bench.end(
      bench.client.transact(async tx => {
        const found = await tx.getMany([one, other])
        const entries = await tx.range({ ...this.#bounds, limit: this.#limit, reverse: this.#limit === 2 })
        tx.delete(other)
        tx.put(one, Buffer.from(entries.map(entry => entry.version).join()))
        return [...found, ...entries]
      })
    )
    const get = (each: Buffer): Operation => ({ op: 'get', key: each })
    const range: Operation = {
      op: 'range',
      ...this.#bounds,
      limit: this.#limit,
      reverse: this.#limit === 2,
      keysOnly: false,
      countOnly: false
    }
    const reads = execute({ op: 'txn', compares: [], onTrue: [get(one), get(other), range], onFalse: [] }, believed)
    const [first, second, listed] = (reads as { readonly responses: readonly unknown[] }).responses
    const { entries } = listed as { readonly entries: readonly { readonly version: number }[] }
    deepStrictEqual(endOf(told), [first, second, ...entries])
    const text = Buffer.from(entries.map(({ version }) => version).join())
    const put: Operation = { op: 'put', key: one, value: text, ifRevision: null, previous: false }
    const remove: Operation = { op: 'delete', key: other, ifRevision: null, previous: false }
    const writes = one.equals(other) ? [put] : [put, remove]
    execute({ op: 'txn', compares: [], onTrue: writes, onFalse: [] }, believed)
    believed.remember()
  }

  toString(): string {
    return `transact(${JSON.stringify([this.#keys, this.#bounds, this.#limit])})`
  }
}

class Update implements Doing {
  readonly #key: Buffer

  constructor(name: Buffer) {
    this.#key = name
  }

  check(): boolean {
    return true
  }

  async run(believed: Believed, bench: Bench): Promise<void> {
    const next = (before: number): Buffer => Buffer.from(String(before + 1))
    const told = await bench.end(
      bench.client.update(this.#key, (before, entry) => next(entry === null ? -1 : before!.length))
    )
    const present = believed.store.entries.get(this.#key.toString('latin1'))
    const written = next(present === undefined ? -1 : present.value!.length)
    const put = { op: 'put', key: this.#key, value: written, ifRevision: null, previous: false } as const
    const [, revision] = believed.store.execute(put)
    deepStrictEqual(told, { result: { value: written, revision } })
    believed.remember()
  }

  toString(): string {
    return `update(${JSON.stringify(this.#key)})`
  }
}

export const manyKeysArbitraries: readonly fc.Arbitrary<Doing>[] = [
  txnOf(1).map(command => new Txn(command)),
  txnOf(1).map(command => new Txn(command)),
  fc.tuple(range, fc.boolean()).map(([bounds, atomic]) => new DeleteRange(bounds, atomic)),
  fc.tuple(fc.tuple(key, key), range, fc.integer({ min: 1, max: 3 })).map(each => new Transact(...each)),
  key.map(each => new Update(each))
]
