// What is done for the state on disk beside serving it: it is measured now and then, and compacted when room is scarce.
import type { Cancel, Env } from '../base/env.ts'
import type { MachineInUse } from './machine-in-use.ts'

const measureMs = 5_000
/** What was deleted is on disk by then, since a flush comes within 3 s. */
const settledMs = 4_000
/** Where changes do not end it is compacted meanwhile, but not more often. */
const reclaimMs = 30_000

export class Upkeep {
  /** Size of the state on disk, as it was last measured. */
  stateBytes = 0
  readonly #env: Env
  #inUse: MachineInUse | null = null
  #measuring: Cancel | null = null
  /** What the state was when it was last looked at, and since when. */
  #seen = ''
  #seenAt = 0
  /** What it was when it was last compacted, and when. */
  #reclaimed = ''
  #reclaimedAt = Number.NEGATIVE_INFINITY

  constructor(env: Env) {
    this.#env = env
  }

  /** From now on it is about this machine. */
  use(inUse: MachineInUse): void {
    this.#inUse = inUse
    this.#reclaimed = ''
    this.#measure(inUse)
  }

  stop(): void {
    this.#inUse = null
    this.#measuring?.()
  }

  /** Asked again and again while room is scarce: has what was deleted leave the disk, once for each change. */
  async reclaim(): Promise<void> {
    const inUse = this.#inUse
    if (inUse?.reclaim === undefined) return
    const now = this.#env.now()
    const state = `${inUse.revision()} ${inUse.compacted()}`
    if (state !== this.#seen) {
      this.#seen = state
      this.#seenAt = now
    }
    const due = now - this.#seenAt >= settledMs || now - this.#reclaimedAt >= reclaimMs
    if (state === this.#reclaimed || !due) return
    this.#reclaimed = now - this.#seenAt >= settledMs ? state : ''
    await inUse.reclaim()
    this.#reclaimedAt = this.#env.now()
  }

  #measure(inUse: MachineInUse): void {
    this.#measuring?.()
    this.#measuring = this.#env.after(measureMs, () => {
      if (this.#inUse !== inUse) return
      inUse.bytes().then(
        bytes => {
          this.stateBytes = bytes
          if (this.#inUse === inUse) this.#measure(inUse)
        },
        () => {
          if (this.#inUse === inUse) this.#measure(inUse)
        }
      )
    })
  }
}
