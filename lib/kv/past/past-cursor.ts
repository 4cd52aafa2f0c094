// Walks the entries of a range in order as they were at an earlier revision: the present ones that have not changed since, and
// for the others what memory and the rows of the history name, with its value from the log.
import type { Done, Env } from '../../base/env.ts'
import { Cursor, type EntryCursor, type Found, type Range } from '../cursor.ts'
import { asFault } from '../fault.ts'
import type { StateLevel } from '../state-level.ts'
import type { Version } from '../version.ts'
import type { View } from '../views.ts'
import { HistoryCursor, type Told } from './history-cursor.ts'
import { isNamed } from './history-rows.ts'
import { type Lookup, namedIn } from './lookup.ts'

/** Entries whose values are looked up together: as many as bring about so many bytes. */
const valueBytesWanted = 524_288
const atOnceMin = 4
const atOnceMax = 1024

const noBytes = new Uint8Array(0)

export interface PastParts {
  readonly level: StateLevel
  readonly env: Env
  readonly lookup: Lookup
}

export class PastCursor implements EntryCursor {
  readonly #parts: PastParts
  readonly #view: View
  readonly #range: Range
  readonly #revision: number
  /** The present, with deletions where memory knows of them. */
  readonly #present: Cursor
  readonly #history: HistoryCursor
  /** What each of them has given last and has not been passed; undefined where it is to be asked. */
  #entry: Found | null | undefined
  #told: Told | null | undefined
  /** Entries of the range, with their values; those before `#next` have been taken. */
  #ready: Found[] = []
  #next = 0
  #ended = false
  #atOnce = 64

  /** The entries of `range` at `revision`, at most that of the view; without their values where only keys are asked for. */
  constructor(parts: PastParts, view: View, range: Range, revision: number) {
    this.#parts = parts
    this.#view = view
    this.#range = range
    this.#revision = revision
    this.#present = new Cursor(parts.level, parts.env, view, { ...range, keysOnly: false, deleted: true })
    this.#history = new HistoryCursor(parts.level, range, revision)
  }

  take(): Found | null | undefined {
    if (this.#next < this.#ready.length) return this.#ready[this.#next++]!
    return this.#ended ? null : undefined
  }

  fill(wanted: number, done: Done): void {
    const found: Found[] = []
    const count = Math.max(1, Math.min(wanted, this.#range.keysOnly ? atOnceMax : this.#atOnce))
    this.#parts.env.soon(() => this.#gather(found, count, done))
  }

  close(): void {
    this.#present.close()
    this.#history.close()
  }

  /** Merges present and history until enough is found, then brings the values. */
  #gather(found: Found[], count: number, done: Done): void {
    const go = (error: Error | null): void => (error === null ? this.#gather(found, count, done) : done(error))
    try {
      while (!this.#ended && found.length < count) {
        this.#entry ??= this.#present.take()
        if (this.#entry === undefined) return this.#present.fill(count, go)
        this.#told ??= this.#history.take()
        if (this.#told === undefined) return this.#history.fill(go)
        this.#pass(found)
      }
    } catch (error) {
      return done(asFault(error))
    }
    this.#bringValues(found, done)
  }

  /** Passes the key that comes first in the present or in the history. */
  #pass(found: Found[]): void {
    const entry = this.#entry!
    const told = this.#told!
    const key = this.#firstOf(entry, told)
    if (key === null) {
      this.#ended = true
      return
    }
    let version: Version | null = null
    if (told?.key === key) {
      version = told.version
      this.#told = undefined
    }
    if (entry?.key === key) {
      version = this.#versionOf(entry.version!, version)
      this.#entry = undefined
    }
    if (version !== null) found.push({ key, version })
  }

  #firstOf(entry: Found | null, told: Told | null): string | null {
    if (entry === null || told === null) return entry?.key ?? told?.key ?? null
    return this.#range.reverse === entry.key > told.key ? entry.key : told.key
  }

  /** What stood there instead of the present version, with what the history says of it. */
  #versionOf(present: Version, told: Version | null): Version | null {
    if (present.modRevision <= this.#revision) return present.deleted ? null : present
    const named = namedIn(this.#view.generations, present.key, this.#revision)
    return named === undefined || named === 'older' ? told : named
  }

  #bringValues(found: Found[], done: Done): void {
    const named: Version[] = []
    for (const { version } of found) if (isNamed(version!)) named.push(version!)
    const ready = (error: Error | null): void => {
      this.#ready = found
      this.#next = 0
      done(error)
    }
    if (this.#range.keysOnly || named.length === 0) {
      for (const version of named) version.hold(noBytes, 0, 0)
      return ready(null)
    }
    this.#parts.lookup.bring(named, Number.POSITIVE_INFINITY, error => {
      this.#pace(named)
      ready(error)
    })
  }

  #pace(brought: readonly Version[]): void {
    let bytes = 0
    for (const { length } of brought) bytes += length
    if (bytes > valueBytesWanted) this.#atOnce = Math.max(atOnceMin, this.#atOnce >>> 1)
    else if (brought.length > this.#atOnce >>> 1) this.#atOnce = Math.min(atOnceMax, this.#atOnce * 2)
  }
}
