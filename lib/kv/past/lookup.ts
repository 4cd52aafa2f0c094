// Finds versions of keys as they were at a revision: in memory, in the row of the entry, in those of the history, and their
// values in the log.
//
// Nothing needs to stand still meanwhile. What is looked for does not change any more; it only moves from memory to disk, in
// one step with all that a flush writes, and is looked for in that order. Where compaction was faster it is not found, or its
// record is gone: both show, since the caller looks at the compaction revision afterwards.
import type { Done } from '../../base/env.ts'
import { StrettoError } from '../../base/errors.ts'
import { asFault } from '../fault.ts'
import type { Generation } from '../generation.ts'
import type { MemoryTable } from '../memory-table.ts'
import type { RowReader } from '../row-reader.ts'
import { revisionOfHistory } from '../rows.ts'
import type { RowPair } from '../snapshot-stream.ts'
import { levelFault, type StateLevel, settle, unheard } from '../state-level.ts'
import { Version } from '../version.ts'
import { historyAfter, isNamed, namedVersion, newestUpTo, readHistory, versionFrom } from './history-rows.ts'
import { byRecord, type RecordReader } from './record-reader.ts'

const readBytesMax = 65_536
/** Rows of the history read in one go where several revisions of one key are wanted. */
const rowsAtOnce = 16

export interface LookupParts {
  readonly level: StateLevel
  readonly table: MemoryTable
  readonly reader: RowReader
  readonly records: RecordReader
}

/** A key as it was at a revision, which is at most the present one. */
export interface Asked {
  readonly key: string
  readonly revision: number
}

/** In the order of what was asked; null: the key was not there. */
export type Answers = (Version | null)[]

export class Lookup {
  readonly #parts: LookupParts

  constructor(parts: LookupParts) {
    this.#parts = parts
  }

  /**
   * Gives the versions with their values; TOO_LARGE where these come to more than `bytesMax`, COMPACTED where one is gone. May
   * answer inside the call.
   */
  find(asked: readonly Asked[], bytesMax: number, done: Done<Answers>): void {
    this.name(asked, bytesMax, (error, answers) => {
      if (error !== null) return done(error, answers)
      const versions = answers.filter(version => version !== null)
      this.bring(versions, bytesMax, error => done(error, answers))
    })
  }

  /** Gives the versions, which may lack their values (`isNamed`); TOO_LARGE as in `find`. May answer inside the call. */
  name(asked: readonly Asked[], bytesMax: number, done: Done<Answers>): void {
    let bytes = 0
    const answers: Answers = asked.map(() => null)
    const onDisk: number[] = []
    const inHistory: number[] = []
    const spots = new Map<string, Spot>()
    for (const at of latestFirst(asked)) {
      const { key, revision } = asked[at]!
      const found = this.#inMemory(key, revision, spots)
      if (found === 'older') inHistory.push(at)
      else if (found === undefined) onDisk.push(at)
      else answers[at] = found
    }
    const take = (number: number, entry: Version | null): boolean => {
      const at = onDisk[number]!
      bytes += entry?.length ?? 0
      if (entry !== null && entry.modRevision <= asked[at]!.revision) answers[at] = entry
      else inHistory.push(at)
      return bytes <= bytesMax
    }
    const history = (error: Error | null): void => {
      if (bytes > bytesMax) done(tooLarge(bytesMax), answers)
      else if (error === null) this.#readHistory(asked, inHistory, answers, error => done(error, answers))
      else done(error, answers)
    }
    if (onDisk.length === 0) return history(null)
    const keys = onDisk.map(at => asked[at]!.key)
    this.#parts.reader.read(keys, take, history)
  }

  /** Gives the versions their values where they lack them. May answer inside the call. */
  bring(versions: readonly Version[], bytesMax: number, done: Done): void {
    let bytes = 0
    const named: Version[] = []
    for (const version of versions) {
      if (isNamed(version)) named.push(version)
      else bytes += Math.max(0, version.length)
    }
    if (bytes > bytesMax) return done(tooLarge(bytesMax))
    if (named.length === 0) return done(null)
    const elsewhere: Version[] = []
    const take = (version: Version, gone: boolean): boolean => {
      if (gone) elsewhere.push(version)
      else bytes += version.length
      return bytes <= bytesMax
    }
    this.#parts.records.values(named.toSorted(byRecord), take, error => {
      if (error !== null || bytes > bytesMax) return done(error ?? tooLarge(bytesMax))
      this.#fillKept(elsewhere, bytesMax - bytes, done)
    })
  }

  /** Those that the log has let go of: their values are in the row of the entry, or have been kept in that of the history. */
  #fillKept(versions: readonly Version[], bytesMax: number, done: Done): void {
    if (versions.length === 0) return done(null)
    const asked = versions.map(({ key, modRevision }) => ({ key, revision: modRevision }))
    let bytes = 0
    const entry = (at: number, found: Version | null): boolean => {
      const version = versions[at]!
      if (found?.modRevision === version.modRevision) version.hold(found.bytes, found.at, found.length)
      bytes += Math.max(0, version.length)
      return bytes <= bytesMax
    }
    const history = (error: Error | null): void => {
      if (error !== null || bytes > bytesMax) return done(error ?? tooLarge(bytesMax))
      const left = [...versions.keys()].filter(at => isNamed(versions[at]!))
      const answers: Answers = versions.map(() => null)
      this.#readHistory(asked, left, answers, error => {
        done(error ?? holdKept(versions, answers, bytesMax - bytes))
      })
    }
    const keys = versions.map(({ key }) => key)
    this.#parts.reader.read(keys, entry, history)
  }

  /** `older`: known to have been changed since, and what stood there is on disk. Undefined: only the disk knows the key. */
  #inMemory(key: string, revision: number, spots: Map<string, Spot>): Version | null | 'older' | undefined {
    const { table } = this.#parts
    const found = namedIn(table.generations, key, revision, spots)
    if (found !== undefined) return found
    const clean = table.cache.get(key)
    if (clean === undefined) return undefined
    return clean.modRevision <= revision ? presentCopy(clean) : 'older'
  }

  /** `places` are those of `asked` that only the history can answer. */
  #readHistory(asked: readonly Asked[], places: readonly number[], answers: Answers, done: Done): void {
    // Those of one key follow each other, the earliest revision first: they often stand in the same row.
    const sorted = places.toSorted((a, b) => order(asked[a]!, asked[b]!))
    this.#readKey(asked, sorted, 0, answers, done)
  }

  #readKey(asked: readonly Asked[], sorted: readonly number[], from: number, answers: Answers, done: Done): void {
    if (from === sorted.length) return done(null)
    const { key, revision } = asked[sorted[from]!]!
    let end = from + 1
    while (end < sorted.length && asked[sorted[end]!]!.key === key) end++
    const cursor = this.#parts.level.iterator({
      ...historyAfter(key, revision),
      reverse: false,
      values: true,
      highWaterMarkBytes: readBytesMax
    })
    const count = end - from === 1 ? 1 : rowsAtOnce
    let next = from
    const ended = (error: Error | null): void => {
      settle(cursor.close(), unheard, unheard)
      if (error === null) this.#readKey(asked, sorted, end, answers, done)
      else done(error)
    }
    const take = (rows: readonly RowPair[]): void => {
      try {
        for (const [rowKey, row] of rows) next = answerFrom(rowKey, row, asked, sorted, next, end, answers)
      } catch (error) {
        return ended(asFault(error))
      }
      // What no row names was not there.
      if (rows.length === 0 || next === end) ended(null)
      else page()
    }
    const page = (): void => settle(cursor.nextv(count), take, error => ended(levelFault('read', error)))
    page()
  }
}

/** Where the names of a key were left: the number of its generation among those given, and of its place there. */
interface Spot {
  readonly generation: number
  readonly place: number
}

/**
 * What generations tell of a key, without its value where that is in the log; null: it was not there. `older`: they know the
 * key, and what stood there before they began. Undefined: they do not know it. `spots` is for those who ask for several
 * revisions of the same generations, the latest first: a busy key has very many, which are then passed over once.
 */
export function namedIn(
  generations: readonly Generation[],
  key: string,
  revision: number,
  spots?: Map<string, Spot>
): Version | null | 'older' | undefined {
  const spot = spots?.get(key)
  let known = spot !== undefined
  for (let number = spot?.generation ?? 0; number < generations.length; number++) {
    const { versions, places } = generations[number]!
    const newest = versions.get(key)
    if (newest === undefined) continue
    known = true
    if (newest.modRevision <= revision) return presentCopy(newest)
    const from = spot?.generation === number ? spot.place : newest.place
    const place = places.newestUpTo(from, revision)
    spots?.set(key, { generation: number, place })
    if (place !== 0) return presentOrNull(namedVersion(key, places.at(place)))
  }
  return known ? 'older' : undefined
}

/** Answers those from `next` on whose revision lies before that of the row; gives the first that is left. */
function answerFrom(
  rowKey: Uint8Array,
  row: Uint8Array,
  asked: readonly Asked[],
  sorted: readonly number[],
  next: number,
  end: number,
  answers: Answers
): number {
  const until = revisionOfHistory(rowKey)
  let at = next
  if (at === end || asked[sorted[at]!]!.revision >= until) return at
  const fields = readHistory(rowKey, row)
  for (; at < end; at++) {
    const { key, revision } = asked[sorted[at]!]!
    if (revision >= until) break
    const from = newestUpTo(fields, revision)
    if (from !== -1) answers[sorted[at]!] = presentOrNull(versionFrom(key, fields, from))
  }
  return at
}

/** Gives the versions the values that were found kept; what is to be said of the others, null where there is none. */
function holdKept(versions: readonly Version[], answers: Answers, bytesMax: number): StrettoError | null {
  let bytes = 0
  for (const [at, version] of versions.entries()) {
    if (!isNamed(version)) continue
    const kept = answers[at]
    if (kept?.modRevision !== version.modRevision || isNamed(kept)) return goneFromLog()
    version.hold(kept.bytes, kept.at, kept.length)
    bytes += version.length
  }
  return bytes > bytesMax ? tooLarge(bytesMax) : null
}

/** What is in memory may change there: a copy, whose value stays as it is. */
function presentCopy(version: Version): Version | null {
  if (version.deleted) return null
  const { key, modRevision, index, command } = version
  const copy = new Version(key, modRevision, index, command)
  copy.createRevision = version.createRevision
  copy.version = version.version
  copy.leaseId = version.leaseId
  copy.hold(version.bytes, version.at, version.length)
  return copy
}

function presentOrNull(version: Version): Version | null {
  return version.version === 0 ? null : version
}

/** The numbers of those that are asked, in falling order of their revisions. */
function latestFirst(asked: readonly Asked[]): readonly number[] {
  return [...asked.keys()].sort((a, b) => asked[b]!.revision - asked[a]!.revision)
}

function order(a: Asked, b: Asked): number {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1
  return a.revision - b.revision
}

export function goneFromLog(): StrettoError {
  return new StrettoError('COMPACTED', 'what stood there is not kept any more: the log has been cut meanwhile')
}

function tooLarge(bytesMax: number): StrettoError {
  return new StrettoError('TOO_LARGE', `the answer would be above ${bytesMax} bytes: ask for fewer keys at once`)
}
