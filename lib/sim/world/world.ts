// Virtual time: one ordered queue of events from one seed. A run is a function of the code, the options and the seed.
import { assert } from '../../base/assert.ts'
import type { Cancel, Env } from '../../base/env.ts'
import { Random } from '../../base/random.ts'
import { settled } from './settled.ts'

interface Event {
  readonly at: number
  /** Breaks ties: what was asked for first happens first. */
  readonly number: number
  /** The life of a process it belongs to; it is forgotten when that life is over. */
  readonly life: Life | null
  run: (() => void) | null
}

/** One life of a simulated process: its events die with it. */
export class Life {
  /** Who lives it: a node's id, or a client's. */
  readonly name: string
  /** Its code settles promises: whoever awaits them has a turn before the next event. */
  readonly promises: boolean
  over = false
  /** Until then nothing of it happens: the process is held up, and what was due comes all at once afterwards. */
  stalledUntil = 0
  /** What each of its events takes of its time, milliseconds; 0 for nothing. */
  costMs = 0
  /** Its clock: seconds of its own that pass in a true one, and what it showed at the true time `since`. */
  rate = 1
  #since = 0
  #shown = 0

  constructor(name: string, promises = false) {
    this.name = name
    this.promises = promises
  }

  /** What its clock shows at the true time `now`. */
  shows(now: number): number {
    return this.#shown + (now - this.#since) * this.rate
  }

  /** From now on its clock runs at `rate`, after a leap forward: the clock of a process never goes back. */
  setClock(now: number, rate: number, leapMs: number): void {
    assert(leapMs >= 0 && rate > 0, 'a monotonic clock never goes back')
    this.#shown = this.shows(now) + leapMs
    this.#since = now
    this.rate = rate
  }
}

export class World {
  readonly seed: number
  /** How many events have happened. */
  events = 0
  /** Whose event this is; whoever delivers to another process says so here. */
  touched: Life | null = null
  #now = 0
  #number = 0
  #digest = 0x811c9dc5
  #standing = 0
  readonly #heap: Event[] = []

  constructor(seed: number) {
    this.seed = seed
  }

  get now(): number {
    return this.#now
  }

  /** Of all that has happened: equal runs have equal digests. */
  get digest(): number {
    return this.#digest
  }

  /** A stream of chance of its own for each name. */
  random(name: string): Random {
    return new Random(this.seed, name)
  }

  /** Stirs a fact of the run into the digest. */
  stir(fact: number): void {
    this.#digest = Math.imul(this.#digest ^ fact, 0x01000193)
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
      now: () => life.shows(this.#now),
      // A nanosecond late rather than an ulp early: whoever then looks at the clock must find that it is time.
      after: (ms, wake) => this.after(ms > 0 ? ms / life.rate + 1e-6 : 0, life, wake),
      soon: turn => void this.after(0, life, turn),
      random: below => random.below(below)
    }
  }

  /** Runs events, at most until `until` (milliseconds) or until `stop` says so after one; returns how many. */
  run(until: number, stop: () => boolean): number {
    const before = this.events
    while (this.#next(until)) if (stop()) return this.events - before
    this.#now = Math.max(this.#now, until)
    return this.events - before
  }

  /** The same for processes that use promises: after each event of theirs all that awaits has its turn. */
  async play(until: number, stop: () => boolean): Promise<number> {
    const before = this.events
    while (this.#next(until)) {
      if (this.touched?.promises === true) await settled()
      if (stop()) return this.events - before
    }
    this.#now = Math.max(this.#now, until)
    return this.events - before
  }

  /** One event; false when there is none until `until`. */
  #next(until: number): boolean {
    for (;;) {
      const event = this.#heap[0]
      if (event === undefined || event.at > until) return false
      this.#pop()
      const { life } = event
      if (event.run === null || life?.over === true) continue
      this.#standing = event.at > this.#now ? 0 : this.#standing + 1
      assert(this.#standing < standingMax, 'virtual time goes on')
      this.#now = event.at
      if (life !== null && life.stalledUntil > event.at) {
        this.#push({ ...event, at: life.stalledUntil })
        continue
      }
      this.touched = life
      this.events++
      this.#digest = Math.imul(this.#digest ^ event.number, 0x01000193) ^ ((event.at * 1024) | 0)
      event.run()
      if (life !== null && life.costMs > 0) life.stalledUntil = Math.max(life.stalledUntil, event.at + life.costMs)
      return true
    }
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
