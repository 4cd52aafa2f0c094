// LevelDB as the state uses it: a database of bytes by bytes, and the bridge from its promises to callbacks.
import type { AbstractSnapshot } from 'abstract-level'
import { ClassicLevel } from 'classic-level'
import type { Done } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import { allRows } from './rows.ts'

/**
 * What the state needs of a database of bytes by bytes: the part of `abstract-level` that it uses, in its shape, so that
 * every such database fits. Answers are promises there; the simulator's own database answers without one, at the very
 * moment of its virtual time.
 */
export interface StateLevel {
  open(): PromiseLike<void>
  close(): PromiseLike<void>
  get(key: Uint8Array): PromiseLike<Uint8Array | undefined>
  getMany(keys: Uint8Array[]): PromiseLike<(Uint8Array | undefined)[]>
  /** Nothing of it is there before it is written. */
  batch(): StateBatch
  /** Shows the database as it is at this call, or as it was when the snapshot of the range was taken. */
  iterator(range: StateRange): StateCursor
  /** Makes tables of all that is written so far, whatever the range, so that none of it depends on the write-ahead file. */
  compactRange(start: Uint8Array, end: Uint8Array): PromiseLike<void>
  /** The database as it is at this call, for iterators to come. What it shows is kept on disk until it is closed. */
  snapshot(): StateSnapshot
}

export type StateSnapshot = AbstractSnapshot

export interface StateBatch {
  put(key: Uint8Array, value: Uint8Array): unknown
  del(key: Uint8Array): unknown
  /** Atomic; with `sync` it is on stable storage when it is answered. */
  write(options: { readonly sync: boolean }): PromiseLike<void>
}

export interface StateRange {
  readonly gte: Uint8Array
  readonly lt: Uint8Array
  readonly reverse: boolean
  /** Without them the second of each pair is not there. */
  readonly values: boolean
  readonly highWaterMarkBytes: number
  readonly snapshot?: StateSnapshot
}

export interface StateCursor {
  nextv(size: number): PromiseLike<[Uint8Array, Uint8Array][]>
  close(): PromiseLike<void>
}

/**
 * LevelDB in the folder `location`, not yet open. Uncompressed, because a damaged value must come back to be seen by its
 * own CRC; with a write buffer that holds a whole flush, because LevelDB else stops the writer to make room.
 */
export function stateLevel(location: string): ClassicLevel<Uint8Array, Uint8Array> {
  return new ClassicLevel<Uint8Array, Uint8Array>(location, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    compression: false,
    writeBufferSize: 33_554_432
  })
}

/**
 * Calls one of the two at the end of the promise. What they throw is not caught here: with a promise it ends as an
 * unhandled rejection.
 */
export function settle<T>(
  promise: PromiseLike<T>,
  resolved: (result: T) => void,
  rejected: (error: Error) => void
): void {
  promise.then(resolved, rejected)
}

/** Is there any row of the state in it, the head or another? The database is open. */
export function holdsRows(level: StateLevel, done: Done<boolean>): void {
  const cursor = level.iterator({ ...allRows, reverse: false, values: false, highWaterMarkBytes: 1 })
  const found = (rows: readonly unknown[]): void => {
    settle(cursor.close(), unheard, unheard)
    done(null, rows.length > 0)
  }
  settle(cursor.nextv(1), found, error => done(levelFault('read', error), false))
}

/**
 * All that is written so far is in tables when this is answered. LevelDB drops what is damaged in its write-ahead file in
 * silence, and takes what follows for sound; damage of a table shows.
 */
export function toTables(level: StateLevel, done: Done): void {
  settle(
    level.compactRange(allRows.lt, afterTables),
    () => done(null),
    error => done(levelFault('written', error))
  )
}

/** No row is between the end of all and this, so nothing is merged. */
const afterTables: Uint8Array = Uint8Array.of(0, 1, 0)

/** What closing an iterator or a snapshot ends with: nobody waits for it, since the database closes them with itself. */
export function unheard(): void {
  // Nothing is left to do.
}

/** The error that a read or write of the state ends with, whatever LevelDB has thrown. */
export function levelFault(what: string, error: Error): StrettoError {
  if (error instanceof StrettoError) return error
  const cause: unknown = error.cause
  const inner = cause instanceof Error ? cause : error
  const code = (inner as NodeJS.ErrnoException).code
  if (code === 'LEVEL_CORRUPTION')
    return new StrettoError('CORRUPT', `the state is damaged: ${inner.message}`, { cause: error })
  if (code === 'LEVEL_LOCKED') {
    return new StrettoError('UNAVAILABLE', 'the state directory is in use by another process', { cause: error })
  }
  // LevelDB's words for a CURRENT that is damaged, or names what is not there.
  if (what === 'opened' && code === 'LEVEL_IO_ERROR' && /no such file or directory/i.test(inner.message)) {
    return new StrettoError('CORRUPT', `a part of the state is missing: ${inner.message}`, { cause: error })
  }
  const full = code === 'ENOSPC' || /no space left/i.test(inner.message)
  return new StrettoError(full ? 'NO_SPACE' : 'UNAVAILABLE', `the state cannot be ${what}: ${inner.message}`, {
    fate: 'unknown',
    cause: error
  })
}
