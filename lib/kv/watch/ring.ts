// The last revisions with all that they changed, copied, bounded in bytes: what watches that lag a little catch up from.
import { assert } from '../../base/assert.ts'
import { type Packed, pack } from '../../record/pack.ts'
import type { Entry } from '../../wire/kv/questions.ts'
import { changeKind, costOfChange, packChange } from '../../wire/kv/watches.ts'
import { keyBytes } from '../version.ts'

/** What stood at a key before. */
export interface Before {
  readonly value: Uint8Array
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
  readonly leaseId: number
}

/** What became of one key. */
export interface KeyChange {
  /** As latin1 text. */
  readonly key: string
  readonly deleted: boolean
  /** Null where the key was deleted. */
  readonly value: Uint8Array | null
  readonly createRevision: number
  readonly version: number
  readonly leaseId: number
  /** Null where nothing stood there, or nobody has asked. */
  readonly previous: Before | null
}

export type Cause = 'command' | 'expired'

/** All changes of one revision, or those of them that somebody wants. */
export interface Revision {
  readonly revision: number
  readonly cause: Cause
  readonly changes: readonly KeyChange[]
}

/** What a change takes beside its keys and values, about. */
const changeBytes = 250

export class Ring {
  /** Of all revisions after this one it knows everything. */
  floor: number
  /** Of all revisions after this one it knows what stood there before, too. */
  previousFloor: number
  bytes = 0
  #each: PackedRevision[] = []
  /** Of the first that is still in it. */
  #first = 0

  constructor(floor: number) {
    this.floor = floor
    this.previousFloor = floor
  }

  /** The newest revision that it knows of. */
  get last(): number {
    return this.floor + this.#each.length - this.#first
  }

  /** Adds a change. Those of one revision come one after the other. */
  add(revision: number, cause: Cause, change: KeyChange): void {
    if (revision !== this.last || this.#first === this.#each.length) this.#begin(revision, cause)
    const { changes } = this.#each.at(-1)!
    changes.push(change)
    this.bytes += sizeOf(change)
  }

  at(revision: number): PackedRevision {
    return this.#each[this.#first + revision - this.floor - 1]!
  }

  /** Lets go of the oldest up to `upTo`, inclusive, while there is too much. */
  trim(bytesMax: number, upTo: number): void {
    while (this.bytes > bytesMax && this.floor < upTo) {
      for (const change of this.#each[this.#first]!.changes) this.bytes -= sizeOf(change)
      this.#first++
      this.floor++
    }
    if (this.#first > 64 && 2 * this.#first > this.#each.length) {
      this.#each = this.#each.slice(this.#first)
      this.#first = 0
    }
  }

  #begin(revision: number, cause: Cause): void {
    assert(revision === this.last + 1, 'no revision is without a change')
    this.#each.push(new PackedRevision(revision, cause))
  }
}

function sizeOf({ key, value, previous }: KeyChange): number {
  return changeBytes + key.length + (value?.length ?? 0) + (previous?.value.length ?? 0)
}

/** A revision, and its changes as bytes, made once for all links. */
export class PackedRevision implements Revision {
  readonly revision: number
  readonly cause: Cause
  readonly changes: KeyChange[]
  readonly #packed: (Uint8Array | null)[] = [null, null]

  constructor(revision: number, cause: Cause, changes: KeyChange[] = []) {
    this.revision = revision
    this.cause = cause
    this.changes = changes
  }

  packed(withPrevious: boolean): Uint8Array {
    const at = withPrevious ? 1 : 0
    return (this.#packed[at] ??= pack(this.changes.map(change => this.#pack(change, withPrevious))))
  }

  /** Lets go of the bytes, which are made again if need be. */
  unpack(): void {
    this.#packed.fill(null)
  }

  packedPart(places: readonly number[], withPrevious: boolean): Uint8Array {
    return pack(places.map(place => this.#pack(this.changes[place]!, withPrevious)))
  }

  /** What a change takes of the credit of a watch. */
  cost(place: number, withPrevious: boolean): number {
    const { key, value, previous } = this.changes[place]!
    return costOfChange(key.length, value?.length ?? 0, withPrevious ? (previous?.value.length ?? 0) : 0)
  }

  #pack(change: KeyChange, withPrevious: boolean): Packed {
    const { revision: modRevision, cause } = this
    const { deleted, value, createRevision, version, leaseId, previous: before } = change
    const key = keyBytes(change.key)
    const kind = !deleted ? changeKind.put : cause === 'expired' ? changeKind.expired : changeKind.delete
    const entry = { key, value, createRevision, modRevision, version, leaseId }
    const previous = before === null ? null : entryOf(key, before)
    return packChange({ kind, entry, previous: withPrevious ? previous : undefined })
  }
}

function entryOf(key: Uint8Array, { value, createRevision, modRevision, version, leaseId }: Before): Entry {
  return { key, value, createRevision, modRevision, version, leaseId }
}
