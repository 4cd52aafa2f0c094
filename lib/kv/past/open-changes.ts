// A walk over the changes of past revisions: the log from the last flush before them, with what its records did where they do
// not spell it out, and what the history says of each key.
import { assert } from '../../base/assert.ts'
import { readU16 } from '../../base/bytes.ts'
import type { Done, Env } from '../../base/env.ts'
import { StrettoError } from '../../base/errors.ts'
import { type Block, type Index, lastOf } from '../../raft/types.ts'
import { recordOffsets } from '../../record/block.ts'
import { commandAt, recordAt, recordKind } from '../../record/record.ts'
import { asFault } from '../fault.ts'
import type { MemoryTable } from '../memory-table.ts'
import { generationsUpTo, indexOfGeneration, revisionOfGeneration } from '../rows.ts'
import type { RowPair } from '../snapshot-stream.ts'
import { levelFault, type StateLevel, settle, unheard } from '../state-level.ts'
import { keyText, type Version } from '../version.ts'
import type { Changes, ChangesAsked, ChangesFound, KeyChange, Revision } from './changes.ts'
import type { Asked, Lookup } from './lookup.ts'
import { commandsOf, type EffectList, keyOf, type RecordReader, storedBy } from './record-reader.ts'

/** Read of the log in one go, and gone through before something is answered even where nothing was found. */
const readBytesMax = 262_144
const passBytesMax = 2_097_152
/** What a change takes beside its key and value, about. */
const changeBytes = 64

export interface ChangesParts {
  readonly level: StateLevel
  readonly env: Env
  readonly table: MemoryTable
  readonly records: RecordReader
  readonly lookup: Lookup
  /** It is known what can be read while the log begins after this record. */
  readonly settled: () => Index
}

/** A change as the log has it. */
interface Found {
  readonly revision: number
  readonly cause: Revision['cause']
  readonly key: string
  /** Null for a deletion. */
  readonly value: Uint8Array | null
}

export class OpenChanges implements Changes {
  readonly #parts: ChangesParts
  readonly #asked: ChangesAsked
  /** The next record, 0 while it has not been looked for; and the revision before it. */
  #next: Index = 0
  #revision = 0
  /** Found and not yet given. */
  #found: Found[] = []
  /** Answered up to here. */
  #given: number
  #passed = 0
  #fault: Error | null = null
  #busy = false

  constructor(parts: ChangesParts, asked: ChangesAsked) {
    this.#parts = parts
    this.#asked = asked
    this.#given = asked.after
  }

  next(bytesMax: number, done: Done<ChangesFound>): void {
    assert(!this.#busy, 'one call at a time')
    this.#busy = true
    this.#passed = 0
    const answer = (error: Error | null, found: ChangesFound): void => {
      this.#busy = false
      this.#fault ??= error
      if (this.#fault !== null) return done(this.#fault, nothing)
      this.#given = found.upTo
      done(null, found)
    }
    this.#parts.env.soon(() => this.#go(bytesMax, answer))
  }

  close(): void {
    this.#fault ??= new StrettoError('STOPPED', 'the walk has been closed')
    this.#found = []
  }

  get #ended(): boolean {
    return this.#revision >= this.#asked.upTo
  }

  #go(bytesMax: number, done: Done<ChangesFound>): void {
    const fault = this.#fault ?? compactedSince(this.#parts.table, this.#given)
    if (fault !== null) return done(fault, nothing)
    const go = (error: Error | null): void => (error === null ? this.#go(bytesMax, done) : done(error, nothing))
    if (this.#asked.upTo <= this.#asked.after) return done(null, { each: [], upTo: this.#asked.upTo, last: true })
    if (this.#next === 0) return this.#findStart(go)
    const enough = this.#ended || this.#passed >= passBytesMax || bytesOf(this.#found) >= bytesMax
    if (enough) this.#give(bytesMax, done)
    else this.#readOn(go)
  }

  /** The last flush at or before the revision: what follows its last record has newer changes. */
  #findStart(done: Done): void {
    const { level, records, settled } = this.#parts
    const { base } = records
    const cursor = level.iterator({
      ...generationsUpTo(this.#asked.after),
      reverse: true,
      values: true,
      highWaterMarkBytes: 1
    })
    const found = (rows: readonly RowPair[]): void => {
      settle(cursor.close(), unheard, unheard)
      const row = rows[0]
      const index = row === undefined ? 0 : indexOfGeneration(row[0], row[1])
      if (index === null) return done(new StrettoError('CORRUPT', 'the row of a generation is damaged'))
      // Where the log begins later, it is so that nothing has changed between; it has to be known.
      if (index < base && settled() < base) return done(notYet())
      this.#next = Math.max(index, base) + 1
      // Before the first flush that changed anything there was nothing.
      this.#revision = row === undefined ? 1 : revisionOfGeneration(row[0])
      done(null)
    }
    settle(cursor.nextv(1), found, error => done(levelFault('read', error)))
  }

  #readOn(done: Done): void {
    this.#parts.records.blocks(this.#next, readBytesMax, (error, blocks) => {
      if (error !== null) done(error)
      else if (blocks === null) done(gone(this.#given))
      else this.#pass(blocks, 0, done)
    })
  }

  #pass(blocks: readonly Block[], number: number, done: Done): void {
    const block = blocks[number]
    if (block === undefined || this.#ended) return done(null)
    const offsets = recordOffsets(block)
    const indexes: Index[] = []
    for (let index = Math.max(block.first, this.#next); index <= lastOf(block); index++) {
      if (changes(block.bytes[offsets[index - block.first]! + recordAt.kind]!)) indexes.push(index)
    }
    this.#parts.records.effects(indexes, (error, effects) => {
      if (error !== null) return done(error)
      try {
        for (const index of indexes) {
          if (!this.#ended) this.#passRecord(block.bytes, offsets[index - block.first]!, effects.get(index))
        }
      } catch (fault) {
        return done(asFault(fault))
      }
      this.#next = lastOf(block) + 1
      this.#passed += block.bytes.length
      this.#pass(blocks, number + 1, done)
    })
  }

  /** The record at `at`; without effects each of its commands did what it says. */
  #passRecord(bytes: Uint8Array, at: number, effects: EffectList | undefined): void {
    const expired = bytes[at + recordAt.kind] === recordKind.expiry
    if (effects === undefined && expired) return
    const cause = expired ? 'expired' : 'command'
    const count = effects?.length ?? readU16(bytes, at + commandAt.count)
    const { after, upTo, wants } = this.#asked
    // Nothing in it is asked for: only the revisions are counted.
    const changed = effects === undefined ? count : effects.reduce((sum: number, each) => sum + (each === 0 ? 0 : 1), 0)
    if (this.#revision + changed <= after) {
      this.#revision += changed
      return
    }
    const commands = expired ? [] : commandsOf(bytes, at)
    for (let number = 0; number < count && !this.#ended; number++) {
      const effect = effects === undefined ? 1 : effects[number]!
      if (effect === 0) continue
      const revision = ++this.#revision
      if (revision <= after || revision > upTo) continue
      const take = (key: string, value: Uint8Array | null): void => {
        if (wants(key)) this.#found.push({ revision, cause, key, value })
      }
      const command = commands[number]
      if (Array.isArray(effect)) {
        for (const change of effect as readonly EffectList[]) {
          take(keyOf(change), storedBy(change, bytes, at))
        }
      } else if (command !== undefined && 'key' in command) {
        const stored = command.op === 'put' ? command.value : null
        take(keyText(command.key), effect instanceof Uint8Array ? effect : stored)
      }
    }
  }

  /** Whole revisions of what was found, with what the history says of them. */
  #give(bytesMax: number, done: Done<ChangesFound>): void {
    const given = takeRevisions(this.#found, bytesMax)
    const rest = this.#found.length - given.length
    const upTo = rest > 0 ? given.at(-1)!.revision : Math.min(this.#revision, this.#asked.upTo)
    const last = rest === 0 && this.#ended
    const asked: Asked[] = []
    for (const { key, value, revision } of given) {
      if (value !== null) asked.push({ key, revision })
      if (this.#asked.previous) asked.push({ key, revision: revision - 1 })
    }
    const { lookup, table } = this.#parts
    const found = (error: Error | null, versions: readonly (Version | null)[]): void => {
      // What was let go of meanwhile was not found, or may have been.
      const fault = error ?? compactedSince(table, this.#given)
      if (fault !== null) return done(fault, nothing)
      let each: Revision[]
      try {
        each = revisionsOf(given, versions, this.#asked.previous)
      } catch (error) {
        return done(asFault(error), nothing)
      }
      this.#found.splice(0, given.length)
      done(null, { each, upTo, last })
    }
    if (this.#asked.previous) lookup.find(asked, Number.POSITIVE_INFINITY, found)
    else lookup.name(asked, Number.POSITIVE_INFINITY, found)
  }
}

const nothing: ChangesFound = { each: [], upTo: 0, last: true }

function changes(kind: number): boolean {
  return kind === recordKind.command || kind === recordKind.expiry
}

/** The first of them, of about `bytesMax` bytes, up to the end of a revision. */
function takeRevisions(found: readonly Found[], bytesMax: number): readonly Found[] {
  let bytes = 0
  let at = 0
  while (at < found.length) {
    const each = found[at]!
    const begins = at > 0 && each.revision !== found[at - 1]!.revision
    if (begins && bytes >= bytesMax) break
    bytes += sizeOf(each)
    at++
  }
  return found.slice(0, at)
}

function revisionsOf(given: readonly Found[], versions: readonly (Version | null)[], previous: boolean): Revision[] {
  const each: { revision: number; cause: Revision['cause']; changes: KeyChange[] }[] = []
  let at = 0
  for (const { revision, cause, key, value } of given) {
    const named = value === null ? null : versions[at++]!
    if (value !== null && named?.modRevision !== revision) {
      throw new StrettoError('CORRUPT', `the history does not know what came at revision ${revision}`)
    }
    const change: KeyChange = {
      key,
      deleted: value === null,
      value,
      createRevision: named?.createRevision ?? 0,
      version: named?.version ?? 0,
      leaseId: named?.leaseId ?? 0,
      previous: previous ? versions[at++]! : null
    }
    const last = each.at(-1)
    if (last?.revision === revision) last.changes.push(change)
    else each.push({ revision, cause, changes: [change] })
  }
  return each
}

function bytesOf(found: readonly Found[]): number {
  let bytes = 0
  for (const each of found) bytes += sizeOf(each)
  return bytes
}

function sizeOf({ key, value }: Found): number {
  return changeBytes + key.length + (value?.length ?? 0)
}

/** What is to be said where the changes after `revision` cannot be read any more; null where they can. */
function compactedSince({ compacted }: MemoryTable, revision: number): StrettoError | null {
  return revision < compacted ? gone(revision, compacted) : null
}

function gone(revision: number, compacted?: number): StrettoError {
  const since = compacted === undefined ? '' : `: they begin after ${compacted}`
  return new StrettoError('COMPACTED', `the changes after revision ${revision} are not kept any more${since}`)
}

function notYet(): StrettoError {
  return new StrettoError('UNAVAILABLE', 'it is not known yet how far back the past can be read', { retryAfterMs: 50 })
}
