// Locks: one holder at a time, in the order of asking, with a fencing token for what is done under them.
import type { Env } from '../base/env.ts'
import { type AcquireOptions, acquireTerms, type Held, heldByAnother, LeaseHeld } from './held.ts'
import type { Lease } from './lease.ts'
import { Queue, type QueueStore, Waiting } from './queue.ts'

/** A lock that is held. */
export type Lock = Held

/** What taking part needs: a corner of the store for it alone, and leases. */
export interface Arena {
  readonly env: Env
  readonly store: QueueStore
  /** The whole key of one in that corner. */
  wholeKey(key: string): Uint8Array
  lease(options: { readonly ttl: number | string; readonly signal?: AbortSignal }): Promise<Lease>
}

const nothing = new Uint8Array(0)

/**
 * CONDITION_FAILED where it is held and nobody waits for it; TIMED_OUT where the wait was too short; LOCK_LOST where the lease
 * was lost while waiting.
 */
export async function acquireLock(arena: Arena, options: AcquireOptions, value: Uint8Array = nothing): Promise<Lock> {
  const { ttl, waitMs, signal } = acquireTerms(options)
  const queue = new Queue(arena.store)
  const lease = await arena.lease(signal === undefined ? { ttl } : { ttl, signal })
  const waiting = new Waiting(arena.env, lease, waitMs === 0 ? Number.POSITIVE_INFINITY : waitMs, signal)
  try {
    const place = await queue.enter(lease, value, waitMs === 0, { signal: waiting.signal })
    if (place === null) throw heldByAnother()
    await queue.untilFirst(place, waiting.signal)
    return new LeaseHeld(lease, arena.wholeKey(place.key), place.token)
  } catch (error) {
    // Nobody waits for that: where it fails, the lease and what it holds end by themselves.
    void lease[Symbol.asyncDispose]()
    throw error
  } finally {
    waiting.end()
  }
}
