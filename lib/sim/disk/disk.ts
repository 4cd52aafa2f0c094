// The disk of one simulated node: all that outlives its processes, what one of them sees of it, and all that goes wrong.
import type { Env } from '../../base/env.ts'
import type { Random } from '../../base/random.ts'
import type { StateLevel } from '../../kv/state-level.ts'
import { type Card, readBlockKey } from '../../log/keys.ts'
import { SlotImage } from '../../log/memory-slots.ts'
import type { Disk } from '../../server/disk.ts'
import { type DiskFaultCounts, type DiskKnobs, Drive, goodDisk, noFaults } from './knobs.ts'
import { type Rot, type RotKind, rot } from './rot.ts'
import { SimDatabase, type Write } from './sim-database.ts'
import { SimDirectory } from './sim-directory.ts'
import { SimLevel } from './sim-level.ts'
import { SimSlots } from './sim-slots.ts'
import { DiskView } from './view.ts'

export interface SimDiskParts {
  /** A stream of chance for each part of the disk, so that one does not shift another. */
  readonly random: (part: 'log' | 'states' | 'slots' | 'directory') => Random
  /** True virtual time, milliseconds. */
  readonly now: () => number
  readonly knobs?: Partial<DiskKnobs>
  /** Called for each block that is to be put into the log, when it is handed to the database. */
  readonly stored?: (card: Card) => void
  /** Called after each write has been issued, of whatever kind: a process may be killed there. */
  readonly issued?: () => void
}

/** The disk as one life has it. */
export interface MountedDisk extends Disk {
  /** The database in the state directory of this name, not yet open. */
  state(name: string): StateLevel
}

export class SimDisk {
  readonly knobs: DiskKnobs
  /** How often something has really happened. */
  readonly fired: DiskFaultCounts = noFaults()
  readonly view: DiskView
  readonly #stored: (card: Card) => void
  readonly #issued: () => void
  readonly #drives: { readonly log: Drive; readonly states: Drive; readonly slots: Drive; readonly directory: Drive }
  /** What it holds, which may be damaged between two lives. */
  log = new SimDatabase()
  states = new Map<string, SimDatabase>()
  slots = new SlotImage()
  /** In the directory. */
  names = new Set<string>()
  #logDamaged = false
  /** Counts the crashes: what was mounted before the last one is dead. */
  #crashes = 0

  constructor({ random, now, knobs, stored, issued }: SimDiskParts) {
    this.knobs = { ...goodDisk, ...knobs }
    this.#stored = stored ?? (() => {})
    this.#issued = issued ?? (() => {})
    const drive = (part: 'log' | 'states' | 'slots' | 'directory'): Drive =>
      new Drive(this.knobs, this.fired, random(part), now)
    this.#drives = { log: drive('log'), states: drive('states'), slots: drive('slots'), directory: drive('directory') }
    this.view = new DiskView(this.log, this.slots)
  }

  /** What one life sees; what it has asked for dies with `env`, or with the next crash. */
  mount(env: Env): MountedDisk {
    this.#logDamaged = false
    const crashes = this.#crashes
    const alive = (): boolean => this.#crashes === crashes
    const issued = this.#issued
    const { log, slots, directory, states } = this.#drives
    const levelOf = (database: SimDatabase, drive: Drive, issued: (write: Write) => void): SimLevel =>
      new SimLevel({ database, drive, env, alive, issued })
    return {
      prepare: done => directory.later(env, directory.syncMs, () => (alive() ? done(directory.ioError()) : undefined)),
      log: () => levelOf(this.log, log, write => this.#logIssued(write)),
      slots: () => new SimSlots({ image: this.slots, drive: slots, env, alive, issued }),
      directory: new SimDirectory({
        names: this.names,
        drive: directory,
        env,
        alive,
        issued,
        removed: name => this.states.delete(name)
      }),
      state: name => levelOf(this.#stateOf(name), states, issued)
    }
  }

  #logIssued(write: Write): void {
    for (const { key, value } of write) {
      const card = value === null ? null : readBlockKey(key)
      if (card !== null) this.#stored(card)
    }
    this.#issued()
  }

  #stateOf(name: string): SimDatabase {
    let state = this.states.get(name)
    if (state === undefined) {
      state = new SimDatabase()
      this.states.set(name, state)
      this.names.add(name)
    }
    return state
  }

  /** The process dies, or with `knobs.lostWrites` the power fails; also while nothing runs. */
  crash(random: (below: number) => number): void {
    this.#crashes++
    const { lostWrites, tornChance } = this.knobs
    for (const database of [this.log, ...this.states.values()]) {
      this.fired['lost-writes'] += database.crash(random, lostWrites)
    }
    if (lostWrites) this.fired.torn += this.slots.crash(random, tornChance)
  }

  /** Damages what it holds, between two lives; null where there is nothing of this kind. */
  rot(kind: RotKind, random: (below: number) => number): Rot | null {
    const own = { log: this.log, states: this.states, slots: this.slots, view: this.view }
    const damage = rot({ ...own, logDamaged: this.#logDamaged }, kind, random)
    if (damage === null) return null
    this.fired['bit-rot']++
    if (damage.to > 0) this.#logDamaged = true
    return damage
  }

  /** All that it held is gone, and what was mounted is dead. */
  wipe(): void {
    this.#crashes++
    this.log = new SimDatabase()
    this.states = new Map()
    this.slots = new SlotImage()
    this.names = new Set()
    this.view.show(this.log, this.slots)
    this.fired['wiped-disk']++
  }
}
