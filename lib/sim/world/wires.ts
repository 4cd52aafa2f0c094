// What lies between the hosts of a simulated cluster: who reaches whom, how late, how often and in which order.
import type { Random } from '../../base/random.ts'
import type { FaultCounts } from '../faults.ts'
import type { World } from './world.ts'

/** A disturbance that lasts until it is lifted; several may lie on one wire. */
export interface Disturbance {
  readonly kind: 'drop' | 'duplicate' | 'delay' | 'reorder' | 'bandwidth'
  readonly amount: number
}

export interface Fate {
  lost: boolean
  /** A second copy arrives so much later; 0 for none. */
  copyMs: number
  delayMs: number
  /** It may overtake what was sent before it. */
  overtakes: boolean
}

/** One directed wire; its chance is its own, so that traffic elsewhere does not shift it. */
class Wire {
  readonly random: Random
  /** How many faults cut it. */
  cuts = 0
  /** When its last message in order arrives, and when what it carries has passed. */
  lastAt = 0
  freeAt = 0

  constructor(random: Random) {
    this.random = random
  }
}

/** A lost segment is sent again after about so long. */
const retransmissionMs = 200

export class Wires {
  delayMsMin: number
  delayMsMax: number
  /** How often a fault of the wires has struck a message. */
  readonly struck: FaultCounts
  readonly #world: World
  readonly #wires = new Map<string, Map<string, Wire>>()
  readonly #disturbances = new Set<Disturbance>()
  /** What was lifted by a healing is not lifted again. */
  #healings = 0
  /** Told when a wire is cut for the first time, and when nothing cuts it any more. */
  readonly #cutWatchers: ((from: string, to: string, cut: boolean) => void)[] = []

  constructor(world: World, delayMsMin: number, delayMsMax: number, struck: FaultCounts) {
    this.#world = world
    this.delayMsMin = delayMsMin
    this.delayMsMax = delayMsMax
    this.struck = struck
  }

  watchCuts(watcher: (from: string, to: string, cut: boolean) => void): void {
    this.#cutWatchers.push(watcher)
  }

  isCut(from: string, to: string): boolean {
    return this.#wire(from, to).cuts > 0
  }

  /** Cuts the wires from each of the first to each of the second, until the returned function is called. */
  cut(from: readonly string[], to: readonly string[]): () => void {
    const pairs: (readonly [string, string])[] = []
    for (const source of from) for (const target of to) if (source !== target) pairs.push([source, target])
    for (const [source, target] of pairs) {
      if (this.#wire(source, target).cuts++ === 0) this.#tell(source, target, true)
    }
    let lifted = false
    const healings = this.#healings
    return () => {
      if (lifted || healings !== this.#healings) return
      lifted = true
      for (const [source, target] of pairs)
        if (--this.#wire(source, target).cuts === 0) this.#tell(source, target, false)
    }
  }

  disturb(disturbance: Disturbance): () => void {
    this.#disturbances.add(disturbance)
    return () => void this.#disturbances.delete(disturbance)
  }

  /** All cuts and disturbances are over. */
  heal(): void {
    this.#healings++
    this.#disturbances.clear()
    for (const [from, wires] of this.#wires) {
      for (const [to, wire] of wires) {
        if (wire.cuts === 0) continue
        wire.cuts = 0
        this.#tell(from, to, false)
      }
    }
  }

  /**
   * What becomes of a message of so many bytes, cuts apart. `ordered`: it travels in a stream that keeps its order and loses
   * nothing, so what is lost is sent again, and all behind it waits.
   */
  fate(from: string, to: string, bytes: number, ordered = false): Fate {
    const wire = this.#wire(from, to)
    const { random } = wire
    const fate = { lost: false, copyMs: 0, delayMs: this.#delay(random), overtakes: false }
    if (this.#disturbances.size === 0) return fate
    for (const { kind, amount } of this.#disturbances) {
      if (kind === 'delay') fate.delayMs += (random.next() / 0x1_0000_0000) * amount
      else if (kind === 'bandwidth') {
        wire.freeAt = Math.max(wire.freeAt, this.#world.now) + bytes / amount / 1.024
        fate.delayMs += wire.freeAt - this.#world.now
      } else if ((ordered && kind !== 'drop') || !random.chance(amount)) continue
      else if (kind === 'drop' && ordered) fate.delayMs += retransmissionMs
      else if (kind === 'drop') fate.lost = true
      else if (kind === 'duplicate') fate.copyMs = 0.01 + this.#delay(random) * 3
      else fate.overtakes = true
      this.count(kind)
    }
    return fate
  }

  /** When a message with this delay arrives, in order of sending unless it overtakes. */
  arrival(from: string, to: string, { delayMs, overtakes }: Fate): number {
    const wire = this.#wire(from, to)
    const at = this.#world.now + delayMs
    if (overtakes) return at
    wire.lastAt = Math.max(wire.lastAt, at)
    return wire.lastAt
  }

  count(kind: keyof FaultCounts): void {
    this.struck[kind] = (this.struck[kind] ?? 0) + 1
  }

  #delay(random: Random): number {
    return this.delayMsMin + (random.next() / 0x1_0000_0000) * (this.delayMsMax - this.delayMsMin)
  }

  #wire(from: string, to: string): Wire {
    let wires = this.#wires.get(from)
    if (wires === undefined) this.#wires.set(from, (wires = new Map()))
    let wire = wires.get(to)
    if (wire === undefined) wires.set(to, (wire = new Wire(this.#world.random(`wire ${from}>${to}`))))
    return wire
  }

  #tell(from: string, to: string, cut: boolean): void {
    for (const watcher of this.#cutWatchers) watcher(from, to, cut)
  }
}
