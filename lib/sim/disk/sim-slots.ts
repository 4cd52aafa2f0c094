// The slots of a simulated disk: writes that take their time and may be rejected, over an image that outlives a process.
import type { Done, Env } from '../../base/env.ts'
import { refuse } from '../../log/faults.ts'
import type { SlotImage } from '../../log/memory-slots.ts'
import type { Slots } from '../../log/slots.ts'
import type { Drive } from './knobs.ts'

export interface SimSlotsParts {
  readonly image: SlotImage
  readonly drive: Drive
  readonly env: Env
  readonly alive: () => boolean
  /** A write has been issued: a process may die here. */
  readonly issued: () => void
}

export class SimSlots implements Slots {
  readonly #parts: SimSlotsParts

  constructor(parts: SimSlotsParts) {
    this.#parts = parts
  }

  /** The file is made by the first reading; later writes need no more space. */
  read(done: Done<readonly [Uint8Array | null, Uint8Array | null]>): void {
    const { image, drive } = this.#parts
    this.#later(drive.syncMs, () => {
      const isNew = image.cached[0] === null && image.cached[1] === null
      const error = (isNew ? drive.writeError() : null) ?? this.#sync()
      if (error !== null) refuse(done, error)
      else done(null, [...image.cached])
    })
  }

  write(slot: 0 | 1, bytes: Uint8Array, sync: boolean, done: Done): void {
    const { image, drive, alive, issued } = this.#parts
    if (!alive()) return
    const copy = new Uint8Array(bytes)
    // The system has it at some moment between the call and its end.
    const early = drive.chance.chance(0.5)
    if (early) image.write(slot, copy)
    this.#later(sync ? drive.syncMs : drive.writeMs, () => {
      const error = drive.ioError()
      if (!early && (error === null || drive.chance.chance(0.5))) image.write(slot, copy)
      done(error ?? (sync ? this.#sync() : null))
    })
    issued()
  }

  #sync(): Error | null {
    const { image, drive } = this.#parts
    const error = drive.syncError()
    if (error === null) image.sync()
    else image.failSync()
    return error
  }

  close(done: Done): void {
    this.#later(this.#parts.drive.writeMs, () => done(null))
  }

  #later(ms: number, run: () => void): void {
    const { drive, env, alive } = this.#parts
    drive.later(env, ms, () => {
      if (alive()) run()
    })
  }
}
