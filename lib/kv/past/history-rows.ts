// Rows of history as they are read: which versions of a key there were, and until when (layout: `rows.ts`).
import { StrettoError } from '../../base/errors.ts'
import { type Packed, unpack } from '../../record/pack.ts'
import { placeNumbers } from '../places.ts'
import { historyKey, historyRange, type RowRange, unsealed } from '../rows.ts'
import { keyText, Version } from '../version.ts'

/** The end of the key of a history row: what ends the user's key, and the revision. */
const tailBytes = 10

/** Six a version, as in the row. In the place of an index stands the value, where the log does not hold it any more. */
export type HistoryFields = Packed[]

/** @throws StrettoError CORRUPT */
export function readHistory(rowKey: Uint8Array, row: Uint8Array): HistoryFields {
  const fields = unpack(unsealed(rowKey, row))
  if (!Array.isArray(fields) || fields.length === 0 || fields.length % placeNumbers !== 0) throw noHistory()
  return fields as Packed[]
}

/** Where the newest of the versions begins that is of `revision` or an earlier one; -1 for none. */
export function newestUpTo(fields: HistoryFields, revision: number): number {
  let at = fields.length - placeNumbers
  while (at >= 0 && (fields[at] as number) > revision) at -= placeNumbers
  return Math.max(at, -1)
}

/** The version that begins at `at`; without its value where that has to be looked up (`isNamed`). @throws StrettoError CORRUPT */
export function versionFrom(key: string, fields: HistoryFields, at: number): Version {
  const value = fields[at + 4]
  const kept = value instanceof Uint8Array
  const numbers = fields.slice(at, at + placeNumbers)
  if (kept) numbers[4] = 0
  if (!numbers.every(each => typeof each === 'number')) throw noHistory()
  const version = namedVersion(key, numbers)
  if (kept) version.hold(value, 0, value.length)
  return version
}

/** The version that the six numbers of a place stand for. */
export function namedVersion(key: string, numbers: readonly number[]): Version {
  const version = new Version(key, numbers[0]!, numbers[4]!, numbers[5]!)
  version.createRevision = numbers[1]!
  version.version = numbers[2]!
  version.leaseId = numbers[3]!
  return version
}

/** Is its value still to be looked up by its place in the log? A deletion has none. */
export function isNamed(version: Version): boolean {
  return version.deleted && version.version > 0
}

/** The user's key in the key of a history row, as text. */
export function historyKeyText(rowKey: Uint8Array): string {
  const escaped = keyText(rowKey.subarray(3, rowKey.length - tailBytes))
  return escaped.includes('\0') ? escaped.replaceAll('\0\xff', '\0') : escaped
}

/** The rows of the keys from `from` up to and without `to`; null for no end. */
export function historyOf(from: string, to: string | null): RowRange {
  return { gte: begin(from), lt: to === null ? historyRange.lt : begin(to) }
}

/** The rows that name what was still in place after `revision`; the first of them names what stood there then. */
export function historyAfter(key: string, revision: number): RowRange {
  return { gte: historyKey(key, revision + 1), lt: historyKey(key, Number.MAX_SAFE_INTEGER) }
}

function begin(key: string): Uint8Array {
  const whole = historyKey(key, 0)
  return whole.subarray(0, whole.length - tailBytes)
}

function noHistory(): StrettoError {
  return new StrettoError('CORRUPT', 'a row of the history is none')
}
