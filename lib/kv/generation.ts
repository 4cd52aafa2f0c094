// What has changed since the last flush: the newest version of each changed key, and effects that the log does not tell.
import type { Block, Index } from '../raft/types.ts'
import { type LeaseChanges, noLeaseChanges } from './leases/lease-table.ts'
import { OrderedKeys } from './ordered-keys.ts'
import { Places } from './places.ts'
import type { Version } from './version.ts'

/**
 * One of several changes that a command made: null: deleted; offset and length: stored the value that stands there in the
 * record, counted from its first byte; bytes: stored this value.
 */
export type Change =
  | readonly [key: string, deleted: null]
  | readonly [key: string, offset: number, length: number]
  | readonly [key: string, value: Uint8Array]

/** What a command did: 0 nothing, 1 what it says, bytes: stored this value, changes: all of these, each of another key. */
export type Effect = 0 | 1 | Uint8Array | readonly Change[]

export interface Effects {
  readonly index: Index
  readonly revisionBefore: number
  readonly each: readonly Effect[]
}

/** By measurement, what a version with its place in the maps takes beside its key and value. */
const versionBytes = 300
const effectBytes = 24

/** Written to while it is the table's active one; never again once it is frozen. */
export class Generation {
  /** From 1, each generation of a table its own. */
  readonly number: number
  readonly versions = new Map<string, Version>()
  readonly keys = new OrderedKeys()
  readonly places = new Places()
  readonly effects = new Map<Index, Effects>()
  /** Leases that have changed; once it is frozen. */
  leases: LeaseChanges = noLeaseChanges
  #bytes = 0
  #block: Block | null = null

  constructor(number: number) {
    this.number = number
  }

  /** Memory that it holds, by its own account: every block that it was fed from counts whole, since a place pins it. */
  get bytes(): number {
    return this.#bytes + this.places.bytes
  }

  /** The next versions lie in this block. */
  pin(block: Block): void {
    if (block === this.#block) return
    this.#block = block
    this.#bytes += block.bytes.length
  }

  /** Takes in the first version of a key. */
  add(version: Version): void {
    version.generation = this.number
    this.versions.set(version.key, version)
    this.keys.add(version.key)
    this.#bytes += versionBytes + version.key.length
  }

  /** Puts another object in the place of the newest version of its key. */
  replace(version: Version): void {
    version.generation = this.number
    this.versions.set(version.key, version)
  }

  addEffects(effects: Effects): void {
    this.effects.set(effects.index, effects)
    this.#bytes += effectBytes * (2 + effects.each.length)
    for (const effect of effects.each) if (typeof effect !== 'number') this.#bytes += bytesOf(effect)
  }
}

function bytesOf(effect: Uint8Array | readonly Change[]): number {
  if (effect instanceof Uint8Array) return effect.length
  let bytes = 0
  for (const [key, value] of effect) {
    bytes += effectBytes + key.length + (value instanceof Uint8Array ? value.length : 0)
  }
  return bytes
}
