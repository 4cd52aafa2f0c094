// The language of watches: what is asked for, and what has changed, as msgpack arrays. Shared by client and machine.
//
// A watch: [from, to | 0 | null, flags, after revision | null, progress ms, scan revision | null, scan after key | null]
//   `to` 0: of one key; null: no end. Flags: 1 = present entries first, 2 = previous entries, 4 = no puts, 8 = no deletions,
//   16 = ends where its past is gone, instead of beginning anew. `after`: what was delivered already; null: from now on.
//   `scan revision` and `scan after key`: present entries first, as they were at that revision, and only those after the key.
// A change: [kind, entry] or [kind, entry, previous entry | null]. The entry of a deletion has no value, and its numbers but
//   the revision are 0.
import { equalBytes } from '../../base/bytes.ts'
import { type Packed, pack, unpack } from '../../record/pack.ts'
import { malformed, readKey, readNumber, readRange } from './fields.ts'
import { type Entry, packEntry, readEntry } from './questions.ts'

export const changeKind = { put: 0, delete: 1, expired: 2 } as const
export const watchFlag = { initial: 1, previous: 2, noPuts: 4, noDeletes: 8, whole: 16 } as const
const flagsAll = 31
/** What a change takes beside its keys and values, about. */
const changeCost = 64

/** Present entries that are still to come: those after `key`, as they were at `revision`. */
export interface ScanFrom {
  readonly revision: number
  /** Null: from the first on. */
  readonly after: Uint8Array | null
}

export interface WatchRequest {
  readonly from: Uint8Array
  /** Exclusive; null for no end. */
  readonly to: Uint8Array | null
  /** The present entries come first. */
  readonly initial: boolean
  readonly previous: boolean
  readonly puts: boolean
  readonly deletes: boolean
  /** Where the past is gone the watch ends: it does not begin anew with the present entries. */
  readonly whole: boolean
  /** All changes up to this revision have been delivered, or are not wanted; null: those up to now. */
  readonly after: number | null
  /** How often it is told at least up to where all has been delivered, milliseconds; 0: as often as the node does anyway. */
  readonly progressMs: number
  /** Of a watch that was interrupted while the present entries came. */
  readonly scan: ScanFrom | null
}

export function packWatch(watch: WatchRequest): Uint8Array {
  const { from, to, after, progressMs, scan } = watch
  let flags = 0
  if (watch.initial) flags |= watchFlag.initial
  if (watch.previous) flags |= watchFlag.previous
  if (!watch.puts) flags |= watchFlag.noPuts
  if (!watch.deletes) flags |= watchFlag.noDeletes
  if (watch.whole) flags |= watchFlag.whole
  const end = to !== null && isAfter(from, to) ? 0 : to
  return pack([from, end, flags, after, progressMs, scan?.revision ?? null, scan?.after ?? null])
}

/** @throws StrettoError BAD_REQUEST */
export function readWatch(bytes: Uint8Array): WatchRequest {
  const value = unpack(bytes)
  if (!Array.isArray(value)) throw malformed('a watch that is no array')
  const [from, to, flags, after = null, progressMs, revision = null, last = null] = value as Packed[]
  if (typeof flags !== 'number' || (flags & ~flagsAll) !== 0) throw malformed('flags that this version does not know')
  const has = (flag: number): boolean => (flags & flag) !== 0
  const single = to === 0 ? readKey(from) : null
  const scan =
    revision === null
      ? null
      : { revision: readNumber(revision, 'a revision', 1), after: last === null ? null : readKey(last) }
  return {
    ...(single === null ? readRange(from, to) : { from: single, to: keyAfter(single) }),
    initial: has(watchFlag.initial),
    previous: has(watchFlag.previous),
    puts: !has(watchFlag.noPuts),
    deletes: !has(watchFlag.noDeletes),
    whole: has(watchFlag.whole),
    after: after === null ? null : readNumber(after, 'a revision', 0),
    progressMs: readNumber(progressMs ?? 0, 'an interval', 0),
    scan
  }
}

export interface Change {
  readonly kind: number
  readonly entry: Entry
  /** Undefined where it was not asked for; null: there was none. */
  readonly previous: Entry | null | undefined
}

export function packChange({ kind, entry, previous }: Change): Packed {
  const packed = packEntry(entry)
  return previous === undefined ? [kind, packed] : [kind, packed, previous === null ? null : packEntry(previous)]
}

/** @throws StrettoError BAD_REQUEST */
export function readChange(value: Packed | undefined): Change {
  if (!Array.isArray(value)) throw malformed('a change that is no array')
  const [kind, entry, previous] = value as Packed[]
  if (typeof kind !== 'number' || !kinds.includes(kind)) throw malformed('a change of an unknown kind')
  const before = previous === undefined || previous === null ? previous : readEntry(previous)
  return { kind, entry: readEntry(entry), previous: before }
}

const kinds: readonly number[] = Object.values(changeKind)

/** What a change takes of the credit of its watch: the same by the account of node and client. All in bytes. */
export function costOfChange(key: number, value: number, previous: number): number {
  return changeCost + key + value + previous
}

/** The first key after `key`. */
export function keyAfter(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
}

function isAfter(key: Uint8Array, to: Uint8Array): boolean {
  return to.length === key.length + 1 && to.at(-1) === 0 && equalBytes(key, to.subarray(0, -1))
}
