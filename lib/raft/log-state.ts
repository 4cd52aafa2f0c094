// The log as the core knows it: where it begins and ends, what is durable, what is committed, what waits to be written.
//
//   base <= commit <= last        the log proper; compaction stays below commit
//   base <= durable <= last       what the own disk holds; commit may run ahead of it
//
// A write stands for the index it reaches. Cutting the log lowers every write under way to the cut, so that its end,
// reported later, is not taken for the records that now stand in that place.
import { assert } from '../base/assert.ts'
import type { Persist } from './doors.ts'
import { TermTrail } from './terms.ts'
import type { Block, HardState, Index, LogId, Term } from './types.ts'
import { lastOf } from './types.ts'

interface Write {
  readonly mark: number
  index: Index
}

export class LogState {
  readonly trail: TermTrail
  #last: LogId
  #commit: Index
  #durable: Index
  /** Writes under way, oldest first. */
  readonly #writes: Write[] = []
  #mark = 0
  /** The end of what has been handed out to be written. */
  #handed: Index
  #cut: Index | null = null
  #blocks: Block[] = []

  constructor(base: LogId, last: LogId, terms: readonly LogId[], commit: Index = base.index) {
    this.trail = new TermTrail(base, terms, last.index)
    assert(this.trail.lastTerm === last.term, 'the last record is of the last term')
    this.#last = last
    assert(commit >= base.index && commit <= last.index, 'what is committed at the start is in the log')
    this.#commit = commit
    this.#durable = last.index
    this.#handed = last.index
  }

  get base(): LogId {
    return this.trail.base
  }

  get last(): LogId {
    return this.#last
  }

  get commit(): Index {
    return this.#commit
  }

  get durable(): Index {
    return this.#durable
  }

  /** The mark of the latest write handed out. */
  get mark(): number {
    return this.#mark
  }

  append(block: Block): void {
    assert(block.first === this.#last.index + 1, 'a block follows the end of the log')
    this.trail.append(block.term, lastOf(block))
    this.#last = { term: block.term, index: lastOf(block) }
    this.#blocks.push(block)
  }

  /** Removes all records above `index`, the end of a block. */
  cut(index: Index): void {
    assert(index >= this.#commit, 'no committed record is ever cut')
    this.trail.cut(index)
    this.#last = { term: this.trail.termAt(index), index }
    while ((this.#blocks.at(-1)?.first ?? 0) > index) this.#blocks.pop()
    for (const write of this.#writes) write.index = Math.min(write.index, index)
    this.#durable = Math.min(this.#durable, index)
    if (this.#handed <= index) return
    this.#handed = index
    this.#cut = index
  }

  commitTo(index: Index): void {
    assert(index >= this.#commit && index <= this.#last.index, 'the commit index rises within the log')
    this.#commit = index
  }

  compact(base: LogId): void {
    assert(base.index <= this.#commit, 'only what is committed is compacted')
    assert(base.index <= this.#durable, 'only what is durable is compacted')
    if (base.index >= this.base.index) this.trail.compact({ term: base.term, index: base.index })
  }

  /** All that waits to be written, as one write; null when that is nothing. */
  take(hard: HardState | null, trust: boolean): Persist | null {
    if (hard === null && !trust && this.#cut === null && this.#blocks.length === 0) return null
    const persist: Persist = { mark: ++this.#mark, hard, cut: this.#cut, blocks: this.#blocks, trust }
    this.#cut = null
    this.#blocks = []
    this.#handed = this.#last.index
    this.#writes.push({ mark: this.#mark, index: this.#last.index })
    return persist
  }

  /** All writes up to `mark` have ended. */
  persisted(mark: number): void {
    assert(mark <= this.#mark, 'only what was handed out can be durable')
    while (this.#writes.length > 0 && this.#writes[0]!.mark <= mark) {
      this.#durable = Math.max(this.#durable, this.#writes.shift()!.index)
    }
  }

  /** The last record that a log with `term` at `index` may share with this one, or the base. */
  hintFor(index: Index, term: Term): LogId {
    return this.trail.lastWithin(index, term) ?? this.base
  }
}
