// ReadIndex on the leader: a round asks a quorum whether anybody leads later, and confirms all reads before it (thesis
// 6.4). One round at a time, with a number of the leader's own making.

import { votersOf } from './membership.ts'
import { hasQuorum } from './quorum.ts'
import type { Index, MemberKey, Membership } from './types.ts'

/** A read of this node (`from` null, `number` its ticket) or one that a follower asks for. */
export interface Read {
  readonly from: MemberKey | null
  readonly number: number
}

export class ReadRounds {
  /** The latest round of this leader; 0 before the first. */
  number = 0
  /** When the round under way asks the voters it has spared so far. */
  spreadAt = Number.POSITIVE_INFINITY
  /** Reads that came after the round under way had begun. */
  #waiting: Read[] = []
  #reads: Read[] = []
  #index: Index = 0
  #underWay = false
  #asked: ReadonlySet<MemberKey> = new Set()
  readonly #answered = new Set<MemberKey>()
  /** Voters in the order in which the last rounds were answered. */
  #order: MemberKey[] = []

  get count(): number {
    return this.#waiting.length + this.#reads.length
  }

  add(read: Read): void {
    this.#waiting.push(read)
  }

  /** Begins a round at `commit` if reads wait and none is under way. True when it did. */
  begin(membership: Membership, self: MemberKey, commit: Index, now: number, spreadMs: number): boolean {
    if (this.#underWay || this.#waiting.length === 0) return false
    this.#underWay = true
    this.number++
    this.spreadAt = now + spreadMs
    this.#index = commit
    this.#reads = this.#waiting
    this.#waiting = []
    this.#answered.clear()
    this.#answered.add(self)
    this.#asked = this.#fastest(membership, self)
    return true
  }

  /** True when this peer is to be sent the round under way. */
  asks(peer: MemberKey, now: number): boolean {
    return this.#underWay && !this.#answered.has(peer) && (this.#asked.has(peer) || now >= this.spreadAt)
  }

  /** A peer has answered round `number`: it knows no later leader. */
  answered(peer: MemberKey, number: number): void {
    if (!this.#underWay || number !== this.number || this.#answered.has(peer)) return
    this.#answered.add(peer)
    const place = this.#order.indexOf(peer)
    if (place >= 0) this.#order.splice(place, 1)
    this.#order.splice(Math.min(this.#answered.size - 2, this.#order.length), 0, peer)
  }

  /** The reads of a round that a quorum has answered, with their index; null while there is none. */
  finish(membership: Membership): { readonly reads: readonly Read[]; readonly index: Index } | null {
    if (!this.#underWay || !hasQuorum(membership, key => this.#answered.has(key))) return null
    this.#underWay = false
    this.spreadAt = Number.POSITIVE_INFINITY
    const reads = this.#reads
    this.#reads = []
    return { reads, index: this.#index }
  }

  /** Takes all reads out, unanswered: leadership is lost. */
  release(): readonly Read[] {
    return [...this.#reads, ...this.#waiting]
  }

  /** As many voters as a quorum needs, those first that answered the last rounds first. */
  #fastest(membership: Membership, self: MemberKey): ReadonlySet<MemberKey> {
    const voters = votersOf(membership)
    this.#order = this.#order.filter(key => voters.includes(key))
    for (const key of voters) if (key !== self && !this.#order.includes(key)) this.#order.push(key)
    const asked = new Set([self])
    for (const key of this.#order) {
      if (hasQuorum(membership, voter => asked.has(voter))) break
      asked.add(key)
    }
    return asked
  }
}
