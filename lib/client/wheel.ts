// One timer for all deadlines of a client: a hashed wheel, so that a call costs a few pointers and no timer of its own.
import type { Cancel, Env } from '../base/env.ts'

/** How coarse deadlines are: they pass up to this much late, never early. */
export const wheelTickMs = 50
const slotCount = 256

/** Something with a deadline. It stands in at most one wheel at a time. */
export abstract class Timed {
  tick = 0
  /** Where it stands: a slot, `outside`, or `due` while its turn to expire is coming. */
  slot = outside
  before: Timed | null = null
  after: Timed | null = null

  get isTimed(): boolean {
    return this.slot >= 0
  }

  /** The deadline has passed; the wheel has let go of it. */
  abstract expire(): void
}

const outside = -1
const due = -2

/** The wheel tick at which a deadline (milliseconds of the Env's clock) has passed. */
export function tickOf(deadline: number): number {
  return Math.ceil(deadline / wheelTickMs)
}

export class Wheel {
  readonly #env: Env
  readonly #slots = Array.from({ length: slotCount }, (): Timed | null => null)
  #count = 0
  /** All ticks up to this one have been looked at. */
  #tick = 0
  #cancel: Cancel | null = null
  #wakeTick = Number.POSITIVE_INFINITY

  constructor(env: Env) {
    this.#env = env
  }

  /** `entry` expires once tick `tick` has come, unless it is removed before. */
  add(entry: Timed, tick: number): void {
    if (this.#count === 0) this.#tick = Math.floor(this.#env.now() / wheelTickMs)
    entry.tick = Math.max(tick, this.#tick + 1)
    const slot = entry.tick % slotCount
    const first = this.#slots[slot]!
    entry.slot = slot
    entry.after = first
    if (first !== null) first.before = entry
    this.#slots[slot] = entry
    this.#count++
    if (entry.tick < this.#wakeTick) this.#arm(entry.tick)
  }

  /** Harmless for an entry that stands in no wheel. */
  remove(entry: Timed): void {
    if (entry.slot >= 0) this.#unlink(entry)
    entry.slot = outside
  }

  /** No deadline passes any more. */
  stop(): void {
    this.#cancel?.()
    this.#cancel = null
    this.#slots.fill(null)
    this.#count = 0
    this.#wakeTick = Number.POSITIVE_INFINITY
  }

  #unlink(entry: Timed): void {
    if (entry.before === null) this.#slots[entry.slot] = entry.after
    else entry.before.after = entry.after
    if (entry.after !== null) entry.after.before = entry.before
    entry.before = null
    entry.after = null
    this.#count--
  }

  #arm(tick: number): void {
    this.#cancel?.()
    this.#wakeTick = tick
    this.#cancel = this.#env.after(Math.max(0, tick * wheelTickMs - this.#env.now()), () => this.#wake())
  }

  #wake(): void {
    this.#cancel = null
    this.#wakeTick = Number.POSITIVE_INFINITY
    const now = Math.floor(this.#env.now() / wheelTickMs)
    const expired: Timed[] = []
    const from = Math.max(this.#tick + 1, now - slotCount + 1)
    for (let tick = from; tick <= now; tick++) this.#takeDue(tick % slotCount, now, expired)
    this.#tick = Math.max(this.#tick, now)
    for (const entry of expired) {
      if (entry.slot !== due) continue
      entry.slot = outside
      entry.expire()
    }
    if (this.#count > 0) this.#armNext()
  }

  #takeDue(slot: number, now: number, expired: Timed[]): void {
    let entry = this.#slots[slot] ?? null
    while (entry !== null) {
      const after = entry.after
      if (entry.tick <= now) {
        this.#unlink(entry)
        entry.slot = due
        expired.push(entry)
      }
      entry = after
    }
  }

  /** Sleeps until the next slot that holds anything: an idle client wakes seldom. */
  #armNext(): void {
    for (let tick = this.#tick + 1; tick <= this.#tick + slotCount; tick++) {
      if (this.#slots[tick % slotCount] === null) continue
      if (tick < this.#wakeTick) this.#arm(tick)
      return
    }
  }
}
