// LevelDB as the state uses it: a database of bytes by bytes, and the bridge from its promises to callbacks.
import type { AbstractLevel } from 'abstract-level'
import { ClassicLevel } from 'classic-level'
import { StrettoError } from '../base/errors.ts'

/** A database of bytes by bytes, both `view` encoded. The simulator brings its own. */
export type StateLevel = AbstractLevel<string | Buffer | Uint8Array, Uint8Array, Uint8Array>

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

/** Calls one of the two at the end of the promise. What they throw is not caught here: it ends as an unhandled rejection. */
export function settle<T>(promise: Promise<T>, resolved: (result: T) => void, rejected: (error: Error) => void): void {
  promise.then(resolved, rejected)
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
  const full = code === 'ENOSPC' || /no space left/i.test(inner.message)
  return new StrettoError(full ? 'NO_SPACE' : 'UNAVAILABLE', `the state cannot be ${what}: ${inner.message}`, {
    fate: 'unknown',
    cause: error
  })
}
