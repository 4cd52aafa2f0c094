// Committed blocks to the state machine, in order and in batches; and the state to disk, by generations.

import { StrettoError } from '../base/errors.ts'
import type { Log } from '../log/log.ts'
import type { Answer } from '../machine/answer.ts'
import type { ReplicatedMachine } from '../machine/replicated-machine.ts'
import { type Block, type Index, type LogId, lastOf } from '../raft/types.ts'
import type { Counters } from './counters.ts'
import type { NodeLimits } from './limits.ts'

export interface ApplierParts {
  readonly log: Log
  readonly machine: ReplicatedMachine
  readonly limits: NodeLimits
  readonly counters: Counters
  /** One answer per record of what has just been applied, in order of index. */
  readonly applied: (answers: readonly Answer[]) => void
  /** The state up to `upTo` is durable. */
  readonly flushed: (upTo: LogId) => void
  /** The state can go no further: this life of the node ends. */
  readonly failed: (error: Error) => void
  /** The state is damaged: another has to take its place. */
  readonly damaged: (error: StrettoError) => void
  /** The state does not belong to the log: nothing is applied to it. */
  readonly hollow: boolean
}

export class Applier {
  readonly #parts: ApplierParts
  #commit: Index = 0
  /** What the own disk holds of the log: the state on disk never runs ahead of it. */
  #durable: Index = 0
  #applying = false
  #flushing = false
  #logBytesSinceFlush = 0
  #flushedAt: number
  #stopped = false
  /** What waits for the end of a flush. */
  #between: (() => void)[] = []

  constructor(parts: ApplierParts, now: number) {
    this.#parts = parts
    this.#flushedAt = now
  }

  /** Last index that readers can see. */
  get applied(): Index {
    return this.#parts.machine.applied.index
  }

  stop(): void {
    this.#stopped = true
  }

  /** Goes on towards `commit`, unless under way. */
  advance(commit: Index, durable: Index, now: number): void {
    this.#commit = Math.max(this.#commit, commit)
    this.#durable = durable
    if (this.#applying || this.#stopped || this.#parts.hollow) return
    this.#guarded(() => {
      this.#flushIfDue(now)
      // What cannot be run is not applied: the state stays as it is, and what it has is still flushed.
      if (this.#commit > this.applied && !this.#overdue && this.#parts.machine.unable === null) this.#next()
    })
  }

  #next(): void {
    const { log, limits } = this.#parts
    const from = this.applied + 1
    this.#applying = true
    const hot = log.hot(from, limits.appendBytesMax)
    if (hot !== null) {
      this.#apply(hot)
      return
    }
    const { cuts } = log
    log.cold(from, limits.appendBytesMax, (error, blocks) => {
      if (this.#stopped) return
      if (error !== null) this.#fail(error)
      else if (blocks === null && log.cuts === cuts) {
        this.#fail(new Error(`the log does not hold index ${from}, which is to be applied`))
      } else this.#guarded(() => (blocks === null ? this.#next() : this.#apply(blocks)))
    })
  }

  #apply(found: readonly Block[]): void {
    const { machine, counters } = this.#parts
    const blocks = found.filter(block => lastOf(block) <= this.#commit)
    if (blocks.length === 0) {
      this.#applying = false
      return
    }
    machine.apply(blocks, (error, answers) => {
      this.#applying = false
      if (this.#stopped) return
      // Up to the order that cannot be followed all has been applied, and is answered.
      if (error !== null && machine.unable === null) return this.#machineFailed(error)
      for (const block of blocks) this.#logBytesSinceFlush += block.bytes.length
      counters.appliedRecords += answers.length
      this.#parts.applied(answers)
    })
  }

  /**
   * Twice what asks for a flush has gathered, while the own disk is behind what the others have committed: the state waits
   * for it, or it would never be flushed and memory would fill.
   */
  get #overdue(): boolean {
    const { machine, limits } = this.#parts
    if (this.#flushing || this.applied <= this.#durable) return false
    const { flushStateBytes, flushLogBytes } = limits
    return machine.unflushedBytes >= 2 * flushStateBytes || this.#logBytesSinceFlush >= 2 * flushLogBytes
  }

  /** Begins a generation between two applies, never past what the own log has on disk. */
  #flushIfDue(now: number): void {
    const { machine, limits, counters } = this.#parts
    if (this.#flushing || this.#logBytesSinceFlush === 0 || this.applied > this.#durable) return
    const due =
      machine.unflushedBytes >= limits.flushStateBytes ||
      this.#logBytesSinceFlush >= limits.flushLogBytes ||
      now - this.#flushedAt >= limits.flushAfterMs
    if (!due) return
    this.#flushing = true
    this.#flushedAt = now
    this.#logBytesSinceFlush = 0
    counters.flushes++
    machine.flush((error, upTo) => {
      this.#flushing = false
      if (this.#stopped) return
      if (error !== null) return this.#machineFailed(error)
      this.#parts.flushed(upTo)
      this.#callBetween()
    })
  }

  /** Calls `then` when no flush is under way: at once, or at the end of the one that is. */
  betweenFlushes(then: () => void): void {
    this.#between.push(then)
    if (!this.#flushing) this.#callBetween()
  }

  #callBetween(): void {
    const waiting = this.#between
    this.#between = []
    for (const then of waiting) then()
  }

  /** What breaks an invariant here ends the life, whoever has called. */
  #guarded(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.#fail(error as Error)
    }
  }

  #fail(error: Error): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#parts.failed(error)
  }

  /** What the machine ended with. */
  #machineFailed(error: Error): void {
    if (this.#stopped || !(error instanceof StrettoError) || error.code !== 'CORRUPT') return this.#fail(error)
    this.#stopped = true
    this.#parts.damaged(error)
  }
}
