// The built-in workload: production clients of the key-value store, and the histories that they are judged by.
import { StrettoError } from '../base/errors.ts'
import type { Entry } from '../client/entry.ts'
import { Client } from '../client/kv-client.ts'
import { op } from '../client/operations.ts'
import { GhostStore } from './ghost/ghost-store.ts'
import { Violation } from './ghost/violation.ts'
import { type CounterInput, counterModel } from './history/counter-model.ts'
import { History, type Operation } from './history/history.ts'
import { type CheckOptions, checkLinearizable } from './history/linearizable.ts'
import type { Model } from './history/sequential-model.ts'
import {
  type StoreInput,
  type StoreOutput,
  type TransactionStep,
  transactionModel
} from './history/transaction-model.ts'
import { holdersMax, KvLeases } from './kv-leases.ts'
import { KvWatchers, watchersMax } from './kv-watchers.ts'
import { Caller, Calls, callMsMax, type Workload, type WorkloadParts } from './workload.ts'

const registers = ['a', 'b', 'c', 'd', 'e', 'f']
/** Read and written together, and so judged together: few, or their orders are many. */
const pair = ['p', 'q']
const counters = ['x', 'y']

/** What a process does in a round, and the share of it in a hundred. */
const shares = {
  put: 26,
  get: 20,
  'txn-pair': 3,
  'clear-pair': 1,
  cas: 10,
  delete: 6,
  increment: 10,
  count: 4,
  'get-pair': 4,
  'put-pair': 4,
  'session-get': 5,
  'put-thrice': 7
} as const

export type CallKind = keyof typeof shares
export const callKinds = Object.keys(shares) as readonly CallKind[]

/** A part of what the clients do by themselves. What is left out is not done, and shifts nothing of the rest. */
export interface KvShape {
  /** Registers that are used, from 1 to 6. */
  readonly keys?: number
  readonly kinds?: readonly CallKind[]
  /** The longest rest between two rounds of a process, milliseconds. */
  readonly restMs?: number
  /** Watchers: none where a node is made to serve what is wrong, which watches would be told. */
  readonly watchers?: number
  /** Holders of leases: none where the machine version stays at 1, which knows no leases. */
  readonly holders?: number
}

export const registersMax = registers.length
export const restMsDefault = 40

type Store = Client<string>
type Recorded = Operation<StoreInput, StoreOutput>

export class KvWorkload implements Workload {
  readonly hosts: readonly string[]
  readonly history = new History<StoreInput, StoreOutput>()
  readonly counts = new History<CounterInput, number>()
  readonly #parts: WorkloadParts
  readonly #calls: Calls
  readonly #callers: readonly Caller[]
  readonly #keys: number
  readonly #kinds: ReadonlySet<CallKind>
  readonly #restMs: number
  /** What was written at each revision, and there to each key of the pair, as far as anybody was told. */
  readonly #written = new Map<string, string>()
  readonly #watchers: KvWatchers
  readonly #leases: KvLeases
  /** The highest revision that anybody was told of. */
  #acknowledged = 1
  #stopped = false
  #looks = 0
  #values = 0

  constructor(parts: WorkloadParts, shape: KvShape = {}) {
    const {
      keys = registersMax,
      kinds = callKinds,
      restMs = restMsDefault,
      watchers = watchersMax,
      holders = holdersMax
    } = shape
    this.#parts = parts
    this.#keys = keys
    this.#kinds = new Set(kinds)
    this.#restMs = restMs
    this.#calls = new Calls(parts)
    this.#callers = Array.from({ length: parts.clients }, (_, at) => new Caller(parts.cluster, at + 1))
    const store = new GhostStore()
    parts.cluster.checks.store = store
    this.#watchers = new KvWatchers(parts, this.#calls, store, () => this.#acknowledged, watchers)
    this.#leases = new KvLeases(parts, this.#calls, store.leases, holders)
    this.hosts = [...this.#callers, ...this.#watchers.callers, ...this.#leases.callers].map(({ host }) => host)
  }

  get operations(): number {
    return this.#calls.operations
  }

  get pending(): number {
    return this.#calls.pending
  }

  start(): void {
    for (const caller of this.#callers) this.#calls.run(() => this.#live(caller))
    this.#watchers.start()
    this.#leases.start()
  }

  stop(): void {
    this.#stopped = true
    this.#watchers.hurry()
    this.#leases.stop()
  }

  async look(): Promise<void> {
    const caller = new Caller(this.#parts.cluster, 900 + this.#looks++)
    const store = this.#connect(caller)
    for (const key of [...registers, ...pair]) await this.#get(store, caller.process, key)
    for (const key of counters) await this.#count(store, caller.process, key)
    await this.#watchers.level(caller, this.#acknowledged)
    await this.#leases.level(caller)
    await store.close()
  }

  judge(): void {
    judgeHistory(this.history, transactionModel, 'a register')
    judgeHistory(this.counts, counterModel, 'a counter')
  }

  #connect(caller: Caller): Store {
    return new Client(caller.parts, caller.endpoints, { timeout: callMsMax })
  }

  async #live(caller: Caller): Promise<void> {
    const { random } = caller
    const store = this.#connect(caller)
    const seen = { revision: 0 }
    while (!this.#stopped) {
      const kind = kindOf(random.below(100))
      const register = registers[random.below(registers.length) % this.#keys]!
      const second = random.below(2)
      if (this.#kinds.has(kind)) await this.#round(store, caller.process, kind, register, second, seen)
      await caller.sleep(1 + random.below(this.#restMs))
    }
    await store.close()
  }

  async #round(
    store: Store,
    process: number,
    kind: CallKind,
    register: string,
    second: number,
    seen: { revision: number }
  ): Promise<void> {
    if (kind === 'put') await this.#put(store, process, register)
    else if (kind === 'get') await this.#get(store, process, register)
    else if (kind === 'cas') await this.#compareAndSet(store, process, register)
    else if (kind === 'delete') await this.#delete(store, process, register)
    else if (kind === 'increment') await this.#increment(store, process, counters[second]!)
    else if (kind === 'count') await this.#count(store, process, counters[second]!)
    else if (kind === 'get-pair') await this.#getPair(store, process)
    else if (kind === 'put-pair') await this.#put(store, process, pair[second]!)
    else if (kind === 'session-get') seen.revision = await this.#readSession(store, process, register, seen.revision)
    else if (kind === 'txn-pair') await this.#exchangePair(store, process)
    else if (kind === 'clear-pair') await this.#clearPair(store, process)
    // Not awaited one by one: they take effect in call order.
    else await Promise.all([1, 2, 3].map(() => this.#put(store, process, register)))
  }

  async #put(store: Store, process: number, key: string): Promise<void> {
    const value = this.#value(process)
    await this.#write(store, process, { f: 'put', key, value }, () => store.put(key, value))
  }

  async #delete(store: Store, process: number, key: string): Promise<void> {
    await this.#write(store, process, { f: 'delete', key }, () => store.delete(key))
  }

  /** Of what it has read: null where the key was absent. */
  async #compareAndSet(store: Store, process: number, key: string): Promise<void> {
    const seen = await this.#get(store, process, key)
    if (seen === undefined) return
    const value = this.#value(process)
    const input = { f: 'cas', key, expected: seen?.value ?? null, value } as const
    await this.#write(store, process, input, () => store.put(key, value, { ifRevision: seen?.modRevision ?? 0 }))
  }

  /** Undefined where it was not answered. */
  async #get(store: Store, process: number, key: string): Promise<Entry<string> | null | undefined> {
    const asked = this.history.invoke(process, { f: 'get', key }, this.#now)
    try {
      const { entry, revision } = await this.#calls.make(process, `get ${key}`, () => store.read(key))
      this.history.ok(asked, entry?.value ?? null, this.#now, revision + 0.5)
      this.#heard(revision)
      if (entry !== null) this.#saw(entry)
      return entry
    } catch (error) {
      this.#failed(this.history, asked, error)
      return undefined
    }
  }

  async #getPair(store: Store, process: number): Promise<void> {
    const steps = pair.map(key => ['get', key, null] as const)
    const asked = this.history.invoke(process, { f: 'txn', steps }, this.#now)
    try {
      const entries = await this.#calls.make(process, 'get p q', () => store.getMany(pair))
      const found = pair.map((key, at) => ['get', key, entries[at]?.value ?? null] as const)
      this.history.ok(asked, found, this.#now)
    } catch (error) {
      this.#failed(this.history, asked, error)
    }
  }

  /** Reads both keys and writes both, at one point. */
  async #exchangePair(store: Store, process: number): Promise<void> {
    const [p, q] = [this.#value(process), this.#value(process)]
    const steps = [get('p', null), put('p', p), get('q', null), put('q', q)]
    await this.#change(store, process, 'exchange p q', steps, async () => {
      const ops = [op.get('p'), op.put('p', p), op.get('q'), op.put('q', q)] as const
      const { responses, revision } = await store
        .txn()
        .then(...ops)
        .commit()
      const [before, , other] = responses
      this.#wrote(revision, `p=${p}`)
      this.#wrote(revision, `q=${q}`)
      return { revision, found: [get('p', before), put('p', p), get('q', other), put('q', q)] }
    })
  }

  async #clearPair(store: Store, process: number): Promise<void> {
    const steps: TransactionStep[] = [
      ['delete', 'p'],
      ['delete', 'q']
    ]
    await this.#change(store, process, 'clear p q', steps, async () => {
      const { revision } = await store.deleteRange({ from: 'p', to: 'r' })
      return { revision, found: steps }
    })
  }

  /** Several changes at one point. */
  async #change(
    store: Store,
    process: number,
    text: string,
    steps: readonly TransactionStep[],
    call: () => Promise<{ readonly revision: number; readonly found: readonly TransactionStep[] }>
  ): Promise<void> {
    const asked = this.history.invoke(process, { f: 'txn', steps }, this.#now)
    try {
      const { revision, found } = await this.#calls.make(process, text, call)
      this.history.ok(asked, found, this.#now, revision)
      this.#heard(revision)
    } catch (error) {
      await this.#missed(store, process, asked, error)
    }
  }

  /** A read that may be old, but not older than what this process has seen. */
  async #readSession(store: Store, process: number, key: string, floor: number): Promise<number> {
    try {
      const terms = { consistency: 'session' } as const
      const { entry, revision } = await this.#calls.make(process, `session get ${key}`, () => store.read(key, terms))
      if (revision < floor)
        throw new Violation('IK1', `process ${process} reads revision ${revision} in a session that has seen ${floor}`)
      if (entry !== null) this.#saw(entry)
      return revision
    } catch (error) {
      if (error instanceof StrettoError) return floor
      throw error
    }
  }

  async #increment(store: Store, process: number, key: string): Promise<void> {
    const asked = this.counts.invoke(process, { f: 'increment', key }, this.#now)
    try {
      const { value, revision } = await this.#calls.make(process, `increment ${key}`, () => store.increment(key))
      this.counts.ok(asked, value, this.#now, revision)
      this.#heard(revision)
    } catch (error) {
      this.#failed(this.counts, asked, error)
    }
  }

  async #count(store: Store, process: number, key: string): Promise<void> {
    const asked = this.counts.invoke(process, { f: 'get', key }, this.#now)
    try {
      const { entry, revision } = await this.#calls.make(process, `get ${key}`, () => store.read(key))
      this.counts.ok(asked, Number(entry?.value ?? 0), this.#now, revision + 0.5)
    } catch (error) {
      this.#failed(this.counts, asked, error)
    }
  }

  async #write(
    store: Store,
    process: number,
    input: Exclude<StoreInput, { readonly f: 'get' | 'txn' }>,
    call: () => Promise<{ readonly revision: number }>
  ): Promise<void> {
    const asked = this.history.invoke(process, input, this.#now)
    try {
      const { revision } = await this.#calls.make(process, `${input.f} ${input.key}`, call)
      this.history.ok(asked, null, this.#now, revision)
      this.#heard(revision)
      if (input.f !== 'delete') this.#wrote(revision, `${input.key}=${input.value}`)
    } catch (error) {
      await this.#missed(store, process, asked, error)
    }
  }

  /** Asks what became of a write whose fate is unknown. */
  async #missed(store: Store, process: number, asked: Recorded, error: unknown): Promise<void> {
    const unknown = error instanceof StrettoError && error.fate === 'unknown'
    if (unknown && error.operationId !== undefined) await this.#resolve(store, process, asked, error.operationId)
    else this.#failed(this.history, asked, error)
  }

  /** Asks what became of it: whatever is told must be true for ever. */
  async #resolve(store: Store, process: number, asked: Recorded, operationId: string): Promise<void> {
    try {
      const settled = await this.#calls.make(process, 'resolve', () => store.resolve(operationId))
      if (settled === 'not-applied') this.history.fail(asked, this.#now)
      else if (settled === 'expired') this.history.info(asked, this.#now)
      else this.history.ok(asked, null, this.#now, settled.applied.revision)
    } catch (error) {
      if (!(error instanceof StrettoError)) throw error
      // Whether the asking failed says nothing of what was asked about.
      this.history.info(asked, this.#now)
    }
  }

  #failed<I, O>(history: History<I, O>, asked: Operation<I, O>, error: unknown): void {
    if (!(error instanceof StrettoError)) throw error
    if (error.fate === 'unknown') history.info(asked, this.#now)
    else history.fail(asked, this.#now)
  }

  /** Each value is written once, so that what is read tells which write it was. */
  #value(process: number): string {
    return `${process}.${++this.#values}`
  }

  #saw({ key, value, modRevision }: Entry<string>): void {
    this.#wrote(modRevision, `${key}=${value}`)
  }

  /** One revision is one write, whoever tells of it; of the pair it may be one of both keys. */
  #wrote(revision: number, what: string): void {
    const key = pair.find(each => what.startsWith(`${each}=`))
    this.#tells(String(revision), key === undefined ? what : 'a write of the pair')
    if (key !== undefined) this.#tells(`${revision} ${key}`, what)
  }

  #tells(at: string, what: string): void {
    const known = this.#written.get(at)
    if (known === undefined) this.#written.set(at, what)
    else if (known !== what) throw new Violation('IA3', `revision ${at} is ${known} and ${what}`)
  }

  #heard(revision: number): void {
    this.#acknowledged = Math.max(this.#acknowledged, revision)
  }

  get #now(): number {
    return this.#parts.cluster.world.now
  }
}

function get(key: string, entry: Entry<string> | null | undefined): TransactionStep {
  return ['get', key, entry?.value ?? null]
}

function put(key: string, value: string): TransactionStep {
  return ['put', key, value]
}

function kindOf(dice: number): CallKind {
  let left = dice
  for (const kind of callKinds) if ((left -= shares[kind]) < 0) return kind
  return 'put'
}

/** @throws Violation also where no order is found within the bound: what is not decided is never called sound */
export function judgeHistory<S, I, O>(
  history: History<I, O>,
  model: Model<S, I, O>,
  what: string,
  options: CheckOptions = {}
): void {
  const { valid, counterexample, configurations } = checkLinearizable(history.operations, model, options)
  if (counterexample !== undefined) {
    const { keys, stuck, operations } = counterexample
    const text = `${JSON.stringify(stuck.input)} of process ${stuck.process} answered ${JSON.stringify(stuck.output)}`
    const where = `${what} (${keys.join()}) is not linearizable after ${operations.length} operations`
    throw new Violation('IK1', `${where}: ${text}`)
  }
  if (valid === null)
    throw new Violation('IK1', `no order of ${what} was found among ${configurations} configurations that were tried`)
}
