// What the ghost state remembers of one node: no crash takes it, and the node never sees it.

import type { Log } from '../../log/log.ts'
import type { Node } from '../../node/node.ts'
import {
  type Block,
  type ChainedId,
  compareLogIds,
  type Index,
  type LogId,
  logOrigin,
  type MemberKey,
  type Term
} from '../../raft/types.ts'
import { endOf, GhostLog } from '../ghost/ghost-log.ts'
import type { SimNode } from '../node/sim-node.ts'

export class Seen {
  readonly node: SimNode
  readonly log = new GhostLog()
  /** Who it is in this life. */
  key: MemberKey = ''
  /** Lives of it that have begun. */
  lives = 0
  term: Term = 0
  commit: Index = 0
  applied: Index = 0
  /** The term it was last seen to lead; 0 for none. */
  ledTerm: Term = 0
  /** The highest record that it ever acknowledged to a leader, or as one by counting its own disk. */
  promised: LogId = logOrigin
  /** As a leader: what each peer has been counted with, and by the word of which of that peer's lives, at the earliest. */
  readonly matches = new Map<MemberKey, { match: Index; life: number }>()
  /** What it has acknowledged in each term: how far each life came, of those that came further than all before them. */
  readonly #acknowledged = new Map<Term, { match: Index; readonly life: number }[]>()
  /** Where its log began when it was looked at last; and up to where its state on disk goes. */
  base: Index = 0
  flushed: Index = 0
  /** The number of the state that it has in force. */
  state = 0
  /** How often its log had been cut when it was followed last. */
  cuts = 0
  /** Position of the next record that its machine is to execute, in the order of all that were ever executed. */
  next = 0
  executed: Index = 0
  /** Where it was asked whether its log is the leader's, each time lower than before, since its match last changed. */
  repair = { term: 0, match: 0, lowest: Number.POSITIVE_INFINITY, steps: 0 }
  /** Its disk has rejected something in this life of the node, at this time. */
  rejections = 0
  rejectedAt = 0
  rejectedIn: Node | null = null

  constructor(node: SimNode) {
    this.node = node
  }

  promise(id: LogId): void {
    if (compareLogIds(id, this.promised) > 0) this.promised = { term: id.term, index: id.index }
  }

  acknowledge(term: Term, match: Index): void {
    let lives = this.#acknowledged.get(term)
    if (lives === undefined) this.#acknowledged.set(term, (lives = []))
    const last = lives.at(-1)
    if (last !== undefined && last.match >= match) return
    if (last?.life === this.lives) last.match = match
    else lives.push({ match, life: this.lives })
  }

  /** The first of its lives that has acknowledged so much in this term; null where none has. */
  lifeThatAcknowledged(term: Term, match: Index): number | null {
    return this.#acknowledged.get(term)?.find(known => known.match >= match)?.life ?? null
  }

  /** Its disk has held this record, and said so, before it was damaged or lost. */
  hasHeld(id: LogId): boolean {
    return (this.node.damaged || this.node.lost) && compareLogIds(this.promised, id) >= 0
  }

  /**
   * Brings the ghost's log up to the node's. True where something in it had to give way.
   * @throws Violation for a log with a gap, another past, or a falling term
   */
  follow(log: Log, stored: (block: Block) => void): boolean {
    const cut = log.cuts !== this.cuts
    if (cut) this.#cutTo(log)
    this.cuts = log.cuts
    if (log.tail.index <= this.log.last.index) return cut
    for (const block of log.hot(this.log.last.index + 1, Number.POSITIVE_INFINITY) ?? []) {
      this.log.put(endOf(block))
      stored(block)
    }
    return cut
  }

  /** Up to where both are the same: what is not in memory any more has been durable for long. */
  #cutTo(log: Log): void {
    for (;;) {
      const end = this.log.ends.at(-1)
      if (end === undefined) return
      const block = end.last > log.tail.index ? undefined : log.hot(end.last, 1)?.[0]
      const gone = end.last > log.tail.index || (block !== undefined && block.chain !== end.chain)
      if (!gone) return
      this.log.ends.pop()
    }
  }

  /** A life of the node is over: the next may begin with a lower commit index, never with a lower term. */
  forget(): void {
    this.commit = 0
    this.applied = 0
    this.ledTerm = 0
    this.matches.clear()
    this.rejectedIn = null
  }

  endAt(index: Index): ChainedId | null {
    if (index === this.log.base.index) return this.log.base
    const end = this.log.endAt(index)
    return end === null ? null : { index, term: end.term, chain: end.chain }
  }
}
