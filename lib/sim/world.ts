// Virtual time: one ordered queue of events from one seed. A run is a function of the code, the options and the seed.
import { assert } from '../base/assert.ts'
import type { Cancel, Env } from '../base/env.ts'
import { Random } from '../base/random.ts'

interface Event {
  readonly at: number
  /** Breaks ties: what was asked for first happens first. */
  readonly number: number
  /** The life of a process it belongs to; it is forgotten when that life is over. */
  readonly life: Life | null
  run: (() => void) | null
}

/** One life of a simulated process: its events die with it. */
export interface Life {
  over: boolean
  /** Until then nothing of it happens: the process is held up, and what was due comes all at once afterwards. */
  stalledUntil: number
}

export class World {
  readonly seed: number
  #now = 0
  #number = 0
  readonly #heap: Event[] = []

  constructor(seed: number) {
    this.seed = seed
  }

  get now(): number {
    return this.#now
  }

  /** A stream of chance of its own for each name. */
  random(name: string): Random {
    return new Random(this.seed, name)
  }

  after(ms: number, life: Life | null, run: () => void): Cancel {
    const event: Event = { at: this.#now + Math.max(0, ms), number: this.#number++, life, run }
    this.#push(event)
    return () => {
      event.run = null
    }
  }

  /** The Env of one life of a process. */
  env(life: Life, random: Random): Env {
    return {
      now: () => this.#now,
      after: (ms, wake) => this.after(ms, life, wake),
      soon: turn => void this.after(0, life, turn),
      random: below => random.below(below)
    }
  }

  /** Runs events, at most until `until` (milliseconds) or until `stop` says so after one; returns how many. */
  run(until: number, afterEach: () => boolean): number {
    let events = 0
    let standing = 0
    for (;;) {
      const event = this.#heap[0]
      if (event === undefined || event.at > until) break
      this.#pop()
      if (event.run === null || event.life?.over === true) continue
      standing = event.at > this.#now ? 0 : standing + 1
      assert(standing < standingMax, 'virtual time goes on')
      this.#now = event.at
      if (event.life !== null && event.life.stalledUntil > event.at) {
        this.#push({ ...event, at: event.life.stalledUntil })
        continue
      }
      event.run()
      events++
      if (afterEach()) return events
    }
    this.#now = Math.max(this.#now, until)
    return events
  }

  #push(event: Event): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!before(event, heap[above]!)) break
      heap[at] = heap[above]!
      at = above
    }
    heap[at] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && before(heap[below + 1]!, heap[below]!)) below++
      if (!before(heap[below]!, last)) break
      heap[at] = heap[below]!
      at = below
    }
    heap[at] = last
  }
}

/** So many events without time passing are a loop that a real process would spin in for ever. */
const standingMax = 100_000

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.number < b.number)
}
