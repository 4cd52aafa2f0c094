// The nouns of Raft: terms, indexes, members, memberships, blocks of log entries, hard state.

/** A label for people: `^[a-z0-9][a-z0-9-]{0,62}$`. It may pass to a new incarnation of the node. */
export type NodeId = string

/** Who counts: node id, a dot, and the incarnation as 16 hexadecimal digits. Never used again once its disk is lost. */
export type MemberKey = string

/** Counts elections; 0 before the first. At most 2^32 - 1. */
export type Term = number

/** The position of a record in the log, from 1; 0 is before the first. A safe integer. */
export type Index = number

/** Names one record: two logs that hold the same id hold the same records up to it (log matching, paper 5.3). */
export interface LogId {
  readonly term: Term
  readonly index: Index
}

export const logOrigin: LogId = { term: 0, index: 0 }

/** Order of two log ids, by term first: how up to date a log is (paper 5.4.1). Negative, 0 or positive. */
export function compareLogIds(a: LogId, b: LogId): number {
  return a.term - b.term || a.index - b.index
}

export interface Member {
  readonly key: MemberKey
  readonly id: NodeId
  /** 16 hexadecimal digits. */
  readonly incarnation: string
  /** Where it is dialled: `host:port`. */
  readonly address: string
}

export function memberKey(id: NodeId, incarnation: string): MemberKey {
  return `${id}.${incarnation}`
}

/** The configuration by which votes and acknowledgements are counted. */
export interface Membership {
  readonly voters: readonly MemberKey[]
  /** The voters of the configuration that is being left; null unless in joint consensus (thesis 4.3). */
  readonly outgoing: readonly MemberKey[] | null
  readonly learners: readonly MemberKey[]
  /** Each key named above, once. */
  readonly members: readonly Member[]
}

/** A membership and the log entry that made it effective. */
export interface MembershipAt {
  readonly index: Index
  readonly membership: Membership
}

/**
 * Consecutive records of one term and group, cut once by the leader that proposed them; the unit of replication, of the
 * log on disk and of truncation. It is passed on byte for byte and never changed (layout: `record/block.ts`).
 */
export interface Block {
  readonly group: number
  /** Index of its first record. */
  readonly first: Index
  /** Number of its records, at least 1. */
  readonly count: number
  readonly term: Term
  /** Value of the CRC chain before it and at its end: equal on all nodes that hold it. */
  readonly previousChain: number
  readonly chain: number
  /** Header and records, as on disk and on the wire. */
  readonly bytes: Uint8Array
  /** The configuration it brings; such a block holds one record. */
  readonly membership: Membership | null
}

/** Index of the last record of a block. */
export function lastOf(block: Block): Index {
  return block.first + block.count - 1
}

/** What a node must never forget (paper figure 2): the latest term it has seen, and whom it voted for in it. */
export interface HardState {
  readonly term: Term
  readonly vote: MemberKey | null
}

/** Names a record together with the value of the CRC chain at its end. */
export interface ChainedId extends LogId {
  readonly chain: number
}

/** Where a log begins: all at or below `index` is in the state directory with this number, and nowhere else. */
export interface Base extends ChainedId {
  readonly membership: Membership
  readonly machineVersion: number
  /** Number of the state directory. */
  readonly state: number
}

/** What the core starts from after the log has been opened. */
export interface Restored {
  readonly hard: HardState
  readonly base: LogId
  readonly last: LogId
  /** The first record of each term in the log above the base, rising. */
  readonly terms: readonly LogId[]
  /** The configuration at the base, then each that the log holds above it, in order of index. */
  readonly memberships: readonly MembershipAt[]
  /** The last record this node has promised to hold. */
  readonly mark: LogId
  /** False when the log is not the one that was promised: see DISK.md, "untrusted". */
  readonly trusted: boolean
  /** The state ends before the log begins: what lies between has to come from a leader. */
  readonly hollow: boolean
  /** Known to be committed, for the state on disk contains it; at least the base. */
  readonly commit: Index
}

/** A snapshot of the state at a record. */
export interface SnapshotMeta {
  readonly last: ChainedId
  readonly membership: Membership
  readonly machineVersion: number
  /** Bytes in all, and CRC-32 of the whole stream. */
  readonly size: number
  readonly hash: number
}

export type Role = 'follower' | 'pre-candidate' | 'candidate' | 'leader' | 'learner'
