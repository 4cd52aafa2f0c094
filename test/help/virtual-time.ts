// Time that passes only when a test says so: an Env for each node, one queue of events for all.
import type { Cancel, Env } from '../../lib/base/env.ts'
import { Random } from '../../lib/base/random.ts'

interface Event {
  readonly at: number
  readonly order: number
  readonly wake: () => void
  cancelled: boolean
}

export class VirtualTime {
  now = 0
  readonly #events: Event[] = []
  #order = 0
  readonly #seed: number

  constructor(seed = 1) {
    this.#seed = seed
  }

  env(name: string): Env {
    const random = new Random(this.#seed, name)
    return {
      now: () => this.now,
      after: (ms, wake) => this.#add(this.now + ms, wake),
      soon: turn => void this.#add(this.now, turn),
      random: below => random.below(below)
    }
  }

  /** Lets events happen until the condition holds; false when it did not come true within `ms`. */
  until(condition: () => boolean, ms = 60_000): boolean {
    const end = this.now + ms
    while (!condition()) {
      const next = this.#take(end)
      if (next === null) {
        this.now = end
        return condition()
      }
      // A test that holds a process up sets the time forward; what was due meanwhile comes late.
      this.now = Math.max(this.now, next.at)
      next.wake()
    }
    return true
  }

  run(ms: number): void {
    this.until(() => false, ms)
  }

  #add(at: number, wake: () => void): Cancel {
    const event = { at, order: this.#order++, wake, cancelled: false }
    this.#events.push(event)
    return () => {
      event.cancelled = true
    }
  }

  #take(end: number): Event | null {
    let best = -1
    for (let at = 0; at < this.#events.length; at++) {
      const event = this.#events[at]!
      if (event.cancelled) {
        this.#events.splice(at--, 1)
        continue
      }
      const least = this.#events[best]
      if (least === undefined || event.at < least.at || (event.at === least.at && event.order < least.order)) best = at
    }
    const event = this.#events[best]
    if (event === undefined || event.at > end) return null
    this.#events.splice(best, 1)
    return event
  }
}
