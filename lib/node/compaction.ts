// How far the log may be cut at its beginning, and when: what is left is for followers that lag.
import type { Log } from '../log/log.ts'
import type { ReplicatedMachine } from '../machine/replicated-machine.ts'
import type { Raft } from '../raft/doors.ts'
import type { Base, ChainedId, Index, LogId } from '../raft/types.ts'
import type { Counters } from './counters.ts'
import type { NodeLimits } from './limits.ts'

export interface CompactionParts {
  readonly raft: Raft
  readonly log: Log
  readonly machine: ReplicatedMachine
  readonly limits: NodeLimits
  readonly counters: Counters
  /** A snapshot that is on its way needs the log from here on; Infinity for none. */
  readonly pin: () => Index
  readonly compacted: (base: LogId) => void
  readonly failed: (error: Error) => void
}

/**
 * The log is cut when it has outgrown its bound, and then by a quarter, so that the base moves seldom. A follower that
 * lags but still answers is waited for until the log has twice its bound: it would else need a snapshot, and by the time
 * that has come, perhaps the next one.
 */
export class Compaction {
  readonly #parts: CompactionParts
  #moving = false
  #flushed: LogId
  /** The bound of the log when it was last looked at. */
  #bytesMax = Number.POSITIVE_INFINITY

  constructor(parts: CompactionParts) {
    this.#parts = parts
    this.#flushed = parts.machine.applied
  }

  /** Looked at a few times a second: a bound that has been lowered, or an order, is not to wait for the next flush. */
  look(): void {
    const { limits, machine, log } = this.#parts
    if (limits.logBytesMax < this.#bytesMax || machine.released > log.base.index) this.flushed(this.#flushed)
  }

  /** The state up to `flushed` is on disk: the log up to there is not needed here any more. */
  flushed(flushed: LogId): void {
    this.#flushed = flushed
    this.#bytesMax = this.#parts.limits.logBytesMax
    const { log, limits, machine } = this.#parts
    const { logBytesMax, logRecordsMax } = limits
    const records = log.tail.index - log.base.index
    const over = log.bytes > logBytesMax || records > logRecordsMax
    if (this.#moving || (!over && machine.released <= log.base.index)) return
    const limit = Math.min(flushed.index, this.#parts.pin(), this.#lagging())
    const released = log.endBefore(0, 0, Math.min(limit, machine.released))
    const bounded = over ? log.endBefore((logBytesMax * 3) / 4, (logRecordsMax * 3) / 4, limit) : released
    const end = bounded.index > released.index ? bounded : released
    if (end.index <= log.base.index) return
    this.#cut(end)
  }

  /**
   * The block that ends with `last` is damaged on disk. Below the base there is no block that could be damaged, so the base
   * is moved as far as the state on disk allows; false where the state has to be flushed first. What is not even applied
   * ends this life: the next one cuts it off, and a leader brings it again.
   */
  mend(error: Error, last: Index): boolean {
    const { log, machine } = this.#parts
    if (last > machine.applied.index) {
      this.#parts.failed(error)
      return true
    }
    const end = log.endBefore(0, 0, this.#flushed.index)
    if (this.#moving || end.index < last) return false
    this.#cut(end)
    return true
  }

  /** The log begins after `end`, once the machine can do without what was before. */
  #cut(end: ChainedId): void {
    const { machine } = this.#parts
    this.#moving = true
    machine.leaves(end.index, error => {
      // The state cannot be read: it is looked at again at the next flush, or its life has ended.
      if (error === null) this.#move(end)
      else this.#moving = false
    })
  }

  #move(end: ChainedId): void {
    const { log, machine, raft, counters } = this.#parts
    const base: Base = {
      ...end,
      membership: raft.membershipAt(end.index),
      machineVersion: machine.version,
      state: log.base.state
    }
    counters.compactions++
    log.rebase(base, error => {
      this.#moving = false
      if (error !== null) return this.#parts.failed(error)
      machine.compacted(base.index)
      this.#parts.compacted(base)
    })
  }

  /** What the slowest follower that answers still needs, while there is room for it. */
  #lagging(): Index {
    const { raft, log, limits } = this.#parts
    const { status } = raft
    let least = Number.POSITIVE_INFINITY
    if (log.bytes > 2 * limits.logBytesMax) return least
    for (const peer of status.peers) if (status.mode(peer) === 'replicate') least = Math.min(least, status.match(peer))
    return least
  }
}
