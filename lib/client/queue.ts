// A queue in the store that all who take part agree on: the recipe under locks, semaphores and elections.
//
// Each who takes part has a lease of its own, and a key under the prefix of the queue that goes with it. The order is that of
// the keys' creation, which no key can enter but at its end; so who once saw nobody before it stays first for as long as its
// key is there. Everybody watches only the one directly before it: when one goes, one wakes.
import type { Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import { cmp } from './compares.ts'
import type { Key } from './encoding.ts'
import type { Entry } from './entry.ts'
import type { Lease } from './lease.ts'
import { op } from './operations.ts'
import type { CallOptions, RangeOptions } from './options.ts'
import type { Range } from './ranges.ts'
import type { Txn } from './txn.ts'
import type { Watch } from './watch.ts'
import type { Batch, WatchOptions } from './watch-options.ts'

/** The corner of the store that holds a queue and nothing else. */
export interface QueueStore {
  txn(): Txn<Uint8Array>
  range(options: RangeOptions & { readonly keysOnly: true }): Range<null>
  watch(options: WatchOptions): Watch<Uint8Array>
}

/** Who stands in the queue, in order. */
export interface Standing {
  readonly revision: number
  readonly entries: readonly Entry<unknown>[]
}

/** A key in the queue, and what keeps it there. */
export interface Place {
  readonly lease: Lease
  readonly key: string
  /** The revision at which the key was created: no later one in the queue has a lower one. */
  readonly token: number
  readonly standing: Standing
}

/** The name of a lease's key. */
export function keyOfLease({ id }: Lease): string {
  return id.toString(16).padStart(14, '0')
}

export class Queue {
  readonly #store: QueueStore
  readonly #prefix: string

  /** All its keys begin with `prefix`. */
  constructor(store: QueueStore, prefix = '') {
    this.#store = store
    this.#prefix = prefix
  }

  /** Enters at the end; null where there is somebody already and `ifEmpty` is asked for. */
  async enter(lease: Lease, value: Uint8Array, ifEmpty: boolean, options: CallOptions): Promise<Place | null> {
    const key = this.#prefix + keyOfLease(lease)
    const all = { prefix: this.#prefix }
    const txn = this.#store
      .txn()
      .if(ifEmpty ? cmp(all).absent() : cmp(key).absent())
      .then(op.put(key, value, { lease }), op.getRange({ ...all, keysOnly: true }))
    let standing: Standing
    try {
      const { succeeded, responses, revision } = await txn.commit(options)
      if (!succeeded) return null
      standing = { revision, entries: inOrder(responses[1].entries) }
    } catch (error) {
      if (error instanceof StrettoError && error.code === 'LEASE_NOT_FOUND') throw lockLost('its lease has ended')
      // It has been done, but the answer, with the names of all the others, got lost.
      if (!(error instanceof StrettoError && error.code === 'TOO_LARGE' && error.fate === 'unknown')) throw error
      standing = await this.list(options)
    }
    const own = standing.entries.find(entry => entry.key === key)
    if (own === undefined) throw lockLost('its key is gone')
    return { lease, key, token: own.createRevision, standing }
  }

  /** Waits until nobody stands before it. `signal` ends the wait: by the lease's end above all. */
  async untilFirst({ key, standing }: Place, signal: AbortSignal): Promise<void> {
    let { revision, entries } = standing
    for (;;) {
      const at = entries.findIndex(entry => entry.key === key)
      if (at < 0) throw lockLost('its key is gone')
      if (at === 0) return
      await this.changed({ key: entries[at - 1]!.key }, revision, signal)
      ;({ revision, entries } = await patiently(timeout => this.list({ timeout, signal }), signal))
    }
  }

  async list(options: CallOptions): Promise<Standing> {
    const range = this.#store.range({ prefix: this.#prefix, keysOnly: true, ...options })
    const entries: Entry<null>[] = []
    for await (const entry of range) entries.push(entry)
    return { revision: range.revision ?? 0, entries: inOrder(entries) }
  }

  /** Waits until something of this is deleted after `revision`; it may also be a false alarm. */
  async changed(bounds: { readonly key: Key } | { readonly prefix: Key }, revision: number, signal: AbortSignal) {
    const watch = this.#store.watch({ ...bounds, fromRevision: revision + 1, filter: ['delete'], signal })
    for await (const batch of watch) if (tellsOf(batch)) return
  }
}

function tellsOf({ changes, reset }: Batch<unknown>): boolean {
  return changes.length > 0 || reset === true
}

export function inOrder<E extends Entry<unknown>>(entries: readonly E[]): E[] {
  return entries.toSorted((a, b) => a.createRevision - b.createRevision)
}

const patienceMs = 5000

/** A read that is asked for again for as long as the signal does not end the wait: a cluster may be without leader for a while. */
export async function patiently<T>(ask: (timeoutMs: number) => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await ask(patienceMs)
    } catch (error) {
      if (signal.aborted || !(error instanceof StrettoError && error.code === 'TIMED_OUT')) throw error
    }
  }
}

export function lockLost(why: string): StrettoError {
  return new StrettoError('LOCK_LOST', `the lock is lost: ${why}`)
}

/** Ends a wait: when the lease is lost, when it has taken too long, or when the user gives it up. */
export class Waiting {
  readonly #controller = new AbortController()
  readonly #lease: Lease
  readonly #user: AbortSignal | undefined
  readonly #cancel: (() => void) | null

  /** `waitMs` Infinity: for as long as it takes. */
  constructor(env: Env, lease: Lease, waitMs: number, user: AbortSignal | undefined) {
    this.#lease = lease
    this.#user = user
    lease.lost.addEventListener('abort', this.#onLost)
    if (lease.lost.aborted) this.#onLost()
    user?.addEventListener('abort', this.#onAbort)
    if (user?.aborted === true) this.#onAbort()
    const late = (): void => this.#controller.abort(new StrettoError('TIMED_OUT', `still held after ${waitMs} ms`))
    this.#cancel = waitMs === Number.POSITIVE_INFINITY ? null : env.after(waitMs, late)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  end(): void {
    this.#cancel?.()
    this.#lease.lost.removeEventListener('abort', this.#onLost)
    this.#user?.removeEventListener('abort', this.#onAbort)
  }

  readonly #onLost = (): void => this.#controller.abort(lockLost('its lease could not be renewed in time'))
  readonly #onAbort = (): void => this.#controller.abort(this.#user?.reason)
}
