// Cluster time: the one clock the state may see. A leader counts it on from what the log and its predecessor have reached.
import { assert } from '../base/assert.ts'

/** A leader that stalled for longer makes the cluster's clock wait, not leap: what waits at its door comes first. */
export const advanceMsMax = 250

/**
 * One node's view of cluster time, in whole milliseconds. It never falls; it stands still without a leader; it advances by
 * at most `advanceMsMax` between two turns of a leader.
 */
export class ClusterTime {
  /** With a fraction, so that short turns add up. */
  #time = 0
  #since = 0
  #leading = false

  /** The present value: what a welcome and a heartbeat carry. */
  get time(): number {
    return Math.floor(this.#time)
  }

  /** A stamp of the log or the time in a leader's heartbeat has been seen. */
  heard(time: number): void {
    if (time > this.#time) this.#time = time
  }

  /** This node has been elected at `now`; `lastStamp` is the stamp of the last record of its log, applied or not. */
  lead(now: number, lastStamp: number): void {
    this.heard(lastStamp)
    this.#since = now
    this.#leading = true
  }

  /** It leads no longer. */
  follow(): void {
    this.#leading = false
  }

  /** Once in each turn of a leader, before it stamps anything. Returns the time to stamp with. */
  advance(now: number): number {
    assert(this.#leading, 'only a leader counts time')
    const passed = Math.min(now - this.#since, advanceMsMax)
    if (passed > 0) this.#time += passed
    this.#since = now
    return this.time
  }
}
