// Carries a schedule of faults out on a cluster. What does not apply does nothing, so each part of a schedule is one too.

import { nodeLimits } from '../node/limits.ts'
import type { SpaceLevel } from '../node/room.ts'
import { type MemberKey, type Membership, memberKey } from '../raft/types.ts'
import type { SimCluster } from './cluster.ts'
import type { FaultClass, FaultEvent } from './faults.ts'
import type { Death, SimNode } from './node/sim-node.ts'

/** Told of each fault that strikes, and until when, in virtual milliseconds. */
export interface FaultListener {
  struck(event: FaultEvent, nodes: readonly SimNode[], until: number): void
  /** All that lasted is lifted, but for who is held up until its time. */
  lifted(): void
}

/** A damaged node is given this long to be trusted again before another disk may be damaged, milliseconds. */
const mendMsMax = 60_000

export class Nemesis {
  readonly #cluster: SimCluster
  readonly #clients: readonly string[]
  readonly #listener: FaultListener | null
  readonly #lifts = new Set<() => void>()
  #damagedAt = Number.NEGATIVE_INFINITY
  #over = false

  constructor(cluster: SimCluster, clients: readonly string[], listener: FaultListener | null) {
    this.#cluster = cluster
    this.#clients = clients
    this.#listener = listener
  }

  /** From now on each event of the schedule happens at its time. */
  follow(schedule: readonly FaultEvent[]): void {
    const { world } = this.#cluster
    for (const event of schedule) {
      world.after(event.at, null, () => {
        if (!this.#over) this.#strike(event)
      })
    }
  }

  /** All that lasts is lifted, and nothing more happens. What is down stays down, what is damaged damaged. */
  end(): void {
    this.#over = true
    for (const lift of this.#lifts) lift()
    this.#lifts.clear()
    for (const node of this.#cluster.nodes) node.dieAfter(0, () => {})
    this.#cluster.wires.heal()
    this.#cluster.healDisks()
    this.#listener?.lifted()
  }

  #strike(event: FaultEvent): void {
    const { nodes, world } = this.#cluster
    const node = event.node === 'leader' ? this.#cluster.leader : nodes[event.node % nodes.length]
    if (node === null || node === undefined) return
    const whom = this.#act(event, node)
    if (whom !== null) this.#listener?.struck(event, whom, world.now + event.ms)
  }

  /** Whom it concerns, none for all; null where it has done nothing. */
  #act(event: FaultEvent, node: SimNode): readonly SimNode[] | null {
    const { wires } = this.#cluster
    const { kind, ms, amount } = event
    switch (kind) {
      case 'partition':
      case 'one-way':
      case 'bridge':
      case 'ring':
      case 'isolate-leader':
      case 'half-open':
        return this.#part(kind, event, node)
      case 'flapping':
        this.#flap(node, this.#cluster.world.now + ms, Math.max(20, amount))
        return this.#struck(kind, [node])
      case 'drop':
      case 'duplicate':
      case 'delay':
      case 'reorder':
      case 'bandwidth':
        this.#lasting(ms, wires.disturb({ kind, amount }))
        return []
      case 'reset':
        if (node.life === null) return null
        this.#cluster.reset(node)
        return this.#struck(kind, [node])
      case 'crash':
        return this.#crash(node, ms, Math.floor(amount))
      case 'lost-writes':
      case 'torn':
        return this.#down(node, kind === 'torn' ? 'torn' : 'power', ms) ? [node] : null
      case 'crash-all':
        for (const each of this.#cluster.nodes) this.#down(each, 'power', ms + each.random.below(200))
        return this.#struck(kind, [])
      case 'pause':
      case 'stall':
        if (node.life === null) return null
        node.stall(ms)
        return this.#struck(kind, [node])
      case 'slow':
      case 'clock':
        return this.#burden(kind, node, ms, amount)
      case 'bit-rot':
        return this.#rot(node, ms, Math.max(1, Math.floor(amount)))
      case 'wiped-disk':
        return this.#wipe(node)
      case 'compaction':
        return this.#compact(ms, amount * 1024)
      case 'members':
        return this.#change(node, amount)
      case 'io-error':
      case 'full-disk':
      case 'slow-disk':
      case 'hung-disk':
        this.#disturbDisk(kind, node, ms, amount)
        return [node]
    }
  }

  #part(kind: FaultClass, { ms, amount, at }: FaultEvent, node: SimNode): readonly SimNode[] | null {
    const { wires, nodes, leader } = this.#cluster
    const ids = nodes.map(each => each.id)
    const others = [...ids.filter(id => id !== node.id), ...this.#clients]
    const cut = (from: readonly string[], to: readonly string[]): void => this.#lasting(ms, wires.cut(from, to))
    const apart = (one: readonly string[], two: readonly string[]): void => {
      cut(one, two)
      cut(two, one)
    }
    if (kind === 'partition') {
      // Each node falls to one side by a digit of the amount; clients too, by their place.
      const digits = Math.floor(amount * 1_000) + at
      const sideOf = (place: number): boolean => ((digits >> (place % 10)) & 1) === 1
      const hosts = [...ids, ...this.#clients]
      apart(
        hosts.filter((_, place) => sideOf(place)),
        hosts.filter((_, place) => !sideOf(place))
      )
    } else if (kind === 'one-way') {
      if (amount < 0.5) cut(others, [node.id])
      else cut([node.id], others)
    } else if (kind === 'half-open') {
      const other = ids[(ids.indexOf(node.id) + 1 + Math.floor(amount * (ids.length - 1))) % ids.length]!
      cut([node.id], [other])
    } else if (kind === 'isolate-leader') {
      if (leader === null) return null
      apart([leader.id], amount > 0.5 ? [...ids, ...this.#clients] : ids)
      return this.#struck(kind, [leader])
    } else if (kind === 'bridge') {
      const rest = ids.filter(id => id !== node.id)
      const half = Math.ceil(rest.length / 2)
      apart(rest.slice(0, half), rest.slice(half))
    } else this.#ring(ids, apart)
    return this.#struck(kind, kind === 'partition' || kind === 'ring' ? [] : [node])
  }

  /** Each hears as many neighbours on either side as make a majority with it, and no other. */
  #ring(ids: readonly string[], apart: (one: readonly string[], two: readonly string[]) => void): void {
    const reach = Math.max(1, Math.ceil((ids.length - 1) / 4))
    for (let a = 0; a < ids.length; a++) {
      for (let b = a + 1; b < ids.length; b++) {
        const distance = Math.min(b - a, ids.length - (b - a))
        if (distance > reach) apart([ids[a]!], [ids[b]!])
      }
    }
  }

  #flap(node: SimNode, until: number, halfMs: number): void {
    const { world, wires, nodes } = this.#cluster
    if (this.#over || world.now >= until) return
    const others = nodes.filter(each => each !== node).map(each => each.id)
    this.#lasting(halfMs, wires.cut([node.id], others))
    this.#lasting(halfMs, wires.cut(others, [node.id]))
    world.after(2 * halfMs, null, () => this.#flap(node, until, halfMs))
  }

  #crash(node: SimNode, ms: number, effects: number): readonly SimNode[] | null {
    if (node.life === null) return null
    const again = (): void => this.#startLater(node, ms)
    const died = (): void => {
      this.#cluster.wires.count('crash')
      again()
    }
    if (effects === 0) {
      node.crash('killed')
      died()
    } else node.dieAfter(effects, died)
    return [node]
  }

  #down(node: SimNode, death: Death, ms: number): boolean {
    if (node.life === null) return false
    node.crash(death)
    this.#startLater(node, ms)
    return true
  }

  #startLater(node: SimNode, ms: number): void {
    this.#cluster.world.after(ms, null, () => {
      if (!this.#over) node.start()
    })
  }

  #burden(kind: 'slow' | 'clock', node: SimNode, ms: number, amount: number): readonly SimNode[] | null {
    const { life } = node
    const { world } = this.#cluster
    if (life === null) return null
    if (kind === 'slow') {
      life.costMs = amount
      this.#lasting(ms, () => void (life.costMs = 0))
    } else {
      life.setClock(world.now, amount, amount > 1.05 ? ms / 4 : 0)
      this.#lasting(ms, () => life.setClock(world.now, 1, 0))
    }
    return this.#struck(kind, [node])
  }

  #disturbDisk(
    kind: 'io-error' | 'full-disk' | 'slow-disk' | 'hung-disk',
    node: SimNode,
    ms: number,
    amount: number
  ): void {
    const { knobs } = node.disk
    if (kind === 'io-error') {
      knobs.ioErrorChance = amount / 4
      knobs.syncErrorChance = amount / 4
      this.#lasting(ms, () => {
        knobs.ioErrorChance = 0
        knobs.syncErrorChance = 0
      })
    } else if (kind === 'full-disk') {
      const space = spaceLeft(amount)
      if (space === null) knobs.full = true
      else {
        knobs.space = space
        this.#cluster.wires.count('full-disk')
      }
      this.#lasting(ms, () => {
        knobs.full = false
        knobs.space = 'ample'
      })
    } else if (kind === 'slow-disk') {
      knobs.slowFactor = amount
      this.#lasting(ms, () => void (knobs.slowFactor = 1))
    } else knobs.hungUntil = this.#cluster.world.now + ms
  }

  /**
   * The process dies, and its disk has lost or altered something. One disk at a time, and only while the others make a
   * majority of whole ones: what was acknowledged must be somewhere still, or any loss would be excused.
   */
  #rot(node: SimNode, ms: number, blocks: number): readonly SimNode[] | null {
    const { world } = this.#cluster
    const mended = this.#cluster.nodes.every(each => !each.damaged) || world.now - this.#damagedAt > mendMsMax
    if (!mended || node.lost || !this.#cluster.canSpare([node]) || node.node?.raft.status.trusted !== true) return null
    node.crash('killed')
    node.damaged = node.rot(blocks)
    if (node.damaged) this.#damagedAt = world.now
    this.#startLater(node, ms)
    return [node]
  }

  /** The node is gone with its disk: nobody comes back under its key. */
  #wipe(node: SimNode): readonly SimNode[] | null {
    if (node.lost || !this.#cluster.canSpare([node])) return null
    node.crash('power')
    node.disk.wipe()
    node.lost = true
    this.#cluster.wires.count('wiped-disk')
    return [node]
  }

  /** Logs have a small bound for a while, and states are flushed often enough for that to matter. */
  #compact(ms: number, bytes: number): readonly SimNode[] {
    for (const { limits } of this.#cluster.nodes) {
      limits.logBytesMax = bytes
      limits.flushAfterMs = 200
    }
    this.#lasting(ms, () => {
      for (const { limits } of this.#cluster.nodes) {
        limits.logBytesMax = nodeLimits.logBytesMax
        limits.flushAfterMs = nodeLimits.flushAfterMs
      }
    })
    return this.#struck('compaction', [])
  }

  /** Whoever leads is asked for another configuration; it may well refuse. */
  #change(node: SimNode, amount: number): readonly SimNode[] | null {
    const leader = this.#cluster.leader?.node
    if (leader == null) return null
    const { membership } = leader.raft.status
    if (amount < 0.25 && this.#comeBack()) return this.#struck('members', [node])
    const lost = this.#cluster.nodes.find(each => each.lost && membership.members.some(({ key }) => key === each.key))
    let target = nextMembership(membership, amount < 0.5 && lost !== undefined ? lost : node)
    // Two at once, so that nothing but a joint configuration leads there.
    const { nodes } = this.#cluster
    if (amount > 0.7) target = nextMembership(target, nodes[(nodes.indexOf(node) + 1) % nodes.length]!)
    leader.change(target, () => {})
    return this.#struck('members', [node])
  }

  /** A node that had lost its disk is started with an empty one, and let in in the place of the former: `members replace`. */
  #comeBack(): boolean {
    const cluster = this.#cluster
    const node = cluster.nodes.find(({ lost }) => lost)
    if (node === undefined) return false
    return node.comeBack(incarnation => {
      const leader = cluster.leader?.node
      if (leader == null) return false
      const { membership } = leader.raft.status
      if (membership.members.some(({ key }) => key === memberKey(node.id, incarnation))) return true
      leader.change(replaced(membership, node, incarnation), () => {})
      return false
    })
  }

  #struck(kind: FaultClass, whom: readonly SimNode[]): readonly SimNode[] {
    this.#cluster.wires.count(kind)
    return whom
  }

  #lasting(ms: number, lift: () => void): void {
    const once = (): void => {
      if (this.#lifts.delete(once)) lift()
    }
    this.#lifts.add(once)
    this.#cluster.world.after(ms, null, once)
  }
}

/** All members of this id give way to one with this incarnation, which learns at first. */
function replaced({ voters, learners, members }: Membership, { id, parts }: SimNode, incarnation: string): Membership {
  const key = memberKey(id, incarnation)
  const left = members.filter(member => member.id !== id)
  const stays = (other: MemberKey): boolean => left.some(member => member.key === other)
  return {
    voters: voters.filter(stays),
    outgoing: null,
    learners: [...learners.filter(stays), key],
    members: [...left, { key, id, incarnation, address: parts.address }]
  }
}

/** What a disk that fills has left; null for nothing, so that every write is refused. */
function spaceLeft(amount: number): SpaceLevel | null {
  if (amount < 0.4) return null
  if (amount < 0.6) return 'none'
  return amount < 0.8 ? 'scarce' : 'low'
}

/** A voter becomes a learner, a learner a voter; who is lost is removed. */
function nextMembership({ voters, learners, members }: Membership, { key, lost }: SimNode): Membership {
  if (lost) {
    const stays = (other: MemberKey): boolean => other !== key
    const left = members.filter(member => member.key !== key)
    return { voters: voters.filter(stays), outgoing: null, learners: learners.filter(stays), members: left }
  }
  const isVoter = voters.includes(key)
  const without = (keys: readonly MemberKey[]): MemberKey[] => keys.filter(other => other !== key)
  return {
    voters: isVoter ? without(voters) : [...voters, key],
    outgoing: null,
    learners: isVoter ? [...learners, key] : without(learners),
    members
  }
}
