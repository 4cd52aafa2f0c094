// Rows of the state as they were when a snapshot of the database was taken, page after page in the order of their keys.
import type { Done } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import { asFault } from './fault.ts'
import { firstOfChain, type RowRange } from './rows.ts'
import type { RowPair } from './snapshot-stream.ts'
import { levelFault, type StateCursor, type StateLevel, type StateSnapshot, settle, unheard } from './state-level.ts'

/** A page ends with the row that exceeds it. */
const pageBytesMax = 131_072
const pageRowsMax = 512

const noRows: readonly RowPair[] = []
const closed = new StrettoError('STOPPED', 'the snapshot is closed', { fate: 'unknown' })

export class FrozenRows {
  readonly #level: StateLevel
  readonly #snapshot: StateSnapshot
  /** Those still to come; the first is being read. */
  #ranges: readonly RowRange[]
  #cursor: StateCursor | null = null
  #closed = false

  constructor(level: StateLevel, snapshot: StateSnapshot, ranges: readonly RowRange[]) {
    this.#level = level
    this.#snapshot = snapshot
    this.#ranges = ranges
  }

  /** The next rows; none only at the end. The database is open, and so is the snapshot. STOPPED once it is closed. */
  next(done: Done<readonly RowPair[]>): void {
    if (this.#closed) return done(closed, noRows)
    const range = this.#ranges[0]
    if (range === undefined) return done(null, noRows)
    this.#cursor ??= this.#level.iterator({
      ...range,
      reverse: false,
      values: true,
      highWaterMarkBytes: pageBytesMax,
      snapshot: this.#snapshot
    })
    const found = (rows: readonly RowPair[]) => {
      if (this.#closed) return done(closed, noRows)
      if (rows.length > 0) return this.#give(rows, done)
      this.#letGo()
      this.#ranges = this.#ranges.slice(1)
      this.next(done)
    }
    settle(this.#cursor.nextv(pageRowsMax), found, error => done(levelFault('read', error), noRows))
  }

  /** Of the generations only the newest is among them: without those before it, it is the first. */
  #give(rows: readonly RowPair[], done: Done<readonly RowPair[]>): void {
    let given: readonly RowPair[]
    try {
      given = rows.map(firstOfChain)
    } catch (error) {
      return done(asFault(error), noRows)
    }
    done(null, given)
  }

  /** The snapshot may be closed right after it. */
  close(): void {
    this.#closed = true
    this.#letGo()
  }

  #letGo(): void {
    const cursor = this.#cursor
    this.#cursor = null
    if (cursor !== null) settle(cursor.close(), unheard, unheard)
  }
}

/** The same ranges, from the row `key` on. */
export function rangesFrom(ranges: readonly RowRange[], key: Uint8Array): readonly RowRange[] {
  const left = ranges.filter(({ lt }) => Buffer.compare(key, lt) < 0)
  return left.map((range, at) => (at === 0 ? { gte: key, lt: range.lt } : range))
}
