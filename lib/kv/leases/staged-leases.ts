// What one command does to leases: staged like its changes of keys, and done with them, or not at all.
import type { Batch } from '../../machine/machine.ts'
import { mix } from '../../machine/state-hash.ts'
import { commandCountMax } from '../../record/record.ts'
import type { PutCommand } from '../../wire/kv/commands.ts'
import type { Lease } from './lease.ts'
import type { Ending, LeaseTable } from './lease-table.ts'

/** Of a lease that is granted by command `number` of the record at `index`; each id comes once. */
export function leaseIdAt(index: number, number: number): number {
  return index * commandCountMax + number
}

export class StagedLeases {
  readonly #table: LeaseTable
  readonly #batch: Batch
  readonly #number: number
  readonly #steps: (() => void)[] = []
  readonly #granted = new Set<number>()
  /** Those that puts of this command have granted, by their ttl. */
  readonly #bound = new Map<number, number>()
  #digest = 0

  constructor(table: LeaseTable, batch: Batch, number: number) {
    this.#table = table
    this.#batch = batch
    this.#number = number
  }

  /** Gives the id; null where a command has granted more than a record has numbers for. */
  grant(ttlMs: number, bound = false): number | null {
    const id = this.#freeId()
    if (id === null) return null
    const { time } = this.#batch
    this.#granted.add(id)
    this.#steps.push(() => this.#table.grant(id, ttlMs, time, bound))
    return id
  }

  /** Gives its ttl in milliseconds, -1 where it is not there. */
  renew(id: number): number {
    const lease = this.#table.find(id)
    if (lease === undefined) return -1
    const { time } = this.#batch
    this.#steps.push(() => this.#table.renew(lease, time))
    return lease.ttlMs
  }

  find(id: number): Lease | undefined {
    return this.#table.find(id)
  }

  /** What has fallen due, as much of it as one record takes. */
  due(): Ending[] {
    return this.#table.due(this.#batch.time)
  }

  end(lease: Lease): void {
    this.#digest = mix(this.#digest, lease.id)
    this.#steps.push(() => this.#table.end(lease))
  }

  /**
   * The lease that a put gives its key, 0 for none; null where it names one that is not there. Puts of one transaction with the
   * same ttl share a lease: they fall due together in any case.
   */
  ofPut({ leaseId = 0, ttlMs = 0 }: PutCommand): number | null {
    if (leaseId !== 0) return this.#table.find(leaseId) === undefined ? null : leaseId
    if (ttlMs === 0) return 0
    const known = this.#bound.get(ttlMs)
    if (known !== undefined) return known
    const id = this.grant(ttlMs, true)
    if (id !== null) this.#bound.set(ttlMs, id)
    return id
  }

  /** Does all of it, before the keys change. Gives what tells it apart from anything else that it might have done. */
  store(): number {
    for (const step of this.#steps) step()
    return this.#digest
  }

  /** The number of the command; for further leases those that no command of the record has. */
  #freeId(): number | null {
    const { index, count } = this.#batch
    const own = leaseIdAt(index, this.#number)
    if (!this.#granted.has(own)) return own
    for (let number = count; number < commandCountMax; number++) {
      const id = leaseIdAt(index, number)
      if (!this.#granted.has(id) && !this.#table.has(id)) return id
    }
    return null
  }
}
