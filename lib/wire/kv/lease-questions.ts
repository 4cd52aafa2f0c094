// What the key-value machine is asked about leases, as msgpack arrays; part of a question (`questions.ts`).
//
//   lease      [3, lease id, after key | null, limit]   answer: null | [ttl ms, remaining ms, number of keys, [key, ...]]
//   leases     [4, after id, limit]                     answer: [[lease id, ttl ms, remaining ms, number of keys], ...]
// Keys come in order, those after `after key`; leases in order of their ids, those after `after id`. The machine may give fewer
// than the limit, and then gives one at least where there is one. Remaining is 0 for one that has fallen due and waits to end.
import type { Packed } from '../../record/pack.ts'
import { malformed, readKey, readNumber } from './fields.ts'

export const leaseQuestionOp = { lease: 3, leases: 4 } as const

/** Keys or leases in one answer. */
export const leasePageMax = 1000

export type LeaseRequest =
  | { readonly op: 'lease'; readonly id: number; readonly afterKey: Uint8Array | null; readonly limit: number }
  | { readonly op: 'leases'; readonly afterId: number; readonly limit: number }

export interface LeaseStatus {
  readonly id: number
  readonly ttlMs: number
  readonly remainingMs: number
  readonly keyCount: number
}

export function packLeaseRequest(request: LeaseRequest): Packed {
  if (request.op === 'leases') return [leaseQuestionOp.leases, request.afterId, request.limit]
  return [leaseQuestionOp.lease, request.id, request.afterKey, request.limit]
}

/** Null for a request of another kind. @throws StrettoError BAD_REQUEST, TOO_LARGE */
export function readLeaseRequest(fields: readonly Packed[]): LeaseRequest | null {
  if (fields[0] === leaseQuestionOp.lease) {
    const afterKey = fields[2] === undefined || fields[2] === null ? null : readKey(fields[2])
    return { op: 'lease', id: readNumber(fields[1], 'a lease', 1), afterKey, limit: limitOf(fields[3]) }
  }
  if (fields[0] === leaseQuestionOp.leases) {
    return { op: 'leases', afterId: readNumber(fields[1], 'a lease', 0), limit: limitOf(fields[2]) }
  }
  return null
}

function limitOf(value: Packed | undefined): number {
  return Math.min(leasePageMax, readNumber(value, 'a limit', 0))
}

/** What is known of one lease, and some of its keys; null where it is not there. @throws StrettoError BAD_REQUEST */
export function readLeaseAnswer(id: number, value: Packed): (LeaseStatus & { readonly keys: Uint8Array[] }) | null {
  if (value === null) return null
  const [ttlMs, remainingMs, keyCount, keys] = fieldsOf(value)
  if (!Array.isArray(keys)) throw malformed('a lease without a list of keys')
  const status = readStatus([id, ttlMs!, remainingMs!, keyCount!])
  return { ...status, keys: (keys as Packed[]).map(readKey) }
}

/** @throws StrettoError BAD_REQUEST */
export function readLeasesAnswer(value: Packed): LeaseStatus[] {
  return fieldsOf(value).map(readStatus)
}

function readStatus(value: Packed): LeaseStatus {
  const [id, ttlMs, remainingMs, keyCount] = fieldsOf(value)
  return {
    id: readNumber(id, 'a lease', 1),
    ttlMs: readNumber(ttlMs, 'a ttl', 0),
    remainingMs: readNumber(remainingMs, 'a time', 0),
    keyCount: readNumber(keyCount, 'a number of keys', 0)
  }
}

function fieldsOf(value: Packed): readonly Packed[] {
  if (!Array.isArray(value)) throw malformed('an answer that is no array')
  return value as Packed[]
}
