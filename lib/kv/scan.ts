// A scan: the entries of a range at one fixed revision, as pages that are asked for one by one.
import { assert } from '../base/assert.ts'
import type { Done, Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { Source } from '../machine/machine.ts'
import { type Packed, pack } from '../record/pack.ts'
import { type Scan } from '../wire/kv/questions.ts'
import { Cursor, type EntryCursor, type Found } from './cursor.ts'
import { asFault } from './fault.ts'
import type { Later } from './later.ts'
import type { MemoryTable } from './memory-table.ts'
import type { Lookup } from './past/lookup.ts'
import { PastCursor } from './past/past-cursor.ts'
import type { StateLevel } from './state-level.ts'
import { keyBytes, packVersion } from './version.ts'
import type { View } from './views.ts'

/** A page is cut here, however much was asked for. */
export const pageBytesMax = 2_097_152
/** What an entry takes on a page beside its key and value, about. */
const entryBytes = 28

export type Page = { readonly bytes: Uint8Array; readonly last: boolean }

export interface ScanParts {
  readonly level: StateLevel
  readonly env: Env
  readonly later: Later
  readonly table: MemoryTable
  readonly lookup: Lookup
}

/** Holds a view and an iterator from its opening until the last page has been given or `close` is called. */
export class OpenScan implements Source {
  readonly #parts: ScanParts
  readonly #scan: Scan
  readonly #view: View
  readonly #cursor: EntryCursor
  /** Entries still wanted; Infinity without a limit. */
  #left: number
  /** Found, and too large for the page before. */
  #held: Found | null = null
  #page: Packed[] = []
  #pageBytes = 0
  #bytesMax = 0
  #done: Done<Page> | null = null
  #closed = false

  constructor(parts: ScanParts, scan: Scan) {
    this.#parts = parts
    this.#scan = scan
    this.#left = scan.limit === 0 ? Number.POSITIVE_INFINITY : scan.limit
    this.#view = parts.table.openView()
    const { level, env } = parts
    const past = scan.atRevision !== 0 && scan.atRevision !== this.#view.revision
    this.#cursor = past
      ? new PastCursor(parts, this.#view, scan, scan.atRevision)
      : new Cursor(level, env, this.#view, { ...scan, keysOnly: false })
  }

  page(bytesMax: number, done: Done<Page>): void {
    assert(this.#done === null, 'one page is asked for at a time')
    this.#done = done
    this.#bytesMax = Math.min(bytesMax, pageBytesMax)
    this.#page = [this.#scan.atRevision === 0 ? this.#view.revision : this.#scan.atRevision]
    this.#pageBytes = 0
    this.#parts.later.call(() => this.#collect())
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#parts.table.closeView(this.#view)
    this.#cursor.close()
  }

  #collect(): void {
    if (this.#closed) return this.#finish(new StrettoError('STOPPED', 'the scan has been closed'), true)
    for (;;) {
      let found: Found | null | undefined
      try {
        found = this.#left === 0 ? null : (this.#held ?? this.#cursor.take())
      } catch (error) {
        return this.#finish(asFault(error), true)
      }
      if (found === undefined) return this.#fill()
      if (found === null) return this.#finish(null, true)
      this.#held = null
      if (!this.#add(found)) return this.#finish(null, false)
    }
  }

  #fill(): void {
    this.#cursor.fill(this.#left, error => {
      if (error !== null && !this.#closed) this.#finish(error, true)
      else this.#collect()
    })
  }

  /** False where the page is full; the entry is then held for the next one. */
  #add(found: Found): boolean {
    const { key, version } = found
    assert(version !== null, 'a scan reads whole entries')
    const bytes = entryBytes + key.length + (this.#scan.keysOnly ? 0 : version.length)
    if (this.#page.length > 1 && this.#pageBytes + bytes > this.#bytesMax) {
      this.#held = found
      return false
    }
    this.#page.push(packVersion(version, keyBytes(key), this.#scan.keysOnly))
    this.#pageBytes += bytes
    this.#left--
    return true
  }

  #finish(error: Error | null, last: boolean): void {
    const done = this.#done
    assert(done !== null, 'a page ends that was asked for')
    this.#done = null
    const bytes = error === null ? pack(this.#page) : new Uint8Array(0)
    this.#page = []
    if (last) this.close()
    done(error, { bytes, last })
  }
}

/** A scan that cannot be served: every page says why. */
export class RefusedScan implements Source {
  readonly #later: Later
  readonly #error: Error

  constructor(later: Later, error: Error) {
    this.#later = later
    this.#error = error
  }

  page(_bytesMax: number, done: Done<Page>): void {
    this.#later.call(() => done(this.#error, { bytes: new Uint8Array(0), last: true }))
  }

  close(): void {
    // Nothing is held.
  }
}
