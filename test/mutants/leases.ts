// Mutants of what holders of leases are promised: a lease lasts its ttl, ends then, and its holder knows before.
import { type Mutant, without } from './mutant.ts'

export const leases: readonly Mutant[] = [
  {
    name: 'counts-cluster-time-too-fast',
    invariant: 'IF1',
    also: [],
    patches: [
      { file: 'lib/machine/cluster-time.ts', find: 'this.#time += passed', replace: 'this.#time += 1.5 * passed' }
    ],
    by: { depth: 'shallow', faults: ['delay'] }
  },
  {
    name: 'relies-on-a-lease-until-its-very-end-counted-from-the-answer',
    invariant: 'IF1',
    also: [],
    patches: [
      {
        file: 'lib/client/lease.ts',
        find: 'Math.max(this.#askedAt, askedAt)',
        replace: 'Math.max(this.#keeper.now(), askedAt)'
      },
      { file: 'lib/client/lease.ts', find: 'this.ttl * (1 - marginShare)', replace: 'this.ttl + 0 * marginShare' }
    ],
    by: { depth: 'shallow', faults: ['partition', 'isolate-leader', 'delay', 'slow', 'drop'] }
  },
  {
    name: 'renews-a-lease-for-an-instant',
    invariant: 'IF1',
    also: ['IA3'],
    patches: [
      {
        file: 'lib/kv/leases/lease-table.ts',
        find: 'this.#setDeadline(lease, time + lease.ttlMs)',
        replace: 'this.#setDeadline(lease, time + 1)'
      }
    ],
    by: { depth: 'shallow', faults: ['delay'] }
  },
  {
    name: 'lets-a-lease-go-on-for-ever',
    invariant: 'IF1',
    also: [],
    patches: [without('lib/node/expiry.ts', "if (this.#polled === 'no') this.#poll()")],
    by: { depth: 'shallow', faults: ['delay'] }
  }
]
