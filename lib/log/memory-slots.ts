// Slots without a disk, for the simulator and tests: what is synced survives a crash, the rest may be lost or torn.
import type { Done, Env } from '../base/env.ts'
import type { Slots } from './slots.ts'

/** What outlives a crash. */
export class SlotImage {
  readonly durable: [Uint8Array | null, Uint8Array | null] = [null, null]
  /** In the system's memory: what a reader sees now. */
  readonly cached: [Uint8Array | null, Uint8Array | null] = [null, null]

  /** A power cut: each slot that differs is as it was, or as it was to be, or torn in between. */
  crash(random: (below: number) => number): void {
    for (const slot of [0, 1] as const) {
      const cached = this.cached[slot]
      if (cached === this.durable[slot]) continue
      const fate = random(3)
      if (fate === 1) this.durable[slot] = cached
      if (fate === 2 && cached !== null) this.durable[slot] = torn(this.durable[slot], cached, random)
      this.cached[slot] = this.durable[slot]
    }
  }
}

function torn(old: Uint8Array | null, fresh: Uint8Array, random: (below: number) => number): Uint8Array {
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
      this.#sync()
      done(null, [...this.#image.cached])
    })
  }

  write(slot: 0 | 1, bytes: Uint8Array, sync: boolean, done: Done): void {
    this.#image.cached[slot] = bytes.slice()
    this.#env.soon(() => {
      if (sync) this.#sync()
      done(null)
    })
  }

  close(done: Done): void {
    this.#env.soon(() => done(null))
  }

  #sync(): void {
    const { durable, cached } = this.#image
    durable[0] = cached[0]
    durable[1] = cached[1]
  }
}
