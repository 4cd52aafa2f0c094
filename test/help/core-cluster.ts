// A cluster of cores in one thread: virtual time, a network held in a list, disks that forget what was not yet written,
// and a judge that looks at every step.
import { defaultConfig, type RaftConfig } from '../../lib/raft/config.ts'
import { Core } from '../../lib/raft/core.ts'
import type { ChangeOutcome, Input, Offer, Persist, Ready } from '../../lib/raft/doors.ts'
import type { Envelope } from '../../lib/raft/message.ts'
import {
  type Block,
  type HardState,
  type Index,
  type LogId,
  lastOf,
  logOrigin,
  type MemberKey,
  type Membership,
  type MembershipAt,
  type Member as RaftMember,
  type Restored
} from '../../lib/raft/types.ts'
import { Judge } from './judge.ts'

/** What a crash leaves. */
export interface Disk {
  hard: HardState
  base: LogId
  /** The configuration at the base. */
  founding: MembershipAt
  blocks: Block[]
  mark: LogId
  trusted: boolean
}

export class Member {
  readonly key: MemberKey
  readonly disk: Disk
  boot = 1
  core: Core
  /** The log as written, durable or not. */
  blocks: Block[] = []
  /** Writes under way, in order. */
  writes: Persist[] = []
  up = true
  /** Its writes stay under way until they are flushed by hand. */
  slow = false
  readonly reads: { readonly ticket: number; readonly index: Index }[] = []
  readonly refused: number[] = []
  readonly changes: ChangeOutcome[] = []

  constructor(key: MemberKey, disk: Disk, core: Core) {
    this.key = key
    this.disk = disk
    this.core = core
    this.blocks = [...disk.blocks]
  }

  get last(): Index {
    const block = this.blocks.at(-1)
    return block === undefined ? this.disk.base.index : lastOf(block)
  }
}

export interface ClusterOptions {
  readonly count: number
  readonly seed?: number
  readonly config?: Partial<RaftConfig>
  /** Members beyond the first so many begin outside the configuration. */
  readonly voters?: number
  readonly learners?: readonly number[]
}

export function keyOf(number: number): MemberKey {
  return `n${number}.${String(number).padStart(16, '0')}`
}

export function membershipOf(
  voters: readonly number[],
  outgoing: readonly number[] | null = null,
  learners: readonly number[] = []
): Membership {
  return {
    voters: voters.map(keyOf),
    outgoing: outgoing?.map(keyOf) ?? null,
    learners: learners.map(keyOf),
    members: [...new Set([...voters, ...(outgoing ?? []), ...learners])].map(memberOf)
  }
}

function memberOf(number: number): RaftMember {
  const key = keyOf(number)
  const [id, incarnation] = key.split('.') as [string, string]
  return { key, id, incarnation, address: `127.0.0.1:${7000 + number}` }
}

/** A block without bytes. Its chain value stands for all that is in it and before it. */
export function fakeBlock(
  previous: { readonly index: Index; readonly chain: number },
  term: number,
  payload: number,
  count = 1,
  membership: Membership | null = null
): Block {
  let chain = previous.chain
  for (const value of [previous.index, term, payload, count]) chain = Math.imul(chain ^ value, 0x01000193) >>> 0
  const { index } = previous
  const bytes = new Uint8Array(0)
  return { group: 0, first: index + 1, count, term, previousChain: previous.chain, chain, bytes, membership }
}

export class CoreCluster {
  now = 0
  readonly members = new Map<MemberKey, Member>()
  /** Messages on their way, oldest first. */
  network: Envelope[] = []
  /** When false, the writes of all members stay under way until they are flushed by hand. */
  autoFlush = true
  /** A leader's owner proposes the no-op of its term at once. */
  proposesNoop = true
  /** Who lacks what is compacted away is offered a snapshot, and takes it up. */
  installs = true
  /** Called with each message that leaves. */
  onSend: (envelope: Envelope) => void = () => {}
  /** Called with each input of a member before it is stepped. */
  onStep: (member: Member, input: Input) => void = () => {}
  onReady: (member: Member, ready: Ready) => void = () => {}
  readonly judge = new Judge()
  readonly config: RaftConfig
  readonly #seed: number
  #ticket = 0
  #payload = 0
  /** The chain value of each record that was ever the base of a log: it is committed. */
  readonly #chains = new Map<Index, number>()

  constructor({ count, seed = 1, config = {}, voters = count, learners = [] }: ClusterOptions) {
    this.#seed = seed
    this.config = { ...defaultConfig, ...config }
    const numbers = Array.from({ length: count }, (_, at) => at + 1)
    const founding = membershipOf(
      numbers.filter(number => number <= voters && !learners.includes(number)),
      null,
      learners
    )
    for (const number of numbers) {
      const disk: Disk = {
        hard: { term: 0, vote: null },
        base: logOrigin,
        founding: { index: 0, membership: number <= voters || learners.includes(number) ? founding : membershipOf([]) },
        blocks: [],
        mark: logOrigin,
        trusted: true
      }
      this.members.set(keyOf(number), new Member(keyOf(number), disk, this.#start(keyOf(number), disk, 1)))
    }
  }

  member(number: number): Member {
    return this.members.get(keyOf(number))!
  }

  get leaders(): Member[] {
    return [...this.members.values()].filter(member => member.up && member.core.status.role === 'leader')
  }

  /** The leader of the highest term, undefined when there is none. */
  get leader(): Member | undefined {
    return this.leaders.toSorted((a, b) => b.core.status.term - a.core.status.term)[0]
  }

  step(member: Member, input: Input): void {
    if (!member.up) return
    this.onStep(member, input)
    member.core.step(input, this.now)
    this.turn(member)
  }

  /** What an owner does at the end of a turn. */
  turn(member: Member): void {
    const { core } = member
    if (this.proposesNoop && core.status.owesNoop && core.status.accepts) {
      const block = this.#cut(member, null)
      this.onStep(member, { kind: 'propose', block })
      core.step({ kind: 'propose', block }, this.now)
    }
    const owed = core.status.owesMembership
    if (owed !== null) {
      const block = this.#cut(member, owed)
      this.onStep(member, { kind: 'propose', block })
      core.step({ kind: 'propose', block }, this.now)
    }
    const ready = core.ready()
    if (ready !== null) {
      this.onReady(member, ready)
      if (ready.persist !== null) this.#persist(member, ready.persist)
      for (const envelope of ready.send) this.#send(member, envelope)
      if (ready.commit !== null) this.judge.committed(this, member, ready.commit)
      for (const answer of ready.reads) {
        member.reads.push(answer)
        this.judge.readGranted(answer.ticket, answer.index)
      }
      for (const { ticket } of ready.refused) member.refused.push(ticket)
      member.changes.push(...ready.changes)
      if (ready.offer !== null && this.installs) return this.#install(member, ready.offer)
    }
    this.judge.look(this, member)
    this.#replicate(member)
    if (this.autoFlush && !member.slow && member.writes.length > 0) this.flush(member)
  }

  /** Ends the oldest `count` writes of a member. */
  flush(member: Member, count = member.writes.length): void {
    const ended = member.writes.splice(0, count)
    for (const persist of ended) writeTo(member.disk, persist)
    const mark = ended.at(-1)?.mark
    if (mark !== undefined) this.step(member, { kind: 'persisted', mark })
  }

  /** Loses what is not durable; `kept` of the writes under way reached the disk, and `blocks` of the next. */
  crash(member: Member, kept = 0, blocks = 0): void {
    for (const persist of member.writes.slice(0, kept)) writeTo(member.disk, persist)
    const torn = member.writes[kept]
    if (torn !== undefined && blocks > 0) writeTo(member.disk, { ...torn, blocks: torn.blocks.slice(0, blocks) })
    member.writes = []
    member.up = false
    this.judge.lookAtMark(member)
  }

  restart(member: Member): void {
    if (member.up) this.crash(member)
    member.boot++
    member.blocks = [...member.disk.blocks]
    member.core = this.#start(member.key, member.disk, member.boot)
    member.up = true
    this.judge.restarted(member)
    for (const other of this.members.values()) {
      if (other !== member) this.step(other, { kind: 'greeted', peer: member.key, boot: member.boot })
    }
  }

  /** A block of `count` records; refused (false) where the member does not accept. */
  put(member: Member, count = 1): boolean {
    const { status } = member.core
    if (!member.up || !status.accepts || status.owesNoop) return false
    this.step(member, { kind: 'propose', block: this.#cut(member, null, count) })
    return true
  }

  /** The log of this member begins after `index`, a committed end of a block. */
  compact(member: Member, index: Index): void {
    const block = member.blocks.find(block => lastOf(block) === index)
    if (block === undefined) return
    const base = { term: block.term, index }
    this.#chains.set(index, block.chain)
    for (const { first, membership } of member.blocks) {
      if (membership !== null && first <= index) member.disk.founding = { index: first, membership }
    }
    member.disk.base = base
    member.disk.blocks = member.disk.blocks.filter(block => block.first > index)
    member.blocks = member.blocks.filter(block => block.first > index)
    this.step(member, { kind: 'compacted', base })
  }

  /** Asks a member to lead the cluster to this configuration; the ticket. */
  change(member: Member, target: Membership): number {
    const ticket = ++this.#ticket
    this.step(member, { kind: 'change', ticket, target })
    return ticket
  }

  /** The state comes from elsewhere: the log gives way to its end, and the member begins anew. */
  #install(member: Member, { meta: { last, membership } }: Offer): void {
    // The new base goes through the log, after all that was written before it.
    this.crash(member, member.writes.length)
    const { disk } = member
    const held = disk.blocks.find(block => lastOf(block) === last.index)
    disk.blocks = held?.chain === last.chain ? disk.blocks.filter(block => block.first > last.index) : []
    disk.base = { term: last.term, index: last.index }
    disk.founding = { index: last.index, membership }
    this.restart(member)
  }

  /** Reads at a member; the ticket. */
  read(member: Member): number {
    const ticket = ++this.#ticket
    this.judge.readAsked(ticket)
    this.step(member, { kind: 'read', ticket })
    return ticket
  }

  /** Hands the message at this place of the network over. */
  deliver(at: number, keep = false): void {
    const envelope = keep ? this.network[at] : this.network.splice(at, 1)[0]
    if (envelope === undefined) return
    const member = this.members.get(envelope.to)
    if (member !== undefined) this.step(member, { kind: 'receive', envelope })
  }

  /** Delivers all, and what that causes, in order. `reaches` false drops a message. */
  settle(reaches: (envelope: Envelope) => boolean = () => true): void {
    for (let count = 0; this.network.length > 0; count++) {
      if (count > 100_000) throw new Error('the cluster does not come to rest')
      if (reaches(this.network[0]!)) this.deliver(0)
      else this.network.shift()
    }
  }

  /** Lets `ms` pass, waking each core when it asks for it and delivering at once. */
  run(ms: number, reaches?: (envelope: Envelope) => boolean): void {
    const end = this.now + ms
    this.settle(reaches)
    for (;;) {
      let at = Number.POSITIVE_INFINITY
      for (const member of this.members.values()) if (member.up) at = Math.min(at, member.core.wakeAt())
      if (at > end) break
      this.now = Math.max(this.now, at)
      for (const member of this.members.values()) {
        if (member.up && member.core.wakeAt() <= this.now) this.step(member, { kind: 'time' })
      }
      this.settle(reaches)
    }
    this.now = end
  }

  /** Lets time pass for one member only, until its election timer has fired. */
  campaign(member: Member): void {
    this.now = Math.max(this.now, member.core.wakeAt())
    this.step(member, { kind: 'time' })
  }

  #start(key: MemberKey, disk: Disk, boot: number): Core {
    const last = disk.blocks.at(-1)
    const terms: LogId[] = []
    const memberships: MembershipAt[] = [disk.founding]
    for (const block of disk.blocks) {
      if (terms.at(-1)?.term !== block.term) terms.push({ term: block.term, index: block.first })
      if (block.membership !== null) memberships.push({ index: block.first, membership: block.membership })
    }
    const restored: Restored = {
      hard: disk.hard,
      base: disk.base,
      last: last === undefined ? disk.base : { term: last.term, index: lastOf(last) },
      terms,
      memberships,
      mark: disk.mark,
      trusted: disk.trusted,
      hollow: false,
      commit: disk.base.index
    }
    return new Core({ self: key, restored, config: this.config, seed: this.#seed * 1000 + boot, now: this.now })
  }

  #cut(member: Member, membership: Membership | null, count = 1): Block {
    const { status } = member.core
    const tail = member.blocks.at(-1)
    const previous = { index: status.last.index, chain: tail?.chain ?? 0 }
    return fakeBlock(previous, status.term, ++this.#payload, count, membership)
  }

  #persist(member: Member, persist: Persist): void {
    if (persist.cut !== null) member.blocks = member.blocks.filter(block => block.first <= persist.cut!)
    member.blocks.push(...persist.blocks)
    member.writes.push(persist)
    this.judge.appended(member, persist.blocks)
  }

  #replicate(member: Member): void {
    const { core } = member
    for (const peer of core.status.peers) {
      const due = core.due(peer, this.now)
      if (due === null) continue
      const blocks = due.entries ? member.blocks.filter(block => lastOf(block) >= due.next) : []
      if (blocks.length > 0 || due.must) this.#send(member, core.append(peer, blocks, this.now, this.now))
      if (due.must && this.installs && core.status.mode(peer) === 'snapshot') this.#announce(member, peer)
    }
  }

  /** The snapshot ends where the log begins. */
  #announce(member: Member, peer: MemberKey): void {
    const { core } = member
    const { base } = core.status
    const last = { ...base, chain: this.#chains.get(base.index) ?? 0 }
    const meta = { last, membership: core.membershipAt(base.index), machineVersion: 1, size: 1, hash: 0 }
    this.#send(member, core.announce(peer, meta))
  }

  #send(member: Member, envelope: Envelope): void {
    this.judge.sent(member, envelope)
    this.onSend(envelope)
    this.network.push(envelope)
  }
}

function writeTo(disk: Disk, { hard, cut, blocks, trust }: Persist): void {
  if (hard !== null) disk.hard = hard
  if (cut !== null) disk.blocks = disk.blocks.filter(block => block.first <= cut)
  disk.blocks.push(...blocks)
  if (trust) disk.trusted = true
}
