// A simulated disk in virtual time, asked in one line: what is answered is waited for.
import type { Done } from '../../lib/base/env.ts'
import { Random } from '../../lib/base/random.ts'
import { foundLog } from '../../lib/log/found-log.ts'
import { type LevelOperation, settle, synced, unsynced } from '../../lib/log/level.ts'
import { LevelLog } from '../../lib/log/level-log.ts'
import type { Opened } from '../../lib/log/log.ts'
import { type MemoryKeeper, openMemory } from '../../lib/log/memory-keeper.ts'
import type { StateOf } from '../../lib/log/recovery.ts'
import { SimDisk, type SimDiskParts } from '../../lib/sim/disk/disk.ts'
import type { DiskKnobs } from '../../lib/sim/disk/knobs.ts'
import type { SimLevel } from '../../lib/sim/disk/sim-level.ts'
import { founding, identity } from './log-blocks.ts'
import { VirtualTime } from './virtual-time.ts'

export type Outcome<T> = { readonly error: Error } | { readonly error: null; readonly result: T }

export class SimDiskBed {
  readonly time: VirtualTime
  readonly disk: SimDisk
  readonly random: Random

  constructor(seed: number, knobs: Partial<DiskKnobs> = {}, hooks: Pick<SimDiskParts, 'stored' | 'issued'> = {}) {
    this.time = new VirtualTime(seed)
    this.random = new Random(seed, 'test')
    const random = (part: string): Random => new Random(seed, part)
    this.disk = new SimDisk({ random, now: () => this.time.now, knobs, ...hooks })
  }

  readonly below = (below: number): number => this.random.below(below)

  /** How it ends, once it has. */
  outcome<T>(start: (done: Done<T>) => void): Outcome<T> {
    const outcomes: Outcome<T>[] = []
    start((error, result) => outcomes.push(error === null ? { error, result } : { error }))
    this.time.until(() => outcomes.length > 0)
    const [outcome] = outcomes
    if (outcome === undefined) throw new Error('never answered')
    return outcome
  }

  call<T>(start: (done: Done<T>) => void): T {
    const outcome = this.outcome(start)
    if (outcome.error !== null) throw outcome.error
    return outcome.result
  }

  error<T>(answer: PromiseLike<T>): Error | null {
    return this.outcome<T>(done => settle(answer, done)).error
  }

  wait<T>(answer: PromiseLike<T>): T {
    return this.call<T>(done => settle(answer, done))
  }

  /** The log's database in a new life, open. */
  level(): SimLevel {
    const level = this.disk.mount(this.time.env('n1')).log() as SimLevel
    this.wait(level.open())
    return level
  }

  /** A new life of a founded log, not yet open. */
  log(stateOf: StateOf | null = null): LevelLog {
    const env = this.time.env('n1')
    const mounted = this.disk.mount(env)
    const memory = this.call<MemoryKeeper>(done => openMemory(mounted.slots(), env, identity, done))
    const parts = { level: () => mounted.log(), memory, directory: mounted.directory }
    if (memory.memory.clusterId === null) this.call<void>(done => foundLog(parts, founding, done))
    return new LevelLog({ ...parts, env, stateOf, hotBytesMax: 1 })
  }

  openLog(stateOf: StateOf | null = null): { readonly log: LevelLog; readonly opened: Opened } {
    const log = this.log(stateOf)
    return { log, opened: this.call<Opened>(done => log.open(done)) }
  }

  /** Kills what lives, or cuts the power. */
  crash(powerCut: boolean): void {
    this.disk.knobs.lostWrites = powerCut
    this.disk.crash(this.below)
  }

  /** The power fails, and all is lost that was not synced. */
  loseAll(): void {
    this.disk.knobs.lostWrites = true
    this.disk.knobs.tornChance = 0
    this.disk.crash(below => below - 1)
  }
}

export function key(name: string): Uint8Array {
  return new TextEncoder().encode(name)
}

export function put(...names: readonly string[]): LevelOperation[] {
  return names.map(name => ({ type: 'put', key: key(name), value: key(`value of ${name}`) }))
}

export { synced, unsynced }

/** Keys that are there. */
export function keysIn(bed: SimDiskBed, level: SimLevel): string[] {
  const range = { gte: new Uint8Array(0), lt: new Uint8Array(4).fill(255) }
  return bed.wait(level.keys(range).all()).map(each => new TextDecoder().decode(each))
}
