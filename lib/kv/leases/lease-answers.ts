// What the machine says about leases: pages of them, and of the keys of one.
import type { Packed } from '../../record/pack.ts'
import type { LeaseRequest } from '../../wire/kv/lease-questions.ts'
import { keyBytes, keyText } from '../version.ts'
import type { Lease } from './lease.ts'
import type { LeaseTable } from './lease-table.ts'

/** Names of keys in one answer. */
const pageBytesMax = 262_144

/** `time`: cluster time in milliseconds, as far as it is known here. */
export function answerLeaseRequest(leases: LeaseTable, request: LeaseRequest, time: number): Packed {
  if (request.op === 'leases') return leasesAfter(leases, request.afterId, request.limit, time)
  const lease = leases.find(request.id)
  if (lease === undefined) return null
  const after = request.afterKey === null ? null : keyText(request.afterKey)
  const keys = lease.keysAfter(after, request.limit, pageBytesMax)
  return [lease.ttlMs, remainingMs(lease, time), lease.keyCount, keys.map(keyBytes)]
}

function leasesAfter(leases: LeaseTable, id: number, limit: number, time: number): Packed {
  const page: Packed[] = []
  if (limit === 0) return page
  for (const lease of leases.after(id)) {
    page.push([lease.id, lease.ttlMs, remainingMs(lease, time), lease.keyCount])
    if (page.length === limit) break
  }
  return page
}

function remainingMs({ deadline }: Lease, time: number): number {
  return Math.max(0, deadline - time)
}
