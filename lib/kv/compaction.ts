// Lets go of what names places in a part of the log that is no more, between flushes and at leisure.
//
// Before the log is cut, the values that the past still needs of what goes are kept in the rows of the history. Then, in two
// steps: the next flush says durably from which revision on the state can be read, and what lies below it is deleted. Nothing
// waits for that, and nothing is lost when it is broken off: it is done again in the next life.
import { assert } from '../base/assert.ts'
import type { Done, Env } from '../base/env.ts'
import { type Index, type LogId, logOrigin } from '../raft/types.ts'
import { keepHistory } from './past/keep-history.ts'
import type { RecordReader } from './past/record-reader.ts'
import { type Walk, type WalkParts, walkRows } from './row-walk.ts'
import {
  allGenerations,
  effectsUpTo,
  generationKey,
  generationsBelow,
  generationsUpTo,
  historyRange,
  indexOfGeneration,
  readGeneration,
  revisionOfGeneration,
  revisionOfHistory,
  writeGeneration
} from './rows.ts'
import { levelFault, type StateLevel, settle, toTables } from './state-level.ts'

export interface CompactionParts {
  readonly level: StateLevel
  readonly env: Env
  readonly records: RecordReader
  /** Nothing below this revision can be read any more. */
  readonly refused: (revision: number) => void
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
  /** The last record that the newest generation at or below the base contains. */
  readonly last: LogId
}

export class Compaction {
  readonly #walkParts: WalkParts
  readonly #records: RecordReader
  readonly #refused: (revision: number) => void
  #base: Index = 0
  /** Up to here the log is about to be cut, or has been. */
  #leaving: Index = 0
  #settled: Index = 0
  /** The order to compact that was looked at last, and the record up to which the past does not need the log since. */
  #ordered = 0
  #released: Index = 0
  #working = false
  /** What the next flush says, and what the last one has said. */
  #revision = 0
  #saidRevision = 0
  /** Goes on once the revision has been said. */
  #waiting: (() => void) | null = null
  #paused = false
  /** Slices that are held back by a flush. */
  #held: (() => void)[] = []

  constructor({ level, env, records, refused, ended, failed }: CompactionParts) {
    this.#records = records
    this.#refused = refused
    const whenFree = (go: () => void): void => {
      if (ended() !== null) return
      if (this.#paused) this.#held.push(go)
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

  /** The log holds no values of records up to here, or soon will not. */
  get keepUpTo(): Index {
    return this.#leaving
  }

  /** With the log beginning after this record, it is known from which revision on the past can be read. */
  get settled(): Index {
    return this.#settled
  }

  /** Records up to here are not needed for the past any more, by order. */
  get released(): Index {
    return this.#released
  }

  /** The log that is lent begins after `base`. */
  begins(base: Index): void {
    this.#leaving = Math.max(this.#leaving, base)
  }

  /**
   * The log is to be cut after `base`, which is on disk here. Calls back when that may be done: nothing is lost by it of what
   * can still be read then. One call at a time.
   */
  leave(base: Index, done: Done): void {
    this.begins(base)
    this.#look(
      base,
      found => {
        this.#settle(base, found)
        keepHistory({ ...this.#walkParts, records: this.#records }, this.#revision, base, done)
      },
      done
    )
  }

  /** The log begins after `base`. */
  raise(base: Index): void {
    if (base <= this.#base) return
    this.begins(base)
    this.#base = base
    if (!this.#working) this.#begin()
  }

  /** A flush begins: the disk is left to it. */
  pause(): void {
    assert(!this.#paused, 'one flush at a time')
    this.#paused = true
  }

  /** It is durable, and its head says `revision`. All replicas were ordered to compact at `ordered`, 0 for never. */
  resume(revision: number, ordered: number): void {
    this.#paused = false
    this.#saidRevision = revision
    const held = this.#held
    this.#held = []
    for (const go of held) go()
    if (ordered > this.#ordered && revision >= ordered) this.#release(ordered)
    const waiting = this.#saidRevision >= this.#revision ? this.#waiting : null
    if (waiting === null) return
    this.#waiting = null
    waiting()
  }

  #begin(): void {
    this.#working = true
    const base = this.#base
    this.#look(
      base,
      found => {
        this.#settle(base, found)
        const sweep = (): void => (found.stale ? this.#toTables(found) : this.#sweep(found))
        if (this.#saidRevision >= this.#revision) sweep()
        else this.#waiting = sweep
      },
      () => (this.#working = false)
    )
  }

  #settle(base: Index, { above, below }: Found): void {
    // None at or above: what was flushed since the newest below has changed nothing.
    this.#revision = Math.max(this.#revision, above === 0 ? below : above)
    this.#settled = Math.max(this.#settled, base)
    this.#refused(this.#revision)
  }

  /** Where the base lies among the generations. */
  #look(base: Index, found: (found: Found) => void, failed: (error: Error) => void): void {
    let below = 0
    let above = 0
    let oldest = 0
    let last = logOrigin
    const walk: Walk = {
      range: allGenerations,
      values: true,
      judge: ([key, row]) => {
        const index = indexOfGeneration(key, row)
        const revision = revisionOfGeneration(key)
        if (oldest === 0) oldest = revision
        if (index !== null && index <= base) {
          below = revision
          last = readGeneration(key, row).last
        }
        if (index !== null && index >= base) above = revision
        return above === 0 ? 'keep' : 'stop'
      }
    }
    walkRows(this.#walkParts, walk, error => {
      if (error === null) found({ base, below, above, stale: oldest < below, last })
      else failed(error)
    })
  }

  /** The last generation that has nothing newer than `revision`: what it contains is not needed. */
  #release(revision: number): void {
    this.#ordered = revision
    let released: Index = 0
    const walk: Walk = {
      range: generationsUpTo(revision),
      values: true,
      judge: ([key, row]) => {
        released = indexOfGeneration(key, row) ?? released
        return 'keep'
      }
    }
    walkRows(this.#walkParts, walk, error => {
      if (error === null) this.#released = Math.max(this.#released, released)
    })
  }

  /**
   * The rows of generations show whether a flush is missing: they stay as long as one could get lost in silence, which is
   * while it stands in the write-ahead file. Then the chain begins with the newest at or below the base, durably, before those
   * below it go.
   */
  #toTables(found: Found): void {
    const { level, whenFree, failed } = this.#walkParts
    whenFree(() =>
      toTables(level, error => {
        if (error === null) whenFree(() => this.#cutChain(found))
        else failed(error)
      })
    )
  }

  #cutChain(found: Found): void {
    const { level, whenFree, failed } = this.#walkParts
    const key = generationKey(found.below)
    const batch = level.batch()
    batch.put(key, writeGeneration(key, found.last, 0))
    const fault = (error: Error): void => failed(levelFault('written', error))
    settle(batch.write({ sync: true }), () => whenFree(() => this.#sweep(found)), fault)
  }

  /** A row of the history goes when all versions that it names had been replaced by the revision that is said. */
  #sweep({ base, below }: Found): void {
    const said = this.#saidRevision
    const all = (): 'delete' => 'delete'
    const walks: Walk[] = [
      { range: generationsBelow(below), values: false, judge: all, synced: true },
      { range: effectsUpTo(base), values: false, judge: all },
      {
        range: historyRange,
        values: false,
        judge: ([key]) => (revisionOfHistory(key) <= said ? 'delete' : 'keep')
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
