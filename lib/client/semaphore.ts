// Semaphores: so many permits at a time, given in the order of asking.
//
// Who asks stands in a queue, `q/`; only the first of it looks at the permits, `h/`, and takes one when there is room: it is
// the only one who adds to them, and so finds no more than it saw. A release wakes the first of the queue and nobody else, and
// its leaving the queue the next.
import { StrettoError } from '../base/errors.ts'
import { cmp } from './compares.ts'
import { type AcquireOptions, acquireTerms, type Held, heldByAnother, LeaseHeld } from './held.ts'
import type { Lease } from './lease.ts'
import type { Arena } from './lock.ts'
import { op } from './operations.ts'
import { countOf } from './options.ts'
import { keyOfLease, lockLost, type Place, patiently, Queue, Waiting } from './queue.ts'

const nothing = new Uint8Array(0)

export class Semaphore {
  readonly #arena: Arena
  readonly #permits: number
  readonly #waiting: Queue
  readonly #held: Queue

  /** All who use it must name the same number of permits. @throws StrettoError BAD_REQUEST */
  constructor(arena: Arena, permits: number) {
    this.#arena = arena
    this.#permits = countOf(permits, 'permits', 1)
    this.#waiting = new Queue(arena.store, 'q/')
    this.#held = new Queue(arena.store, 'h/')
  }

  /**
   * CONDITION_FAILED where there is none and nobody waits for one; TIMED_OUT where the wait was too short; LOCK_LOST where the
   * lease was lost while waiting.
   */
  async acquire(options: AcquireOptions = {}): Promise<Held> {
    const { ttl, waitMs, signal } = acquireTerms(options)
    const { env } = this.#arena
    const lease = await this.#arena.lease(signal === undefined ? { ttl } : { ttl, signal })
    const waiting = new Waiting(env, lease, waitMs === 0 ? Number.POSITIVE_INFINITY : waitMs, signal)
    try {
      return await this.#acquire(lease, waitMs !== 0, waiting.signal)
    } catch (error) {
      // Nobody waits for that: where it fails, the lease and what it holds end by themselves.
      void lease[Symbol.asyncDispose]()
      throw error
    } finally {
      waiting.end()
    }
  }

  async #acquire(lease: Lease, mayWait: boolean, signal: AbortSignal): Promise<Held> {
    const place = await this.#waiting.enter(lease, nothing, !mayWait, { signal })
    if (place === null) throw heldByAnother()
    await this.#waiting.untilFirst(place, signal)
    for (;;) {
      const { revision, entries } = await patiently(timeout => this.#held.list({ timeout, signal: signal }), signal)
      if (entries.length < this.#permits) return await this.#take(place, signal)
      if (!mayWait) throw heldByAnother()
      await this.#held.changed({ prefix: 'h/' }, revision, signal)
    }
  }

  /** From the queue to the permits, in one step. */
  async #take({ lease, key, token }: Place, signal: AbortSignal): Promise<Held> {
    const permit = `h/${keyOfLease(lease)}`
    const txn = this.#arena.store
      .txn()
      .if(cmp(key).createRevision.eq(token))
      .then(op.delete(key), op.put(permit, nothing, { lease }))
    try {
      const { succeeded, revision } = await txn.commit({ signal })
      if (!succeeded) throw lockLost('its place in the queue is gone')
      return new LeaseHeld(lease, this.#arena.wholeKey(permit), revision)
    } catch (error) {
      if (error instanceof StrettoError && error.code === 'LEASE_NOT_FOUND') throw lockLost('its lease has ended')
      throw error
    }
  }
}
