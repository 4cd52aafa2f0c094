// What one command looks at and changes while it is being executed: nothing of it is in the state before all of it is.
//
// A command reads key by key and entry by entry, from what it has changed itself, what memory has, or the disk. Each such
// step is a generator that yields what it waits for, so that one that finds all it needs in memory never waits. What it may
// look at and change is bounded, in keys and bytes that do not depend on where an entry lies, so that every replica comes to
// the same bound.
import type { Done, Env } from '../base/env.ts'
import type { ErrorCode } from '../base/errors.ts'
import type { Batch } from '../machine/machine.ts'
import type { Packed } from '../record/pack.ts'
import { Cursor } from './cursor.ts'
import type { Change, Effect } from './generation.ts'
import { StagedLeases } from './leases/staged-leases.ts'
import type { MemoryTable } from './memory-table.ts'
import { numberBytesMax } from './numbers.ts'
import type { RowReader } from './row-reader.ts'
import type { StateLevel } from './state-level.ts'
import { keyText, presentOf, Version } from './version.ts'

/** Entries of ranges that one command may look at, and keys that it may change. */
export const keysMax = 10_000
/** Of what one command reads of values, of its answer, and of the keys and values that it changes. */
export const bytesMax = 4_194_304
/** What an entry takes in an answer beside its key and value, about. */
const entryBytes = 28
const rowsAheadMax = 1000

/** Begins to read, and calls `done` when that has ended. */
export type Wait = (done: Done) => void
/** A part of a command; it is driven by `ApplyCall`, and may be left where it waits. */
export type Steps<T> = Generator<Wait, T, void>

/** Ends a command without effect: what it says to the client. */
export class Refused extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode) {
    super(code)
    this.code = code
  }
}

export interface StagingParts {
  readonly table: MemoryTable
  readonly reader: RowReader
  readonly level: StateLevel
  readonly env: Env
}

export interface StagedChange {
  readonly key: string
  /** The newest version in the state, which may be a deletion; null where there never was one. */
  readonly known: Version | null
  /** What takes its place. */
  readonly version: Version
  /** Its value stands in the record; else the command has computed it. */
  readonly spelled: boolean
}

export interface KeyRange {
  readonly from: Uint8Array
  /** Exclusive; null for no end. */
  readonly to: Uint8Array | null
}

/** Takes an entry of a range; its version is null where only keys were asked for. False: enough. */
export type Visit = (key: string, version: Version | null) => boolean

export class Staging {
  readonly changes = new Map<string, StagedChange>()
  /** The command itself names the one key that it changes, so that its effects need not. */
  namesItsKey = false
  readonly leases: StagedLeases
  readonly #parts: StagingParts
  readonly #batch: Batch
  readonly #number: number
  readonly #loaded = new Map<string, Version | null>()
  /** Keys that have been changed by name, or not been there to be deleted. */
  readonly #named = new Set<string>()
  readonly #cleared: { readonly from: string; readonly to: string | null }[] = []
  #entriesLeft = keysMax
  #bytesLeft = bytesMax
  #changeBytesLeft = bytesMax
  #deletedLeft = bytesMax

  /** For the command of that number in the record; nothing else is executed meanwhile. */
  constructor(parts: StagingParts, batch: Batch, number: number) {
    this.#parts = parts
    this.#batch = batch
    this.#number = number
    this.leases = new StagedLeases(parts.table.leases, batch, number)
  }

  /** What the effects of the record say of it. */
  get effect(): Effect {
    if (this.changes.size === 0) return 0
    const changes = Array.from(this.changes.values())
    if (this.namesItsKey) return changes[0]!.version.value
    return changes.map(({ key, version, spelled }): Change => {
      if (version.deleted) return [key, null]
      return spelled ? [key, version.at - this.#batch.at, version.length] : [key, version.value]
    })
  }

  /** From now on nothing below `revision` is read any more, on any replica. @throws Refused */
  compact(revision: number): Packed {
    const { table } = this.#parts
    if (revision > table.revision) throw new Refused('FUTURE_REVISION')
    if (revision <= table.ordered) throw new Refused('COMPACTED')
    table.ordered = revision
    table.compacted = Math.max(table.compacted, revision)
    return []
  }

  /** Brings many keys at once: a value is kept where it `matters`, as long as there is room. Never needed, only faster. */
  *fetch(keys: ReadonlyMap<string, boolean>): Steps<void> {
    const missing = Array.from(keys.keys()).filter(key => this.#find(key) === undefined)
    let room = this.#bytesLeft
    yield* this.#load(missing, version => {
      if (version.length <= numberBytesMax) return true
      if (keys.get(version.key) !== true || version.length > room) return false
      room -= version.length
      return true
    })
  }

  /** The newest version before this command, which may be a deletion; its value may be missing. */
  *before(key: string): Steps<Version | null> {
    const found = this.#find(key)
    if (found !== undefined) return found
    yield* this.#load([key], ({ length }) => length <= numberBytesMax)
    return this.#loaded.get(key)!
  }

  /** The entry as it is now, with what the command has changed; null where it is not there. Its value may be missing. */
  *entry(key: string): Steps<Version | null> {
    const staged = this.changes.get(key)
    return presentOf(staged === undefined ? yield* this.before(key) : staged.version)
  }

  /** The same entry with its value, which counts among what the command has read. */
  *valued(version: Version): Steps<Version> {
    this.spend(version.length)
    if (version.holdsValue) return version
    yield* this.#load([version.key], () => true)
    return this.#loaded.get(version.key)!
  }

  /** An entry with its value goes into the answer; null where the key is not there. */
  *answered(key: string): Steps<Version | null> {
    const version = yield* this.entry(key)
    if (version === null) return null
    this.spend(entryBytes + version.key.length)
    return yield* this.valued(version)
  }

  /** Visits the entries of a range as they were before this command. `keysOnly`: their versions are not asked for. */
  *rangeBefore(range: KeyRange, { reverse = false, keysOnly = false }, visit: Visit): Steps<void> {
    const { table, level, env } = this.#parts
    const view = table.openView()
    const cursor = new Cursor(level, env, view, { ...range, reverse, keysOnly })
    try {
      for (;;) {
        const found = cursor.take()
        if (found === null) return
        if (found === undefined) {
          const rows = Math.min(this.#entriesLeft + 1, rowsAheadMax)
          yield done => cursor.fill(rows, done)
          continue
        }
        if (!visit(found.key, found.version)) return
        if (--this.#entriesLeft < 0) throw new Refused('TOO_LARGE')
      }
    } finally {
      cursor.close()
      table.closeView(view)
    }
  }

  /** The same as they are now, with what the command has changed. */
  *range(range: KeyRange, { reverse = false, keysOnly = false }, visit: Visit): Steps<void> {
    const staged = this.#changesIn(range, reverse)
    let next = 0
    /** Those before `end`, null for all. False: enough. */
    const giveUpTo = (end: string | null): boolean => {
      for (; next < staged.length; next++) {
        const { key, version } = staged[next]!
        if (end !== null && !isBefore(key, end, reverse)) break
        if (!version.deleted && !visit(key, version)) return false
      }
      return true
    }
    let goesOn = true
    yield* this.rangeBefore(range, { reverse, keysOnly }, (key, version) => {
      goesOn = giveUpTo(key) && (staged[next]?.key === key || visit(key, version))
      return goesOn
    })
    if (goesOn) giveUpTo(null)
  }

  /** An entry of a range goes into the answer, with its value where that is `valued`. */
  answerEntry(version: Version, valued: boolean): void {
    this.spend(entryBytes + version.key.length + (valued ? version.length : 0))
  }

  /** Counts so many bytes among what the command has read. */
  spend(bytes: number): void {
    this.#bytesLeft -= bytes
    if (this.#bytesLeft < 0) throw new Refused('TOO_LARGE')
  }

  /** Each key may be changed once: a second time is BAD_REQUEST. Gives what stood there before the command. */
  *name(key: string): Steps<Version | null> {
    const cleared = this.#cleared.some(({ from, to }) => key >= from && (to === null || key < to))
    if (cleared || this.#named.has(key)) throw new Refused('BAD_REQUEST')
    this.#named.add(key)
    return yield* this.before(key)
  }

  /** No key of the range may be changed by name, before or after. */
  clear(range: KeyRange): void {
    const from = keyText(range.from)
    const to = range.to === null ? null : keyText(range.to)
    for (const key of this.#named) if (key >= from && (to === null || key < to)) throw new Refused('BAD_REQUEST')
    this.#cleared.push({ from, to })
  }

  /** Puts a value in the place of `known`, which has been named. `spelled`: it stands in the record. */
  put(key: string, known: Version | null, value: Uint8Array, { spelled = false, leaseId = 0 }): void {
    const previous = presentOf(known)
    const version = this.#version(key)
    const { bytes } = this.#batch.block
    if (spelled) version.hold(bytes, value.byteOffset - bytes.byteOffset, value.length)
    else version.hold(value, 0, value.length)
    version.createRevision = previous?.createRevision ?? version.modRevision
    version.version = (previous?.version ?? 0) + 1
    version.leaseId = leaseId
    this.#change({ key, known, version, spelled })
  }

  /** Deletes what is there; `found` is it, where memory has no other. */
  delete(key: string, found: Version): void {
    const newest = this.#parts.table.find(key)
    // Whoever watches may want the value, but thousands of large ones are not kept for that.
    if (newest === undefined && (this.#deletedLeft -= found.length) < 0) found.dropValue()
    this.#change({ key, known: newest ?? found, version: this.#version(key), spelled: false })
  }

  #change(change: StagedChange): void {
    const { key, version } = change
    this.changes.set(key, change)
    this.#changeBytesLeft -= key.length + Math.max(0, version.length)
    if (this.changes.size > keysMax || this.#changeBytesLeft < 0) throw new Refused('TOO_LARGE')
  }

  #version(key: string): Version {
    return new Version(key, this.#parts.table.revision + 1, this.#batch.index, this.#number)
  }

  #find(key: string): Version | null | undefined {
    return this.#parts.table.find(key) ?? this.#loaded.get(key)
  }

  /** Reads keys that memory does not have; of a value that is not kept only the length stays. */
  *#load(keys: readonly string[], keeps: (version: Version) => boolean): Steps<void> {
    if (keys.length === 0) return
    const take = (at: number, version: Version | null): boolean => {
      if (version !== null && !keeps(version)) version.dropValue()
      this.#loaded.set(keys[at]!, version)
      return true
    }
    yield done => this.#parts.reader.read(keys, take, done)
  }

  #changesIn(range: KeyRange, reverse: boolean): StagedChange[] {
    if (this.changes.size === 0) return []
    const from = keyText(range.from)
    const to = range.to === null ? null : keyText(range.to)
    const found = Array.from(this.changes.values()).filter(({ key }) => key >= from && (to === null || key < to))
    return found.sort((a, b) => (isBefore(a.key, b.key, reverse) ? -1 : 1))
  }
}

function isBefore(a: string, b: string, reverse: boolean): boolean {
  return reverse ? a > b : a < b
}
