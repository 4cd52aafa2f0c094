// Calls of clients that are remembered: what was asked when, what it came to, and whether that is what the machine did.
import { StrettoError } from '../../lib/base/errors.ts'
import type { Entry, Resolution } from '../../lib/client/entry.ts'
import type { Client } from '../../lib/client/kv-client.ts'
import { type FirstCommand } from '../../lib/wire/kv/commands.ts'
import { text } from '../kv/bed.ts'
import type { CallSpec, RangeSpec } from './call-specs.ts'
import type { Executed, History, State } from './history.ts'
import { isRange, type Outcome, ranged, same, spelled, spelledExecuted, spelledOutcome } from './spelled.ts'

/** What the cluster may do to its clients. */
export interface Trouble {
  /** It drops sessions that are in use. */
  readonly forgets: boolean
  /** It leaves requests unanswered over links that are sound: nothing but a deadline ends these. */
  readonly swallows: boolean
  /** It may refuse for good to say what became of a write: the client then lets it forget. */
  readonly refuses: boolean
}

/** Longer than all that can go on in a run; and not so long, where it has to be waited for. */
const patientMs = 300_000
const tiredMs = 5_000

interface Options {
  readonly timeout: number
  readonly signal?: AbortSignal
}

/** Who calls, and on what terms. */
interface Caller {
  readonly what: string
  readonly at: number
  readonly client: Client<string>
  readonly options: Options
  /** It was not told to close before. */
  readonly isOpen: boolean
}

interface Written {
  readonly client: number
  readonly command: string
  outcome: { readonly result: Outcome } | { readonly error: unknown } | null
}

/** All calls of one run, of several clients. */
export class Calls {
  readonly problems: string[] = []
  /** How many calls came to what: `ok`, `given up`, or a code and a fate. */
  readonly ends = new Map<string, number>()
  /** Calls that have not come to anything. */
  readonly waiting = new Set<Caller>()
  readonly #history: History
  readonly #clients: readonly Client<string>[]
  readonly #trouble: Trouble
  readonly #closed = new Set<Client<string>>()
  readonly #written: Written[] = []
  readonly #aborts: AbortController[] = []
  /** The highest revision that a write was acknowledged with: of all clients, and of each. */
  #acked = 1
  readonly #ackedOf: number[]
  readonly #revisions = new Map<string, number>()
  /** Operation ids of writes of unknown fate that nobody has asked about, of each client. */
  readonly #unknown: string[][]
  readonly #resolved = new Map<string, Resolution<string>>()
  #number = 0

  constructor(history: History, clients: readonly Client<string>[], trouble: Trouble) {
    this.#history = history
    this.#clients = clients
    this.#trouble = trouble
    this.#ackedOf = clients.map(() => 1)
    this.#unknown = clients.map(() => [])
  }

  /** Gives up one of the calls that can be given up. */
  abort(which: number): void {
    const [controller] = this.#aborts.splice(which % Math.max(1, this.#aborts.length), 1)
    controller?.abort(new Error('given up'))
  }

  /** Calls that are made later may be refused for it. */
  async close(client: Client<string>): Promise<void> {
    this.#closed.add(client)
    await client.close()
  }

  make(at: number, call: CallSpec): void {
    const client = this.#clients[at]!
    const timeout = call.timeout ?? (this.#trouble.swallows ? tiredMs : patientMs)
    const options = call.signal ? { timeout, signal: this.#signal() } : { timeout }
    const caller: Caller = { what: `${call.kind} of ${at}`, at, client, options, isOpen: !this.#closed.has(client) }
    const number = ++this.#number
    switch (call.kind) {
      case 'put': {
        const name = `k${call.key}`
        const condition = this.#condition(name, call.condition)
        const promise = client.put(name, `c${number}`, { ...options, ...condition, previous: call.previous })
        this.#write(caller, `put c${number}`, promise, name)
        break
      }
      case 'increment':
        this.#write(caller, `add ${number}`, client.increment(call.key, number, options))
        break
      case 'remove': {
        const name = `d${number}`
        this.#write(caller, `put c${number}`, client.put(name, `c${number}`, options))
        this.#write(caller, `delete ${name}`, client.delete(name, { ...options, previous: call.previous }))
        break
      }
      case 'resolve':
        this.#resolve(caller)
        break
      case 'range':
        this.#range(caller, call)
        break
      default:
        this.#read(caller, call)
    }
  }

  /** At the end, when nothing is under way any more. */
  judge(): void {
    const places = new Map<string, number>()
    for (const [place, executed] of this.#history.executed.entries()) {
      const name = nameOf(executed.command)
      if (places.has(name)) this.problems.push(`${name} was executed twice`)
      places.set(name, place)
    }
    const last = this.#clients.map(() => -1)
    for (const written of this.#written) {
      const place = places.get(written.command)
      if (place !== undefined) {
        if (place < last[written.client]!) this.problems.push(`${written.command} came before an earlier call`)
        last[written.client] = place
      }
      this.#judgeOne(written, place === undefined ? null : this.#history.executed[place]!)
    }
    const fates = new Map(this.#history.executed.map(one => [`${one.session}-${one.serial}`, one.said]))
    for (const [id, resolution] of this.#resolved) {
      const [status, revision] = fates.get(id) ?? [1, 0]
      const told = typeof resolution === 'object' ? resolution.applied.revision : resolution
      if (told === 'expired' && (this.#trouble.forgets || this.#trouble.refuses)) continue
      if (told !== (status === 0 ? revision : 'not-applied')) {
        this.problems.push(`resolve said ${told} of ${id}, which came to ${status} at ${revision}`)
      }
    }
  }

  #judgeOne({ command, outcome }: Written, executed: Executed | null): void {
    const status = executed?.said[0] ?? null
    if (outcome === null) this.problems.push(`${command} was never settled`)
    else if ('error' in outcome) {
      const { error } = outcome
      const fate = error instanceof StrettoError ? error.fate : 'unknown'
      if (fate === 'not-applied' && status === 0) {
        this.problems.push(`${command} was applied, but rejected with ${String(error)}`)
      }
      const isVerdict = error instanceof StrettoError && verdicts.has(error.code)
      if (isVerdict && (status === null || status === 0)) {
        this.problems.push(`${command} was not refused by the machine, but rejected with ${String(error)}`)
      }
    } else if (status !== 0) this.problems.push(`${command} was acknowledged and not applied`)
    else {
      const told = spelledOutcome(outcome.result)
      const was = spelledExecuted(executed!)
      if (told !== was) this.problems.push(`${command} came back with ${told} and came to ${was}`)
    }
  }

  #write(caller: Caller, command: string, promise: Promise<Outcome>, name: string | null = null): void {
    const { at } = caller
    const written: Written = { client: at, command, outcome: null }
    this.#written.push(written)
    const resolved = (result: Outcome): void => {
      written.outcome = { result }
      this.#acked = Math.max(this.#acked, result.revision)
      this.#ackedOf[at] = Math.max(this.#ackedOf[at]!, result.revision)
      if (name !== null) this.#revisions.set(name, result.revision)
    }
    this.#watch(caller, promise, resolved, error => {
      written.outcome = { error }
      if (!(error instanceof StrettoError) || error.fate === 'not-applied') return
      if (error.operationId !== undefined) this.#unknown[at]!.push(error.operationId)
    })
  }

  #resolve(caller: Caller): void {
    const id = this.#unknown[caller.at]!.pop()
    if (id === undefined) return
    const promise = caller.client.resolve(id, caller.options)
    this.#watch(
      caller,
      promise,
      resolution => this.#resolved.set(id, resolution),
      () => {}
    )
  }

  #read(caller: Caller, call: CallSpec): void {
    const { at, client, options } = caller
    const least = this.#acked
    if (call.kind === 'get') {
      const { consistency } = call
      const name = `k${call.key}`
      const from = { linearizable: least, session: this.#ackedOf[at]!, stale: 1 }[consistency]
      this.#see(caller, client.get(name, { ...options, consistency }), from, (entry, state) =>
        same(entry, state.get(name))
      )
    } else if (call.kind === 'many') {
      const names = ['k0', 'n0', 'k1']
      this.#see(caller, client.getMany(names, options), least, (entries, state) =>
        names.every((name, place) => same(entries[place]!, state.get(name)))
      )
    } else if (call.kind === 'count') {
      const promise = client.count({ ...options, prefix: 'k' })
      this.#see(caller, promise, least, (count, state) => ranged(state).length === count)
    }
  }

  /** What is read must be what there was at some revision from `least` on. */
  #see<T>(caller: Caller, promise: Promise<T>, least: number, isOf: (read: T, state: State) => boolean): void {
    const resolved = (read: T): void => {
      const { revision } = this.#history
      for (let each = least; each <= revision; each++) if (isOf(read, this.#history.at(each)!)) return
      this.problems.push(`${JSON.stringify(read)} was read, at no revision from ${least} to ${revision}`)
    }
    this.#watch(caller, promise, resolved, error => this.#notApplied(error))
  }

  #range(caller: Caller, call: CallSpec & RangeSpec): void {
    const least = this.#acked
    const resolved = ([revision, entries]: readonly [number | null, readonly Entry<string>[]]): void => {
      const state = this.#history.at(revision ?? 0)
      if (state === undefined || revision! < least) this.problems.push(`a range at ${revision}, after ${least}`)
      else if (!isRange(entries, state, call)) {
        this.problems.push(`a range at ${revision} brought ${entries.map(spelled).join()}`)
      }
    }
    // A range does not outlive `close`.
    this.#watch({ ...caller, isOpen: false }, readRange(caller, call), resolved, error => this.#notApplied(error))
  }

  #notApplied(error: unknown): void {
    if (error instanceof StrettoError && error.fate !== 'not-applied') {
      this.problems.push(`a read of unknown fate: ${String(error)}`)
    }
  }

  #watch<T>(
    caller: Caller,
    promise: Promise<T>,
    resolved: (result: T) => void,
    failed: (error: unknown) => void
  ): void {
    const one = { ...caller }
    this.waiting.add(one)
    promise.then(
      result => {
        this.#end(one, 'ok')
        resolved(result)
      },
      (error: unknown) => {
        this.#end(one, error instanceof StrettoError ? `${error.code} ${error.fate}` : 'given up')
        if (error instanceof StrettoError) this.#judgeCode(caller, error)
        else if ((error as Error).message !== 'given up') this.problems.push(`a call failed with ${String(error)}`)
        failed(error)
      }
    )
  }

  /** Some ends are only for those who cannot wait, or come too late, or meet a cluster that forgets. */
  #judgeCode({ options, isOpen }: Caller, error: StrettoError): void {
    const isPatient = options.timeout === patientMs
    if (error.code === 'TIMED_OUT' && isPatient) this.problems.push(`all faults have passed, and yet: ${String(error)}`)
    if (error.code === 'STOPPED' && isOpen) this.problems.push('a call made before close was not waited for')
    if (error.code === 'SESSION_EXPIRED' && !this.#trouble.forgets) {
      this.problems.push('a session was forgotten that the cluster remembers')
    }
  }

  #end(caller: Caller, how: string): void {
    this.waiting.delete(caller)
    this.ends.set(how, (this.ends.get(how) ?? 0) + 1)
  }

  #signal(): AbortSignal {
    const controller = new AbortController()
    this.#aborts.push(controller)
    return controller.signal
  }

  #condition(name: string, condition: 'none' | 'absent' | 'known') {
    if (condition === 'absent') return { ifAbsent: true }
    const ifRevision = this.#revisions.get(name)
    return condition === 'none' || ifRevision === undefined ? {} : { ifRevision }
  }
}

const verdicts: ReadonlySet<string> = new Set(['CONDITION_FAILED', 'BAD_REQUEST'])

/** Tells a command from all others. */
function nameOf(command: FirstCommand): string {
  if (command.op === 'put') return `put ${text(command.value)}`
  return command.op === 'increment' ? `add ${command.by}` : `delete ${text(command.key)}`
}

async function readRange({ client, options }: Caller, { reverse, limit, taken }: RangeSpec) {
  const range = client.range({ ...options, prefix: 'k', reverse, ...(limit === 0 ? {} : { limit }) })
  const entries: Entry<string>[] = []
  for await (const entry of range) {
    entries.push(entry)
    if (entries.length === taken) break
  }
  return [range.revision, entries] as const
}
