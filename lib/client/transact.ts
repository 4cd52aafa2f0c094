// `transact`: a function reads and writes as if it were alone, and is run again where others came between.
//
// All reads are of one revision R: that of the first, which is linearizable. What was written is one transaction, which is
// applied only where everything that was read is still as it was: each key read by its mod revision (0 of an absent one), each
// range by "no key in it was changed after R", which finds what was added and changed, and by the mod revision of each entry
// that it gave, which finds what was deleted.
import { compareBytes } from '../base/bytes.ts'
import { StrettoError } from '../base/errors.ts'
import { packRequest } from '../wire/kv/questions.ts'
import { Attempts } from './attempts.ts'
import { Comparison } from './compares.ts'
import { leaseOf } from './conditions.ts'
import type { Corner, KeyRange } from './corner.ts'
import { type Key, keyAfter } from './encoding.ts'
import type { Entry } from './entry.ts'
import { type Op, op } from './operations.ts'
import {
  type CallOptions,
  checkNames,
  countOf,
  known,
  type LeaseOptions,
  type TransactRangeOptions
} from './options.ts'
import { bytesOf, collect, latinOf, type RawEntry, raw } from './raw.ts'
import { Read } from './reads.ts'
import type { SessionClient } from './session-client.ts'
import { sendTxn } from './txn.ts'

/** Runs `body` until what it did is stored, and gives what it gave. What it throws ends the call, with nothing written. */
export async function transact<V, T>(
  session: SessionClient,
  corner: Corner,
  body: (tx: Transaction<V>) => Promise<T> | T,
  options: CallOptions
): Promise<T> {
  checkNames(options, known.call)
  const attempts = new Attempts(session, options)
  for (;;) {
    const attempt = new Attempt(session, corner, attempts)
    try {
      const result = await body(new Transaction<V>(attempt))
      if (await attempt.commit()) return result
    } catch (error) {
      if (!attempt.isOvertaken) throw error
    } finally {
      attempt.over = true
    }
    await attempts.rest()
  }
}

/** What the function given to `transact` reads and writes with, for as long as it runs. */
export class Transaction<V> {
  readonly #attempt: Attempt

  constructor(attempt: Attempt) {
    this.#attempt = attempt
  }

  /** What this transaction wrote has 0 as its revisions and version. */
  async get(key: Key): Promise<Entry<V> | null> {
    const [entry] = await this.#attempt.get([key])
    return entry as Entry<V> | null
  }

  /** The entries of several keys in the order of the keys; null where there is none. */
  async getMany(keys: readonly Key[]): Promise<(Entry<V> | null)[]> {
    return keys.length === 0 ? [] : ((await this.#attempt.get(keys)) as (Entry<V> | null)[])
  }

  /** The entries of a range, all at once: they are compared one by one, and so thousands at most. */
  async range(options: TransactRangeOptions): Promise<Entry<V>[]> {
    return (await this.#attempt.range(options)) as Entry<V>[]
  }

  /** @throws StrettoError BAD_REQUEST, TOO_LARGE */
  put(key: Key, value: V, options: LeaseOptions = {}): void {
    this.#attempt.put(key, value, options)
  }

  /** @throws StrettoError BAD_REQUEST, TOO_LARGE */
  delete(key: Key): void {
    this.#attempt.delete(key)
  }
}

interface Written {
  /** Null where it was deleted. */
  readonly value: Uint8Array | null
  readonly options: LeaseOptions
}

interface RangeRead extends KeyRange {
  readonly revision: number
}

/** One run of the function: what it read, and what it means to write. */
class Attempt {
  /** The function has ended: what it left behind does nothing any more. */
  over = false
  /** A read failed because the revision of the others can no longer be read. */
  isOvertaken = false
  readonly #session: SessionClient
  readonly #corner: Corner
  readonly #attempts: Attempts
  /** Of the first read, once it is known. */
  #revision: Promise<number> | null = null
  /** Mod revisions by key. */
  readonly #read = new Map<string, number>()
  readonly #ranges: RangeRead[] = []
  readonly #written = new Map<string, Written>()

  constructor(session: SessionClient, corner: Corner, attempts: Attempts) {
    this.#session = session
    this.#corner = corner
    this.#attempts = attempts
  }

  async get(keys: readonly Key[]): Promise<(Entry<unknown> | null)[]> {
    this.#refuseIfOver()
    const names = keys.map(key => latinOf(this.#corner.key(key)))
    const stored = new Map<string, RawEntry | null>()
    const missing = [...new Set(names.filter(name => !this.#written.has(name)))]
    if (missing.length > 0) {
      const { entries } = await this.#reading(at => this.#ask(missing, at))
      for (const [at, name] of missing.entries()) {
        const entry = entries[at]!
        stored.set(name, entry)
        this.#read.set(name, entry?.modRevision ?? 0)
      }
    }
    return names.map(name => {
      const entry = stored.has(name) ? stored.get(name)! : writtenEntry(name, this.#written.get(name)!)
      return entry === null ? null : this.#shown(entry)
    })
  }

  async range(options: TransactRangeOptions): Promise<Entry<unknown>[]> {
    this.#refuseIfOver()
    checkNames(options, known.transactRange)
    const { limit = 0, reverse = false } = options
    if (options.limit !== undefined) countOf(limit, 'limit', 1)
    const range = this.#corner.range(options)
    const own = [...this.#written].filter(([name]) => isWithin(name, range))
    // As many more as this transaction may have taken from them.
    const asked = limit === 0 ? 0 : limit + own.length
    const { revision, entries } = await this.#reading(at => {
      const { timeout, signal = null } = this.#attempts.options
      const terms = { limit: asked, reverse, timeoutMs: Number(timeout), signal, ...snapshotTerms(at) }
      return collect(this.#session, { ...range, ...terms })
    })
    // No key can ever come into a range that ends before it begins.
    if (range.to !== null && compareBytes(range.from, range.to) >= 0) return []
    const isCut = asked > 0 && entries.length === asked
    this.#ranges.push({ ...(isCut ? cutAfter(range, entries.at(-1)!.key, reverse) : range), revision })
    for (const { key, modRevision } of entries) this.#read.set(key, modRevision)
    const left = entries.filter(({ key }) => !this.#written.has(key))
    const added = own.flatMap(([name, written]) => writtenEntry(name, written) ?? [])
    const all = [...left, ...added].toSorted((a, b) => (a.key < b.key ? -1 : 1))
    if (reverse) all.reverse()
    return (limit === 0 ? all : all.slice(0, limit)).map(entry => this.#shown(entry))
  }

  put(key: Key, value: unknown, options: LeaseOptions): void {
    this.#refuseIfOver()
    checkNames(options, known.lease)
    leaseOf(options)
    this.#written.set(latinOf(this.#corner.key(key)), { value: this.#corner.value(value), options })
  }

  delete(key: Key): void {
    this.#refuseIfOver()
    this.#written.set(latinOf(this.#corner.key(key)), { value: null, options: {} })
  }

  /** False where somebody came between. */
  async commit(): Promise<boolean> {
    this.over = true
    if (this.#written.size === 0) return true
    const onTrue: Op[] = []
    for (const [name, { value, options }] of this.#written) {
      onTrue.push(value === null ? op.delete(bytesOf(name)) : op.put(bytesOf(name), value, options))
    }
    const parts = { compares: this.#compares(), onTrue, onFalse: [] }
    const { succeeded } = await this.#session.attempt((): Promise<{ readonly succeeded: boolean }> => {
      return sendTxn(this.#session, raw, parts, this.#attempts.options)
    })
    return succeeded
  }

  #compares(): Comparison[] {
    const keys = [...this.#read].map(([name, modRevision]) => {
      return new Comparison(() => compareOf({ from: bytesOf(name), to: undefined }, 'eq', modRevision))
    })
    const ranges = this.#ranges.map(({ from, to, revision }) => {
      return new Comparison(() => compareOf({ from, to }, 'lt', revision + 1))
    })
    return [...keys, ...ranges]
  }

  /** All reads after the first are at the revision that it told of. */
  async #reading<T extends { readonly revision: number }>(ask: (atRevision: number) => Promise<T>): Promise<T> {
    try {
      if (this.#revision !== null) return await ask(await this.#revision)
      const first = ask(0)
      this.#revision = first.then(({ revision }) => revision)
      // Nobody else may be waiting for it.
      this.#revision.catch(() => {})
      return await first
    } catch (error) {
      // A range that was interrupted and cannot go on says UNAVAILABLE.
      const codes = ['COMPACTED', 'UNAVAILABLE']
      if (error instanceof StrettoError && codes.includes(error.code)) this.isOvertaken = true
      throw error
    }
  }

  #ask(names: readonly string[], at: number): Promise<Snapshot> {
    const requests = names.map(name => packRequest({ op: 'get', key: bytesOf(name), atRevision: at }))
    const bytes = names.reduce((sum, name) => sum + name.length + 4, 0)
    const { options } = this.#attempts
    const read = new Read('snapshot', raw, requests, names)
    return this.#session.attempt((): Promise<Snapshot> => {
      const terms = { maxAgeMs: 0, deadline: this.#session.deadline(options), ...snapshotTerms(at) }
      return this.#session.sendRead(read, terms, bytes, options.signal)
    })
  }

  #shown(entry: RawEntry): Entry<unknown> {
    return { ...entry, key: this.#corner.textOf(bytesOf(entry.key)), value: this.#decoded(entry.value) }
  }

  #decoded(value: Uint8Array): unknown {
    try {
      return this.#corner.decode(value)
    } catch (cause) {
      throw new StrettoError('BAD_REQUEST', (cause as Error).message, { cause })
    }
  }

  #refuseIfOver(): void {
    if (this.over) throw new StrettoError('BAD_REQUEST', 'the transaction is over: await all that it does inside of it')
  }
}

interface Snapshot {
  readonly revision: number
  readonly entries: readonly (RawEntry | null)[]
}

/** What was at a revision stays as it was, and any node tells it that has come so far. */
function snapshotTerms(at: number) {
  return at === 0
    ? ({ consistency: 'linearizable', minRevision: 0, atRevision: 0 } as const)
    : ({ consistency: 'session', minRevision: at, atRevision: at } as const)
}

function compareOf(
  place: { readonly from: Uint8Array; readonly to: Uint8Array | null | undefined },
  relation: 'eq' | 'lt',
  operand: number
) {
  return { target: 'modRevision', relation, ...place, operand } as const
}

function writtenEntry(key: string, { value }: Written): RawEntry | null {
  return value === null ? null : { key, value, createRevision: 0, modRevision: 0, version: 0, leaseId: 0 }
}

function isWithin(name: string, { from, to }: KeyRange): boolean {
  return name >= latinOf(from) && (to === null || name < latinOf(to))
}

/** As far as a limit let the reader see. */
function cutAfter({ from, to }: KeyRange, last: string, reverse: boolean): KeyRange {
  return reverse ? { from: bytesOf(last), to } : { from, to: keyAfter(bytesOf(last)) }
}
