// The term trail: the term of every record in the log, kept as the first record of each term, without any payload.
import { assert } from '../base/assert.ts'
import type { Index, LogId, Term } from './types.ts'

/**
 * Terms never fall along a log, so the first record of each term says everything. Invariant: `starts` rises strictly in
 * term and index, its first element is above `base`, its last at or below `last`.
 */
export class TermTrail {
  #base: LogId
  #lastIndex: Index
  #starts: LogId[]

  /** `starts`: the first record of each term above `base`, rising; `lastIndex`: the end of the log. */
  constructor(base: LogId, starts: readonly LogId[], lastIndex: Index) {
    this.#base = base
    this.#lastIndex = lastIndex
    this.#starts = starts.map(start => ({ term: start.term, index: start.index }))
    this.check()
  }

  get base(): LogId {
    return this.#base
  }

  get lastIndex(): Index {
    return this.#lastIndex
  }

  get lastTerm(): Term {
    return this.#starts.at(-1)?.term ?? this.#base.term
  }

  get starts(): readonly LogId[] {
    return this.#starts
  }

  /** The term of the record at `index`, from the base to the end of the log; -1 outside. */
  termAt(index: Index): Term {
    if (index < this.#base.index || index > this.#lastIndex) return -1
    for (let at = this.#starts.length - 1; at >= 0; at--) {
      const start = this.#starts[at]!
      if (start.index <= index) return start.term
    }
    return this.#base.term
  }

  holds(id: LogId): boolean {
    return this.termAt(id.index) === id.term
  }

  /** Adds records of `term` up to `lastIndex`, after the end. */
  append(term: Term, lastIndex: Index): void {
    assert(term >= this.lastTerm, 'terms never fall along the log')
    assert(lastIndex > this.#lastIndex, 'what is appended ends after the log')
    if (term > this.lastTerm) this.#starts.push({ term, index: this.#lastIndex + 1 })
    else if (this.#starts.length === 0) this.#starts.push({ term, index: this.#base.index + 1 })
    this.#lastIndex = lastIndex
  }

  /** Removes all records above `index`. */
  cut(index: Index): void {
    assert(index >= this.#base.index && index <= this.#lastIndex, 'a cut falls within the log')
    while ((this.#starts.at(-1)?.index ?? 0) > index) this.#starts.pop()
    this.#lastIndex = index
  }

  /** Forgets all records at or below `base`, which the log holds. */
  compact(base: LogId): void {
    assert(this.holds(base), 'the new base is a record of the log')
    const next: LogId[] = []
    for (const [at, start] of this.#starts.entries()) {
      const end = this.#starts[at + 1]?.index ?? this.#lastIndex + 1
      if (end <= base.index + 1) continue
      next.push(start.index > base.index ? start : { term: start.term, index: base.index + 1 })
    }
    this.#starts = next
    this.#base = base
  }

  /**
   * The last record at or before `index` whose term is at most `term`: where two logs may still be one, a whole term
   * further back for each answer (paper 5.3, last paragraphs). Null when that lies before the base.
   */
  lastWithin(index: Index, term: Term): LogId | null {
    let end = Math.min(index, this.#lastIndex)
    if (end < this.#base.index) return null
    for (let at = this.#starts.length - 1; at >= 0; at--) {
      const start = this.#starts[at]!
      if (start.index > end) continue
      if (start.term <= term) return { term: start.term, index: end }
      end = start.index - 1
    }
    return this.#base.term <= term ? this.#base : null
  }

  check(): void {
    let before = this.#base
    for (const [at, start] of this.#starts.entries()) {
      assert(start.index > before.index, 'terms begin one after the other')
      assert(at === 0 ? start.term >= before.term : start.term > before.term, 'terms rise along the trail')
      before = start
    }
    assert(
      this.#starts[0] === undefined || this.#starts[0].index === this.#base.index + 1,
      'the trail begins at the base'
    )
    assert(before.index <= this.#lastIndex, 'the trail ends with the log')
    assert(this.#starts.length > 0 || this.#lastIndex === this.#base.index, 'each record has a term')
  }
}
