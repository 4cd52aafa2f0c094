// All leases in memory, in the order in which they fall due, and which of them the next flush has to write.
//
// A lease is there from the command that grants it until its last key is deleted with it. What falls due at a time is told by
// the deadlines alone, which stand in the state: so an expiry record needs to name nothing but its time, and one that comes
// late, from a leader that was held up, finds the lease renewed.

import sortedBTree from 'sorted-btree'
import { assert } from '../../base/assert.ts'
import { mix } from '../../machine/state-hash.ts'
import { endedDeadline, Lease } from './lease.ts'

/** Keys of one lease that one command or record may delete, and bytes of their names. */
export const endKeysMax = 10_000
export const endBytesMax = 4_194_304
/** An expiry record takes further leases up to so many keys: the commands behind it do not wait long. */
const expiryKeysAim = 1_000
const expiryLeasesMax = 10_000

/** By measurement, what the row of a changed lease takes until it is flushed. */
const changedBytes = 120

/** What the flush writes of a lease. */
export interface LeaseRow {
  readonly ttlMs: number
  readonly deadline: number
  readonly bound: boolean
}

/**
 * How many leases there are, and a sum over all of them: a flush that is missing in the midst of a state shows by it, since
 * one that changes nothing but leases leaves the revision and has no generation of its own.
 */
export interface LeaseSum {
  readonly count: number
  readonly sum: number
}

/** What one flush writes. */
export interface LeaseChanges {
  /** By the id of the lease; null: it is there no more. */
  readonly rows: ReadonlyMap<number, LeaseRow | null>
  /** Null as long as there has never been a lease. */
  readonly sum: LeaseSum | null
}

export const noLeaseChanges: LeaseChanges = { rows: new Map(), sum: null }

/** A lease that is to end, and those of its keys that go first. */
export interface Ending {
  readonly lease: Lease
  readonly keys: readonly string[]
}

export class LeaseTable {
  readonly #leases = new sortedBTree.default<number, Lease>()
  readonly #order = new sortedBTree.default<Lease, undefined>(undefined, compareDue)
  #changed = new Map<number, LeaseRow | null>()
  /** Leases that keys have left while several are moved together; null else. */
  #left: Set<Lease> | null = null
  /** Modulo 2^32. */
  #sum = 0
  #used = false

  get count(): number {
    return this.#leases.size
  }

  /** The earliest deadline, cluster time in milliseconds; Infinity where there is no lease. */
  get dueAt(): number {
    return this.#order.minKey()?.deadline ?? Number.POSITIVE_INFINITY
  }

  /** Bytes of what the next flush has to write, by its own account. */
  get changedBytes(): number {
    return this.#changed.size * changedBytes
  }

  has(id: number): boolean {
    return this.#leases.has(id)
  }

  /** One that has ended is not found, whether or not all its keys are gone. */
  find(id: number): Lease | undefined {
    const lease = this.#leases.get(id)
    return lease?.ended === true ? undefined : lease
  }

  /** `bound`: it ends with its last key. */
  grant(id: number, ttlMs: number, time: number, bound: boolean): Lease {
    assert(!this.#leases.has(id), 'an id is granted once')
    const lease = new Lease(id, ttlMs, time + ttlMs, bound)
    this.#add(lease)
    this.#note(lease)
    return lease
  }

  /** It lasts its ttl from `time` on. */
  renew(lease: Lease, time: number): void {
    assert(!lease.ended, 'what has ended is not renewed')
    this.#setDeadline(lease, time + lease.ttlMs)
  }

  /** The key, so far of lease `from`, is now of lease `to`; 0 for none. A lease that ends with its last key may be gone then. */
  move(key: string, from: number, to: number): void {
    if (from === to) return
    const left = from === 0 ? undefined : this.#leases.get(from)
    if (to !== 0) {
      const lease = this.#leases.get(to)
      assert(lease !== undefined, 'a key is given to a lease that is there')
      lease.add(key)
    }
    if (left === undefined) return
    assert(left.delete(key), 'a lease knows its keys')
    if (this.#left !== null) this.#left.add(left)
    else this.#leave(left)
  }

  /** What `moves` moves counts as one: a lease that loses its last key and is given another is not gone between the two. */
  together(moves: () => void): void {
    const left = new Set<Lease>()
    this.#left = left
    moves()
    this.#left = null
    for (const lease of left) this.#leave(lease)
  }

  /** From now on it is not found. It is gone as soon as it has no key; those that it has are due. */
  end(lease: Lease): void {
    if (!lease.ended) this.#setDeadline(lease, endedDeadline)
    if (lease.keyCount === 0) this.#remove(lease)
  }

  /**
   * What has fallen due before `time`, as much of it as one record may take, the earliest first: whole leases, or the first
   * keys of one that has more than one record may delete.
   */
  due(time: number): Ending[] {
    const due: Ending[] = []
    let count = 0
    let bytes = 0
    for (const lease of this.#order.keys()) {
      if (lease.deadline >= time || due.length === expiryLeasesMax) break
      const first = due.length === 0
      const keys = lease.keysAfter(null, first ? endKeysMax : expiryKeysAim - count, endBytesMax - bytes)
      const whole = keys.length === lease.keyCount
      if (!first && !whole) break
      due.push({ lease, keys })
      if (!whole) break
      count += keys.length
      for (const key of keys) bytes += key.length
      if (count > expiryKeysAim) break
    }
    return due
  }

  /** Leases in order of their ids, without those that have ended. */
  *after(id: number): Generator<Lease, undefined> {
    for (const [, lease] of this.#leases.entries(id + 1)) if (!lease.ended) yield lease
  }

  /** What has changed since the last call, for the flush of a generation that is frozen now. */
  takeChanged(): LeaseChanges {
    const rows = this.#changed
    this.#changed = new Map()
    return { rows, sum: this.#used ? this.sum : null }
  }

  get sum(): LeaseSum {
    return { count: this.count, sum: this.#sum }
  }

  /** As it stands on disk. */
  load(id: number, { ttlMs, deadline, bound }: LeaseRow): void {
    this.#add(new Lease(id, ttlMs, deadline, bound))
  }

  /** False where there is no such lease. */
  loadKey(id: number, key: string): boolean {
    const lease = this.#leases.get(id)
    lease?.add(key)
    return lease !== undefined
  }

  #add(lease: Lease): void {
    this.#used = true
    this.#leases.set(lease.id, lease)
    this.#order.set(lease, undefined)
    this.#sum = (this.#sum + hashOf(lease)) >>> 0
  }

  #setDeadline(lease: Lease, deadline: number): void {
    if (deadline === lease.deadline) return
    this.#order.delete(lease)
    this.#sum = (this.#sum - hashOf(lease)) >>> 0
    lease.deadline = deadline
    this.#sum = (this.#sum + hashOf(lease)) >>> 0
    this.#order.set(lease, undefined)
    this.#note(lease)
  }

  /** A key of it is gone. */
  #leave(lease: Lease): void {
    if (lease.keyCount === 0 && (lease.bound || lease.ended)) this.#remove(lease)
  }

  #remove(lease: Lease): void {
    this.#order.delete(lease)
    this.#leases.delete(lease.id)
    this.#sum = (this.#sum - hashOf(lease)) >>> 0
    this.#changed.set(lease.id, null)
  }

  #note({ id, ttlMs, deadline, bound }: Lease): void {
    this.#changed.set(id, { ttlMs, deadline, bound })
  }
}

function hashOf({ id, ttlMs, deadline, bound }: Lease): number {
  return mixNumber(mixNumber(mixNumber(bound ? 1 : 2, id), ttlMs), deadline)
}

function mixNumber(hash: number, number: number): number {
  return mix(mix(hash, number), Math.floor(number / 0x1_0000_0000))
}

function compareDue(a: Lease, b: Lease): number {
  return a.deadline - b.deadline || a.id - b.id
}
