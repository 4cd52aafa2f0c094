// What members say to each other, one kind a paragraph. Messages may be lost, repeated and reordered; never altered.
import type { Block, Index, LogId, MemberKey, SnapshotMeta, Term } from './types.ts'

export interface Envelope {
  readonly from: MemberKey
  readonly to: MemberKey
  /** The sender's term; a pre-vote request carries the term it would campaign in, its answer the term it was asked about. */
  readonly term: Term
  readonly message: Message
}

export type Message =
  | Vote
  | VoteReply
  | Append
  | AppendReply
  | TimeoutNow
  | ReadIndex
  | ReadIndexReply
  | Snapshot
  | SnapshotReply

/** Asks for a vote, or (pre) whether it would be given (paper 5.2, thesis 9.6). */
export interface Vote {
  readonly kind: 'vote'
  readonly pre: boolean
  /** The leader itself has told the candidate to campaign: leases and stickiness do not hold it off (thesis 3.10). */
  readonly force: boolean
  /** Numbers the campaign; the answer repeats it, so that answers to an earlier one do not count. */
  readonly round: number
  readonly last: LogId
}

export interface VoteReply {
  readonly kind: 'vote-reply'
  readonly pre: boolean
  readonly round: number
  readonly granted: boolean
  /** Why not: `self` = it campaigns itself, `log` = its own log is better, `leader` = it follows one, `voted` = for another. */
  readonly reason: 'self' | 'log' | 'leader' | 'voted' | null
}

/** Blocks in one append at most: a receiver refuses more, however small they are. */
export const appendBlocksMax = 4096

/** Brings blocks, the commit index, a heartbeat and a read round, in any combination (paper 5.3, thesis 6.4). */
export interface Append {
  readonly kind: 'append'
  /** The record just before the first block, or the one probed for. */
  readonly prev: LogId
  /** At most `appendBlocksMax`. */
  readonly blocks: readonly Block[]
  readonly commit: Index
  /** The latest ReadIndex round of this leader; 0 before the first. */
  readonly round: number
  /** Cluster time in milliseconds, as the leader counts it. */
  readonly time: number
}

export interface AppendReply {
  readonly kind: 'append-reply'
  /** Up to here the sender's durable log equals the leader's of this term. */
  readonly match: Index
  /** The probe found no such record: where to look next, a whole term further back (paper 5.3, last paragraphs). */
  readonly reject: Reject | null
  /** The latest round seen from this leader in this term: the sender knows no later leader. */
  readonly round: number
  /** For how many milliseconds from the round's sending the sender will elect nobody else; 0 unless leases are on. */
  readonly leaseMs: number
}

export interface Reject {
  /** Index of the probe that failed. */
  readonly index: Index
  /** The last record of the follower's log that may be shared: at or before the probe, of a term at or below the probe's. */
  readonly hint: LogId
}

/** The leader hands over: campaign at once (thesis 3.10). */
export interface TimeoutNow {
  readonly kind: 'timeout-now'
}

/** A follower asks the leader for a read index on behalf of its own readers (thesis 6.4). */
export interface ReadIndex {
  readonly kind: 'read-index'
  readonly number: number
}

export interface ReadIndexReply {
  readonly kind: 'read-index-reply'
  readonly number: number
  /** Null: I do not lead, or cannot yet serve reads. */
  readonly index: Index | null
}

/** Announces a snapshot; its chunks travel in the bulk lane. */
export interface Snapshot {
  readonly kind: 'snapshot'
  readonly meta: SnapshotMeta
}

export interface SnapshotReply {
  readonly kind: 'snapshot-reply'
  /** Up to here the sender has all; 0: it has no state that belongs to its log, and asks for one. */
  readonly installed: Index
}
