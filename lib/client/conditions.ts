// What options ask of the store before it does something: conditions of writes, and how fresh reads have to be.
import { StrettoError } from '../base/errors.ts'
import { type Consistency, consistencies } from '../wire/client.ts'
import type { Fencing } from '../wire/kv/commands.ts'
import { encodeKey } from './encoding.ts'
import { countOf, type LeaseOptions, type LeaseRef, msOf, type PutOptions, type ReadOptions } from './options.ts'

/** The revision that the entry has to be of, null for any. @throws StrettoError BAD_REQUEST */
export function conditionOf({ ifRevision, ifAbsent }: PutOptions): number | null {
  if (ifAbsent === true) {
    if (ifRevision !== undefined) throw contradiction('ifAbsent', 'ifRevision')
    return 0
  }
  return ifRevision === undefined ? null : countOf(ifRevision, 'ifRevision', 0)
}

/** @throws StrettoError BAD_REQUEST */
export function fencingOf({ fencing }: Pick<PutOptions, 'fencing'>): Fencing | null {
  if (fencing === undefined) return null
  return { key: encodeKey(fencing.key), token: countOf(fencing.fencingToken, 'fencingToken', 1) }
}

/** What a put says of the lease of its key. @throws StrettoError BAD_REQUEST */
export function leaseOf({ ttl, lease }: LeaseOptions): { readonly ttlMs: number; readonly leaseId: number } {
  if (ttl !== undefined && lease !== undefined) throw contradiction('ttl', 'lease')
  // A key lives no shorter than it was told to.
  const ttlMs = ttl === undefined ? 0 : Math.ceil(msOf(ttl, 'ttl'))
  return { ttlMs, leaseId: lease === undefined ? 0 : leaseIdOf(lease) }
}

/** @throws StrettoError BAD_REQUEST */
export function leaseIdOf(lease: LeaseRef): number {
  return countOf(typeof lease === 'number' ? lease : lease.id, 'lease', 1)
}

/** @throws StrettoError BAD_REQUEST */
export function consistencyOf({ consistency = 'linearizable' }: ReadOptions): Consistency {
  if (consistencies.includes(consistency)) return consistency
  throw new StrettoError('BAD_REQUEST', `consistency: one of ${consistencies.join(', ')}`)
}

/** @throws StrettoError BAD_REQUEST */
export function minRevisionOf({ minRevision }: ReadOptions): number {
  return minRevision === undefined ? 0 : countOf(minRevision, 'minRevision', 0)
}

/** Milliseconds, 0 for however old. @throws StrettoError BAD_REQUEST */
export function maxStalenessOf({ maxStaleness, consistency }: ReadOptions): number {
  if (maxStaleness === undefined) return 0
  if (consistency !== 'stale') throw new StrettoError('BAD_REQUEST', "maxStaleness: only with consistency 'stale'")
  // A bound is never widened, and 0 would be none.
  return Math.max(1, Math.floor(msOf(maxStaleness, 'maxStaleness')))
}

function contradiction(one: string, other: string): StrettoError {
  return new StrettoError('BAD_REQUEST', `\`${one}\` and \`${other}\` exclude each other`)
}
