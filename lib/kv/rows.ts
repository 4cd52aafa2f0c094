// The rows of the state database, format 1: every key and every value as bytes, numbers big-endian.
//
// Every key begins with  0 u16 group, 0 today · 2 u8 kind of row.
// Every value ends with a u32 CRC-32 over the whole key of the row and the value up to there, checked at each read.
//
//   kind 0  head           one row, replaced by each flush; the whole flush is one atomic, synced batch
//             value          0 u16 format (keeps its place in every later format, as the CRC at the end does)
//                            2 u64 revision of the store · 10 u64 compaction revision, 0 before the first
//                           18 u64 index and 26 u32 term of the last record contained · 30 u32 length of the sidecar
//                           34 the sidecar
//   kind 1  entry          key: 3 the key as it is. The newest version of a key that is there
//             value          0 u8 zero · 1 u64 create revision · 9 u64 mod revision · 17 u64 version · 25 u64 lease id
//                           33 u64 index of the record that brought it · 41 u16 number of the command in it · 43 the value
//   kind 2  history        key: 3 the key with each byte 00 as 00 FF · 00 01 · u64 revision at which the last version named in
//                            it was replaced; where that is a deletion, its own
//             value          msgpack: a flat array, six numbers a version, oldest first:
//                            mod revision, create revision, version (0: deleted), lease id, index, number of the command.
//                            Named are versions that are no longer the newest entry: those replaced since the last flush
//                            of the key, and deletions. Their values stand in the log, or in the row in the place of the index:
//                            of those that still stood at the compaction revision when the log let go of them
//   kind 3  effects        key: 3 u64 index of a record, only where it does not itself spell out what it did
//             value          msgpack [revision before it, [effect, ...]], one for each command: 0 it changed nothing,
//                            1 it did what it says, bytes: the value it stored, [change, ...]: all of these under one
//                            revision, each of another key; those missing at the end changed nothing. A change: [key, null]
//                            deleted, [key, offset, length] stored the value that stands there in the record, counted from
//                            its first byte, [key, bytes] stored this value
//   kind 4  generation     key: 3 u64 revision of the store at a flush that changed it
//             value          msgpack [index and term of the last record contained, revision of the generation before: 0 for
//                            none, or let go of]. Written before this was told, two numbers
//   kind 5  lease          key: 3 u64 lease id
//             value          msgpack [ttl in milliseconds, cluster time after which it falls due: 0 where it has ended and its
//                            keys are still being deleted, 1 where it ends with its last key, else 0]
//   kind 6  key of a lease key: 3 u64 lease id · 11 the key as it is; its entry names the lease
//             value          0 u16 zero
//   kind 7  sum of leases  one row, written by each flush once there has been a lease
//             value          msgpack [number of leases, a sum over all of them: lease-table.ts]
//   kind 8  order          one row, written by each flush once there has been an order to compact
//             value          msgpack [the revision that the last one named]
import { crc32 } from 'node:zlib'
import { readU16, readU32, readU64, toHex, writeU16, writeU32, writeU64 } from '../base/bytes.ts'
import { StrettoError } from '../base/errors.ts'
import type { Index, LogId, Term } from '../raft/types.ts'
import { type Packed, pack, unpack } from '../record/pack.ts'
import { asFault } from './fault.ts'
import type { LeaseRow, LeaseSum } from './leases/lease-table.ts'
import { keyText, Version } from './version.ts'

export const stateFormat = 1

const kind = {
  head: 0,
  entry: 1,
  history: 2,
  effects: 3,
  generation: 4,
  lease: 5,
  leaseKey: 6,
  leaseSum: 7,
  order: 8
} as const
const kindMax = kind.order
const prefixBytes = 3
const crcBytes = 4
const entryAt = { create: 1, mod: 9, version: 17, lease: 25, index: 33, command: 41, value: 43 } as const
const headAt = { format: 0, revision: 2, compacted: 10, index: 18, term: 26, sidecarLength: 30, sidecar: 34 } as const

export interface Head {
  readonly revision: number
  /** State is readable at revisions at or above it, once history is; reads below it are refused. 0 before the first. */
  readonly compacted: number
  readonly applied: LogId
  readonly sidecar: Uint8Array
}

export const headKey: Uint8Array = prefixed(kind.head, 0)

export function writeHead(head: Head): Uint8Array {
  const row = Buffer.allocUnsafe(headAt.sidecar + head.sidecar.length + crcBytes)
  writeU16(row, headAt.format, stateFormat)
  writeU64(row, headAt.revision, head.revision)
  writeU64(row, headAt.compacted, head.compacted)
  writeU64(row, headAt.index, head.applied.index)
  writeU32(row, headAt.term, head.applied.term)
  writeU32(row, headAt.sidecarLength, head.sidecar.length)
  row.set(head.sidecar, headAt.sidecar)
  return sealed(headKey, row)
}

/** @throws StrettoError CORRUPT, or BAD_REQUEST where a newer version has written it */
export function readHead(row: Uint8Array): Head {
  const content = unsealed(headKey, row)
  const format = readU16(content, headAt.format)
  if (format > stateFormat) {
    const text = `the state is written in format ${format}, and this version reads up to ${stateFormat}: use a newer version`
    throw new StrettoError('BAD_REQUEST', text)
  }
  if (format !== stateFormat || content.length < headAt.sidecar) throw corruptRow(headKey)
  if (headAt.sidecar + readU32(content, headAt.sidecarLength) !== content.length) throw corruptRow(headKey)
  return {
    revision: readU64(content, headAt.revision),
    compacted: readU64(content, headAt.compacted),
    applied: { index: readU64(content, headAt.index), term: readU32(content, headAt.term) },
    sidecar: new Uint8Array(content.subarray(headAt.sidecar))
  }
}

export function entryKey(key: string): Uint8Array {
  const row = prefixed(kind.entry, key.length)
  row.write(key, prefixBytes, 'latin1')
  return row
}

/** The bounds of the entries from `from` (inclusive) to `to` (exclusive; null for no end), as keys of rows. */
export function entryBounds(
  from: Uint8Array,
  to: Uint8Array | null
): { readonly gte: Uint8Array; readonly lt: Uint8Array } {
  const gte = prefixed(kind.entry, from.length)
  gte.set(from, prefixBytes)
  const lt = prefixed(to === null ? kind.entry + 1 : kind.entry, to?.length ?? 0)
  if (to !== null) lt.set(to, prefixBytes)
  return { gte, lt }
}

/** The user's key in the key of an entry row, as text. */
export function entryKeyText(rowKey: Uint8Array): string {
  return keyText(rowKey.subarray(prefixBytes))
}

export function writeEntry(rowKey: Uint8Array, version: Version): Uint8Array {
  const row = Buffer.allocUnsafe(entryAt.value + version.length + crcBytes)
  row[0] = 0
  writeU64(row, entryAt.create, version.createRevision)
  writeU64(row, entryAt.mod, version.modRevision)
  writeU64(row, entryAt.version, version.version)
  writeU64(row, entryAt.lease, version.leaseId)
  writeU64(row, entryAt.index, version.index)
  writeU16(row, entryAt.command, version.command)
  row.set(version.value, entryAt.value)
  return sealed(rowKey, row)
}

/**
 * The value of the version is a place in `row`.
 * @throws StrettoError CORRUPT
 */
export function readEntry(key: string, rowKey: Uint8Array, row: Uint8Array): Version {
  const content = unsealed(rowKey, row)
  if (content.length < entryAt.value || content[0] !== 0) throw corruptRow(rowKey)
  const version = new Version(
    key,
    readU64(content, entryAt.mod),
    readU64(content, entryAt.index),
    readU16(content, entryAt.command)
  )
  version.createRevision = readU64(content, entryAt.create)
  version.version = readU64(content, entryAt.version)
  version.leaseId = readU64(content, entryAt.lease)
  version.hold(row, entryAt.value, content.length - entryAt.value)
  return version
}

/** The revision is the one at which the last version named in the row was replaced, or of a deletion its own. */
export function historyKey(key: string, revision: number): Uint8Array {
  // Each byte 00 becomes 00 FF and the end 00 01, so that rows of one key stand together and in order of revision.
  const escaped = key.includes('\0') ? key.replaceAll('\0', '\0\xff') : key
  const row = prefixed(kind.history, escaped.length + 10)
  row.write(escaped, prefixBytes, 'latin1')
  row[prefixBytes + escaped.length] = 0
  row[prefixBytes + escaped.length + 1] = 1
  writeU64(row, prefixBytes + escaped.length + 2, revision)
  return row
}

export function effectsKey(index: number): Uint8Array {
  const row = prefixed(kind.effects, 8)
  writeU64(row, prefixBytes, index)
  return row
}

/** @throws StrettoError CORRUPT */
export function readEffects(
  rowKey: Uint8Array,
  row: Uint8Array
): { readonly revisionBefore: number; readonly each: readonly Packed[] } {
  const fields = unpack(unsealed(rowKey, row))
  if (!Array.isArray(fields) || typeof fields[0] !== 'number' || !Array.isArray(fields[1])) throw corruptRow(rowKey)
  return { revisionBefore: fields[0], each: fields[1] as readonly Packed[] }
}

/** Rows of one kind, or of several, from `gte` up to and without `lt`. */
export interface RowRange {
  readonly gte: Uint8Array
  readonly lt: Uint8Array
}

const afterAll: Uint8Array = Uint8Array.of(0, 1)

export const headRange: RowRange = { gte: headKey, lt: prefixed(kind.entry, 0) }
export const allRows: RowRange = { gte: headKey, lt: afterAll }
export const historyRange: RowRange = { gte: prefixed(kind.history, 0), lt: prefixed(kind.effects, 0) }

/** What `head` stands for, without its own row, the history and the effects, and of the generations the newest. */
export function rowsOfState(head: Head): readonly RowRange[] {
  return [
    { gte: prefixed(kind.entry, 0), lt: historyRange.gte },
    { gte: generationKey(head.revision), lt: afterAll }
  ]
}

/** The effects of records up to `base`. */
export function effectsUpTo(base: Index): RowRange {
  return { gte: effectsKey(0), lt: effectsKey(base + 1) }
}

/** The generations up to and without `revision`. */
export function generationsBelow(revision: number): RowRange {
  return { gte: generationKey(0), lt: generationKey(revision) }
}

/** The generations up to and with `revision`. */
export function generationsUpTo(revision: number): RowRange {
  return generationsBelow(revision + 1)
}

export const allGenerations: RowRange = { gte: generationKey(0), lt: prefixed(kind.generation + 1, 0) }

/** Of the key of a generation row. */
export function revisionOfGeneration(rowKey: Uint8Array): number {
  return readU64(rowKey, prefixBytes)
}

/** What the row of a generation says. */
export interface GenerationRow {
  /** The last record contained. */
  readonly last: LogId
  /** Revision of the generation before, 0 for none; null where the row is from before this was told. */
  readonly previous: number | null
}

export function writeGeneration(rowKey: Uint8Array, { index, term }: LogId, previous: number): Uint8Array {
  return writePacked(rowKey, [index, term, previous])
}

/** @throws StrettoError CORRUPT */
export function readGeneration(rowKey: Uint8Array, row: Uint8Array): GenerationRow {
  const numbers: unknown = unpack(unsealed(rowKey, row))
  if (!isNumbers(numbers) || numbers.length < 2 || rowKey.length !== prefixBytes + 8) throw corruptRow(rowKey)
  const [index, term, previous = null] = numbers as readonly [Index, Term, number?]
  return { last: { index, term }, previous }
}

function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every(each => typeof each === 'number')
}

/** The row of a generation as the first of its chain; any other row as it is. @throws StrettoError CORRUPT */
export function firstOfChain([rowKey, row]: readonly [Uint8Array, Uint8Array]): [Uint8Array, Uint8Array] {
  if (rowKey[2] !== kind.generation) return [rowKey, row]
  return [rowKey, writeGeneration(rowKey, readGeneration(rowKey, row).last, 0)]
}

/** Of the last record contained in a generation; null where the row is damaged. */
export function indexOfGeneration(rowKey: Uint8Array, row: Uint8Array): Index | null {
  try {
    return readGeneration(rowKey, row).last.index
  } catch (error) {
    asFault(error)
    return null
  }
}

export const allLeases: RowRange = { gte: prefixed(kind.lease, 0), lt: prefixed(kind.leaseKey, 0) }
export const allLeaseKeys: RowRange = { gte: prefixed(kind.leaseKey, 0), lt: prefixed(kind.leaseKey + 1, 0) }

export function leaseKey(id: number): Uint8Array {
  const row = prefixed(kind.lease, 8)
  writeU64(row, prefixBytes, id)
  return row
}

export function writeLease(rowKey: Uint8Array, { ttlMs, deadline, bound }: LeaseRow): Uint8Array {
  return writePacked(rowKey, [ttlMs, deadline, bound ? 1 : 0])
}

/** @throws StrettoError CORRUPT */
export function readLease(rowKey: Uint8Array, row: Uint8Array): LeaseRow & { readonly id: number } {
  const numbers: unknown = unpack(unsealed(rowKey, row))
  if (!isNumbers(numbers) || numbers.length !== 3 || rowKey.length !== prefixBytes + 8) throw corruptRow(rowKey)
  const [ttlMs, deadline, bound] = numbers as readonly [number, number, number]
  return { id: readU64(rowKey, prefixBytes), ttlMs, deadline, bound: bound === 1 }
}

export function leaseKeyKey(id: number, key: string): Uint8Array {
  const row = prefixed(kind.leaseKey, 8 + key.length)
  writeU64(row, prefixBytes, id)
  row.write(key, prefixBytes + 8, 'latin1')
  return row
}

export function writeLeaseKey(rowKey: Uint8Array): Uint8Array {
  return sealed(rowKey, Buffer.alloc(2 + crcBytes))
}

/** @throws StrettoError CORRUPT */
export function readLeaseKey(rowKey: Uint8Array, row: Uint8Array): { readonly id: number; readonly key: string } {
  unsealed(rowKey, row)
  if (rowKey.length <= prefixBytes + 8) throw corruptRow(rowKey)
  return { id: readU64(rowKey, prefixBytes), key: keyText(rowKey.subarray(prefixBytes + 8)) }
}

export const leaseSumKey: Uint8Array = prefixed(kind.leaseSum, 0)

export function writeLeaseSum({ count, sum }: LeaseSum): Uint8Array {
  return writePacked(leaseSumKey, [count, sum])
}

/** @throws StrettoError CORRUPT */
export function readLeaseSum(row: Uint8Array): LeaseSum {
  const numbers: unknown = unpack(unsealed(leaseSumKey, row))
  if (!isNumbers(numbers) || numbers.length !== 2) throw corruptRow(leaseSumKey)
  const [count, sum] = numbers as readonly [number, number]
  return { count, sum }
}

export const orderKey: Uint8Array = prefixed(kind.order, 0)

export function writeOrder(revision: number): Uint8Array {
  return writePacked(orderKey, [revision])
}

/** @throws StrettoError CORRUPT */
export function readOrder(row: Uint8Array): number {
  const numbers: unknown = unpack(unsealed(orderKey, row))
  if (!isNumbers(numbers) || numbers.length !== 1) throw corruptRow(orderKey)
  return numbers[0]!
}

/** From which revision on none of the versions that a history row names is the newest one of its key, by its own key. */
export function revisionOfHistory(rowKey: Uint8Array): number {
  return readU64(rowKey, rowKey.length - 8)
}

/** Does a key say that it is one of the state, of a kind in use? */
export function isRowKey(rowKey: Uint8Array): boolean {
  return rowKey.length >= prefixBytes && rowKey[0] === 0 && rowKey[1] === 0 && rowKey[2]! <= kindMax
}

export function generationKey(revision: number): Uint8Array {
  const row = prefixed(kind.generation, 8)
  writeU64(row, prefixBytes, revision)
  return row
}

/** The value of a row whose content is msgpack. */
export function writePacked(rowKey: Uint8Array, value: Packed): Uint8Array {
  const content = pack(value)
  const row = Buffer.allocUnsafe(content.length + crcBytes)
  row.set(content)
  return sealed(rowKey, row)
}

/**
 * The content of a row without its CRC.
 * @throws StrettoError CORRUPT
 */
export function unsealed(rowKey: Uint8Array, row: Uint8Array): Uint8Array {
  const end = row.length - crcBytes
  if (end < 2) throw corruptRow(rowKey)
  const content = row.subarray(0, end)
  if (crc32(content, crc32(rowKey)) !== readU32(row, end)) throw corruptRow(rowKey)
  return content
}

function sealed(rowKey: Uint8Array, row: Uint8Array): Uint8Array {
  const end = row.length - crcBytes
  writeU32(row, end, crc32(row.subarray(0, end), crc32(rowKey)))
  return row
}

function prefixed(kindOfRow: number, bytes: number): Buffer {
  const key = Buffer.allocUnsafe(prefixBytes + bytes)
  key[0] = 0
  key[1] = 0
  key[2] = kindOfRow
  return key
}

function corruptRow(rowKey: Uint8Array): StrettoError {
  return new StrettoError('CORRUPT', `a row of the state database is damaged (key ${toHex(rowKey.subarray(0, 64))})`)
}
