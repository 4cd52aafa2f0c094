// What the log on disk consists of, block by block, in columns of numbers: about 25 bytes of memory for each block.
import { assert } from '../base/assert.ts'
import type { ChainedId, Index, LogId, Term } from '../raft/types.ts'
import type { Card } from './keys.ts'

const rowsMin = 1024

/** Rows are contiguous in index and rise in term. Row numbers hold until the next `push` or `dropThrough`. */
export class Catalogue {
  #start: ChainedId
  #first = new Float64Array(rowsMin)
  #count = new Uint32Array(rowsMin)
  #term = new Uint32Array(rowsMin)
  #chain = new Uint32Array(rowsMin)
  #length = new Uint32Array(rowsMin)
  #membership = new Uint8Array(rowsMin)
  /** The rows in use are [head, end). */
  #head = 0
  #end = 0
  #bytes = 0

  /** Empty, beginning after `start`. */
  constructor(start: ChainedId) {
    this.#start = start
  }

  /** Bytes of all its blocks. */
  get bytes(): number {
    return this.#bytes
  }

  get head(): number {
    return this.#head
  }

  get end(): number {
    return this.#end
  }

  get start(): ChainedId {
    return this.#start
  }

  get tail(): ChainedId {
    return this.#end === this.#head ? this.#start : this.idOf(this.#end - 1)
  }

  card(row: number): Card {
    return {
      first: this.#first[row]!,
      count: this.#count[row]!,
      term: this.#term[row]!,
      chain: this.#chain[row]!,
      length: this.#length[row]!,
      membership: this.#membership[row] === 1
    }
  }

  lengthOf(row: number): number {
    return this.#length[row]!
  }

  bringsMembership(row: number): boolean {
    return this.#membership[row] === 1
  }

  /** The block in `row` is the first of its term here. */
  beginsTerm(row: number): boolean {
    return this.#term[row] !== (row === this.#head ? this.#start.term : this.#term[row - 1])
  }

  /** The last record of the block in `row`. */
  idOf(row: number): ChainedId {
    return { index: this.#last(row), term: this.#term[row]!, chain: this.#chain[row]! }
  }

  /** What the block in `row` follows. */
  beforeOf(row: number): ChainedId {
    return row === this.#head ? this.#start : this.idOf(row - 1)
  }

  /** The row that holds `index`, or -1. */
  rowOf(index: Index): number {
    let low = this.#head
    let high = this.#end - 1
    if (high < low || index < this.#first[low]! || index > this.#last(high)) return -1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.#first[middle]! <= index) low = middle
      else high = middle - 1
    }
    return low
  }

  /** The record at `index` where it ends a block or is the start; else null. */
  idAt(index: Index): ChainedId | null {
    if (index === this.#start.index) return this.#start
    const row = this.rowOf(index)
    return row !== -1 && this.#last(row) === index ? this.idOf(row) : null
  }

  /** The end of the oldest rows that have to go until at most `bytes` and `records` are left, none of them above `limit`. */
  endBefore(bytes: number, records: number, limit: Index): ChainedId {
    const { index } = this.tail
    let left = this.#bytes
    let end = this.#start
    for (let row = this.#head; row < this.#end && this.#last(row) <= limit; row++) {
      if (left <= bytes && index - end.index <= records) break
      left -= this.#length[row]!
      end = this.idOf(row)
    }
    return end
  }

  /** The term of the record at `index`, null when it is not here. */
  termAt(index: Index): Term | null {
    if (index === this.#start.index) return this.#start.term
    const row = this.rowOf(index)
    return row === -1 ? null : this.#term[row]!
  }

  /** The first record of each term. */
  terms(): LogId[] {
    const terms: LogId[] = []
    let term = -1
    for (let row = this.#head; row < this.#end; row++) {
      if (this.#term[row] === term) continue
      term = this.#term[row]!
      terms.push({ term, index: this.#first[row]! })
    }
    return terms
  }

  push(card: Card): void {
    assert(card.first === this.tail.index + 1, 'the catalogue of the log has no gaps')
    if (this.#end === this.#first.length) this.#move()
    const row = this.#end++
    this.#first[row] = card.first
    this.#count[row] = card.count
    this.#term[row] = card.term
    this.#chain[row] = card.chain
    this.#length[row] = card.length
    this.#membership[row] = card.membership ? 1 : 0
    this.#bytes += card.length
  }

  /** Takes out the rows above `index`, which ends a block. */
  cutAfter(index: Index): void {
    while (this.#end > this.#head && this.#last(this.#end - 1) > index) this.#bytes -= this.#length[--this.#end]!
  }

  /** Takes out the rows at or below `start`, the last record of one of them; it begins after `start` from now on. */
  dropThrough(start: ChainedId): void {
    while (this.#head < this.#end && this.#last(this.#head) <= start.index) this.#bytes -= this.#length[this.#head++]!
    this.#start = start
  }

  #last(row: number): Index {
    return this.#first[row]! + this.#count[row]! - 1
  }

  /** Makes room at the end: moves the rows to the front of columns that are twice as long as the rows are many. */
  #move(): void {
    const rowsMax = Math.max(rowsMin, 2 * (this.#end - this.#head))
    this.#first = moved(this.#first.subarray(this.#head, this.#end), new Float64Array(rowsMax))
    this.#count = moved(this.#count.subarray(this.#head, this.#end), new Uint32Array(rowsMax))
    this.#term = moved(this.#term.subarray(this.#head, this.#end), new Uint32Array(rowsMax))
    this.#chain = moved(this.#chain.subarray(this.#head, this.#end), new Uint32Array(rowsMax))
    this.#length = moved(this.#length.subarray(this.#head, this.#end), new Uint32Array(rowsMax))
    this.#membership = moved(this.#membership.subarray(this.#head, this.#end), new Uint8Array(rowsMax))
    this.#end -= this.#head
    this.#head = 0
  }
}

function moved<Column extends Float64Array | Uint32Array | Uint8Array>(rows: Column, column: Column): Column {
  column.set(rows)
  return column
}
