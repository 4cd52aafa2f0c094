// The stream of bytes of a key-value snapshot, format 1: a head, rows of the state as they are on disk, and an end.
//
//    0  u16  format, 1
//    2  u16  kind of machine, 1 (2: saved whole, see `machine/saved-snapshot.ts`)
//    4       the rows, in the order of their keys and the head row first, each
//            u16 length of the key, u32 length of the value, the key, the value (layout: `rows.ts`)
//            u16 zero, u32 12: the end, which no row can look like
//            u64 number of rows
//            u32 CRC-32 of all before
//
// Each row carries its own CRC and is checked by it, where it leaves and where it arrives, so that damage of a disk does
// not travel. The CRC at the end covers what lies between the rows.
import { crc32 } from 'node:zlib'
import { readU16, readU32, readU64, writeU16, writeU32, writeU64 } from '../base/bytes.ts'
import { StrettoError } from '../base/errors.ts'
import { headKey, isRowKey, unsealed } from './rows.ts'

const streamFormat = 1
const keyValueKind = 1
const rowHeadBytes = 6
const countBytes = 8
const endBytes = rowHeadBytes + countBytes + 4
/** More than any row of ours has: what says so is damaged. */
const rowBytesMax = 268_435_456

export type RowPair = readonly [key: Uint8Array, value: Uint8Array]

export const streamHead: Uint8Array = Uint8Array.of(0, streamFormat, 0, keyValueKind)

/**
 * Rows as they stand in the stream.
 * @throws StrettoError CORRUPT where one of them is damaged
 */
export function streamRows(rows: readonly RowPair[]): Uint8Array {
  let length = 0
  for (const [key, value] of rows) length += rowHeadBytes + key.length + value.length
  const bytes = Buffer.allocUnsafe(length)
  let at = 0
  for (const [key, value] of rows) {
    unsealed(key, value)
    writeU16(bytes, at, key.length)
    writeU32(bytes, at + 2, value.length)
    bytes.set(key, at + rowHeadBytes)
    bytes.set(value, at + rowHeadBytes + key.length)
    at += rowHeadBytes + key.length + value.length
  }
  return bytes
}

/** `crc` is that of all before. */
export function streamEnd(rowCount: number, crc: number): Uint8Array {
  const end = new Uint8Array(endBytes)
  writeU32(end, 2, endBytes - rowHeadBytes)
  writeU64(end, rowHeadBytes, rowCount)
  const covered = end.subarray(0, rowHeadBytes + countBytes)
  writeU32(end, covered.length, crc32(covered, crc))
  return end
}

/** Takes a stream in, piece by piece, and gives its rows, each checked. */
export class StreamReader {
  #bytes: Uint8Array = Buffer.alloc(0)
  #at = 0
  /** Pieces that follow `#bytes`, as long as they are not enough for what comes next. */
  #pieces: Uint8Array[] = []
  #wanted = streamHead.length
  #length = 0
  #begun = false
  #ended = false
  #rowCount = 0
  #crc = 0
  /** All before it in `#bytes` is in `#crc`. */
  #countedTo = 0
  #previousKey: Uint8Array = Buffer.alloc(0)

  /** The end has come, and all before it is as it was sent. */
  get ended(): boolean {
    return this.#ended
  }

  /** More of the stream, when `next` has none left. Read until `rest` is called, and not kept longer. */
  push(piece: Uint8Array): void {
    this.#pieces.push(piece)
    this.#length += piece.length
    if (this.#length < this.#wanted) return
    this.#bytes = this.#pieces.length === 1 ? piece : Buffer.concat(this.#pieces)
    this.#pieces = []
    this.#at = 0
    this.#countedTo = 0
  }

  /** Copies what is left of the pieces, which belong to their owner again. */
  rest(): void {
    const piece = this.#pieces.pop()
    if (piece === undefined) {
      this.#count(this.#at)
      this.#length = this.#bytes.length - this.#at
    }
    const left = piece ?? this.#bytes.subarray(this.#at)
    if (left.length > 0) this.#pieces.push(new Uint8Array(left))
    this.#previousKey = new Uint8Array(this.#previousKey)
    this.#bytes = Buffer.alloc(0)
    this.#at = 0
    this.#countedTo = 0
  }

  /**
   * The next row, a view; null when more is needed or the end has come.
   * @throws StrettoError CORRUPT where it is none of ours, BAD_REQUEST where a newer version has written it
   */
  next(): RowPair | null {
    if (this.#pieces.length > 0 || (!this.#begun && !this.#begin())) return null
    const bytes = this.#bytes
    const at = this.#at
    if (this.#ended) {
      if (at < bytes.length) throw damaged('bytes after the end')
      return null
    }
    if (this.#lacks(rowHeadBytes)) return null
    const keyLength = readU16(bytes, at)
    const valueLength = readU32(bytes, at + 2)
    const length = rowHeadBytes + keyLength + valueLength
    if (length > rowBytesMax || (keyLength === 0 && length !== endBytes)) throw damaged('a row of no possible length')
    if (this.#lacks(length)) return null
    this.#at += length
    if (keyLength === 0) {
      this.#end(at)
      return this.next()
    }
    const key = bytes.subarray(at + rowHeadBytes, at + rowHeadBytes + keyLength)
    const value = bytes.subarray(at + rowHeadBytes + keyLength, at + length)
    this.#checkKey(key)
    unsealed(key, value)
    this.#rowCount++
    return [key, value]
  }

  #begin(): boolean {
    if (this.#lacks(streamHead.length)) return false
    const format = readU16(this.#bytes, 0)
    const kind = readU16(this.#bytes, 2)
    if (kind !== keyValueKind || format === 0) throw damaged('no snapshot of a key-value machine')
    if (format > streamFormat) {
      const text = `the snapshot is in format ${format}, and this version reads up to ${streamFormat}: use a newer version`
      throw new StrettoError('BAD_REQUEST', text)
    }
    this.#at = streamHead.length
    this.#begun = true
    return true
  }

  #end(at: number): void {
    const crcAt = at + rowHeadBytes + countBytes
    this.#count(crcAt)
    const whole = readU64(this.#bytes, at + rowHeadBytes) === this.#rowCount
    if (!whole || readU32(this.#bytes, crcAt) !== this.#crc) throw damaged('an end that does not fit')
    this.#countedTo = this.#at
    this.#wanted = 1
    this.#ended = true
  }

  /** The first row is the head, and keys rise. */
  #checkKey(key: Uint8Array): void {
    const first = this.#rowCount === 0
    const fits = first ? Buffer.compare(key, headKey) === 0 : Buffer.compare(this.#previousKey, key) < 0
    if (!fits || !isRowKey(key)) throw damaged('a row out of place')
    this.#previousKey = key
  }

  #count(to: number): void {
    this.#crc = crc32(this.#bytes.subarray(this.#countedTo, to), this.#crc)
    this.#countedTo = to
  }

  /** True where so many bytes are not there yet. */
  #lacks(length: number): boolean {
    this.#wanted = length
    return this.#bytes.length - this.#at < length
  }
}

function damaged(what: string): StrettoError {
  return new StrettoError('CORRUPT', `the snapshot is damaged: ${what}`)
}
