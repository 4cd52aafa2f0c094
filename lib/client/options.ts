// What users may ask for with a call, and how it is read: durations, unknown names, contradictions.
import { StrettoError } from '../base/errors.ts'
import type { Consistency } from '../wire/client.ts'
import type { Codec, Key } from './encoding.ts'

/** Milliseconds, or a text such as `150ms`, `10s`, `2m`. */
export type Duration = number | string

export interface CallOptions {
  /** How long to try before giving up; 5 s by default. */
  readonly timeout?: Duration | undefined
  /** Gives the call up; the promise rejects with the signal's reason. `timeout` is the cheaper way to say how long. */
  readonly signal?: AbortSignal | undefined
}

export interface WriteOptions extends CallOptions {
  /** The write is not applied any more when so much cluster time has passed since the call. */
  readonly notAfter?: Duration | undefined
}

/** A lease, or its id. */
export type LeaseRef = number | { readonly id: number }

/** Proof of a lock: a `Lock`, or what was kept of one. */
export interface FencingRef {
  /** The whole key that holds the lock, also where the store is a namespace. */
  readonly key: Key
  /** The revision at which it was created. */
  readonly fencingToken: number
}

export interface DeleteOptions extends WriteOptions {
  /** Only if the entry was last changed at this revision; 0: only if there is none. */
  readonly ifRevision?: number | undefined
  /** The result brings the entry as it was before. */
  readonly previous?: boolean | undefined
  /** Only while this lock is held, which the store itself checks: else FENCED, and nothing is applied. */
  readonly fencing?: FencingRef | undefined
}

/** How long a key lives. Without either, until it is deleted, also where it had a lease before. */
export interface LeaseOptions {
  /** The key goes by itself after so long, at least a second: a lease of its own, which another put takes from it. */
  readonly ttl?: Duration | undefined
  /** The key goes when this lease ends. */
  readonly lease?: LeaseRef | undefined
}

export interface PutOptions extends DeleteOptions, LeaseOptions {
  /** Only if there is no entry yet: the same as `ifRevision: 0`. */
  readonly ifAbsent?: boolean | undefined
}

export interface ReadOptions extends CallOptions {
  /** `linearizable` by default; `session`: all that this client has seen; `stale`: whatever the node has. */
  readonly consistency?: Consistency | undefined
  /** Answered once the store has reached this revision. */
  readonly minRevision?: number | undefined
  /** Of a `stale` read: a node that has been out of touch with a leader for longer does not answer it. */
  readonly maxStaleness?: Duration | undefined
}

export interface GetOptions extends ReadOptions {
  /** As it was at this revision. */
  readonly atRevision?: number | undefined
}

/** Keys that begin with `prefix`; or from `from` up to, and without, `to`. Both left out: all keys. */
export interface Bounds {
  readonly prefix?: Key | undefined
  readonly from?: Key | undefined
  readonly to?: Key | undefined
}

export interface DeleteRangeOptions extends WriteOptions {
  /**
   * True by default: one change, of at most 10,000 keys. False: page after page, each a change of its own, however many keys
   * there are; `timeout` is for each page, and keys that come meanwhile may stay.
   */
  readonly atomic?: boolean | undefined
}

/** Bounds of which one at least is named: what must not mean all keys by mistake. `{ prefix: '' }` does. */
export type NamedBounds =
  | { readonly prefix: Key; readonly from?: undefined; readonly to?: undefined }
  | { readonly prefix?: undefined; readonly from: Key; readonly to?: Key | undefined }
  | { readonly prefix?: undefined; readonly from?: Key | undefined; readonly to: Key }

export interface CountOptions extends GetOptions, Bounds {}

export interface RangeOptions extends GetOptions, Bounds {
  readonly limit?: number | undefined
  /** From the last key to the first. */
  readonly reverse?: boolean | undefined
  /** Entries come with `value: null`. */
  readonly keysOnly?: boolean | undefined
}

export interface TransactRangeOptions extends Bounds {
  readonly limit?: number | undefined
  /** From the last key to the first. */
  readonly reverse?: boolean | undefined
}

export interface ClientOptions<V> {
  readonly valueEncoding?: 'utf8' | 'json' | 'bytes' | Codec<V> | undefined
  /** For calls that name none of their own; 5 s by default. */
  readonly timeout?: Duration | undefined
  /** Shown by nodes in logs and counters. */
  readonly name?: string | undefined
  readonly token?: string | undefined
}

const callNames = ['timeout', 'signal'] as const
const readNames = [...callNames, 'consistency', 'minRevision', 'maxStaleness'] as const
const boundNames = ['prefix', 'from', 'to'] as const

export const known = {
  client: new Set<string>(['valueEncoding', 'timeout', 'name', 'token']),
  call: new Set<string>(callNames),
  bounds: new Set<string>(boundNames),
  deleteRange: new Set<string>([...callNames, 'notAfter', 'atomic']),
  lease: new Set<string>(['ttl', 'lease']),
  transactRange: new Set<string>([...boundNames, 'limit', 'reverse']),
  opPut: new Set<string>(['previous', 'ttl', 'lease']),
  opDelete: new Set<string>(['previous']),
  opRange: new Set<string>([...boundNames, 'limit', 'reverse', 'keysOnly']),
  opTxn: new Set<string>(['if', 'then', 'else']),
  increment: new Set<string>([...callNames, 'notAfter']),
  grant: new Set<string>([...callNames, 'notAfter', 'ttl']),
  leaseOf: new Set<string>([...readNames, 'keys']),
  leases: new Set<string>(readNames),
  delete: new Set<string>([...callNames, 'notAfter', 'ifRevision', 'previous', 'fencing']),
  put: new Set<string>([...callNames, 'notAfter', 'ifRevision', 'previous', 'fencing', 'ifAbsent', 'ttl', 'lease']),
  get: new Set<string>([...readNames, 'atRevision']),
  count: new Set<string>([...readNames, ...boundNames, 'atRevision']),
  range: new Set<string>([...readNames, ...boundNames, 'atRevision', 'limit', 'reverse', 'keysOnly'])
} as const

/**
 * An option that is not known is never passed over: it may be the one that matters.
 * @throws StrettoError BAD_REQUEST
 */
export function checkNames(options: object, names: ReadonlySet<string>): void {
  for (const name in options) {
    if (!names.has(name))
      throw new StrettoError('BAD_REQUEST', `'${name}' is no option of this call: ${[...names].join(', ')}`)
  }
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
/** A day more than any timer holds is no sensible patience, and patience must fit 32 bits on the wire. */
const durationMsMax = 2_147_483_647

/** @throws StrettoError BAD_REQUEST */
export function msOf(duration: Duration, name: string): number {
  let ms = duration
  if (typeof ms === 'string') {
    const match = /^(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h)$/.exec(ms)
    ms = match === null ? Number.NaN : Number(match[1]) * unitMs[match[2]!]!
  }
  if (typeof ms !== 'number' || !(ms > 0)) {
    throw new StrettoError('BAD_REQUEST', `${name}: a number of milliseconds above 0, or a text such as '10s'`)
  }
  return Math.min(ms, durationMsMax)
}

/** @throws StrettoError BAD_REQUEST unless `value` is a whole number of at least `least` */
export function countOf(value: number, name: string, least: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new StrettoError('BAD_REQUEST', `${name}: a whole number of ${least} or more`)
}
