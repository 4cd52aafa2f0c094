// What can be set on a simulated disk while it runs, and how a part of it obeys: how long things take, and which fail.
import type { Env } from '../../base/env.ts'
import type { Random } from '../../base/random.ts'
import type { Space, SpaceBounds, SpaceLevel } from '../../node/room.ts'

/** Each may be changed at any time. Chances are probabilities from 0 to 1. */
export interface DiskKnobs {
  /** How long a read takes, milliseconds. */
  readMsMin: number
  readMsMax: number
  /** How long a write takes until the system has it, milliseconds. */
  writeMsMin: number
  writeMsMax: number
  /** How much longer one takes that is synced, milliseconds. */
  syncMsMin: number
  syncMsMax: number
  /** Everything takes so many times longer. */
  slowFactor: number
  /** Nothing is answered before this true virtual time, milliseconds. */
  hungUntil: number
  /** Of a write: it is rejected, done or not. */
  ioErrorChance: number
  /** Of a synced write: its sync is rejected. */
  syncErrorChance: number
  /** There is no space left. */
  full: boolean
  /** How much is left, as its node is told when it looks. */
  space: SpaceLevel
  /** A crash is a power cut, which loses any part of what was not synced; without it, a process that is killed. */
  lostWrites: boolean
  /** Of a slot that was not synced: a power cut leaves it half written. */
  tornChance: number
}

/** A good disk: a synced write takes about as long as on a solid-state drive. */
export const goodDisk: Readonly<DiskKnobs> = {
  readMsMin: 0.02,
  readMsMax: 0.2,
  writeMsMin: 0.02,
  writeMsMax: 0.1,
  syncMsMin: 0.1,
  syncMsMax: 1,
  slowFactor: 1,
  hungUntil: 0,
  ioErrorChance: 0,
  syncErrorChance: 0,
  full: false,
  space: 'ample',
  lostWrites: false,
  tornChance: 0
}

const spaceBounds: SpaceBounds = { low: 0x400_0000, scarce: 0x200_0000, none: 0x40_0000 }
/** In the middle of each level, as far as that has one: what a simulation writes is little beside it. */
const freeBytesAt: Readonly<Record<SpaceLevel, number>> = {
  ample: 0x4000_0000,
  low: 0x300_0000,
  scarce: 0x120_0000,
  none: 0x20_0000
}
const lookMs = 500

/** What a node finds that looks at its disk now and then. */
export function spaceOf({ space }: DiskKnobs, now: number): Space {
  return { freeBytes: freeBytesAt[space], bounds: spaceBounds, looks: Math.floor(now / lookMs) }
}

/** What has really happened, by the names of the classes of faults. A rejected sync counts as an I/O error. */
export type DiskFault =
  | 'slow-disk'
  | 'hung-disk'
  | 'io-error'
  | 'full-disk'
  | 'lost-writes'
  | 'torn'
  | 'bit-rot'
  | 'wiped-disk'

export type DiskFaultCounts = Record<DiskFault, number>

export function noFaults(): DiskFaultCounts {
  return {
    'slow-disk': 0,
    'hung-disk': 0,
    'io-error': 0,
    'full-disk': 0,
    'lost-writes': 0,
    torn: 0,
    'bit-rot': 0,
    'wiped-disk': 0
  }
}

/** While it hangs, it is looked at again after this time at the least: clocks of processes may run fast. */
const hungMsMin = 0.1

/** One part of a disk (the log, the states, the slots, the directory) with a stream of chance of its own. */
export class Drive {
  readonly knobs: DiskKnobs
  readonly fired: DiskFaultCounts
  readonly chance: Random
  readonly #now: () => number

  constructor(knobs: DiskKnobs, fired: DiskFaultCounts, chance: Random, now: () => number) {
    this.knobs = knobs
    this.fired = fired
    this.chance = chance
    this.#now = now
  }

  get readMs(): number {
    return this.#between(this.knobs.readMsMin, this.knobs.readMsMax)
  }

  get writeMs(): number {
    return this.#between(this.knobs.writeMsMin, this.knobs.writeMsMax)
  }

  get syncMs(): number {
    return this.writeMs + this.#between(this.knobs.syncMsMin, this.knobs.syncMsMax)
  }

  /** Lets `run` happen after so many milliseconds of this disk, in the life that `env` belongs to. */
  later(env: Env, ms: number, run: () => void): void {
    const { slowFactor } = this.knobs
    if (slowFactor > 1) this.fired['slow-disk']++
    this.#await(env, ms * slowFactor, run)
  }

  #await(env: Env, ms: number, run: () => void): void {
    env.after(ms, () => {
      const left = this.knobs.hungUntil - this.#now()
      if (left <= 0) return run()
      this.fired['hung-disk']++
      this.#await(env, Math.max(hungMsMin, left), run)
    })
  }

  /** Null, or why a write is rejected that takes space. */
  writeError(): Error | null {
    return this.spaceError() ?? this.ioError()
  }

  spaceError(): Error | null {
    if (!this.knobs.full) return null
    this.fired['full-disk']++
    return ioError('No space left on device')
  }

  ioError(): Error | null {
    return this.#failed(this.knobs.ioErrorChance)
  }

  syncError(): Error | null {
    return this.#failed(this.knobs.syncErrorChance)
  }

  #failed(probability: number): Error | null {
    if (probability === 0 || !this.chance.chance(probability)) return null
    this.fired['io-error']++
    return ioError('Input/output error')
  }

  #between(min: number, max: number): number {
    return min + (this.chance.next() / 0x1_0000_0000) * (max - min)
  }
}

/** In the shape that LevelDB gives it. */
function ioError(reason: string): Error {
  return Object.assign(new Error(`IO error: ${reason}`), { code: 'LEVEL_IO_ERROR' })
}
