// The commands of leases, and the record that ends those which have fallen due.
import { assert } from '../../base/assert.ts'
import type { Packed } from '../../record/pack.ts'
import type { GrantCommand, RenewCommand, RevokeCommand } from '../../wire/kv/commands.ts'
import { Refused, type Staging, type Steps } from '../staging.ts'
import { presentOf } from '../version.ts'
import { type Ending, endBytesMax, endKeysMax } from './lease-table.ts'

export function grant({ ttlMs }: GrantCommand, staging: Staging): Packed {
  return [staging.leases.grant(ttlMs), ttlMs]
}

export function renew({ leaseIds }: RenewCommand, staging: Staging): Packed {
  return leaseIds.map(id => staging.leases.renew(id))
}

/** Of a lease with more keys than one command may delete, the first go now, and expiry records take the rest. */
export function* revoke({ leaseId }: RevokeCommand, staging: Staging): Steps<Packed> {
  const lease = staging.leases.find(leaseId)
  if (lease === undefined) throw new Refused('LEASE_NOT_FOUND')
  const keys = lease.keysAfter(null, endKeysMax, endBytesMax)
  yield* end([{ lease, keys }], staging)
  return [keys.length]
}

/** Gives nothing: nobody waits for the answer. */
export function* expire(staging: Staging): Steps<Packed> {
  yield* end(staging.leases.due(), staging)
  return []
}

function* end(endings: readonly Ending[], staging: Staging): Steps<void> {
  yield* staging.fetch(new Map(endings.flatMap(({ keys }) => keys.map(key => [key, true]))))
  for (const { lease, keys } of endings) {
    staging.leases.end(lease)
    for (const key of keys) {
      const entry = presentOf(yield* staging.before(key))
      assert(entry !== null, 'a key of a lease is there')
      staging.delete(key, entry)
    }
  }
}
