// One version of a key: what was written, and where its value lies; the value itself is not copied.
import { assert } from '../base/assert.ts'
import type { Index } from '../raft/types.ts'
import type { Packed } from '../record/pack.ts'
import { packEntry } from '../wire/kv/questions.ts'

/** Length of a version that says: deleted. */
const deletedLength = -1

const nowhere = new Uint8Array(0)

/**
 * The newest version of a key in the active generation is overwritten in place while no scan is open: millions of short
 * lives would cost more than all else. Once its generation is frozen, nothing changes but the place of its value, which
 * moves from its block to the cache.
 */
export class Version {
  /** The key as latin1 text, one character a byte: the order of texts is the order of bytes. */
  readonly key: string
  /** The bytes that hold the value from `at` on: those of a block, or of a segment of the cache. */
  bytes: Uint8Array
  at: number
  /** Bytes of the value; -1 when this version is a deletion. */
  length: number
  /** 0 when this version is a deletion, as are `version` and `leaseId`. */
  createRevision = 0
  modRevision: number
  /** Counts the writes since the key was created, from 1. */
  version = 0
  leaseId = 0
  /** The record that brought it, and the number of the command in it. */
  index: Index
  command: number
  /** Number of the generation that it has to be flushed with; 0 when it comes from disk. */
  generation = 0
  /** False once another object stands for its key. */
  newest = true
  /** Place of the version that it has replaced since the last flush, 0 for none: see `places.ts`. */
  place = 0
  /** An older version that an open scan still needs. */
  older: Version | null = null
  /** Read since the cache has last looked for room. */
  used = false

  /** A deletion, until `hold` is called. */
  constructor(key: string, revision: number, index: Index, command: number) {
    this.key = key
    this.bytes = nowhere
    this.at = 0
    this.length = deletedLength
    this.modRevision = revision
    this.index = index
    this.command = command
  }

  /** Becomes the next version of its key: again a deletion, until `hold` is called. */
  overwrite(revision: number, index: Index, command: number): void {
    this.hold(nowhere, 0, deletedLength)
    this.createRevision = 0
    this.modRevision = revision
    this.version = 0
    this.leaseId = 0
    this.index = index
    this.command = command
  }

  /** Names where the value lies. */
  hold(bytes: Uint8Array, at: number, length: number): void {
    this.bytes = bytes
    this.at = at
    this.length = length
  }

  get deleted(): boolean {
    return this.length === deletedLength
  }

  get value(): Uint8Array {
    assert(this.holdsValue, 'a value is asked for where it was kept')
    return this.bytes.subarray(this.at, this.at + this.length)
  }

  /** False after `dropValue`. */
  get holdsValue(): boolean {
    return this.at + this.length <= this.bytes.length
  }

  /** Lets go of the value, where only the rest is needed. */
  dropValue(): void {
    this.bytes = nowhere
    this.at = 0
  }
}

/** Null for a deletion too. */
export function presentOf(version: Version | null): Version | null {
  return version === null || version.deleted ? null : version
}

/** The entry as a question or a condition asks for it; null where the key is not there. */
export function packVersion(version: Version | null, key: Uint8Array, keysOnly = false): Packed {
  if (version === null || version.deleted) return null
  const { createRevision, modRevision, leaseId } = version
  const value = keysOnly ? null : version.value
  return packEntry({ key, value, createRevision, modRevision, version: version.version, leaseId })
}

export function keyText(key: Uint8Array): string {
  const bytes = key instanceof Buffer ? key : Buffer.from(key.buffer, key.byteOffset, key.length)
  return bytes.toString('latin1')
}

export function keyBytes(key: string): Buffer {
  return Buffer.from(key, 'latin1')
}
