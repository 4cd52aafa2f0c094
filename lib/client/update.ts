// `update`: reads an entry, has the next value made of it, and stores that where nobody came between.
import { StrettoError } from '../base/errors.ts'
import { Attempts } from './attempts.ts'
import type { Key } from './encoding.ts'
import type { Entry, PutResult } from './entry.ts'
import { type CallOptions, checkNames, known, type PutOptions } from './options.ts'
import type { SessionClient } from './session-client.ts'

export interface UpdateResult<V> {
  /** What was stored. */
  readonly value: V
  readonly revision: number
}

/** The store, as far as it is needed here. */
interface Updatable<V> {
  get(key: Key, options: CallOptions): Promise<Entry<V> | null>
  put(key: Key, value: V, options: PutOptions): Promise<PutResult<V>>
}

/** The next value; `value` is null, and so is the entry, where there is none. It may be called several times. */
export type Change<V> = (value: V | null, entry: Entry<V> | null) => V | Promise<V>

export async function update<V>(
  store: Updatable<V>,
  session: SessionClient,
  key: Key,
  change: Change<V>,
  options: CallOptions
): Promise<UpdateResult<V>> {
  checkNames(options, known.call)
  const attempts = new Attempts(session, options)
  let entry = await store.get(key, attempts.options)
  for (;;) {
    const value = await change(entry === null ? null : entry.value, entry)
    const lease = entry !== null && entry.leaseId !== 0 ? { lease: entry.leaseId } : {}
    try {
      const ifRevision = entry === null ? 0 : entry.modRevision
      const { revision } = await store.put(key, value, { ...attempts.options, ...lease, ifRevision })
      return { value, revision }
    } catch (error) {
      if (!cameBetween(error)) throw error
      await attempts.rest()
      entry = await store.get(key, attempts.options)
    }
  }
}

/** Somebody has changed the entry, or its lease has ended and the entry with it. */
function cameBetween(error: unknown): boolean {
  return error instanceof StrettoError && (error.code === 'CONDITION_FAILED' || error.code === 'LEASE_NOT_FOUND')
}
