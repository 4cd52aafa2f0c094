// The key-value interface, of the whole store or of a corner of it: what users call.
import { StrettoError } from '../base/errors.ts'
import type { Packed } from '../record/pack.ts'
import {
  type AppendCommand,
  commandOp,
  type DeleteCommand,
  type NumberCommand,
  type PutCommand,
  packCommand
} from '../wire/kv/commands.ts'
import { packRequest } from '../wire/kv/questions.ts'
import {
  deletedAnswer,
  deletedEntryAnswer,
  lengthAnswer,
  plainAnswer,
  putAnswer,
  type ReadAnswer,
  valueAnswer
} from './answers.ts'
import { conditionOf, consistencyOf, fencingOf, leaseOf, maxStalenessOf, minRevisionOf } from './conditions.ts'
import type { Corner } from './corner.ts'
import { type DeleteRangeResult, deleteRange } from './delete-range.ts'
import { Election } from './election.ts'
import { binary, type Codec, type Key } from './encoding.ts'
import type { AppendResult, DeleteResult, Entry, IncrementResult, PutResult, Reading, Resolution } from './entry.ts'
import { type AcquireOptions } from './held.ts'
import type { KvSession } from './kv-session.ts'
import type { Lease } from './lease.ts'
import type { GrantOptions, Leases } from './leases.ts'
import { type Arena, acquireLock, type Lock } from './lock.ts'
import { type Mirror, OpenMirror } from './mirror.ts'
import {
  type Bounds,
  type CallOptions,
  type CountOptions,
  checkNames,
  countOf,
  type DeleteOptions,
  type DeleteRangeOptions,
  type GetOptions,
  known,
  msOf,
  type NamedBounds,
  type PutOptions,
  type RangeOptions,
  type ReadOptions,
  type WriteOptions
} from './options.ts'
import { OpenRange, plainTerms, type Range, type Ranged, type RangeTerms } from './ranges.ts'
import { Read, type ReadKind } from './reads.ts'
import { codecFor, type StandardSchema } from './schema.ts'
import { Semaphore } from './semaphore.ts'
import { type Transaction, transact } from './transact.ts'
import { Txn } from './txn.ts'
import { type Change, type UpdateResult, update } from './update.ts'
import { OpenWatch, type Watch } from './watch.ts'
import { noWatch, type WatchOptions, watchTerms } from './watch-options.ts'

/**
 * All keys, or those under a prefix. Calls reject with a `StrettoError` (or with the reason of their signal), whose `fate`
 * says whether a write may have been applied.
 */
export class Store<V> {
  protected readonly session: KvSession
  protected readonly corner: Corner

  constructor(session: KvSession, corner: Corner) {
    this.session = session
    this.corner = corner
  }

  put(key: Key, value: V, options?: PutOptions): Promise<PutResult<V>> {
    return this.session.attempt(() => {
      if (options === undefined) {
        // There are most of these: none is made an object of first.
        const name = this.corner.key(key)
        const bytes = this.corner.value(value)
        const command = [commandOp.put, name, bytes]
        return this.session.sendWrite({
          read: plainAnswer,
          corner: this.corner,
          command,
          contentBytes: name.length + bytes.length
        })
      }
      checkNames(options, known.put)
      const { previous = false } = options
      const bytes = this.corner.value(value)
      const command: PutCommand = {
        op: 'put',
        key: this.corner.key(key),
        value: bytes,
        ifRevision: conditionOf(options),
        previous,
        ...leaseOf(options),
        fencing: fencingOf(options)
      }
      const read = previous || options.ttl !== undefined ? putAnswer(this.corner, previous) : plainAnswer
      return this.#write(read, command, bytes.length, options)
    })
  }

  delete(key: Key, options: DeleteOptions = {}): Promise<DeleteResult<V>> {
    return this.session.attempt(() => {
      checkNames(options, known.delete)
      const { previous = false } = options
      const command: DeleteCommand = {
        op: 'delete',
        key: this.corner.key(key),
        ifRevision: conditionOf(options),
        previous,
        fencing: fencingOf(options)
      }
      return this.#write(previous ? deletedEntryAnswer(this.corner) : deletedAnswer, command, 0, options)
    })
  }

  /** Adds to the whole number that the value spells in decimal; an absent key counts as 0. */
  increment(key: Key, by = 1, options: WriteOptions = {}): Promise<IncrementResult> {
    return this.session.attempt(() => this.#count('increment', key, by, options))
  }

  /** Stores `number` where the value is greater, or the key absent. */
  min(key: Key, number: number, options: WriteOptions = {}): Promise<IncrementResult> {
    return this.session.attempt(() => this.#count('min', key, number, options))
  }

  /** Stores `number` where the value is less, or the key absent. */
  max(key: Key, number: number, options: WriteOptions = {}): Promise<IncrementResult> {
    return this.session.attempt(() => this.#count('max', key, number, options))
  }

  /** Adds the encoded `value` to the end of what is there. */
  append(key: Key, value: V, options: WriteOptions = {}): Promise<AppendResult> {
    return this.session.attempt(() => {
      checkNames(options, known.increment)
      const command = { op: 'append', key: this.corner.key(key), value: this.corner.value(value) } as const
      return this.#write(lengthAnswer, command, command.value.length, options)
    })
  }

  /** Deletes all keys that begin with `prefix`, or from `from` up to, and without, `to`. */
  deleteRange(bounds: NamedBounds, options: DeleteRangeOptions = {}): Promise<DeleteRangeResult> {
    return this.session.attempt(() => deleteRange(this.session, this.corner, bounds, options))
  }

  /**
   * Stores what `change` makes of the present value, and again where somebody came between, until the deadline. A key with a
   * lease keeps it. `change` gets null where there is no entry, and may be called several times.
   */
  update(key: Key, change: Change<V>, options: CallOptions = {}): Promise<UpdateResult<V>> {
    return this.session.attempt(() => update(this, this.session, key, change, options))
  }

  /**
   * Grants a lease and keeps it alive, until it is revoked or the client is closed: `await using lease = await db.lease({ ttl:
   * 10_000 })`. Keys that are put with it go when it ends.
   */
  lease(options: GrantOptions): Promise<Lease> {
    return this.session.leases.grant(options)
  }

  /** What can be asked and done about any lease. */
  get leases(): Leases {
    return this.session.leases
  }

  get(key: Key, options?: GetOptions): Promise<Entry<V> | null> {
    return this.session.attempt(() => this.#get('entry', [key], options))
  }

  /** Like `get`, and says what the answer was served from. */
  read(key: Key, options?: GetOptions): Promise<Reading<V>> {
    return this.session.attempt(() => this.#get('reading', [key], options))
  }

  /** The entries of several keys, all at one revision, in the order of the keys; null where there is none. */
  getMany(keys: readonly Key[], options?: GetOptions): Promise<(Entry<V> | null)[]> {
    return this.session.attempt((): Promise<(Entry<V> | null)[]> => {
      return keys.length === 0 ? Promise.resolve([]) : this.#get('many', keys, options)
    })
  }

  /** How many keys there are. */
  count(options: CountOptions = {}): Promise<number> {
    return this.session.attempt(() => {
      checkNames(options, known.count)
      const { from, to } = this.corner.range(options)
      const request = packRequest({ op: 'count', from, to, atRevision: atRevisionOf(options) })
      return this.#ask('count', [request], [], from.length, options)
    })
  }

  /** Streams entries, all at one revision; `timeout` is how long to wait for the next of them. Faults reject the first `next`. */
  range<KeysOnly extends boolean = false>(
    options: RangeOptions & { readonly keysOnly?: KeysOnly | undefined } = {}
  ): Range<Ranged<V, KeysOnly>> {
    const { context, ranges } = this.session
    try {
      return new OpenRange(context, ranges, this.corner, this.#rangeTerms(options))
    } catch (error) {
      const refused = new OpenRange(context, ranges, this.corner, noTerms)
      refused.fail(error)
      return refused
    }
  }

  /** A copy of a range that follows the store, until it is closed. Resolves when it is whole. */
  async mirror(options: Bounds & Pick<WatchOptions, 'signal'> = {}): Promise<Mirror<V>> {
    const mirror = new OpenMirror<V>(this.watch({ ...options, initial: true }))
    await mirror.begin()
    return mirror
  }

  /**
   * What changes, in batches of one revision each, in order and each once; it goes on by itself at any node. It begins with
   * this call, and may be left to wait: a node sends only so much ahead. Faults reject the first `next`.
   */
  watch(options: WatchOptions = {}): Watch<V> {
    const { watches } = this.session
    try {
      this.session.refuseIfClosed()
      const watch = new OpenWatch(watches, this.corner, watchTerms(options, this.corner))
      watch.start()
      return watch
    } catch (error) {
      const refused = new OpenWatch(watches, this.corner, noWatch)
      refused.fail(error)
      return refused
    }
  }

  /** An atomic transaction: `db.txn().if(cmp(...)).then(op.put(...)).else(op.get(...)).commit()`. */
  txn(): Txn<V> {
    return new Txn<V>(this.session, this.corner)
  }

  /**
   * Runs `body` as if it were alone, and again where others came between, until the deadline: what it wrote is stored only if
   * all that it read is still as it was. Gives what `body` gave; what it throws ends the call, with nothing written.
   */
  transact<T>(body: (tx: Transaction<V>) => Promise<T> | T, options: CallOptions = {}): Promise<T> {
    return this.session.attempt(() => transact(this.session, this.corner, body, options))
  }

  /**
   * Waits for its turn and holds the lock: `await using lock = await db.lock('jobs/42', { ttl: 10_000, wait: 5_000 })`.
   * CONDITION_FAILED where it is held and `wait` is 0; TIMED_OUT where the wait was too short; LOCK_LOST where it was lost
   * while waiting. The name is a text without the character 0; the store holds it under keys that begin with that.
   */
  lock(name: string, options: AcquireOptions = {}): Promise<Lock> {
    return this.session.attempt(() => acquireLock(this.#arena('lock', name), options))
  }

  /** So many permits at a time; all who use it must name the same number. @throws StrettoError BAD_REQUEST */
  semaphore(name: string, permits: number): Semaphore {
    return new Semaphore(this.#arena('semaphore', name), permits)
  }

  /** One leader at a time, which all others can see. @throws StrettoError BAD_REQUEST */
  election(name: string): Election<V> {
    const corner = this.corner.within(arenaPrefix('election', name))
    const candidates = new Store<V>(this.session, corner)
    return new Election<V>(this.#arena('election', name), candidates, value => this.corner.value(value))
  }

  /**
   * What became of a write whose fate was unknown, by the `operationId` of its error. After `not-applied` it never will
   * be applied.
   */
  resolve(operationId: string, options: CallOptions = {}): Promise<Resolution<V>> {
    return this.session.attempt(() => {
      checkNames(options, known.call)
      return this.session.resolves.ask(operationId, this.corner, this.session.deadline(options), options.signal)
    })
  }

  /**
   * A typed corner of the store: a namespace whose values have an encoding of their own, or fit a schema (of the Standard
   * Schema kind: zod, valibot, ...) and are stored as JSON. What does not fit is refused with BAD_REQUEST, on the way in and
   * on the way out. Throws a StrettoError BAD_REQUEST or TOO_LARGE for a prefix or description that is none.
   */
  sub<T>(prefix: Key, described: Codec<T> | StandardSchema<unknown, T>): Store<T>
  sub(prefix: Key, described: 'utf8'): Store<string>
  sub(prefix: Key, described: 'bytes'): Store<Uint8Array>
  sub<T = unknown>(prefix: Key, described: 'json'): Store<T>
  sub<T>(prefix: Key, described: unknown): Store<T> {
    return new Store<T>(this.session, this.corner.within(prefix, codecFor(described)))
  }

  /** The same interface under a prefix: its keys are given and come back without it. @throws StrettoError BAD_REQUEST, TOO_LARGE */
  namespace(prefix: Key): Store<V> {
    return new Store<V>(this.session, this.corner.within(prefix))
  }

  /** @throws StrettoError BAD_REQUEST */
  #arena(kind: string, name: string): Arena {
    const { context, leases } = this.session
    const corner = this.corner.within(arenaPrefix(kind, name), binary)
    return {
      env: context.env,
      store: new Store<Uint8Array>(this.session, corner),
      wholeKey: key => corner.key(key),
      lease: options => leases.grant(options)
    }
  }

  #count(op: NumberCommand['op'], key: Key, by: number, options: WriteOptions): Promise<IncrementResult> {
    checkNames(options, known.increment)
    if (!Number.isSafeInteger(by)) throw new StrettoError('BAD_REQUEST', `${op}: a whole number`)
    return this.#write(valueAnswer, { op, key: this.corner.key(key), by }, 0, options)
  }

  #write(
    read: ReadAnswer,
    command: PutCommand | DeleteCommand | NumberCommand | AppendCommand,
    valueBytes: number,
    options: WriteOptions | undefined
  ): Promise<never> {
    const contentBytes = command.key.length + valueBytes
    return this.session.sendWrite({ read, corner: this.corner, command: packCommand(command), contentBytes }, options)
  }

  #rangeTerms(options: RangeOptions): RangeTerms {
    checkNames(options, known.range)
    const { limit, timeout, signal = null, reverse = false, keysOnly = false } = options
    return {
      ...this.corner.range(options),
      limit: limit === undefined ? 0 : countOf(limit, 'limit', 1),
      reverse,
      keysOnly,
      atRevision: atRevisionOf(options),
      consistency: consistencyOf(options),
      minRevision: minRevisionOf(options),
      maxAgeMs: maxStalenessOf(options),
      timeoutMs: timeout === undefined ? this.session.timeoutMs : msOf(timeout, 'timeout'),
      signal
    }
  }

  #get(kind: ReadKind, keys: readonly Key[], options: GetOptions = noOptions): Promise<never> {
    if (options !== noOptions) checkNames(options, known.get)
    const atRevision = atRevisionOf(options)
    const requests: Packed[] = []
    const texts: (string | undefined)[] = []
    let bytes = 0
    for (const key of keys) {
      const encoded = this.corner.key(key)
      bytes += encoded.length + 4
      requests.push(packRequest({ op: 'get', key: encoded, atRevision }))
      texts.push(typeof key === 'string' ? key : undefined)
    }
    return this.#ask(kind, requests, texts, bytes, options)
  }

  #ask(
    kind: ReadKind,
    requests: readonly Packed[],
    texts: readonly (string | undefined)[],
    bytes: number,
    options: ReadOptions
  ): Promise<never> {
    const terms = {
      consistency: consistencyOf(options),
      minRevision: minRevisionOf(options),
      maxAgeMs: maxStalenessOf(options),
      deadline: this.session.deadline(options)
    }
    return this.session.sendRead(new Read(kind, this.corner, requests, texts), terms, bytes, options.signal)
  }
}

/** Where no key of a user is met. @throws StrettoError BAD_REQUEST */
function arenaPrefix(kind: string, name: string): string {
  if (typeof name === 'string' && name !== '' && !name.includes('\0')) return `\0${kind}\0${name}\0`
  throw new StrettoError('BAD_REQUEST', `a ${kind} is named by a text that is not empty and holds no character 0`)
}

const noOptions = {}
/** Of a range that ends with its fault before it begins. */
const noTerms: RangeTerms = { ...plainTerms, from: new Uint8Array(0), to: null, timeoutMs: 0 }

function atRevisionOf({ atRevision }: GetOptions): number {
  return atRevision === undefined ? 0 : countOf(atRevision, 'atRevision', 1)
}
