// The leases as the commands alone make them, and when each of them ended: what clients were promised is judged by it.

interface GhostLease {
  readonly ttlMs: number
  /** It ends with its last key. */
  readonly bound: boolean
  deadline: number
}

export class GhostLeases {
  /** Those that an expiry record has ended. */
  readonly expired = new Set<number>()
  /** Told of each lease that falls due, as soon as the first node ends it. */
  onExpiry: (id: number) => void = () => {}
  readonly #leases = new Map<number, GhostLease>()
  readonly #leaseOf = new Map<string, number>()

  get ids(): readonly number[] {
    return [...this.#leases.keys()]
  }

  grant(id: number, ttlMs: number, time: number, bound = false): void {
    this.#leases.set(id, { ttlMs, bound, deadline: time + ttlMs })
  }

  renew(ids: readonly number[], time: number): void {
    for (const id of ids) {
      const lease = this.#leases.get(id)
      if (lease !== undefined) lease.deadline = time + lease.ttlMs
    }
  }

  /** The key is now of this lease, 0 for none. */
  move(key: string, id: number): void {
    const before = this.#leaseOf.get(key) ?? 0
    if (id === 0) this.#leaseOf.delete(key)
    else this.#leaseOf.set(key, id)
    if (before !== id && this.#leases.get(before)?.bound === true && this.#keysOf(before).length === 0) {
      this.#leases.delete(before)
    }
  }

  /** Gives the keys that go with it. */
  revoke(id: number): readonly string[] {
    this.#leases.delete(id)
    return this.#keysOf(id)
  }

  /** Gives the keys that go, those of the earliest deadline first. */
  expire(time: number): readonly string[] {
    const due = [...this.#leases].filter(([, { deadline }]) => deadline < time)
    due.sort(([a, x], [b, y]) => x.deadline - y.deadline || a - b)
    const keys = due.flatMap(([id]) => this.revoke(id))
    for (const [id] of due) {
      this.expired.add(id)
      this.onExpiry(id)
    }
    return keys
  }

  #keysOf(id: number): string[] {
    const keys = [...this.#leaseOf].filter(([, lease]) => lease === id).map(([key]) => key)
    return keys.sort()
  }
}
