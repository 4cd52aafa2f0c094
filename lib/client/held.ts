// What is held with a lease: a lock, a permit of a semaphore, leadership.
import { StrettoError } from '../base/errors.ts'
import type { Lease } from './lease.ts'
import type { CallOptions, Duration, FencingRef } from './options.ts'
import { checkNames, msOf } from './options.ts'
import { lockLost } from './queue.ts'

/**
 * Held until it is released or its lease is lost. That is no mutual exclusion of itself: a process may be halted for longer
 * than its lease lasts, and go on without noticing. What is written under it is safe with `{ fencing: lock }`, and where
 * something else than this store is written to, with the fencing token, of which it must refuse all below the highest seen.
 */
export interface Held extends FencingRef, AsyncDisposable {
  /** The whole key that stands for it in the store. */
  readonly key: Uint8Array
  /** The revision at which the key was created: later holders have higher ones. */
  readonly fencingToken: number
  /** Aborted before the lease can have ended, by the clock of this computer alone, with `LOCK_LOST`; and by the release. */
  readonly signal: AbortSignal
  /** @throws StrettoError LOCK_LOST where it is not held any more, as far as this client knows */
  check(): void
  /** It is no error where it has been lost before. */
  release(options?: CallOptions): Promise<void>
}

export interface AcquireOptions {
  /** How long it outlasts its holder, 10 s by default; at least a second. */
  readonly ttl?: Duration | undefined
  /** How long to wait for it, 0 for not at all; without end when left out. */
  readonly wait?: Duration | undefined
  readonly signal?: AbortSignal | undefined
}

export interface AcquireTerms {
  readonly ttl: Duration
  /** Infinity: without end. */
  readonly waitMs: number
  readonly signal: AbortSignal | undefined
}

const ttlDefault = 10_000
const names = new Set(['ttl', 'wait', 'signal'])

/** @throws StrettoError BAD_REQUEST */
export function acquireTerms(options: AcquireOptions): AcquireTerms {
  checkNames(options, names)
  const { ttl = ttlDefault, wait, signal } = options
  const waitMs = wait === undefined ? Number.POSITIVE_INFINITY : wait === 0 ? 0 : msOf(wait, 'wait')
  return { ttl, waitMs, signal }
}

export class LeaseHeld implements Held {
  readonly key: Uint8Array
  readonly fencingToken: number
  readonly #lease: Lease
  readonly #controller = new AbortController()

  constructor(lease: Lease, key: Uint8Array, fencingToken: number) {
    this.#lease = lease
    this.key = key
    this.fencingToken = fencingToken
    lease.lost.addEventListener('abort', () => this.#end('its lease could not be renewed in time'), { once: true })
    if (lease.lost.aborted) this.#end('its lease could not be renewed in time')
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  check(): void {
    if (this.signal.aborted) throw this.signal.reason
  }

  async release(options?: CallOptions): Promise<void> {
    this.#end('it has been released')
    await this.#lease.revoke(options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end('it has been released')
    await this.#lease[Symbol.asyncDispose]()
  }

  #end(why: string): void {
    if (!this.signal.aborted) this.#controller.abort(lockLost(why))
  }
}

export function heldByAnother(): StrettoError {
  return new StrettoError('CONDITION_FAILED', 'somebody else holds it')
}
