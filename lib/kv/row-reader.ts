// Entries from disk, many at a time, each checked against its CRC.
import type { Done } from '../base/env.ts'
import { asFault } from './fault.ts'
import { entryKey, readEntry } from './rows.ts'
import { levelFault, type StateLevel, settle } from './state-level.ts'
import type { Version } from './version.ts'

/** A single read should bring no more than this: after one that did, fewer keys are asked for at once. */
const readBytesMax = 4_194_304
const keysMin = 4
const keysMax = 1024

export class RowReader {
  readonly #level: StateLevel
  #keysAtOnce = 256

  constructor(level: StateLevel) {
    this.#level = level
  }

  /**
   * Gives the versions of `keys` in their order, null for a key that is not there, until `take` returns false.
   * `done` is never called inside the call. CORRUPT where a row is damaged.
   */
  read(keys: readonly string[], take: (at: number, version: Version | null) => boolean, done: Done): void {
    this.#read(keys, 0, take, done)
  }

  #read(
    keys: readonly string[],
    from: number,
    take: (at: number, version: Version | null) => boolean,
    done: Done
  ): void {
    const end = Math.min(keys.length, from + this.#keysAtOnce)
    const rowKeys = keys.slice(from, end).map(entryKey)
    const taken = (rows: readonly (Uint8Array | undefined)[]) => {
      let more: boolean
      try {
        more = this.#takeRows(keys, from, rowKeys, rows, take)
      } catch (error) {
        return done(asFault(error))
      }
      if (more && end < keys.length) this.#read(keys, end, take, done)
      else done(null)
    }
    settle(this.#level.getMany(rowKeys), taken, error => done(levelFault('read', error)))
  }

  #takeRows(
    keys: readonly string[],
    from: number,
    rowKeys: readonly Uint8Array[],
    rows: readonly (Uint8Array | undefined)[],
    take: (at: number, version: Version | null) => boolean
  ): boolean {
    let bytes = 0
    for (let number = 0; number < rows.length; number++) {
      const row = rows[number]
      bytes += row?.length ?? 0
      const version = row === undefined ? null : readEntry(keys[from + number]!, rowKeys[number]!, row)
      if (!take(from + number, version)) return false
    }
    if (bytes > readBytesMax) this.#keysAtOnce = Math.max(keysMin, this.#keysAtOnce >>> 1)
    else if (rows.length === this.#keysAtOnce) this.#keysAtOnce = Math.min(keysMax, this.#keysAtOnce * 2)
    return true
  }
}
