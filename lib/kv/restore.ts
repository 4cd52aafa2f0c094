// Takes a snapshot into an empty state database: row by row, the head last, so that no part of it is taken for a state.
import { assert } from '../base/assert.ts'
import type { Done, Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { SnapshotSink } from '../machine/machine.ts'
import { type LogId, logOrigin } from '../raft/types.ts'
import { asFault } from './fault.ts'
import { type Head, headKey, readHead } from './rows.ts'
import { type RowPair, StreamReader } from './snapshot-stream.ts'
import { holdsRows, levelFault, type StateBatch, type StateLevel, settle, toTables } from './state-level.ts'

const turnMs = 2
/** Between two looks at the clock: about a tenth of a millisecond. */
const rowsPerLook = 32
/**
 * Every batch is synced. It could do without where LevelDB wrote all of them into one file, since a synced write takes what
 * stands before it in its file along; but a new file is begun every 32 MiB, and nothing syncs the end of the one before
 * until its table is made. A power cut could then leave the head and not the rows.
 */
const batchBytesMax = 2_097_152

const nothing = { last: logOrigin, sidecar: new Uint8Array(0) } as const

export interface RestoreParts {
  readonly level: StateLevel
  readonly env: Env
  /** Why to give up; null to go on. */
  readonly ended: () => Error | null
}

export class KvRestore implements SnapshotSink {
  readonly #parts: RestoreParts
  readonly #reader = new StreamReader()
  #head: { readonly head: Head; readonly row: Uint8Array } | null = null
  #batch: StateBatch | null = null
  #batchBytes = 0
  #opened = false
  #busy = false
  #fault: Error | null = null

  constructor(parts: RestoreParts) {
    this.#parts = parts
  }

  write(bytes: Uint8Array, done: Done): void {
    this.#begin(
      () => {
        this.#reader.push(bytes)
        this.#turn(done)
      },
      error => done(error)
    )
  }

  end(done: Done<{ readonly last: LogId; readonly sidecar: Uint8Array }>): void {
    const failed = (error: Error): void => done(error, nothing)
    this.#begin(() => {
      const whole = this.#head
      if (whole === null || !this.#reader.ended) {
        return this.#fail(new StrettoError('CORRUPT', 'the snapshot is cut short'), failed)
      }
      const { applied, sidecar } = whole.head
      const written = (): void => {
        this.#busy = false
        done(null, { last: applied, sidecar })
      }
      this.#settle(() => {
        this.#batch = this.#parts.level.batch()
        this.#batch.put(headKey, whole.row)
        this.#write(written, failed)
      }, failed)
    }, failed)
  }

  /** All rows are in tables before the head is written: a batch of them that gets lost in silence would not show. */
  #settle(go: () => void, failed: (error: Error) => void): void {
    const settled = (): void =>
      toTables(this.#parts.level, error => (error === null ? go() : this.#fail(error, failed)))
    if (this.#batch === null) settled()
    else this.#write(settled, failed)
  }

  /** Opens the database, once, and goes on in a later turn. */
  #begin(go: () => void, failed: (error: Error) => void): void {
    assert(!this.#busy, 'one call at a time takes a snapshot in')
    this.#busy = true
    const fail = (error: Error): void => this.#fail(levelFault('opened', error), failed)
    const guarded = (): void => {
      const reason = this.#fault ?? this.#parts.ended()
      if (reason !== null) this.#fail(reason, failed)
      else go()
    }
    if (this.#opened || this.#fault !== null) return this.#parts.env.soon(guarded)
    const { level } = this.#parts
    const looked = (error: Error | null, holds: boolean): void => {
      if (error !== null) return this.#fail(error, failed)
      if (holds) return this.#fail(new StrettoError('BAD_REQUEST', 'the place for a snapshot is not empty'), failed)
      this.#opened = true
      guarded()
    }
    settle(level.open(), () => holdsRows(level, looked), fail)
  }

  /** Takes the rows that are there, at most 2 ms in a turn. */
  #turn(done: Done): void {
    const { env, ended } = this.#parts
    const reason = ended()
    if (reason !== null) return this.#fail(reason, done)
    let found: 'row' | 'batch' | 'none'
    try {
      found = this.#takeSome(env.now())
    } catch (fault) {
      return this.#fail(asFault(fault), done)
    }
    if (found === 'none') this.#rest(done)
    else if (found === 'batch') this.#write(() => this.#turn(done), done)
    else env.soon(() => this.#turn(done))
  }

  /** Until there is none left, a batch is full, or the turn has lasted long enough. */
  #takeSome(start: number): 'row' | 'batch' | 'none' {
    do {
      for (let number = 0; number < rowsPerLook; number++) {
        const row = this.#reader.next()
        if (row === null) return 'none'
        this.#take(row)
        if (this.#batchBytes >= batchBytesMax) return 'batch'
      }
    } while (this.#parts.env.now() - start < turnMs)
    return 'row'
  }

  #rest(done: Done): void {
    this.#reader.rest()
    this.#busy = false
    done(null)
  }

  #take([key, value]: RowPair): void {
    if (this.#head === null) {
      this.#head = { head: readHead(value), row: new Uint8Array(value) }
      return
    }
    this.#batch ??= this.#parts.level.batch()
    this.#batch.put(key, value)
    this.#batchBytes += key.length + value.length
  }

  #write(go: () => void, failed: (error: Error) => void): void {
    const batch = this.#batch!
    this.#batch = null
    this.#batchBytes = 0
    settle(batch.write({ sync: true }), go, error => this.#fail(levelFault('written', error), failed))
  }

  /** The first fault stays: what has come is not whole. */
  #fail(fault: Error, failed: (error: Error) => void): void {
    this.#fault ??= fault
    this.#busy = false
    failed(this.#fault)
  }
}
