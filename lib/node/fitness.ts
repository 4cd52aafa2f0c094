// How well this node keeps up by its own measure: its disk by how long a write takes, its event loop by how late turns come.
//
// Others see neither. A leader whose disk hangs goes on to send heartbeats, and so keeps a lead under which nothing that
// it was asked for is ever answered; only the node itself can tell, and give way.
import type { NodeLimits } from './limits.ts'

type FitnessLimits = Pick<NodeLimits, 'diskStallMs' | 'loopStallMs' | 'loopStallsMax' | 'loopWindowMs' | 'fitAfterMs'>

export interface Health {
  /** For how long the oldest write of the log has been under way. */
  readonly diskStallMs: number
  /** Why this node lets others lead, in words; null where it is fit. */
  readonly unfit: string | null
}

export class Fitness {
  readonly #limits: FitnessLimits
  /** When the writes of the log that are under way began, by their marks, oldest first. */
  readonly #writes = new Map<number, number>()
  /** When the event loop stood, within the window. */
  #stalls: number[] = []
  #reason: string | null = null
  /** When the node was last found at fault. */
  #faultAt = Number.NEGATIVE_INFINITY

  constructor(limits: FitnessLimits) {
    this.#limits = limits
  }

  writeBegan(mark: number, now: number): void {
    this.#writes.set(mark, now)
  }

  writeEnded(mark: number, now: number): void {
    this.#judgeDisk(now)
    this.#writes.delete(mark)
  }

  /** What should have come at once, or at its time, comes so much late. */
  late(ms: number, now: number): void {
    if (ms > this.#limits.loopStallMs) this.#stalls.push(now)
  }

  diskStallMs(now: number): number {
    for (const begun of this.#writes.values()) return now - begun
    return 0
  }

  /** Why this node does not keep up; null where it does, and has done so for a while. */
  judge(now: number): string | null {
    const { loopStallsMax, loopWindowMs, fitAfterMs } = this.#limits
    this.#judgeDisk(now)
    if (this.#stalls.length > 0) this.#stalls = this.#stalls.filter(at => now - at < loopWindowMs)
    if (this.#stalls.length > loopStallsMax) this.#fault('the event loop stood still again and again', now)
    if (now - this.#faultAt >= fitAfterMs) this.#reason = null
    return this.#reason
  }

  #judgeDisk(now: number): void {
    if (this.diskStallMs(now) > this.#limits.diskStallMs) this.#fault('a write of the log does not come to an end', now)
  }

  #fault(reason: string, now: number): void {
    this.#reason = reason
    this.#faultAt = now
  }
}
