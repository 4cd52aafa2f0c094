// Slots without a disk, for the simulator and tests: what is synced survives a crash, the rest may be lost or torn.
import type { Done, Env } from '../base/env.ts'
import type { Slots } from './slots.ts'

/** What outlives a crash. */
export class SlotImage {
  readonly durable: [Uint8Array | null, Uint8Array | null] = [null, null]
  /** In the system's memory: what a reader sees now. */
  readonly cached: [Uint8Array | null, Uint8Array | null] = [null, null]
  /** The system believes it to be synced, since a sync of it has failed. */
  readonly #forgotten = [false, false]

  write(slot: 0 | 1, bytes: Uint8Array): void {
    this.cached[slot] = bytes
    this.#forgotten[slot] = false
  }

  sync(): void {
    for (const slot of [0, 1] as const) if (!this.#forgotten[slot]) this.durable[slot] = this.cached[slot]
  }

  /** What was to be synced stays in the system's memory only: a system does not write again what it failed to write. */
  failSync(): void {
    for (const slot of [0, 1] as const) this.#forgotten[slot] ||= this.cached[slot] !== this.durable[slot]
  }

  /**
   * A power cut: each slot that differs is as it was, or as it was to be, or with this probability torn in between.
   * Returns how many are torn.
   */
  crash(random: (below: number) => number, tornChance = 1 / 3): number {
    let torn = 0
    for (const slot of [0, 1] as const) {
      const cached = this.cached[slot]
      if (cached === this.durable[slot]) continue
      if (cached !== null && random(0x1_0000_0000) < tornChance * 0x1_0000_0000) {
        this.durable[slot] = tornBetween(this.durable[slot], cached, random)
        torn++
      } else if (random(2) === 0) this.durable[slot] = cached
      this.cached[slot] = this.durable[slot]
    }
    this.#forgotten.fill(false)
    return torn
  }
}

function tornBetween(old: Uint8Array | null, fresh: Uint8Array, random: (below: number) => number): Uint8Array {
  const bytes = new Uint8Array(fresh.length)
  if (old !== null) bytes.set(old)
  bytes.set(fresh.subarray(0, 1 + random(fresh.length - 1)))
  return bytes
}

export class MemorySlots implements Slots {
  readonly #image: SlotImage
  readonly #env: Env

  constructor(image: SlotImage, env: Env) {
    this.#image = image
    this.#env = env
  }

  read(done: Done<readonly [Uint8Array | null, Uint8Array | null]>): void {
    this.#env.soon(() => {
      this.#image.sync()
      done(null, [...this.#image.cached])
    })
  }

  write(slot: 0 | 1, bytes: Uint8Array, sync: boolean, done: Done): void {
    this.#image.write(slot, bytes.slice())
    this.#env.soon(() => {
      if (sync) this.#image.sync()
      done(null)
    })
  }

  close(done: Done): void {
    this.#env.soon(() => done(null))
  }
}
