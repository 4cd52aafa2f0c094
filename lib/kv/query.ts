// A question: several gets and counts, all answered from one revision.
import type { Done } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import { type Packed, pack } from '../record/pack.ts'
import { type Request, readRequests } from '../wire/kv/questions.ts'
import { Cursor, type EntryCursor } from './cursor.ts'
import { asFault } from './fault.ts'
import { answerLeaseRequest } from './leases/lease-answers.ts'
import type { MemoryTable } from './memory-table.ts'
import type { Asked } from './past/lookup.ts'
import { PastCursor } from './past/past-cursor.ts'
import type { RowReader } from './row-reader.ts'
import type { ScanParts } from './scan.ts'
import { keyText, packVersion, type Version } from './version.ts'
import type { View } from './views.ts'

/** The values of one answer; a larger one has to be asked for in parts. */
export const answerBytesMax = 8_388_608
/** Counts in one question: each holds an iterator of LevelDB until it is its turn. */
export const countsMax = 64
const countedAtOnce = 1000

export interface QueryParts extends ScanParts {
  /** Cluster time in milliseconds, as far as it is known here. */
  readonly time: number
  readonly reader: RowReader
}

export class Query {
  readonly #parts: QueryParts
  readonly #requests: readonly Request[]
  /** For each request the key it gets, null where it asks for something else. */
  readonly #keys: readonly (string | null)[]
  readonly #done: Done<Uint8Array>
  #loaded = new Map<string, Version | null>()
  /** What earlier revisions had, by the number of the request; null while it is not looked up. */
  #past: Map<number, Version | null> | null = null

  /** @throws StrettoError BAD_REQUEST or TOO_LARGE where `request` is no question that can be answered */
  constructor(parts: QueryParts, request: Uint8Array, done: Done<Uint8Array>) {
    this.#parts = parts
    this.#requests = readRequests(request)
    this.#keys = this.#requests.map(each => (each.op === 'get' ? keyText(each.key) : null))
    this.#done = done
    let counts = 0
    for (const each of this.#requests) if (each.op === 'count') counts++
    if (counts > countsMax) throw new StrettoError('TOO_LARGE', `more than ${countsMax} counts in one question`)
  }

  run(): void {
    const missing = this.#missing()
    if (missing.length > 0) this.#load(missing)
    else if (this.#past === null) this.#findPast()
    else this.#answer()
  }

  /** What stood at earlier revisions: that does not change any more. */
  #findPast(): void {
    const { table, lookup } = this.#parts
    const numbers: number[] = []
    const asked: Asked[] = []
    try {
      for (const [number, request] of this.#requests.entries()) {
        if (request.op === 'lease' || request.op === 'leases') continue
        const { op, atRevision = 0 } = request
        checkRevision(table, atRevision)
        if (op === 'count' || atRevision === 0) continue
        numbers.push(number)
        asked.push({ key: this.#keys[number]!, revision: atRevision })
      }
    } catch (error) {
      return this.#done(asFault(error), new Uint8Array(0))
    }
    const found = (error: Error | null, versions: readonly (Version | null)[]): void => {
      if (error !== null) return this.#done(error, new Uint8Array(0))
      this.#past = new Map(numbers.map((number, at) => [number, versions[at]!]))
      this.run()
    }
    if (asked.length === 0) found(null, [])
    else lookup.find(asked, answerBytesMax, found)
  }

  #missing(): string[] {
    const { table } = this.#parts
    const missing = new Set<string>()
    for (const [number, key] of this.#keys.entries()) {
      const request = this.#requests[number]!
      if (key === null || request.op !== 'get' || request.atRevision !== 0) continue
      if (table.find(key) === undefined && !this.#loaded.has(key)) missing.add(key)
    }
    return [...missing]
  }

  #load(keys: readonly string[]): void {
    const { table, reader } = this.#parts
    const flushes = table.flushes
    let bytes = 0
    const take = (at: number, version: Version | null) => {
      bytes += version?.length ?? 0
      this.#loaded.set(keys[at]!, version)
      return bytes <= answerBytesMax
    }
    reader.read(keys, take, error => {
      if (error !== null) return this.#done(error, new Uint8Array(0))
      if (bytes > answerBytesMax) return this.#done(tooLarge(), new Uint8Array(0))
      if (table.flushes === flushes) {
        for (const version of this.#loaded.values()) {
          if (version !== null && table.find(version.key) === undefined) table.cache.put(version)
        }
      } else {
        // What a flush has written meanwhile may have left memory again, and the rows would be older than it.
        this.#loaded = new Map()
      }
      this.run()
    })
  }

  /** Everything is in memory: takes it all in one go, then counts over a view of the same revision. */
  #answer(): void {
    const { table } = this.#parts
    const answer: Packed[] = [table.revision]
    let bytes = 0
    try {
      for (let number = 0; number < this.#requests.length; number++) {
        const request = this.#requests[number]!
        if (request.op === 'lease' || request.op === 'leases') {
          answer.push(answerLeaseRequest(table.leases, request, this.#parts.time))
          continue
        }
        const version = request.op === 'get' ? this.#versionAt(number, request.atRevision) : null
        bytes += version?.length ?? 0
        if (bytes > answerBytesMax) throw tooLarge()
        answer.push(request.op === 'get' ? packVersion(version, request.key) : 0)
      }
    } catch (error) {
      return this.#done(asFault(error), new Uint8Array(0))
    }
    if (this.#requests.some(({ op }) => op === 'count')) this.#count(answer)
    else this.#done(null, pack(answer))
  }

  #versionAt(number: number, atRevision: number): Version | null {
    const { table } = this.#parts
    // What has been looked up may have been let go of meanwhile, in part.
    checkRevision(table, atRevision)
    if (atRevision !== 0) return this.#past!.get(number)!
    const key = this.#keys[number]!
    return table.find(key) ?? this.#loaded.get(key) ?? null
  }

  #count(answer: Packed[]): void {
    const { level, env, table } = this.#parts
    const view = table.openView()
    const cursors: (EntryCursor | null)[] = this.#requests.map(request => {
      if (request.op !== 'count') return null
      const { from, to, atRevision = 0 } = request
      const range = { from, to, reverse: false, keysOnly: true }
      if (atRevision === 0 || atRevision === view.revision) return new Cursor(level, env, view, range)
      return new PastCursor(this.#parts, view, range, atRevision)
    })
    this.#countNext(answer, cursors, view, 0)
  }

  #countNext(answer: Packed[], cursors: (EntryCursor | null)[], view: View, number: number): void {
    let next = number
    while (next < cursors.length && cursors[next] === null) next++
    const cursor = cursors[next]
    if (cursor === null || cursor === undefined) {
      this.#parts.table.closeView(view)
      return this.#done(null, pack(answer))
    }
    countAll(cursor, (error, count) => {
      cursor.close()
      cursors[next] = null
      answer[1 + next] = count
      if (error === null) return this.#countNext(answer, cursors, view, next + 1)
      for (const other of cursors) other?.close()
      this.#parts.table.closeView(view)
      this.#done(error, new Uint8Array(0))
    })
  }
}

/** Refuses a revision that is not known yet or not any more. @throws StrettoError FUTURE_REVISION, COMPACTED */
export function checkRevision(table: MemoryTable, atRevision: number): void {
  if (atRevision !== 0 && atRevision < table.compacted) {
    const text = `revision ${atRevision} has been compacted away: nothing below ${table.compacted} can be read`
    throw new StrettoError('COMPACTED', text)
  }
  if (atRevision <= table.revision) return
  throw new StrettoError('FUTURE_REVISION', `revision ${atRevision} is above the present one, ${table.revision}`)
}

function countAll(cursor: EntryCursor, done: Done<number>): void {
  let count = 0
  const turn = (error: Error | null): void => {
    if (error !== null) return done(error, 0)
    for (;;) {
      const found = cursor.take()
      if (found === undefined) return cursor.fill(countedAtOnce, turn)
      if (found === null) return done(null, count)
      count++
    }
  }
  turn(null)
}

function tooLarge(): StrettoError {
  return new StrettoError('TOO_LARGE', `the answer would be above ${answerBytesMax} bytes: ask for fewer keys at once`)
}
