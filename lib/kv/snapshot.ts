// A frozen view of the state as a stream: measured once, then read piece by piece from wherever it is asked for.
//
// The view is an explicit snapshot of LevelDB taken between two flushes, so it shows exactly what the last one has made
// durable. History and effects stay behind: they name places in this node's log, and whoever takes the state in begins
// its log after it. The head says so: its compaction revision is its own.
import { crc32 } from 'node:zlib'
import { assert } from '../base/assert.ts'
import { concatBytes } from '../base/bytes.ts'
import type { Done, Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { SnapshotSource } from '../machine/machine.ts'
import type { LogId } from '../raft/types.ts'
import { asFault } from './fault.ts'
import { FrozenRows, rangesFrom } from './frozen-rows.ts'
import { type Head, headKey, headRange, type RowRange, readHead, rowsOfState, writeHead } from './rows.ts'
import { type RowPair, streamEnd, streamHead, streamRows } from './snapshot-stream.ts'
import { type StateLevel, type StateSnapshot, settle, unheard } from './state-level.ts'

/** The first pass rests so long after each two milliseconds of work: it takes a third of the event loop at most. */
const workMs = 2
const restMs = 4
/** Between two places at which a read can begin without reading what lies before. */
const checkpointBytes = 1_048_576

const noBytes = new Uint8Array(0)

export interface SnapshotParts {
  readonly level: StateLevel
  readonly env: Env
  /** Why nothing is read any more; null to go on. */
  readonly ended: () => Error | null
}

/** Where a row begins in the stream. */
interface Checkpoint {
  readonly offset: number
  readonly key: Uint8Array
}

/** What the first pass finds out. */
interface Measured {
  readonly head: Head
  /** The stream up to the end of the head row. */
  readonly begin: Uint8Array
  readonly ranges: readonly RowRange[]
  /** The first is that of the first row after the head; none where there is no other row. */
  readonly checkpoints: readonly Checkpoint[]
  readonly end: Uint8Array
  readonly size: number
  readonly hash: number
}

/** Freezes the state as it is on disk at this call; null where nothing was flushed yet. No flush is under way. */
export function takeSnapshot(parts: SnapshotParts, done: Done<KvSnapshot | null>): void {
  const frozen = parts.level.snapshot()
  const finish = (error: Error | null, measured: Measured | null): void => {
    if (measured !== null) return done(null, new KvSnapshot(parts, frozen, measured))
    settle(frozen.close(), unheard, unheard)
    done(error, null)
  }
  const rows = new FrozenRows(parts.level, frozen, [headRange])
  rows.next((error, [row]) => {
    rows.close()
    if (error !== null || row === undefined) return finish(error, null)
    let head: Head
    try {
      head = readHead(row[1])
    } catch (fault) {
      return finish(asFault(fault), null)
    }
    new Measuring(parts, frozen, head, finish).start()
  })
}

/** The first pass over all rows. */
class Measuring {
  readonly #parts: SnapshotParts
  readonly #head: Head
  readonly #ranges: readonly RowRange[]
  readonly #rows: FrozenRows
  readonly #done: Done<Measured | null>
  readonly #begin: Uint8Array
  readonly #checkpoints: Checkpoint[] = []
  #size: number
  #hash: number
  /** The head row is one. */
  #rowCount = 1
  #workedMs = 0

  constructor(parts: SnapshotParts, frozen: StateSnapshot, head: Head, done: Done<Measured | null>) {
    this.#parts = parts
    this.#head = head
    this.#ranges = rowsOfState(head)
    this.#rows = new FrozenRows(parts.level, frozen, this.#ranges)
    this.#done = done
    const headRow = writeHead({ ...head, compacted: head.revision })
    this.#begin = concatBytes([streamHead, streamRows([[headKey, headRow]])])
    this.#size = this.#begin.length
    this.#hash = crc32(this.#begin)
  }

  start(): void {
    this.#next()
  }

  #next(): void {
    const reason = this.#parts.ended()
    if (reason !== null) return this.#finish(reason)
    this.#rows.next((error, rows) => {
      if (error !== null) return this.#finish(error)
      if (rows.length === 0) return this.#finish(null)
      const { env } = this.#parts
      const start = env.now()
      try {
        this.#take(rows)
      } catch (fault) {
        return this.#finish(asFault(fault))
      }
      this.#workedMs += env.now() - start
      if (this.#workedMs < workMs) return env.soon(() => this.#next())
      this.#workedMs = 0
      env.after(restMs, () => this.#next())
    })
  }

  #take(rows: readonly RowPair[]): void {
    const last = this.#checkpoints.at(-1)
    if (last === undefined || this.#size - last.offset >= checkpointBytes) {
      this.#checkpoints.push({ offset: this.#size, key: new Uint8Array(rows[0]![0]) })
    }
    const bytes = streamRows(rows)
    this.#size += bytes.length
    this.#hash = crc32(bytes, this.#hash)
    this.#rowCount += rows.length
  }

  #finish(error: Error | null): void {
    this.#rows.close()
    if (error !== null) return this.#done(error, null)
    const end = streamEnd(this.#rowCount, this.#hash)
    this.#done(null, {
      head: this.#head,
      begin: this.#begin,
      ranges: this.#ranges,
      checkpoints: this.#checkpoints,
      end,
      size: this.#size + end.length,
      hash: crc32(end, this.#hash)
    })
  }
}

/** One `read` under way. */
interface Reading {
  readonly bytesMax: number
  readonly done: Done<Uint8Array>
  readonly pieces: Uint8Array[]
  length: number
}

export class KvSnapshot implements SnapshotSource {
  readonly #parts: SnapshotParts
  readonly #frozen: StateSnapshot
  readonly #measured: Measured
  /** Null once all rows have been read. */
  #rows: FrozenRows | null = null
  /** What has been read and not been given; it begins at `#at`. */
  #ahead: Uint8Array = noBytes
  #at = -1
  /** Of what comes next, so much lies before the place that is asked for. */
  #skip = 0
  #reading: Reading | null = null
  /** Why nothing more comes. */
  #fault: Error | null = null
  #closed = false

  constructor(parts: SnapshotParts, frozen: StateSnapshot, measured: Measured) {
    this.#parts = parts
    this.#frozen = frozen
    this.#measured = measured
  }

  get last(): LogId {
    return this.#measured.head.applied
  }

  get sidecar(): Uint8Array {
    return this.#measured.head.sidecar
  }

  get size(): number {
    return this.#measured.size
  }

  get hash(): number {
    return this.#measured.hash
  }

  read(offset: number, bytesMax: number, done: Done<Uint8Array>): void {
    assert(this.#reading === null, 'one read of a snapshot at a time')
    assert(offset >= 0 && bytesMax > 0, 'a snapshot is read from a place within it')
    const wanted = Math.max(0, Math.min(bytesMax, this.size - offset))
    this.#reading = { bytesMax: wanted, done, pieces: [], length: 0 }
    this.#parts.env.soon(() => {
      if (offset !== this.#at) this.#seek(offset)
      this.#go()
    })
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#fault ??= new StrettoError('STOPPED', 'the snapshot has been closed')
    this.#rows?.close()
    this.#rows = null
    this.#ahead = noBytes
    settle(this.#frozen.close(), unheard, unheard)
  }

  /** Goes to the last place at or before `offset` from which rows can be read. */
  #seek(offset: number): void {
    this.#rows?.close()
    this.#rows = null
    const { begin, ranges, checkpoints, end } = this.#measured
    if (this.#fault !== null || this.#parts.ended() !== null) return
    const { level } = this.#parts
    if (offset >= this.size - end.length) {
      this.#at = this.size - end.length
      this.#ahead = end
    } else if (offset < begin.length) {
      this.#at = 0
      this.#ahead = begin
      this.#rows = new FrozenRows(level, this.#frozen, ranges)
    } else {
      const checkpoint = checkpoints.findLast(each => each.offset <= offset)
      assert(checkpoint !== undefined, 'rows begin at a checkpoint')
      this.#at = checkpoint.offset
      this.#ahead = noBytes
      this.#rows = new FrozenRows(level, this.#frozen, rangesFrom(ranges, checkpoint.key))
    }
    this.#pass(offset)
  }

  /** Drops what lies before `offset`; what is not there yet is dropped as it comes. */
  #pass(offset: number): void {
    const passed = Math.min(this.#ahead.length, offset - this.#at)
    this.#ahead = this.#ahead.subarray(passed)
    this.#at += passed
    this.#skip = offset - this.#at
  }

  #go(): void {
    const reading = this.#reading!
    const fault = this.#fault ?? this.#parts.ended()
    if (fault !== null) return this.#answer(fault, noBytes)
    this.#give(reading)
    if (reading.length === reading.bytesMax) return this.#answer(null, concatBytes(reading.pieces))
    this.#fill()
  }

  #give(reading: Reading): void {
    if (this.#skip > 0) this.#pass(this.#at + this.#skip)
    const length = Math.min(this.#ahead.length, reading.bytesMax - reading.length)
    if (length === 0) return
    reading.pieces.push(this.#ahead.subarray(0, length))
    reading.length += length
    this.#ahead = this.#ahead.subarray(length)
    this.#at += length
  }

  #fill(): void {
    const rows = this.#rows
    if (rows === null) return this.#fail(lost())
    rows.next((error, found) => {
      if (this.#fault !== null) return this.#go()
      if (error !== null) return this.#fail(error)
      try {
        if (found.length > 0) this.#ahead = streamRows(found)
        else this.#endRows()
      } catch (fault) {
        this.#fault = asFault(fault)
      }
      this.#go()
    })
  }

  #endRows(): void {
    const { end } = this.#measured
    this.#rows = null
    if (this.#at + this.#skip !== this.size - end.length) throw lost()
    this.#ahead = end
  }

  #fail(fault: Error): void {
    this.#fault = fault
    this.#go()
  }

  #answer(error: Error | null, bytes: Uint8Array): void {
    const { done } = this.#reading!
    this.#reading = null
    done(error, bytes)
  }
}

/** The rows are not those of the first pass, although nothing can have changed them. */
function lost(): StrettoError {
  return new StrettoError('CORRUPT', 'the state database does not give the same rows again')
}
