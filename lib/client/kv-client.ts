// The key-value client: what users call.
import { StrettoError } from '../base/errors.ts'
import type { Packed } from '../record/pack.ts'
import { consistencies } from '../wire/client.ts'
import { type Command, packCommand } from '../wire/kv/commands.ts'
import { packRequest } from '../wire/kv/questions.ts'
import { codecOf, encodeBound, encodeKey, encodeValue, type Key } from './encoding.ts'
import type { DeleteResult, Entry, IncrementResult, PutResult, Reading, Resolution } from './entry.ts'
import {
  type Bounds,
  type CallOptions,
  type ClientOptions,
  type CountOptions,
  checkNames,
  countOf,
  type DeleteOptions,
  type GetOptions,
  known,
  msOf,
  type PutOptions,
  type RangeOptions,
  type ReadOptions,
  type WriteOptions
} from './options.ts'
import { OpenRange, type RangeTerms } from './ranges.ts'
import { Read, type ReadKind } from './reads.ts'
import { type ClientParts, SessionClient } from './session-client.ts'

/** What `range` gives: entries in order of their keys, or from the last to the first. */
export interface Range<V> extends AsyncIterableIterator<Entry<V>, undefined>, AsyncDisposable {
  /** The revision that all entries are of; null until the first is here. */
  readonly revision: number | null
}

/** What `keysOnly` makes of the type of values. */
export type Ranged<V, KeysOnly extends boolean> = KeysOnly extends true ? null : V

/**
 * A client of a cluster. It connects with the first call, and again by itself. All calls reject with a `StrettoError`
 * (or with the reason of their signal), whose `fate` says whether a write may have been applied.
 */
export class Client<V> extends SessionClient {
  /** Made by `connect`. @throws StrettoError BAD_REQUEST */
  constructor(parts: ClientParts, endpoints: readonly string[], options: ClientOptions<V> = {}) {
    checkNames(options, known.client)
    super(parts, endpoints, codecOf(options.valueEncoding), options)
  }

  put(key: Key, value: V, options?: PutOptions): Promise<PutResult<V>> {
    return this.attempt(() => {
      if (options !== undefined) checkNames(options, known.put)
      const bytes = encodeValue(this.codec, value)
      const command: Command = {
        op: 'put',
        key: encodeKey(key),
        value: bytes,
        ifRevision: options === undefined ? null : conditionOf(options),
        previous: options?.previous === true
      }
      return this.sendWrite(
        command.previous ? 'previous' : 'plain',
        packCommand(command),
        command.key.length + bytes.length,
        options
      )
    })
  }

  delete(key: Key, options: DeleteOptions = {}): Promise<DeleteResult<V>> {
    return this.attempt(() => {
      checkNames(options, known.delete)
      const previous = options.previous === true
      const command: Command = { op: 'delete', key: encodeKey(key), ifRevision: conditionOf(options), previous }
      return this.sendWrite(previous ? 'deletePrevious' : 'delete', packCommand(command), command.key.length, options)
    })
  }

  /** Adds to the whole number that the value spells in decimal; an absent key counts as 0. */
  increment(key: Key, by = 1, options: WriteOptions = {}): Promise<IncrementResult> {
    return this.attempt(() => {
      checkNames(options, known.increment)
      if (!Number.isSafeInteger(by)) throw new StrettoError('BAD_REQUEST', 'increment: a whole number')
      const command: Command = { op: 'increment', key: encodeKey(key), by }
      return this.sendWrite('increment', packCommand(command), command.key.length, options)
    })
  }

  get(key: Key, options?: GetOptions): Promise<Entry<V> | null> {
    return this.attempt(() => this.#get('entry', [key], options))
  }

  /** Like `get`, and says what the answer was served from. */
  read(key: Key, options?: GetOptions): Promise<Reading<V>> {
    return this.attempt(() => this.#get('reading', [key], options))
  }

  /** The entries of several keys, all at one revision, in the order of the keys; null where there is none. */
  getMany(keys: readonly Key[], options?: GetOptions): Promise<(Entry<V> | null)[]> {
    return this.attempt((): Promise<(Entry<V> | null)[]> => {
      return keys.length === 0 ? Promise.resolve([]) : this.#get('many', keys, options)
    })
  }

  /** How many keys there are. */
  count(options: CountOptions = {}): Promise<number> {
    return this.attempt(() => {
      checkNames(options, known.count)
      const { from, to } = boundsOf(options)
      return this.#ask('count', [packRequest({ op: 'count', from, to })], [], from.length, options)
    })
  }

  /** Streams entries, all at one revision; `timeout` is how long to wait for the next of them. Faults reject the first `next`. */
  range<KeysOnly extends boolean = false>(
    options: RangeOptions & { readonly keysOnly?: KeysOnly | undefined } = {}
  ): Range<Ranged<V, KeysOnly>> {
    try {
      return new OpenRange(this.context, this.ranges, this.codec, this.#rangeTerms(options))
    } catch (error) {
      const refused = new OpenRange(this.context, this.ranges, this.codec, noTerms)
      refused.fail(error)
      return refused
    }
  }

  /**
   * What became of a write whose fate was unknown, by the `operationId` of its error. After `not-applied` it never will
   * be applied.
   */
  resolve(operationId: string, options: CallOptions = {}): Promise<Resolution<V>> {
    return this.attempt(() => {
      checkNames(options, known.call)
      return this.resolves.ask(operationId, this.deadline(options), options.signal)
    })
  }

  #rangeTerms(options: RangeOptions): RangeTerms {
    checkNames(options, known.range)
    const { limit, atRevision, timeout, signal = null, reverse = false, keysOnly = false } = options
    return {
      ...boundsOf(options),
      limit: limit === undefined ? 0 : countOf(limit, 'limit', 1),
      reverse,
      keysOnly,
      atRevision: atRevision === undefined ? 0 : countOf(atRevision, 'atRevision', 1),
      consistency: consistencyOf(options),
      minRevision: minRevisionOf(options),
      timeoutMs: timeout === undefined ? this.timeoutMs : msOf(timeout, 'timeout'),
      signal
    }
  }

  #get(kind: ReadKind, keys: readonly Key[], options: GetOptions = noOptions): Promise<never> {
    if (options !== noOptions) checkNames(options, known.get)
    const atRevision = options.atRevision === undefined ? 0 : countOf(options.atRevision, 'atRevision', 1)
    const requests: Packed[] = []
    const texts: (string | undefined)[] = []
    let bytes = 0
    for (const key of keys) {
      const encoded = encodeKey(key)
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
    const consistency = consistencyOf(options)
    const minRevision = minRevisionOf(options)
    const terms = { consistency, minRevision, deadline: this.deadline(options) }
    return this.sendRead(new Read(kind, this.codec, requests, texts), terms, bytes, options.signal)
  }
}

const noOptions = {}
/** Of a range that ends with its fault before it begins. */
const noTerms: RangeTerms = {
  from: new Uint8Array(0),
  to: null,
  limit: 0,
  reverse: false,
  keysOnly: false,
  atRevision: 0,
  consistency: 'linearizable',
  minRevision: 0,
  timeoutMs: 0,
  signal: null
}

function conditionOf(options: PutOptions): number | null {
  const { ifRevision, ifAbsent } = options
  if (ifAbsent === true) {
    if (ifRevision !== undefined)
      throw new StrettoError('BAD_REQUEST', '`ifAbsent` and `ifRevision` exclude each other')
    return 0
  }
  return ifRevision === undefined ? null : countOf(ifRevision, 'ifRevision', 0)
}

function consistencyOf({ consistency = 'linearizable' }: ReadOptions) {
  if (consistencies.includes(consistency)) return consistency
  throw new StrettoError('BAD_REQUEST', `consistency: one of ${consistencies.join(', ')}`)
}

function minRevisionOf({ minRevision }: ReadOptions): number {
  return minRevision === undefined ? 0 : countOf(minRevision, 'minRevision', 0)
}

function boundsOf({ prefix, from, to }: Bounds): { readonly from: Uint8Array; readonly to: Uint8Array | null } {
  if (prefix === undefined) {
    return { from: encodeBound(from ?? ''), to: to === undefined ? null : encodeBound(to) }
  }
  if (from !== undefined || to !== undefined) {
    throw new StrettoError('BAD_REQUEST', '`prefix` excludes `from` and `to`')
  }
  const first = encodeBound(prefix)
  return { from: first, to: endOfPrefix(first) }
}

/** The first key after all that begin with `prefix`; null where there is none. */
function endOfPrefix(prefix: Uint8Array): Uint8Array | null {
  let length = prefix.length
  while (length > 0 && prefix[length - 1] === 0xff) length--
  if (length === 0) return null
  const end = new Uint8Array(prefix.subarray(0, length))
  end[length - 1]!++
  return end
}
