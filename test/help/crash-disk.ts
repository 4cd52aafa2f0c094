// A simulated disk that dies or refuses at a chosen write, for tests that await: its time passes by itself.
import { Random } from '../../lib/base/random.ts'
import { SimDisk } from '../../lib/sim/disk/disk.ts'
import { hurried } from './hurried-time.ts'
import { type Parts, simParts } from './log-life.ts'
import { VirtualTime } from './virtual-time.ts'

export class CrashDisk {
  readonly disk: SimDisk
  /** Writes so far: batches of the log, slots, directories. */
  effects = 0
  /** Blocks among what was written. */
  blocks = 0
  /** Number of the write at which it dies; 0 for never. */
  dieAt = 0
  /** Number of the write that it refuses; 0 for never. */
  failAt = 0
  readonly #time: VirtualTime
  readonly #random: Random
  #died: (() => void) | null = null

  constructor(seed: number) {
    this.#random = new Random(seed)
    this.#time = new VirtualTime(seed)
    this.disk = new SimDisk({
      random: part => new Random(seed, part),
      now: () => this.#time.now,
      knobs: { lostWrites: true, tornChance: 1 / 3 },
      stored: () => this.blocks++,
      issued: () => this.#issued()
    })
  }

  /** What this life sees of the disk; all of it is dead after the next `crash`. */
  life(): Parts {
    this.disk.knobs.ioErrorChance = 0
    return simParts(this.disk, hurried(this.#time, 'n1'))
  }

  /** Resolves when it has died at `dieAt`. */
  death(): Promise<void> {
    return new Promise(resolve => {
      this.#died = resolve
    })
  }

  /** The power fails. */
  crash(): void {
    this.dieAt = 0
    this.disk.crash(below => this.#random.below(below))
  }

  #issued(): void {
    this.effects++
    if (this.effects === this.failAt) this.disk.knobs.ioErrorChance = 1
    if (this.effects !== this.dieAt) return
    this.crash()
    this.#died?.()
  }
}
