// LevelDB as the log uses it: how it is opened, and the bridge from its promises to callbacks.
import { ClassicLevel } from 'classic-level'
import type { Done } from '../base/env.ts'
import { refuse } from './faults.ts'

/**
 * What the log needs of a database of bytes by bytes: the part of `abstract-level` that it uses, in its shape, so that
 * every such database fits. Answers are promises there; the simulator's own database answers without one, at the very
 * moment of its virtual time.
 */
export interface Level {
  open(): PromiseLike<void>
  close(): PromiseLike<void>
  get(key: Uint8Array): PromiseLike<Uint8Array | undefined>
  getMany(keys: Uint8Array[]): PromiseLike<(Uint8Array | undefined)[]>
  /** Atomic; with `sync` it is on stable storage when it is answered. */
  batch(operations: LevelOperation[], options: LevelWrite): PromiseLike<void>
  keys(range: LevelRange): LevelCursor<Uint8Array>
  iterator(range: LevelRange): LevelCursor<[Uint8Array, Uint8Array]>
}

export type LevelOperation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array }

export interface LevelWrite {
  readonly keyEncoding: 'view'
  readonly valueEncoding: 'view'
  readonly sync: boolean
}

export interface LevelRange {
  readonly gte: Uint8Array
  readonly lt: Uint8Array
  readonly limit?: number
  readonly fillCache?: boolean
  readonly highWaterMarkBytes?: number
}

export interface LevelCursor<T> {
  nextv(size: number): PromiseLike<T[]>
  all(): PromiseLike<T[]>
  close(): PromiseLike<void>
}

export const synced: LevelWrite = { keyEncoding: 'view', valueEncoding: 'view', sync: true }
/** For what may be lost, and done again. */
export const unsynced: LevelWrite = { keyEncoding: 'view', valueEncoding: 'view', sync: false }

/**
 * LevelDB in the folder `location`, not yet open. Uncompressed, because blocks hold what clients sent and a damaged value
 * must come back to be seen by its own CRC; a large write buffer, because blocks are large.
 */
export function classicLevel(location: string): ClassicLevel<Uint8Array, Uint8Array> {
  return new ClassicLevel<Uint8Array, Uint8Array>(location, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    compression: false,
    writeBufferSize: 33_554_432
  })
}

/**
 * Hands the end of a promise to `done`. What `done` throws is not caught here: with a promise it ends as an unhandled
 * rejection.
 */
export function settle<T>(promise: PromiseLike<T>, done: Done<T>): void {
  const settled = done
  promise.then(
    result => settled(null, result),
    (error: Error) => refuse(settled, error)
  )
}

/** Frees what was deleted in [start, end), where the database can; LevelDB alone may take long to get to it. */
export function compactRange(level: Level, start: Uint8Array, end: Uint8Array, done: Done): void {
  if (level instanceof ClassicLevel) {
    settle(level.compactRange(start, end), error => done(error))
    return
  }
  done(null)
}
