// The key-value store with transactions: several reads and writes of several keys that happen at one point.
import { leftBy, type RegisterInput, registerModel, type Value, nameOf as valueName } from './register-model.ts'
import type { Key, Model } from './sequential-model.ts'

/** One thing that a transaction does; it sees what the things before it did. `value` of a get: what it found. */
export type TransactionStep =
  | readonly [f: 'get', key: Key, value: Value]
  | readonly [f: 'put', key: Key, value: Value]
  | readonly [f: 'delete', key: Key]

/** What the gets found stands in the answer; in the input it is not looked at. */
export interface TransactionInput {
  readonly f: 'txn'
  readonly steps: readonly TransactionStep[]
}

export type StoreInput = RegisterInput | TransactionInput

/** What a get has found, the steps of a transaction with what its gets have found; null of everything else. */
export type StoreOutput = Value | readonly TransactionStep[]

/** The keys that are present. The state of a part of the history that is about one key alone is its value. */
export type Store = ReadonlyMap<Key, Value> | Value

type Writes = ReadonlyMap<Key, Value>

/** Histories of transactions, and of single keys beside them. Keys that a transaction touches are judged together. */
export const transactionModel: Model<Store, StoreInput, StoreOutput> = {
  init: () => new Map(),
  step: (state, input, output) => {
    const store = state as Writes
    if (input.f === 'txn') return stepThrough(store, isSteps(output) ? output : null, input.steps)
    const before = store.get(input.key) ?? null
    const after = registerModel.step(before, input, output as Value)
    if (after === undefined) return undefined
    return after === before ? store : stored(store, [[input.key, after]])
  },
  keyOf: state => keyOfStore(state as Writes),
  reads: input => (input.f === 'txn' ? input.steps.every(([f]) => f === 'get') : input.f === 'get'),
  keysOf: input => (input.f === 'txn' ? input.steps.map(([, key]) => key) : [input.key]),
  kindOf: input => {
    const names = namesOf(writesOf(input)).sort()
    return textOf(input.f === 'cas' ? [...names, valueName(input.expected)] : names)
  },
  traces: {
    leaves: input => namesOf(writesOf(input)),
    finds: (input, output) => {
      if (input.f === 'txn') return isSteps(output) ? foundBy(output) : []
      if (input.f === 'cas') return [nameOf(input.key, input.expected)]
      return input.f === 'get' && output !== undefined ? [nameOf(input.key, output as Value)] : []
    },
    hides: (state, input) => {
      const store = state as Writes
      const names: string[] = []
      for (const [key, value] of writesOf(input)) {
        const held = store.get(key) ?? null
        if (held !== value) names.push(nameOf(key, held))
      }
      return names
    },
    initially: keys => keys.map(key => nameOf(key, null)),
    placeOf: name => name.slice(0, name.indexOf(' ') + 1 + Number.parseInt(name, 10))
  },
  // Single keys are judged faster as what they are: the state is another, and nobody looks into it here.
  simplerFor: inputs => (inputs.some(({ f }) => f === 'txn') ? null : registerModel)
}

function isSteps(output: StoreOutput | undefined): output is readonly TransactionStep[] {
  return Array.isArray(output)
}

/** Different for different pairs: the length tells where the key ends. */
function nameOf(key: Key, value: Value): string {
  const keyText = valueName(key)
  return `${keyText.length} ${keyText}${valueName(value)}`
}

function namesOf(writes: Writes): string[] {
  return Array.from(writes, ([key, value]) => nameOf(key, value))
}

/** Different for different lists. */
function textOf(names: readonly string[]): string {
  return names.map(name => `${name.length} ${name}`).join('')
}

function stepThrough(
  store: Writes,
  found: readonly TransactionStep[] | null,
  steps: readonly TransactionStep[]
): Writes | undefined {
  const writes = new Map<Key, Value>()
  for (const step of found ?? steps) {
    const [f, key] = step
    if (f !== 'get') writes.set(key, f === 'put' ? step[2] : null)
    else if (found !== null) {
      const value = writes.has(key) ? writes.get(key) : store.get(key)
      if ((value ?? null) !== step[2]) return undefined
    }
  }
  return writes.size === 0 ? store : stored(store, writes)
}

function stored(store: Writes, writes: Iterable<readonly [Key, Value]>): Writes {
  const after = new Map(store)
  for (const [key, value] of writes) {
    if (value === null) after.delete(key)
    else after.set(key, value)
  }
  return after
}

const keysOfStores = new WeakMap<Writes, string>()

/** Made once for each state: it is asked for many times. */
function keyOfStore(store: Writes): string {
  const known = keysOfStores.get(store)
  if (known !== undefined) return known
  const key = textOf(namesOf(store).sort())
  keysOfStores.set(store, key)
  return key
}

/** What is left of the writes: the last to each key. */
function writesOf(input: StoreInput): Writes {
  const writes = new Map<Key, Value>()
  if (input.f === 'txn') {
    for (const step of input.steps) if (step[0] !== 'get') writes.set(step[1], step[0] === 'put' ? step[2] : null)
  } else if (input.f !== 'get') writes.set(input.key, leftBy(input))
  return writes
}

/** What it found of others: its gets of keys that it had not written yet. */
function foundBy(steps: readonly TransactionStep[]): string[] {
  const own = new Set<Key>()
  const names: string[] = []
  for (const step of steps) {
    const [f, key] = step
    if (f !== 'get') own.add(key)
    else if (!own.has(key)) names.push(nameOf(key, step[2]))
  }
  return names
}
