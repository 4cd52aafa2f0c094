// Walks the entries of a range in order, as they were at one revision: rows of LevelDB, overlaid by what memory holds.
import { assert } from '../base/assert.ts'
import type { Done, Env } from '../base/env.ts'
import { entryBounds, entryKeyText, readEntry } from './rows.ts'
import { levelFault, type StateLevel, settle, unheard } from './state-level.ts'
import { keyText, type Version } from './version.ts'
import { type View, versionAt } from './views.ts'

const readBytesMax = 262_144
const rowsAtOnceMax = 1000
const turnMs = 2

export interface Range {
  readonly from: Uint8Array
  /** Exclusive; null for no end. */
  readonly to: Uint8Array | null
  readonly reverse: boolean
  /** Only the keys of the versions are read; from disk they come as `true`. */
  readonly keysOnly: boolean
  /** Keys come too whose newest version is a deletion, where memory knows of it. */
  readonly deleted?: boolean
}

/** What entries are taken from, one by one; opened for one reader. */
export interface EntryCursor {
  /** The next entry; null at the end; undefined when `fill` has to be called first. @throws StrettoError CORRUPT */
  take(): Found | null | undefined
  /** Brings what `take` is waiting for; `wanted` bounds how far it reads ahead. Never answers inside the call. */
  fill(wanted: number, done: Done): void
  close(): void
}

/** A key that is there; its version where the cursor reads more than keys. */
export interface Found {
  readonly key: string
  readonly version: Version | null
}

export class Cursor implements EntryCursor {
  readonly #env: Env
  readonly #view: View
  readonly #range: Range
  readonly #from: string
  readonly #to: string | null
  /** LevelDB fixes what it shows when the iterator is made. */
  readonly #iterator
  #rows: [Uint8Array, Uint8Array][] = []
  #row = 0
  #rowKey: string | null = null
  #exhausted = false
  /** The next key of memory in the range; null at the end; undefined while the index is not up to date. */
  #key: string | null | undefined = undefined

  constructor(level: StateLevel, env: Env, view: View, range: Range) {
    this.#env = env
    this.#view = view
    this.#range = range
    this.#from = keyText(range.from)
    this.#to = range.to === null ? null : keyText(range.to)
    this.#iterator = level.iterator({
      ...entryBounds(range.from, range.to),
      reverse: range.reverse,
      values: !range.keysOnly,
      highWaterMarkBytes: readBytesMax
    })
  }

  take(): Found | null | undefined {
    for (;;) {
      if (this.#key === undefined) return undefined
      if (this.#rowKey === null && !this.#exhausted && !this.#nextRow()) return undefined
      const rowKey = this.#rowKey
      const key = this.#key
      if (rowKey === null && key === null) return null
      if (key === null || (rowKey !== null && this.#before(rowKey, key))) return this.#takeRow()
      const version = this.#versionOf(key)
      this.#key = this.#following(key)
      if (version === undefined) continue
      if (rowKey === key) this.#passRow()
      if (!version.deleted || this.#range.deleted === true) return { key, version }
    }
  }

  fill(rowsWanted: number, done: Done): void {
    if (this.#key === undefined) {
      this.#env.soon(() => this.#catchUp(rowsWanted, done))
      return
    }
    const rows = Math.max(1, Math.min(rowsWanted, rowsAtOnceMax))
    const brought = (found: [Uint8Array, Uint8Array][]) => {
      this.#rows = found
      this.#row = 0
      this.#exhausted = found.length === 0
      done(null)
    }
    settle(this.#iterator.nextv(rows), brought, error => done(levelFault('read', error)))
  }

  close(): void {
    settle(this.#iterator.close(), unheard, unheard)
  }

  /** Puts the keys of the generations in order, at most 2 ms in a turn, and finds the first of the range. */
  #catchUp(rowsWanted: number, done: Done): void {
    const start = this.#env.now()
    const more = () => this.#env.now() - start < turnMs
    for (const generation of this.#view.generations) {
      if (generation.keys.catchUp(more)) continue
      this.#env.soon(() => this.#catchUp(rowsWanted, done))
      return
    }
    this.#key = this.#firstKey()
    this.fill(rowsWanted, done)
  }

  #before(a: string, b: string): boolean {
    return this.#range.reverse ? a > b : a < b
  }

  #firstKey(): string | null {
    const { reverse } = this.#range
    return this.#nearest(keys => (reverse ? keys.before(this.#to ?? undefined) : keys.atOrAfter(this.#from)))
  }

  #following(key: string): string | null {
    const { reverse } = this.#range
    return this.#nearest(keys => (reverse ? keys.before(key) : keys.after(key)))
  }

  #nearest(next: (keys: View['generations'][number]['keys']) => string | undefined): string | null {
    let nearest: string | null = null
    for (const generation of this.#view.generations) {
      const key = next(generation.keys)
      if (key !== undefined && (nearest === null || this.#before(key, nearest))) nearest = key
    }
    if (nearest === null || nearest < this.#from || (this.#to !== null && nearest >= this.#to)) return null
    return nearest
  }

  /** The newest version up to the revision of the view; undefined where memory had none then. */
  #versionOf(key: string): Version | undefined {
    for (const generation of this.#view.generations) {
      const version = versionAt(generation, key, this.#view.revision)
      if (version !== undefined) return version
    }
    return undefined
  }

  #nextRow(): boolean {
    if (this.#row === this.#rows.length) return false
    this.#rowKey = entryKeyText(this.#rows[this.#row]![0])
    return true
  }

  #passRow(): void {
    this.#row++
    this.#rowKey = null
  }

  #takeRow(): Found {
    const key = this.#rowKey
    assert(key !== null, 'a row is taken that has been looked at')
    const [rowKey, row] = this.#rows[this.#row]!
    const version = this.#range.keysOnly ? null : readEntry(key, rowKey, row)
    this.#passRow()
    return { key, version }
  }
}
