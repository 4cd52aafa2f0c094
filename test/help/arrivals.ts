// All that can happen next, in an order that fast-check chooses: lanes that keep their own order, and time that passes.
import type fc from 'fast-check'
import type { Cancel, Env } from '../../lib/base/env.ts'
import { Random } from '../../lib/base/random.ts'

interface Event {
  readonly what: string
  /** Null: it is lost. */
  run: (() => void) | null
}

/** Events that happen in the order in which they were added. */
interface Lane {
  readonly events: Event[]
  /** Its first event is among the tasks of the scheduler. */
  offered: boolean
  held: boolean
}

interface Timer {
  readonly at: number
  readonly order: number
  /** Null: it was taken back. */
  wake: (() => void) | null
}

export function macrotask(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

/**
 * The scheduler chooses among the first events of all lanes, the events without a lane, and time: chosen, time goes on by
 * one step at most while anything else could happen, else to the next timer.
 */
export class Arrivals {
  now = 0
  /** What was thrown where nobody could catch it. */
  readonly faults: unknown[] = []
  readonly #scheduler: fc.Scheduler
  readonly #stepMs: number
  readonly #lanes = new Map<string, Lane>()
  readonly #timers: Timer[] = []
  #timersAdded = 0
  #timeOffered = false
  /** Tasks of the scheduler that are not time. */
  #offered = 0

  constructor(scheduler: fc.Scheduler, stepMs: number) {
    this.#scheduler = scheduler
    this.#stepMs = stepMs
  }

  /** Whether anything can happen, now or later. */
  get idle(): boolean {
    return this.#offered === 0 && !this.#timeOffered
  }

  /** `run` happens after all that was added to `lane` before; without a lane, whenever. */
  add(lane: string | null, what: string, run: () => void): void {
    if (lane === null) this.#offer(what, run)
    else {
      const its = this.#lane(lane)
      its.events.push({ what, run })
      this.#offerFirst(lane, its)
    }
  }

  /** Nothing of this lane happens until it is released. */
  hold(lane: string): void {
    this.#lane(lane).held = true
  }

  release(lane: string): void {
    const its = this.#lane(lane)
    its.held = false
    this.#offerFirst(lane, its)
  }

  /** What waits in this lane after the first `kept` events never happens. Returns how many events that were. */
  lose(lane: string, kept: number): number {
    const lost = this.#lane(lane).events.slice(kept)
    for (const event of lost) event.run = null
    return lost.length
  }

  /** How many events of this lane wait. */
  waiting(lane: string): number {
    return this.#lanes.get(lane)?.events.length ?? 0
  }

  /** The turns of an Env stay in order; a timer that is due at once, such as the end of a write, comes whenever. */
  env(name: string): Env {
    const random = new Random(1, name)
    return {
      now: () => this.now,
      after: (ms, wake) => (ms > 0 ? this.#timer(ms, wake) : this.#atOnce(`${name}: at once`, wake)),
      soon: turn => this.add(`${name}: turn`, `${name}: turn`, turn),
      random: below => random.below(below)
    }
  }

  /** Lets `count` things happen, or as many as there are. */
  async run(count: number): Promise<void> {
    for (let left = count; left > 0; left--) {
      // A promise that is resolved already may be about to add something.
      if (this.idle) await macrotask()
      if (this.idle) return
      await this.#scheduler.waitNext(1)
    }
  }

  /** Lets things happen until the condition holds; false when it did not come true within `ms` of virtual time. */
  async until(condition: () => boolean, ms: number): Promise<boolean> {
    const end = this.now + ms
    while (!condition()) {
      if (this.now > end) return false
      await this.run(1)
      if (this.idle && !condition()) return false
    }
    return true
  }

  #lane(name: string): Lane {
    let lane = this.#lanes.get(name)
    if (lane === undefined) {
      lane = { events: [], offered: false, held: false }
      this.#lanes.set(name, lane)
    }
    return lane
  }

  #offerFirst(name: string, lane: Lane): void {
    const first = lane.events[0]
    if (first === undefined || lane.offered || lane.held) return
    lane.offered = true
    this.#offer(first.what, () => {
      lane.offered = false
      if (lane.held) return
      lane.events.shift()
      // The next one is offered first, for what happens now may throw.
      this.#offerFirst(name, lane)
      first.run?.()
    })
  }

  #offer(what: string, run: () => void): void {
    this.#offered++
    this.#schedule(what, () => {
      this.#offered--
      run()
    })
  }

  #schedule(what: string, run: () => void): void {
    void this.#scheduler.schedule(Promise.resolve(), what).then(() => {
      try {
        run()
      } catch (error) {
        this.faults.push(error)
      }
    })
  }

  #atOnce(what: string, wake: () => void): Cancel {
    let run: (() => void) | null = wake
    this.#offer(what, () => run?.())
    return () => {
      run = null
    }
  }

  #timer(ms: number, wake: () => void): Cancel {
    const timer: Timer = { at: this.now + ms, order: this.#timersAdded++, wake }
    this.#timers.push(timer)
    this.#offerTime()
    return () => {
      timer.wake = null
    }
  }

  #offerTime(): void {
    if (this.#timeOffered) return
    this.#timeOffered = true
    this.#schedule('time', () => {
      this.#timeOffered = false
      this.#pass()
    })
  }

  #pass(): void {
    const timer = this.#nextTimer()
    if (timer === null) return
    const to = this.#offered === 0 ? timer.at : Math.min(timer.at, this.now + this.#stepMs)
    this.now = Math.max(this.now, to)
    const { wake } = timer
    const isDue = timer.at <= this.now
    if (isDue) timer.wake = null
    if (!isDue || this.#nextTimer() !== null) this.#offerTime()
    if (isDue) wake?.()
  }

  /** The one that is due first, of equals the one asked for first; those that were taken back are forgotten. */
  #nextTimer(): Timer | null {
    let next: Timer | null = null
    for (let at = this.#timers.length - 1; at >= 0; at--) {
      const timer = this.#timers[at]!
      if (timer.wake === null) this.#timers.splice(at, 1)
      else if (next === null || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer
    }
    return next
  }
}
