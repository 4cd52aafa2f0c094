// What may be asked of a watch, what it brings, and how the one becomes a question to a node.
import { compareBytes } from '../base/bytes.ts'
import { StrettoError } from '../base/errors.ts'
import { changeKind, keyAfter, type Change as WireChange } from '../wire/kv/watches.ts'
import type { Corner } from './corner.ts'
import type { Key } from './encoding.ts'
import { type Entry, entryFrom } from './entry.ts'
import { type Bounds, checkNames, countOf, type Duration, msOf } from './options.ts'

/** One key, or a range of keys as in `range`. */
export interface WatchOptions extends Bounds {
  readonly key?: Key | undefined
  /** Changes of this revision and later ones; of those made from now on when left out. */
  readonly fromRevision?: number | undefined
  /** The cluster that `fromRevision` is of: no other one is watched. */
  readonly clusterId?: string | undefined
  /** The present entries come first, all as they were at one revision, then a batch that is `synced`. */
  readonly initial?: boolean | undefined
  /** Changes bring the entry that was there before. */
  readonly previous?: boolean | undefined
  readonly filter?: readonly ('put' | 'delete')[] | undefined
  /** Where nothing has changed for so long, a batch tells up to which revision all has been delivered. */
  readonly progress?: Duration | undefined
  /**
   * Where changes that were to come have been compacted away: `reset` (by default), a batch that is `reset`, the present
   * entries and a batch that is `synced`; or `throw`, the end with `COMPACTED`.
   */
  readonly lost?: 'reset' | 'throw' | undefined
  readonly signal?: AbortSignal | undefined
}

export type Change<V> = PutChange<V> | DeleteChange<V>

export interface PutChange<V> {
  readonly type: 'put'
  readonly entry: Entry<V>
  /** Where it was asked for; null: there was none. */
  readonly previous?: Entry<V> | null
}

export interface DeleteChange<V> {
  readonly type: 'delete'
  /** Its `modRevision` is that of the deletion; all other numbers are 0. */
  readonly entry: Entry<null>
  /** Where it was asked for. */
  readonly previous?: Entry<V> | null
  /** A lease fell due. */
  readonly cause?: 'expired'
}

/** All that a watch has to hear of one revision; of the present entries, a part. */
export interface Batch<V> {
  readonly revision: number
  readonly changes: readonly Change<V>[]
  /** The present entries have come, as they were at this revision. */
  readonly synced?: true
  /** What was known before does not count any more: the present entries follow. */
  readonly reset?: true
  /** All up to this revision has been delivered. */
  readonly progress?: true
}

export interface WatchTerms {
  readonly from: Uint8Array
  readonly to: Uint8Array | null
  /** Null: from now on. */
  readonly after: number | null
  readonly clusterId: string | null
  readonly initial: boolean
  readonly previous: boolean
  readonly puts: boolean
  readonly deletes: boolean
  /** 0: no batches that tell of nothing else. */
  readonly progressMs: number
  readonly whole: boolean
  readonly signal: AbortSignal | null
}

/** Of a watch that ends with its fault before it begins. */
export const noWatch: WatchTerms = {
  from: new Uint8Array(0),
  to: null,
  after: null,
  clusterId: null,
  initial: false,
  previous: false,
  puts: true,
  deletes: true,
  progressMs: 0,
  whole: false,
  signal: null
}

const names = new Set(
  'prefix from to key fromRevision clusterId initial previous filter progress lost signal'.split(' ')
)

/** @throws StrettoError BAD_REQUEST, TOO_LARGE */
export function watchTerms(options: WatchOptions, corner: Corner): WatchTerms {
  checkNames(options, names)
  const { fromRevision, clusterId = null, initial = false, previous = false, lost = 'reset', signal = null } = options
  const { filter = ['put', 'delete'], progress } = options
  if (lost !== 'reset' && lost !== 'throw') throw new StrettoError('BAD_REQUEST', "lost: 'reset' or 'throw'")
  const known = filter.every(type => type === 'put' || type === 'delete')
  if (filter.length === 0 || !known) throw new StrettoError('BAD_REQUEST', "filter: 'put', 'delete' or both")
  return {
    ...spanOf(options, corner),
    after: fromRevision === undefined ? null : countOf(fromRevision, 'fromRevision', 1) - 1,
    clusterId,
    initial,
    previous,
    puts: filter.includes('put'),
    deletes: filter.includes('delete'),
    progressMs: progress === undefined ? 0 : Math.ceil(msOf(progress, 'progress')),
    whole: lost === 'throw',
    signal
  }
}

function spanOf({ key, ...bounds }: WatchOptions, corner: Corner): Pick<WatchTerms, 'from' | 'to'> {
  if (key === undefined) {
    const range = corner.range(bounds)
    if (range.to !== null && compareBytes(range.from, range.to) >= 0) {
      throw new StrettoError('BAD_REQUEST', 'a range that ends before it begins holds nothing to watch')
    }
    return range
  }
  if (bounds.prefix !== undefined || bounds.from !== undefined || bounds.to !== undefined) {
    throw new StrettoError('BAD_REQUEST', '`key` excludes `prefix`, `from` and `to`')
  }
  const from = corner.key(key)
  return { from, to: keyAfter(from) }
}

/** @throws UndecodableValue */
export function changeOf(
  { kind, entry, previous }: WireChange,
  corner: Corner,
  withPrevious: boolean
): Change<unknown> {
  const before = previous === null || previous === undefined ? null : entryFrom(previous, corner)
  const rest = withPrevious ? { previous: before } : {}
  if (kind === changeKind.put) return { type: 'put', entry: entryFrom(entry, corner), ...rest }
  const { createRevision, modRevision, version, leaseId } = entry
  const deleted = { key: corner.textOf(entry.key), value: null, createRevision, modRevision, version, leaseId }
  return { type: 'delete', entry: deleted, ...rest, ...(kind === changeKind.expired && { cause: 'expired' }) }
}
