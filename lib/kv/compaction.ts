// Lets go of what names places in a part of the log that is no more, between flushes and at leisure.
//
// Two steps. First the next flush says durably from which revision on the state can be read; then what lies below it is
// deleted. Nothing waits for that, and nothing is lost when it is broken off: it is done again in the next life.
import { assert } from '../base/assert.ts'
import type { Env } from '../base/env.ts'
import type { Index } from '../raft/types.ts'
import { type Walk, type WalkParts, walkRows } from './row-walk.ts'
import {
  allGenerations,
  effectsUpTo,
  generationsBelow,
  historyRange,
  indexOfGeneration,
  revisionOfGeneration,
  revisionOfHistory
} from './rows.ts'
import { type StateLevel, toTables } from './state-level.ts'

export interface CompactionParts {
  readonly level: StateLevel
  readonly env: Env
  /** Why nothing is to be done any more; null to go on. */
  readonly ended: () => Error | null
  /** A write has failed. */
  readonly failed: (error: Error) => void
}

/** The generations around a base. */
interface Found {
  readonly base: Index
  /** Revision of the newest generation at or below it, 0 for none. */
  readonly below: number
  /** Revision of the first generation at or above it: from there on all changes stand in the log. 0 for none. */
  readonly above: number
  /** There are generations to delete. */
  readonly stale: boolean
}

export class Compaction {
  readonly #walkParts: WalkParts
  #base: Index = 0
  #working = false
  /** What the next flush says, and what the last one has said. */
  #revision = 0
  #saidRevision = 0
  /** Goes on once the revision has been said. */
  #waiting: (() => void) | null = null
  #paused = false
  /** A slice that is held back by a flush. */
  #held: (() => void) | null = null

  constructor({ level, env, ended, failed }: CompactionParts) {
    const whenFree = (go: () => void): void => {
      if (ended() !== null) return
      if (this.#paused) this.#held = go
      else go()
    }
    this.#walkParts = { level, env, whenFree, failed }
  }

  /** From which revision on the state can be read when the next flush is durable. */
  get revision(): number {
    return this.#revision
  }

  /** The machine has been opened, and its head says this revision. */
  opened(revision: number): void {
    this.#revision = revision
    this.#saidRevision = revision
  }

  /** The log begins after `base`. */
  raise(base: Index): void {
    if (base <= this.#base) return
    this.#base = base
    if (!this.#working) this.#begin()
  }

  /** A flush begins: the disk is left to it. */
  pause(): void {
    assert(!this.#paused, 'one flush at a time')
    this.#paused = true
  }

  /** It is durable, and its head says `revision`. */
  resume(revision: number): void {
    this.#paused = false
    this.#saidRevision = revision
    const held = this.#held
    this.#held = null
    held?.()
    const waiting = this.#saidRevision >= this.#revision ? this.#waiting : null
    if (waiting === null) return
    this.#waiting = null
    waiting()
  }

  #begin(): void {
    this.#working = true
    this.#look(this.#base, found => {
      // None at or above: what was flushed since the newest below has changed nothing.
      this.#revision = Math.max(this.#revision, found.above === 0 ? found.below : found.above)
      const sweep = (): void => (found.stale ? this.#settle(found) : this.#sweep(found))
      if (this.#saidRevision >= this.#revision) sweep()
      else this.#waiting = sweep
    })
  }

  /** Where the base lies among the generations. */
  #look(base: Index, found: (found: Found) => void): void {
    let below = 0
    let above = 0
    let oldest = 0
    const walk: Walk = {
      range: allGenerations,
      values: true,
      judge: ([key, row]) => {
        const index = indexOfGeneration(key, row)
        const revision = revisionOfGeneration(key)
        if (oldest === 0) oldest = revision
        if (index !== null && index <= base) below = revision
        if (index !== null && index >= base) above = revision
        return above === 0 ? 'keep' : 'stop'
      }
    }
    this.#walk([walk], () => found({ base, below, above, stale: oldest < below }))
  }

  /**
   * The rows of generations show whether a flush is missing: they stay as long as one could get lost in silence, which is
   * while it stands in the write-ahead file.
   */
  #settle(found: Found): void {
    const { level, whenFree, failed } = this.#walkParts
    whenFree(() =>
      toTables(level, error => {
        if (error === null) whenFree(() => this.#sweep(found))
        else failed(error)
      })
    )
  }

  /**
   * What a generation contains came with records up to its own, so a version of its revision or below has its place at or
   * below the base: the keys of history tell enough. Those of the rest of the base's generation go with a later base.
   */
  #sweep({ base, below }: Found): void {
    const all = (): 'delete' => 'delete'
    const walks: Walk[] = [
      { range: generationsBelow(below), values: false, judge: all, synced: true },
      { range: effectsUpTo(base), values: false, judge: all },
      {
        range: historyRange,
        values: false,
        judge: ([key]) => (revisionOfHistory(key) <= below ? 'delete' : 'keep')
      }
    ]
    this.#walk(walks, () => {
      this.#working = false
      if (this.#base > base) this.#begin()
    })
  }

  /** One after the other. A read that fails ends all of it until the base rises again. */
  #walk(walks: readonly Walk[], done: () => void): void {
    const [walk, ...others] = walks
    if (walk === undefined) return done()
    walkRows(this.#walkParts, walk, error => {
      if (error === null) this.#walk(others, done)
      else this.#working = false
    })
  }
}
