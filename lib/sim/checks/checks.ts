// What must hold after every event, judged by a ghost state that no node sees and no crash takes. Codes as in INVARIANTS.md.
import type { Envelope } from '../../raft/message.ts'
import { hasQuorum } from '../../raft/quorum.ts'
import {
  type Block,
  type ChainedId,
  compareLogIds,
  type Index,
  type LogId,
  lastOf,
  type MemberKey,
  type Term
} from '../../raft/types.ts'
import type { BlockEnd } from '../ghost/ghost-log.ts'
import type { GhostStore } from '../ghost/ghost-store.ts'
import { Violation } from '../ghost/violation.ts'
import type { Watcher } from '../ghost/watcher.ts'
import type { Onlooker } from '../ghost/witness.ts'
import type { SimNode } from '../node/sim-node.ts'
import { Configurations } from './configurations.ts'
import { Elections } from './elections.ts'
import { Executions } from './executions.ts'
import { Seen } from './seen.ts'

/** Log ids as one number each: indexes of a simulation stay below. */
const indexesMax = 67_108_864
/** A disk has rejected a write: so long after it the life that it was rejected in must be over, milliseconds. */
const faultMsMax = 3_000

export class Checks implements Watcher {
  readonly executions = new Executions()
  readonly configurations = new Configurations()
  /** Of the key-value machine: what its commands have done. */
  store: GhostStore | null = null
  /** Up to where changes may be gone: the highest that any machine has ever had compacted. */
  compacted = 0
  readonly #now: () => number
  readonly #seen = new Map<SimNode, Seen>()
  readonly #byKey = new Map<MemberKey, Seen>()
  /** What disks had promised that are gone for good, and whose nodes have come back with others. */
  readonly #former = new Map<MemberKey, LogId>()
  readonly #elections = new Elections()
  /** The chain value of each record that ends a block, by index and term: the same on all nodes for ever. */
  readonly #chains = new Map<number, number>()
  /** What was committed at the end of each block that was ever called so, by anybody; in order of index. */
  readonly #committed: ChainedId[] = []
  readonly #committedAt = new Map<Index, ChainedId>()
  /** Up to where the log was first called committed in each term, by who was in that term. */
  readonly #commits = new Map<Term, Index>()

  constructor(now: () => number) {
    this.#now = now
  }

  /** The highest index that any node has ever called committed. */
  get commit(): Index {
    return this.#committed.at(-1)?.index ?? 0
  }

  /** The highest term that anybody ever led. */
  get term(): Term {
    return this.#elections.term
  }

  /** A life of a node begins: it must be what its disk says, and must not have forgotten in silence. */
  began(node: SimNode, base: ChainedId, ends: readonly BlockEnd[]): void {
    const seen = this.#of(node)
    if (seen.key !== node.key) {
      // Another disk: a member that nobody has met.
      if (seen.key !== '') this.#former.set(seen.key, seen.promised)
      seen.promised = { term: 0, index: 0 }
      seen.term = 0
      seen.key = node.key
      this.#byKey.set(node.key, seen)
    }
    seen.lives++
    seen.forget()
    seen.log.reset(base, ends)
    seen.cuts = node.log!.cuts
    seen.rejections = rejectionsOf(node)
    seen.state = node.log!.base.state
    this.#judgeBase(seen, node.log!.base)
    this.configurations.began(seen, node.log!.base.membership)
    const { status } = node.node!.raft
    const { hard } = node.durable
    if (status.term < seen.term) throw new Violation('IS6', `${node.id}: term ${status.term} after term ${seen.term}`)
    if (hard.term !== status.term)
      throw new Violation('IP3', `${node.id}: begins in ${status.term}, with ${hard.term} on disk`)
    const last = { term: status.last.term, index: status.last.index }
    if (status.trusted && compareLogIds(last, seen.promised) < 0) {
      const text = `${seen.promised.index}@${seen.promised.term} and trusts a log that ends at ${last.index}@${last.term}`
      throw new Violation('IP3', `${node.id}: it promised ${text}`)
    }
    const mark = node.durable.mark
    if (status.trusted && compareLogIds(last, mark) < 0)
      throw new Violation('IP3', `${node.id}: trusts a log that ends before its mark`)
  }

  ended(node: SimNode): void {
    const seen = this.#of(node)
    seen.forget()
    // What it knew and had not written yet it never spoke of.
    seen.term = node.durable.hard.term
  }

  /** Called after each event in which this node may have changed. */
  look(node: SimNode): void {
    if (node.node === null) return
    this.#look(this.#of(node))
    this.compacted = Math.max(this.compacted, node.machine?.compactedRevision() ?? 0)
  }

  onlooker(node: SimNode): Onlooker {
    const seen = this.#of(node)
    const { life } = node
    const here = (then: () => void): void => (life?.over === true ? undefined : then())
    return {
      opened: durable => {
        seen.flushed = durable.index
        this.executions.opened(seen, durable.index)
      },
      executed: (execution, batch, outcomes) =>
        here(() => {
          if (this.executions.executed(seen, execution)) this.store?.execute(batch, outcomes)
        }),
      flushed: upTo => here(() => this.#judgeFlush(node, upTo))
    }
  }

  sent({ from, to, term, message }: Envelope): void {
    const seen = this.#byKey.get(from)
    if (seen?.node.node == null) return
    this.#look(seen)
    const { id, durable } = seen.node
    const pre = (message.kind === 'vote' || message.kind === 'vote-reply') && message.pre
    const { hard } = durable
    if (!pre && hard.term < term)
      throw new Violation('IP1', `${id} speaks in term ${term}, with ${hard.term} on its disk`)
    if (message.kind === 'append') {
      this.#lead(seen, term)
      this.#judgeRepair(seen, to, term, message.prev.index)
    } else if (message.kind === 'append-reply') this.#judgeAcknowledgement(seen, to, term, message.match)
    if (pre) return
    if (message.kind === 'vote') this.#elections.vote(seen, from, term)
    if (message.kind === 'vote-reply' && message.granted) this.#elections.vote(seen, to, term)
  }

  delivered(): void {}

  dropped(): void {}

  /** A log begins only after what is committed, and is in the state on the same disk. */
  #judgeBase(seen: Seen, base: ChainedId): void {
    const { id } = seen.node
    const ghost = this.#committedAt.get(base.index)
    if (base.index > 0 && (ghost === undefined || ghost.chain !== base.chain || ghost.term !== base.term))
      throw new Violation('IS9', `${id}: its log begins after ${base.index}@${base.term}, which was never committed`)
    // A state that ends before the log begins is used for nothing until a leader has brought another.
    if (base.index > seen.flushed && !seen.node.node!.raft.status.hollow)
      throw new Violation(
        'IA2',
        `${id}: its log begins after ${base.index}, and its state on disk ends at ${seen.flushed}`
      )
    seen.base = base.index
  }

  /** Durability after the loss of any minority: what a client is told is on the disks of a majority. */
  answered(key: MemberKey, term: Term, index: Index): void {
    const seen = this.#byKey.get(key)
    if (seen === undefined || term === 0) return
    if (seen.node.node !== null) this.#look(seen)
    if (index > this.commit)
      throw new Violation('ID1', `${seen.node.id} answers ${index}, and only ${this.commit} is committed`)
    const end = this.#committed[this.#placeOf(index)]!
    this.#judgeDurability(seen.node, end, 'ID1', 'answered')
  }

  #look(seen: Seen): void {
    const { node } = seen
    const { status } = node.node!.raft
    if (
      seen.follow(node.log!, block => this.#judgeStored(seen, block)) &&
      seen.ledTerm === status.term &&
      seen.ledTerm > 0
    )
      throw new Violation('IS2', `${node.id} leads term ${status.term} and has cut its log`)
    const { base } = node.log!
    // Another state, taken in beside this one: its next life opens it, and is judged then.
    if (base.index > seen.base && base.state === seen.state) this.#judgeBase(seen, base)
    this.configurations.judge(seen)
    const { applied } = node.node!
    if (status.term < seen.term)
      throw new Violation('IS6', `${node.id}: its term fell from ${seen.term} to ${status.term}`)
    seen.term = status.term
    // A leader may learn in one turn that a record is committed, and that another leads by now.
    const led = status.role === 'leader' ? status.term : seen.ledTerm
    if (status.role === 'leader') this.#judgeLeader(seen, status.term)
    else seen.ledTerm = 0
    if (status.role === 'candidate' && status.last.term >= status.term)
      throw new Violation('IS10', `${node.id} stands in term ${status.term}, and its log holds a record of it`)
    if (status.commit < seen.commit) throw new Violation('IS6', `${node.id}: its commit index fell to ${status.commit}`)
    if (status.commit > status.last.index) throw new Violation('IA2', `${node.id}: it commits beyond its log`)
    if (status.commit > seen.commit) this.#judgeCommit(seen, status.commit, led)
    if (applied < seen.applied) throw new Violation('IA1', `${node.id}: its applied index fell to ${applied}`)
    if (applied > Math.max(status.commit, seen.applied) && seen.applied > 0)
      throw new Violation('IA2', `${node.id} has applied ${applied}, and ${status.commit} is committed`)
    seen.applied = applied
    if (node.damaged && status.trusted) node.damaged = false
    this.#judgeDisk(seen)
  }

  /** Equal index and term, equal records, and equal records before. */
  #judgeStored(seen: Seen, block: Block): void {
    const { node } = seen
    const last = lastOf(block)
    const name = block.term * indexesMax + last
    const known = this.#chains.get(name)
    if (known === undefined) this.#chains.set(name, block.chain)
    else if (known !== block.chain)
      throw new Violation('IS3', `${node.id} stores another record at ${last}@${block.term} than was stored before`)
    this.configurations.stored(seen, block)
  }

  #lead(seen: Seen, term: Term): void {
    if (this.#elections.lead(seen, term)) this.#judgeCompleteness(seen, term)
  }

  #judgeLeader(seen: Seen, term: Term): void {
    this.#lead(seen, term)
    if (seen.ledTerm !== term) {
      seen.ledTerm = term
      seen.matches.clear()
    }
    const { status } = seen.node.node!.raft
    for (const peer of status.peers) {
      const match = status.match(peer)
      const known = seen.matches.get(peer)
      if ((known?.match ?? 0) === match) continue
      const other = this.#byKey.get(peer)
      const life = match === 0 ? 0 : (other?.lifeThatAcknowledged(term, match) ?? null)
      if (life === null)
        throw new Violation(
          'IS7',
          `${seen.node.id} counts ${peer} with ${match}, which it has not acknowledged in term ${term}`
        )
      if (known === undefined) seen.matches.set(peer, { match, life })
      else {
        // What a life has said may arrive when the next one has begun, but each life takes back only once what was before.
        const fell = match < known.match
        if (fell && known.life >= (other?.lives ?? 0))
          throw new Violation(
            'IS7',
            `${seen.node.id}: the match of ${peer} fell from ${known.match} to ${match} within a life of it`
          )
        known.match = match
        known.life = Math.max(known.life + (fell ? 1 : 0), life)
      }
    }
  }

  /**
   * Leader completeness: what was committed in an earlier term stands in the log of each leader. A node that was held up may
   * learn of its election when a later leader has committed more already.
   */
  #judgeCompleteness(seen: Seen, term: Term): void {
    const { log, node } = seen
    let commit = 0
    for (const [earlier, index] of this.#commits) if (earlier < term) commit = Math.max(commit, index)
    if (log.last.index < commit)
      throw new Violation(
        'IS5',
        `${node.id} leads with a log that ends at ${log.last.index}, and ${commit} is committed`
      )
    for (const block of log.within(log.base.index, commit)) this.#judgeBlock(node, block, 'IS5')
  }

  /** An acknowledgement names what is on the own disk, and what its leader has. */
  #judgeAcknowledgement(seen: Seen, to: MemberKey, term: Term, match: Index): void {
    if (match === 0) return
    const { id, durable } = seen.node
    const held = durable.endAt(match)
    if (held === null && match > (durable.base?.index ?? 0))
      throw new Violation('IS8', `${id} acknowledges ${match}, which is not on its disk`)
    if (held === null) return
    const leader = this.#byKey.get(to)
    const theirs = leader?.ledTerm === term ? leader.endAt(match) : null
    if (theirs !== null && theirs.chain !== held.chain)
      throw new Violation('IS8', `${id} acknowledges ${match}, where its leader has another record`)
    seen.promise({ term: held.term, index: match })
    seen.acknowledge(term, match)
  }

  /**
   * Repair goes back a step for each term in which two logs differ, and not one for each record. Steps are what the leader
   * asks for, ever lower: what is refused may have been on its way for long, in any order.
   */
  #judgeRepair(leader: Seen, to: MemberKey, term: Term, prev: Index): void {
    const { status } = leader.node.node!.raft
    const seen = this.#byKey.get(to)
    if (seen === undefined || status.role !== 'leader' || status.term !== term) return
    const match = status.match(to)
    if (seen.repair.term !== term || match !== seen.repair.match)
      seen.repair = { term, match, lowest: Number.POSITIVE_INFINITY, steps: 0 }
    if (prev >= seen.repair.lowest) return
    seen.repair.lowest = prev
    const steps = ++seen.repair.steps
    if (steps > seen.log.terms + this.#elections.count + 2)
      throw new Violation('IL4', `${seen.node.id} was asked for ${steps} ever lower records in term ${term}`)
  }

  /** State machine safety and the commit rule: the same records everywhere, and on the disks of a majority. */
  #judgeCommit(seen: Seen, commit: Index, led: Term): void {
    const { node, log } = seen
    for (const block of log.within(seen.commit, commit)) this.#judgeBlock(node, block, 'IS9')
    seen.commit = commit
    if (commit <= this.commit) return
    const end = seen.endAt(commit)
    if (led === 0) throw new Violation('IS6', `${node.id} follows, and commits ${commit} before any leader`)
    if (end === null || end.term !== led) {
      throw new Violation('IS4', `${node.id} commits ${commit} of term ${end?.term ?? '?'} by counting in term ${led}`)
    }
    this.#judgeDurability(node, end, 'IS4', 'called committed')
    // It has counted its own disk, where that has the record: the same as an acknowledgement.
    if (node.durable.endAt(commit)?.chain === end.chain) seen.promise(end)
    for (const { first, last, term, chain } of log.within(this.commit, commit)) {
      this.configurations.committed(first, term)
      const id = { index: last, term, chain }
      this.#committed.push(id)
      this.#committedAt.set(last, id)
    }
    this.#commits.set(led, commit)
  }

  #judgeBlock(node: SimNode, block: BlockEnd, invariant: string): void {
    const ghost = this.#committedAt.get(block.last)
    if (ghost === undefined ? block.last > this.commit : ghost.chain === block.chain && ghost.term === block.term)
      return
    throw new Violation(invariant, `${node.id} holds another record at ${block.last} than was committed`)
  }

  #judgeDurability(node: SimNode, id: ChainedId, invariant: string, what: string): void {
    // By the one that it acts by, or by that of the record: in the turn of the commit it may have proposed the next.
    const memberships = this.configurations.inForceSince(node, id.index)
    if (memberships.length === 0 || node.node === null) return
    const holds = (key: MemberKey): boolean => this.#holds(key, id)
    if (memberships.some(membership => hasQuorum(membership, holds))) return
    const { voters } = memberships[0]!
    const holders = voters.filter(holds).length
    const text = `${id.index} is ${what} by ${node.id}, on the disks of ${holders} of ${voters.length}`
    throw new Violation(invariant, text)
  }

  #holds(key: MemberKey, id: ChainedId): boolean {
    const former = this.#former.get(key)
    if (former !== undefined) return compareLogIds(former, id) >= 0
    const seen = this.#byKey.get(key)
    if (seen === undefined) return false
    const { durable } = seen.node
    // What is below the base is in the state: see #judgeBase.
    if (seen.node.key === key && (durable.base?.index ?? 0) > id.index) return true
    if (seen.node.key === key && durable.endAt(id.index)?.chain === id.chain) return true
    return seen.hasHeld(id)
  }

  /** The state on disk contains nothing that the log on disk has not. */
  #judgeFlush(node: SimNode, upTo: LogId): void {
    const last = node.durable.last?.index ?? 0
    this.#of(node).flushed = upTo.index
    if (!node.damaged && upTo.index > last)
      throw new Violation('IA2', `${node.id} has ${upTo.index} in its state on disk, and a log that ends at ${last}`)
  }

  /** A rejected write ends the life of the node: nothing goes on as if it had been done. */
  #judgeDisk(seen: Seen): void {
    const { node } = seen
    // A process that is held up cannot end anything.
    const since = Math.max(seen.rejectedAt, node.life?.stalledUntil ?? 0)
    const rejections = rejectionsOf(node)
    if (rejections > seen.rejections) {
      seen.rejections = rejections
      seen.rejectedAt = this.#now()
      seen.rejectedIn = node.node
    } else if (seen.rejectedIn !== null && seen.rejectedIn === node.node && this.#now() - since > faultMsMax) {
      throw new Violation('IX2', `${node.id} goes on ${faultMsMax} ms after its disk has rejected a write`)
    }
  }

  /** The place of the first committed end at or above `index`. */
  #placeOf(index: Index): number {
    let low = 0
    let high = this.#committed.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#committed[middle]!.index < index) low = middle + 1
      else high = middle
    }
    return low
  }

  #of(node: SimNode): Seen {
    let seen = this.#seen.get(node)
    if (seen === undefined) this.#seen.set(node, (seen = new Seen(node)))
    return seen
  }
}

function rejectionsOf({ disk: { fired } }: SimNode): number {
  return fired['io-error'] + fired['full-disk']
}
