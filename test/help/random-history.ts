// Histories of a store that behaves: its operations take effect one by one, at chance between their calls and answers.
import type { Random } from '../../lib/base/random.ts'
import { History, type Operation } from '../../lib/sim/history/history.ts'
import type { Value } from '../../lib/sim/history/register-model.ts'
import type { Key } from '../../lib/sim/history/sequential-model.ts'
import type { StoreInput, StoreOutput, TransactionStep } from '../../lib/sim/history/transaction-model.ts'

export interface HistoryShape {
  readonly operations: number
  readonly clients: number
  readonly keys: readonly Key[]
  /** Values are 0, 1, ... below it; null: each is written once. */
  readonly values: number | null
  /** Probabilities. */
  readonly writes: number
  readonly cas: number
  readonly transactions: number
  readonly unknown: number
  /** Answers carry the number of the state after which they took effect. */
  readonly hints: boolean
}

interface Client {
  process: number
  operation: Operation<StoreInput, StoreOutput> | null
  /** Undefined until it has taken effect. */
  answer: Answer | undefined
}

type Answer = { readonly kind: 'ok'; readonly output: StoreOutput; readonly hint: number } | { readonly kind: 'fail' }

export function randomHistory(random: Random, shape: HistoryShape): History<StoreInput, StoreOutput> {
  return new Play(random, shape).run()
}

class Play {
  readonly #random: Random
  readonly #shape: HistoryShape
  readonly #history = new History<StoreInput, StoreOutput>()
  readonly #clients: Client[]
  /** Of unknown outcome, and may take effect yet. */
  readonly #limbo: StoreInput[] = []
  readonly #store = new Map<Key, Value>()
  #time = 0
  #effects = 0

  constructor(random: Random, shape: HistoryShape) {
    this.#random = random
    this.#shape = shape
    this.#clients = Array.from({ length: shape.clients }, (_, process) => ({
      process,
      operation: null,
      answer: undefined
    }))
  }

  run(): History<StoreInput, StoreOutput> {
    for (;;) {
      const full = this.#history.operations.length >= this.#shape.operations
      const busy = this.#clients.filter(client => client.operation !== null || !full)
      if (busy.length === 0) return this.#history
      this.#advance(busy[this.#random.below(busy.length)]!)
      if (this.#limbo.length > 0 && this.#random.chance(0.05)) {
        const [late] = this.#limbo.splice(this.#random.below(this.#limbo.length), 1)
        this.#effect(late!)
      }
    }
  }

  #advance(client: Client): void {
    this.#time++
    const { operation, answer } = client
    if (operation === null) {
      client.operation = this.#history.invoke(client.process, this.#input(), this.#time)
    } else if (answer === undefined) {
      if (this.#random.chance(this.#shape.unknown)) this.#loseTrack(client, operation)
      else client.answer = this.#effect(operation.input)
    } else {
      if (answer.kind === 'fail') this.#history.fail(operation, this.#time)
      else if (this.#shape.hints) this.#history.ok(operation, answer.output, this.#time, answer.hint)
      else this.#history.ok(operation, answer.output, this.#time)
      client.operation = null
      client.answer = undefined
    }
  }

  #loseTrack(client: Client, operation: Operation<StoreInput, StoreOutput>): void {
    if (this.#random.chance(0.5)) this.#effect(operation.input)
    else this.#limbo.push(operation.input)
    if (this.#random.chance(0.5)) this.#history.info(operation, this.#time)
    client.process += this.#shape.clients
    client.operation = null
  }

  #effect(input: StoreInput): Answer {
    const output = execute(this.#store, input)
    if (output === undefined) return { kind: 'fail' }
    if (input.f !== 'get') this.#effects++
    return { kind: 'ok', output, hint: this.#effects }
  }

  #input(): StoreInput {
    const { keys, writes, cas, transactions } = this.#shape
    if (this.#random.chance(transactions)) return { f: 'txn', steps: this.#steps() }
    const key = keys[this.#random.below(keys.length)]!
    if (this.#random.chance(cas)) {
      // Mostly what is there now, which may be something else by the time that it takes effect.
      const held = this.#store.get(key) ?? null
      return { f: 'cas', key, expected: this.#random.chance(0.8) ? held : this.#value(), value: this.#value() }
    }
    if (!this.#random.chance(writes)) return { f: 'get', key }
    return this.#random.chance(0.1) ? { f: 'delete', key } : { f: 'put', key, value: this.#value() }
  }

  #steps(): TransactionStep[] {
    const { keys, writes } = this.#shape
    return Array.from({ length: 1 + this.#random.below(3) }, () => {
      const key = keys[this.#random.below(keys.length)]!
      if (!this.#random.chance(writes)) return ['get', key, null]
      return this.#random.chance(0.1) ? ['delete', key] : ['put', key, this.#value()]
    })
  }

  #value(): number {
    const { values } = this.#shape
    return values === null ? ++this.#time : this.#random.below(values)
  }
}

/** Does it, and gives the answer; undefined where a condition is not met, and nothing is done. */
export function execute(store: Map<Key, Value>, input: StoreInput): StoreOutput | undefined {
  if (input.f === 'txn') {
    return input.steps.map(([f, key, value]) => {
      if (f === 'get') return [f, key, store.get(key) ?? null]
      store.set(key, f === 'put' ? value : null)
      return f === 'put' ? [f, key, value] : [f, key]
    })
  }
  const held = store.get(input.key) ?? null
  if (input.f === 'get') return held
  if (input.f === 'cas' && input.expected !== held) return undefined
  store.set(input.key, input.f === 'delete' ? null : input.value)
  return null
}

/** Changes one answer to something that was answered or written elsewhere; false where there is nothing to change. */
export function spoil(random: Random, operations: readonly Operation<StoreInput, StoreOutput>[]): boolean {
  const values: Value[] = [null]
  for (const { input } of operations) if ('value' in input) values.push(input.value)
  const answers = operations.filter(({ outcome }) => outcome === 'ok')
  const operation = answers[random.below(answers.length)]
  if (operation === undefined) return false
  const value = values[random.below(values.length)]!
  const { input, output } = operation
  if (input.f === 'get') operation.output = value
  else if (input.f !== 'txn') {
    operation.outcome = 'fail'
    operation.output = undefined
  } else {
    const steps = output as readonly TransactionStep[]
    const at = random.below(steps.length)
    operation.output = steps.map((step, place) => (place === at && step[0] === 'get' ? ['get', step[1], value] : step))
  }
  return true
}
