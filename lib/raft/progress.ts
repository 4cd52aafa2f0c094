// One peer as its leader sees it: what it is known to hold, what it was sent, and when the next message is due.
//
//   probe      where its log meets ours is not known: one empty append per heartbeat
//   replicate  it is known: blocks are pipelined, `next` runs ahead of `match`
//   snapshot   it lacks records that are compacted away: probed at the base until a snapshot has brought it there
import { assert } from '../base/assert.ts'
import type { Reject } from './message.ts'
import type { TermTrail } from './terms.ts'
import type { Index } from './types.ts'

export class Progress {
  mode: 'probe' | 'replicate' | 'snapshot' = 'probe'
  /** By its own word it has a log, and no state that belongs to it. */
  hollow = false
  /** Up to here its durable log is known to equal ours. */
  match: Index = 0
  /** The first record that it neither holds nor has on its way. */
  next: Index
  /** When it last answered in this term. */
  heardAt: number
  /** When it was last sent an append. */
  sentAt = Number.NEGATIVE_INFINITY
  /** When an append must leave, even an empty one. */
  beatAt = Number.NEGATIVE_INFINITY
  /** The latest round and commit index it was sent. */
  roundSent = 0
  commitSent: Index = 0

  constructor(next: Index, now: number) {
    this.next = next
    this.heardAt = now
  }

  /** Appended: `next` moves on before the answer comes. */
  sent(next: Index, commit: Index, round: number, now: number, heartbeatMs: number): void {
    assert(next >= this.next, 'an append never takes next back')
    this.next = next
    this.sentAt = now
    this.beatAt = now + heartbeatMs
    this.roundSent = round
    this.commitSent = Math.min(commit, next - 1)
  }

  /** An answer names `match`. True when that is news. */
  acknowledged(match: Index): boolean {
    const news = match > this.match
    if (news) this.match = match
    if (this.mode !== 'replicate' && match >= this.next - 1) {
      this.mode = 'replicate'
      this.next = match + 1
    } else if (this.next <= match) this.next = match + 1
    return news
  }

  /** The record before an append was not there: goes back to where the logs may meet, at least one whole step. */
  rejected(reject: Reject, trail: TermTrail): void {
    if (reject.index <= this.match) return
    if (this.mode !== 'replicate' && reject.index !== this.next - 1) return
    const shared = trail.lastWithin(Math.min(reject.hint.index, reject.index - 1), reject.hint.term)
    if (shared === null && this.match < trail.base.index) {
      this.awaitSnapshot(trail.base.index)
      return
    }
    this.mode = 'probe'
    this.next = Math.max(this.match, shared?.index ?? 0) + 1
    this.beatAt = Number.NEGATIVE_INFINITY
  }

  /** What was under way may be lost. A peer that is probed waits for its heartbeat, or failing sends would spin. */
  unreachable(trail: TermTrail): void {
    if (this.mode !== 'replicate') return
    this.mode = 'probe'
    this.next = this.match + 1
    this.beatAt = Number.NEGATIVE_INFINITY
    this.rebased(trail)
  }

  /** A new start of the peer: what it held in memory is gone and what its disk holds is to be proved again. */
  restarted(next: Index, trail: TermTrail): void {
    this.mode = 'probe'
    this.match = 0
    this.hollow = false
    this.next = next
    this.beatAt = Number.NEGATIVE_INFINITY
    this.rebased(trail)
  }

  /** It holds all up to `index`, which is committed: probed there, above a base that it lacked before. */
  levelWith(index: Index): void {
    if (this.mode !== 'snapshot' || index < this.next) return
    this.mode = 'probe'
    this.next = index + 1
    this.beatAt = Number.NEGATIVE_INFINITY
  }

  /** The log now begins at `trail.base`. */
  rebased(trail: TermTrail): void {
    if (this.next <= trail.base.index) this.awaitSnapshot(trail.base.index)
  }

  /** Probed at the base, the first record that can still be named; at once only when it begins, or it would spin. */
  private awaitSnapshot(base: Index): void {
    if (this.mode !== 'snapshot') this.beatAt = Number.NEGATIVE_INFINITY
    this.mode = 'snapshot'
    this.next = base + 1
  }
}
