// The doors of the core: what goes in, what comes out, and what may be looked at. No clock, disk, network or chance.
import type { Envelope } from './message.ts'
import type { Block, HardState, Index, LogId, MemberKey, Membership, Role, SnapshotMeta, Term } from './types.ts'

/**
 * The core is a function of (state, input, now). In one turn the node steps each input, proposes at most a few blocks,
 * takes one `Ready`, acts on it, and then asks for each peer what is `due`.
 *
 * Nothing that promises something leaves before it is durable, because the core does not produce it before:
 * acknowledgements and votes come out of the `Ready` after the `persisted` that made them true.
 */
export interface Raft {
  step(input: Input, now: number): void
  /** All that the inputs since the last call want done; null when that is nothing. */
  ready(): Ready | null
  /**
   * What a peer is owed, on a leader: null when nothing. Every append leaves through here, so that entries, commit
   * notice, heartbeat and read round share one message.
   */
  due(peer: MemberKey, now: number): Due | null
  /**
   * The append that pays what is due: `blocks` begin at or before `due.next` and end past it, or are empty. `time` is
   * the cluster time that it tells, milliseconds.
   */
  append(peer: MemberKey, blocks: readonly Block[], now: number, time: number): Envelope
  /** Announces a snapshot, whose pieces follow in another lane, to a peer that needs one. */
  announce(peer: MemberKey, meta: SnapshotMeta): Envelope
  /** The configuration in force at `index`, from the base to the end of the log. */
  membershipAt(index: Index): Membership
  /** When to step `{ kind: 'time' }` next, in milliseconds of `now`; Infinity for never. */
  wakeAt(): number
  readonly status: Status
}

export type Input =
  | { readonly kind: 'time' }
  | { readonly kind: 'receive'; readonly envelope: Envelope }
  /** A block cut for `status.term` and `status.last.index + 1`, while `status.accepts`. */
  | { readonly kind: 'propose'; readonly block: Block }
  /** Answered in `reads` or `refused` with the same ticket. */
  | { readonly kind: 'read'; readonly ticket: number }
  /** Hand leadership over to `to`, or to the voter that is furthest ahead; not to one that is silent or far behind. */
  | { readonly kind: 'transfer'; readonly to: MemberKey | null }
  /** Leads to `target`, which is not joint. Answered in `changes` with the same ticket, once. */
  | { readonly kind: 'change'; readonly ticket: number; readonly target: Membership }
  /** What was last sent to this peer was not taken or may be lost: probe again. */
  | { readonly kind: 'unreachable'; readonly peer: MemberKey }
  /** The other side has closed its link: a hint that it died. */
  | { readonly kind: 'link-closed'; readonly peer: MemberKey }
  /** A peer has introduced itself with this boot number: a new one has forgotten what it held back in memory. */
  | { readonly kind: 'greeted'; readonly peer: MemberKey; readonly boot: number }
  /** All up to the `Persist` with this mark is on stable storage. */
  | { readonly kind: 'persisted'; readonly mark: number }
  /** The log now begins after `base`. */
  | { readonly kind: 'compacted'; readonly base: LogId }
  /** This program cannot run what the log asks for: it follows and votes, and never leads again. */
  | { readonly kind: 'unable' }
  /** Whether disk and event loop of this node keep up: while they do not, it lets others stand first. */
  | { readonly kind: 'fit'; readonly fit: boolean }
  /** Step down, where the others have gone on without the disk of this node. */
  | { readonly kind: 'resign' }

/** One per turn, however many inputs. */
export interface Ready {
  /** To be made durable, in order; answered by `persisted`. */
  readonly persist: Persist | null
  /** May leave at once. */
  readonly send: readonly Envelope[]
  /** Apply up to here; null when unchanged. */
  readonly commit: Index | null
  /** Reads that may be served once this index has been applied. */
  readonly reads: readonly { readonly ticket: number; readonly index: Index }[]
  /** What became of changes of the configuration. */
  readonly changes: readonly ChangeOutcome[]
  /** The leader has a snapshot for this node, which lacks what it holds. */
  readonly offer: Offer | null
  /** Reads that cannot be answered here now. */
  readonly refused: readonly { readonly ticket: number; readonly leader: MemberKey | null }[]
  /** Role, term, leader or membership differ from the last `Ready`. */
  readonly changed: boolean
}

export type ChangeOutcome =
  /** The target is committed, at this index. */
  | { readonly ticket: number; readonly kind: 'settled'; readonly index: Index }
  /** Nothing was proposed. `wait`: what stands in the way passes by itself. */
  | { readonly ticket: number; readonly kind: 'refused'; readonly wait: boolean; readonly text: string }
  /** It was proposed, and this node does not lead any more. */
  | { readonly ticket: number; readonly kind: 'lost' }

export interface Offer {
  readonly from: MemberKey
  readonly meta: SnapshotMeta
}

export interface Persist {
  /** Rising; names this write in `persisted`. */
  readonly mark: number
  /** Term or vote, when changed: durable before the blocks are. */
  readonly hard: HardState | null
  /** Remove all records above this index first; null for none. In one atomic write with `blocks`. */
  readonly cut: Index | null
  readonly blocks: readonly Block[]
  /** The log is sound again: set the durable mark to its end once this is durable. */
  readonly trust: boolean
}

export interface Due {
  /** The first record the peer is not known to hold or to have on its way. */
  readonly next: Index
  /** `entries` may be carried now; false while probing or when there are none. */
  readonly entries: boolean
  /** An append must leave now even if it is empty: heartbeat, probe, read round or commit notice. */
  readonly must: boolean
}

/** A live view: fields change with each step, so copy what is kept. */
export interface Status {
  readonly self: MemberKey
  readonly role: Role
  readonly term: Term
  readonly leader: MemberKey | null
  readonly membership: Membership
  readonly base: LogId
  readonly last: LogId
  /** Up to here the own disk holds the log. */
  readonly durable: Index
  readonly commit: Index
  readonly trusted: boolean
  /** Its state ends before its log begins: it neither applies nor leads until a leader has brought it another. */
  readonly hollow: boolean
  /** A leader that may be given blocks now; false while it hands over. */
  readonly accepts: boolean
  /** A leader whose term has no entry yet: it must be proposed a no-op first. */
  readonly owesNoop: boolean
  /** A leader that has to propose this configuration next; null for none. */
  readonly owesMembership: Membership | null
  /** Members this node replicates to; empty unless it leads. */
  readonly peers: readonly MemberKey[]
  /** How far a peer's durable log is known to equal the leader's; 0 when unknown. */
  match(peer: MemberKey): Index
  /** When a leader last heard this peer, in its own time; -Infinity for who is no peer. */
  heardAt(peer: MemberKey): number
  /** It lacks what is compacted away here, or has no state that belongs to its log. */
  needsSnapshot(peer: MemberKey): boolean
  /** The peer's mode, as the leader sees it. */
  mode(peer: MemberKey): 'probe' | 'replicate' | 'snapshot'
}
