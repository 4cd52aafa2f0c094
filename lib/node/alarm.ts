// The timer of the core: one at a time, for the earliest moment that it has asked for.
import type { Cancel, Env } from '../base/env.ts'
import type { Counters } from './counters.ts'

/** A timer later than this is counted as a stall of the event loop. */
const stallMs = 100

export class Alarm {
  readonly #env: Env
  readonly #counters: Counters
  readonly #due: () => void
  #at = Number.POSITIVE_INFINITY
  #timer: Cancel | null = null

  constructor(env: Env, counters: Counters, due: () => void) {
    this.#env = env
    this.#counters = counters
    this.#due = due
  }

  /**
   * Sets it to `at`; one that is early is kept, and asks again. A timer that fires lets the input that waits in first: a
   * late one may only mean that this process was held up, and that the heartbeats stand at its door.
   */
  set(at: number, now: number): void {
    if (at >= this.#at) return
    this.#timer?.()
    this.#at = at
    const due = Math.max(at, now)
    this.#timer = this.#env.after(due - now, () => {
      this.#timer = null
      this.#at = Number.POSITIVE_INFINITY
      if (this.#env.now() - due > stallMs) this.#counters.stalls++
      this.#env.soon(() => this.#env.soon(this.#due))
    })
  }

  stop(): void {
    this.#timer?.()
  }
}
