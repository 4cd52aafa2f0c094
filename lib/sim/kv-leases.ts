// Holders of leases in the built-in workload: they rely on what they were promised, and are judged when a lease ends.
import { StrettoError } from '../base/errors.ts'
import { Client } from '../client/kv-client.ts'
import type { Lease } from '../client/lease.ts'
import type { GhostLeases } from './ghost/ghost-leases.ts'
import { hold, Violation } from './ghost/violation.ts'
import { Caller, type Calls, callMsMax, type WorkloadParts } from './workload.ts'

export const holdersMax = 2
const ttlMsLeast = 1_000
const ttlMsMax = 3_000
const heldMsMax = 4_000
const restMsMax = 400
/** All leases that nobody keeps have ended so long after all is well, at the latest. */
const endedMsMax = ttlMsMax + 7_000

export class KvLeases {
  readonly callers: readonly Caller[]
  readonly #parts: WorkloadParts
  readonly #calls: Calls
  readonly #ghost: GhostLeases
  /** Leases that somebody relies on. */
  readonly #held = new Map<number, Lease>()
  /** Until when, by the clock of the world, a lease was promised to last. */
  readonly #promised = new Map<number, number>()
  #stopped = false

  constructor(parts: WorkloadParts, calls: Calls, ghost: GhostLeases, count: number) {
    this.#parts = parts
    this.#calls = calls
    this.#ghost = ghost
    this.callers = Array.from({ length: count }, (_, at) => new Caller(parts.cluster, 700 + at))
    ghost.onExpiry = id => this.#ended(id)
  }

  start(): void {
    for (const caller of this.callers) this.#calls.run(() => this.#live(caller))
  }

  stop(): void {
    this.#stopped = true
  }

  /** The cluster is whole again, and nobody keeps a lease: all of them end. */
  async level(caller: Caller): Promise<void> {
    const { world } = this.#parts.cluster
    const begun = world.now
    while (this.#ghost.ids.length > 0) {
      hold(world.now - begun < endedMsMax, 'IF1', () => `lease ${this.#ghost.ids[0]} outlives its ttl`)
      await caller.sleep(100)
    }
  }

  async #live(caller: Caller): Promise<void> {
    const { random } = caller
    const db = new Client<string>(caller.parts, caller.endpoints, { timeout: callMsMax })
    for (let round = 0; !this.#stopped; round++) {
      try {
        if (random.below(3) === 0) await this.#putForAWhile(caller, db)
        else await this.#hold(caller, db)
      } catch (error) {
        if (!(error instanceof StrettoError)) throw error
      }
      await caller.sleep(1 + random.below(restMsMax))
    }
    await db.close()
  }

  /** A key with a ttl of its own, which nobody renews. */
  async #putForAWhile(caller: Caller, db: Client<string>): Promise<void> {
    const { world } = this.#parts.cluster
    const ttl = ttlMsLeast + caller.random.below(ttlMsMax - ttlMsLeast)
    const asked = world.now
    const { leaseId } = await this.#calls.make(caller.process, 'put with a ttl', () =>
      db.put(`t${caller.process}`, 'x', { ttl })
    )
    if (leaseId !== undefined) this.#promise(leaseId, asked + ttl)
  }

  /** Holds a lease for a while, with some keys; in the end it is revoked, or nobody keeps it any more. */
  async #hold(caller: Caller, db: Client<string>): Promise<void> {
    const { random } = caller
    const ttl = ttlMsLeast + random.below(ttlMsMax - ttlMsLeast)
    const lease = await db.lease({ ttl })
    this.#judgeHeld(lease)
    this.#held.set(lease.id, lease)
    const until = this.#parts.cluster.world.now + random.below(heldMsMax)
    for (let at = 0; at < 3 && !lease.lost.aborted; at++) {
      await this.#calls.make(caller.process, 'put with a lease', () =>
        db.put(`l${caller.process}.${at}`, 'x', { lease })
      )
    }
    while (this.#parts.cluster.world.now < until && !this.#stopped && !lease.lost.aborted) await caller.sleep(50)
    await lease.revoke({ timeout: callMsMax })
  }

  #promise(id: number, until: number): void {
    const { world } = this.#parts.cluster
    this.#promised.set(id, until)
    if (this.#parts.cluster.struck.clock !== undefined) return
    if (this.#ghost.expired.has(id)) hold(world.now >= until, 'IF1', () => `lease ${id} has ended before its ttl`)
  }

  /** What was granted just now, and has ended before the holder could know of it. */
  #judgeHeld(lease: Lease): void {
    const gone =
      this.#ghost.expired.has(lease.id) && !lease.lost.aborted && this.#parts.cluster.struck.clock === undefined
    hold(!gone, 'IF1', () => `lease ${lease.id} has ended, and its holder does not know`)
  }

  /** A lease has fallen due on the first node. Where clocks have been made to leap nobody can rely on them. */
  #ended(id: number): void {
    const { cluster } = this.#parts
    if (cluster.struck.clock !== undefined) return
    const lease = this.#held.get(id)
    const until = this.#promised.get(id) ?? 0
    if (lease !== undefined && !lease.lost.aborted) {
      cluster.fail(new Violation('IF1', `lease ${id} ends while its holder relies on it`))
    }
    if (cluster.world.now < until) cluster.fail(new Violation('IF1', `lease ${id} ends before its ttl`))
  }
}
