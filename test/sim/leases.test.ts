// Leases in a whole cluster: they last their ttl through changes of the leader, and no longer than the time without one.
import { t } from 'tap'
import { Client } from '../../lib/client/kv-client.ts'
import { SimCluster } from '../../lib/sim/cluster.ts'
import { GhostStore } from '../../lib/sim/ghost/ghost-store.ts'
import { keyValueMachines } from '../../lib/sim/ghost/machines.ts'
import type { SimNode } from '../../lib/sim/node/sim-node.ts'
import { Caller } from '../../lib/sim/workload.ts'

/** A heartbeat, by which a new leader may be behind in time; a poll, and two rounds. */
const slackMs = 250

class Bed {
  readonly cluster: SimCluster
  readonly store = new GhostStore()
  /** When each lease fell due. */
  readonly ended = new Map<number, number>()
  readonly #clients: Client<string>[] = []

  constructor(seed: number, nodes = 3) {
    this.cluster = new SimCluster({ seed, nodes, depth: 'shallow', machine: keyValueMachines })
    this.cluster.checks.store = this.store
    this.store.leases.onExpiry = id => this.ended.set(id, this.now)
  }

  client(): Client<string> {
    const caller = new Caller(this.cluster, this.#clients.length + 1)
    const client = new Client<string>(caller.parts, caller.endpoints, { timeout: 8_000 })
    this.#clients.push(client)
    return client
  }

  get now(): number {
    return this.cluster.world.now
  }

  get term(): number {
    return this.cluster.leader?.node?.raft.status.term ?? 0
  }

  /** There is a leader of a later term, and its own record is applied: what it proposes goes on. */
  leadsAfter(term: number): boolean {
    return this.term > term && this.cluster.leader!.replicated?.applied.term === this.term
  }

  async until(text: string, condition: () => boolean, ms = 20_000): Promise<void> {
    if (!(await this.cluster.play(ms, condition))) throw new Error(`not so after ${ms} ms: ${text}`)
  }

  async rest(ms: number): Promise<void> {
    await this.cluster.play(ms)
  }

  /** Waits for a call. */
  async done<T>(call: Promise<T>): Promise<T> {
    let settled = false
    const ended = (): void => void (settled = true)
    call.then(ended, ended)
    await this.until('a call has ended', () => settled)
    return await call
  }

  /** Leases are understood. */
  async ready(): Promise<this> {
    const inForce = (): boolean => this.cluster.nodes.every(({ replicated }) => replicated?.version === 2)
    await this.until('version 2 is in force', inForce)
    return this
  }
}

type Change = (bed: Bed, leader: SimNode) => void

const changes: Readonly<Record<string, Change>> = {
  'that dies': (_bed, leader) => leader.crash('killed'),
  'that is cut off': ({ cluster }, leader) => {
    const others = cluster.nodes.map(({ id }) => id).filter(id => id !== leader.id)
    cluster.wires.cut([leader.id], [...others, 'c1'])
    cluster.wires.cut([...others, 'c1'], [leader.id])
  },
  'that stands still': (_bed, leader) => leader.stall(5_000),
  'that hands over': (_bed, leader) => leader.node!.transfer(null)
}

for (const [name, change] of Object.entries(changes)) {
  t.test(`a leader ${name} neither shortens a lease nor lengthens it by more than the time without one`, async t => {
    for (let seed = 1; seed <= 6; seed++) {
      const bed = await new Bed(seed).ready()
      const asked = bed.now
      const { leaseId } = await bed.done(bed.client().put('k', 'v', { ttl: 4_000 }))
      const granted = bed.now
      await bed.rest(300 + 500 * seed)
      const { term, now: begun } = bed
      change(bed, bed.cluster.leader!)
      await bed.until('there is another leader', () => bed.leadsAfter(term))
      const leaderlessMs = bed.now - begun
      await bed.until('it has ended', () => bed.ended.has(leaseId!))
      const ended = bed.ended.get(leaseId!)!
      t.ok(ended - asked >= 4_000, `seed ${seed}: it has lasted ${ended - asked} ms`)
      const longest = 4_000 + leaderlessMs + slackMs
      t.ok(ended - granted <= longest, `seed ${seed}: ${ended - granted} ms, ${leaderlessMs} of them without a leader`)
    }
  })
}

t.test('where nothing happens at all a lease ends in time, with one node and with three', async t => {
  for (const nodes of [1, 3]) {
    const bed = await new Bed(7, nodes).ready()
    const asked = bed.now
    const { leaseId } = await bed.done(bed.client().put('k', 'v', { ttl: 30_000 }))
    await bed.until('it has ended', () => bed.ended.has(leaseId!), 40_000)
    const lasted = bed.ended.get(leaseId!)! - asked
    t.ok(lasted >= 30_000 && lasted < 30_000 + slackMs, `${nodes} nodes: ${lasted} ms`)
  }
})

t.test(
  'a leader that stood still for longer than a ttl ends nothing that was renewed elsewhere meanwhile (J8)',
  async t => {
    for (let seed = 1; seed <= 6; seed++) {
      const bed = await new Bed(seed).ready()
      const db = bed.client()
      const lease = await bed.done(db.lease({ ttl: 3_000 }))
      await bed.done(db.put('k', 'v', { lease }))
      const { term } = bed
      bed.cluster.leader!.stall(7_000)
      await bed.until('there is another leader', () => bed.leadsAfter(term))
      await bed.rest(15_000)
      t.notOk(bed.ended.has(lease.id), `seed ${seed}: it is kept alive`)
      t.notOk(lease.lost.aborted)
      t.ok(await bed.done(db.get('k')))
      await bed.done(db.close())
      await bed.until('it has ended', () => bed.ended.has(lease.id))
      t.equal(await bed.done(bed.client().get('k')), null)
    }
  }
)

t.test('whoever loses the cluster knows it before the lease ends', async t => {
  for (let seed = 1; seed <= 6; seed++) {
    const bed = await new Bed(seed).ready()
    const lease = await bed.done(bed.client().lease({ ttl: 2_000 }))
    await bed.rest(400 * seed)
    const ids = bed.cluster.nodes.map(({ id }) => id)
    bed.cluster.wires.cut(['c1'], ids)
    bed.cluster.wires.cut(ids, ['c1'])
    await bed.until('it is lost', () => lease.lost.aborted)
    t.notOk(bed.ended.has(lease.id), `seed ${seed}`)
    await bed.until('it has ended', () => bed.ended.has(lease.id))
  }
})

t.test('a renewal and a revocation at once: one of them comes first, and the lease is gone (J10)', async t => {
  const bed = await new Bed(9).ready()
  const [one, other] = [bed.client(), bed.client()]
  for (let round = 0; round < 20; round++) {
    const { id } = await bed.done(one.lease({ ttl: 5_000 }))
    await bed.done(one.put('k', String(round), { lease: id }))
    const renewed = other.leases.renew(id).catch((error: { readonly code: string }) => error.code)
    const { deleted } = await bed.done(one.leases.revoke(id))
    t.equal(deleted, 1)
    t.ok([5_000, 'LEASE_NOT_FOUND'].includes(await bed.done(renewed)))
    t.equal(await bed.done(other.leases.ttl(id)), null)
    t.equal(await bed.done(other.get('k')), null)
  }
})

t.test('many leases that fall due within a second are gone soon, without an election, while writes go on', async t => {
  const bed = await new Bed(11).ready()
  const db = bed.client()
  const count = 6_000
  const puts = Array.from({ length: count }, (_, at) => db.put(`k${at}`, 'v', { ttl: 5_000 + (at % 1_000) }))
  await bed.done(Promise.all(puts))
  const { term } = bed
  const due = bed.now + 6_000
  let writes = 0
  while (bed.ended.size < count && bed.now < due + 10_000) {
    await bed.done(db.put('other', String(++writes)))
    await bed.rest(20)
  }
  t.equal(bed.ended.size, count)
  t.ok(bed.now - due < 10_000, `${Math.round(bed.now - due)} ms after the last of them was due`)
  t.equal(bed.term, term)
  t.equal(await bed.done(db.count()), 1)
})
