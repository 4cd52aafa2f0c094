// What every room of the core shares: the state of one member, what it has to say, and how it becomes a follower.
import { Random } from '../base/random.ts'
import { AskedReads } from './asked-reads.ts'
import { checkConfig, type RaftConfig } from './config.ts'
import type { ChangeOutcome, Offer } from './doors.ts'
import { LogState } from './log-state.ts'
import { isVoter, Memberships } from './membership.ts'
import type { Envelope, Message, Reject } from './message.ts'
import type { Progress } from './progress.ts'
import type { ReadRounds } from './read-rounds.ts'
import type { HardState, Index, LogId, MemberKey, Membership, Restored, Role, Term } from './types.ts'

/** An untrusted node reads for itself: what it learns is an index at or above all that it may have promised before. */
export const trustTicket = -1

/** So many of the longest election timeouts without a leader, and a node that is not fit stands like every other. */
const unfitTimeouts = 3

export interface CoreOptions {
  readonly self: MemberKey
  readonly restored: Restored
  readonly config: RaftConfig
  /** Of all chance in the core: different for each node and each start. */
  readonly seed: number
  readonly now: number
}

/** What a candidate remembers of its campaign. */
export interface Campaign {
  readonly pre: boolean
  /** The leader has told us to stand. */
  readonly force: boolean
  readonly round: number
  readonly granted: Set<MemberKey>
  readonly refused: Set<MemberKey>
  /** Somebody refused for another reason than that it stands itself. */
  outvoted: boolean
}

/** What a leader remembers of its term. */
export interface Leadership {
  readonly progress: Map<MemberKey, Progress>
  peers: readonly MemberKey[]
  readonly rounds: ReadRounds
  transfer: Transfer | null
  change: Change | null
  /** Peers that the latest configuration has left out, and until when they are still fed so that they learn of it. */
  readonly leaving: Map<MemberKey, number>
  /** When to look next whether a quorum is being heard. */
  quorumCheckAt: number
  /** When the commit index rose last. */
  commitAt: number
  /** When this node was elected. */
  readonly since: number
}

/** A change of the configuration that was asked for here. */
export interface Change {
  readonly ticket: number
  readonly target: Membership
  /** Its first step is in the log. */
  begun: boolean
}

export interface Transfer {
  readonly to: MemberKey
  readonly giveUpAt: number
  /** When the target was last told to campaign. */
  toldAt: number
}

export class CoreState {
  readonly self: MemberKey
  readonly config: RaftConfig
  readonly random: Random
  readonly log: LogState
  readonly memberships: Memberships
  /** The last record that was promised before this start (untrusted nodes vote by it). */
  readonly mark: LogId
  now: number
  role: Role = 'follower'
  term: Term
  vote: MemberKey | null
  leader: MemberKey | null = null
  trusted: boolean
  /** The program can run what the log asks for. */
  able = true
  /** Disk and event loop keep up, as far as the owner can tell. */
  fit = true
  /** Since when they do not, or when this node last stepped down for it. */
  unfitAt = Number.NEGATIVE_INFINITY
  campaign: Campaign | null = null
  lead: Leadership | null = null
  readonly asked: AskedReads

  /** When to campaign unless a leader is heard. */
  electionAt: number
  leaderHeardAt = Number.NEGATIVE_INFINITY
  /** When a broken link last hurried an election. */
  hintedAt = Number.NEGATIVE_INFINITY
  /** Up to here the log equals that of the leader of this term. */
  verified: Index = 0
  /** The latest round seen from the leader of this term. */
  round = 0
  /** What the last answer to this leader named as durable. */
  acknowledged: Index = 0
  /** The leader is owed an answer at the end of the turn. */
  owesReply = false
  reject: Reject | null = null
  /** Until then nobody but `promisedTo` is elected with our help. */
  promisedUntil: number
  promisedTo: MemberKey | null = null
  /** The state ends before the log begins: see `Restored`. */
  readonly hollow: boolean
  /** When it last told its leader so. */
  hollowToldAt = Number.NEGATIVE_INFINITY
  /** While untrusted: the index that restores trust once durable and verified here, and the write that records it. */
  trustIndex: Index | null = null
  trustMark: number | null = null

  campaigns = 0
  readonly boots = new Map<MemberKey, number>()
  /** Members that came back with a lower boot number: a copy of a directory, which is not counted. */
  readonly copies = new Set<MemberKey>()

  /** Term or vote differ from what was handed out to be written. */
  hardChanged = false
  #hardMark = 0
  #persistedMark = 0
  /** Messages that speak for a term or a vote which is not durable yet. */
  #held: Envelope[] = []

  readonly sends: Envelope[] = []
  readonly reads: { readonly ticket: number; readonly index: Index }[] = []
  readonly refused: { readonly ticket: number; readonly leader: MemberKey | null }[] = []
  changes: ChangeOutcome[] = []
  offer: Offer | null = null

  constructor({ self, restored, config, seed, now }: CoreOptions) {
    checkConfig(config)
    this.self = self
    this.config = config
    this.random = new Random(seed, self)
    this.log = new LogState(restored.base, restored.last, restored.terms, restored.commit)
    this.memberships = new Memberships(restored.memberships)
    this.mark = restored.mark
    this.trusted = restored.trusted
    this.hollow = restored.hollow
    this.term = restored.hard.term
    this.vote = restored.hard.vote
    this.now = now
    this.asked = new AskedReads(this.random)
    this.promisedUntil = config.leaseReads ? now + config.leaseMs : Number.NEGATIVE_INFINITY
    if (!restored.trusted) this.asked.add(trustTicket)
    this.electionAt = now
    this.role = this.passiveRole()
    this.resetElection()
    // Alone there is nobody to wait for.
    const { voters, outgoing } = this.memberships.current
    if (outgoing === null && voters.length === 1 && voters[0] === this.self) this.electionAt = now
  }

  /**
   * A voter whose memory is sound and whose program is not too old: the only one who may stand for election. Who has been
   * voted out still stands until that is committed, for its log may be the only one that can win; its own vote then does
   * not count (thesis 4.2.2).
   */
  get eligible(): boolean {
    if (!this.trusted || this.hollow || !this.able) return false
    const { memberships, self } = this
    return isVoter(memberships.current, self) || isVoter(memberships.replaced(this.log.commit), self)
  }

  /**
   * Not fit, it lets the others stand first. It is a delay and no more: where all are unfit, one of them must lead.
   */
  get holdsBack(): boolean {
    if (this.fit) return false
    return this.now < Math.max(this.leaderHeardAt, this.unfitAt) + unfitTimeouts * this.config.electionTimeoutMsMax
  }

  passiveRole(): Role {
    const { voters, learners } = this.memberships.current
    return learners.includes(this.self) && !voters.includes(this.self) ? 'learner' : 'follower'
  }

  /** Nobody else than the leader is heard of for a random time (paper 5.2). */
  resetElection(): void {
    const { electionTimeoutMsMin: min, electionTimeoutMsMax: max } = this.config
    this.electionAt = this.now + min + this.random.below(max - min + 1)
  }

  /** Speaks for this term: the message leaves once term and vote are durable, and not if they have changed by then. */
  say(to: MemberKey, message: Message): void {
    const envelope = { from: this.self, to, term: this.term, message }
    if (this.hardDurable) {
      this.sends.push(envelope)
      return
    }
    this.#held = this.#held.filter(
      held => held.term === this.term && (held.to !== to || held.message.kind !== message.kind)
    )
    this.#held.push(envelope)
  }

  get hardDurable(): boolean {
    return !this.hardChanged && this.#persistedMark >= this.#hardMark
  }

  /** Term and vote for the next write, null when they are in an earlier one. */
  takeHard(): HardState | null {
    return this.hardChanged ? { term: this.term, vote: this.vote } : null
  }

  /** The write with this mark carries term and vote. */
  hardHanded(mark: number): void {
    this.hardChanged = false
    this.#hardMark = mark
  }

  /** All writes up to `mark` are durable: what waited for term or vote may leave. */
  persisted(mark: number): void {
    this.#persistedMark = Math.max(this.#persistedMark, mark)
    if (!this.hardDurable || this.#held.length === 0) return
    for (const envelope of this.#held) {
      const stale = envelope.term !== this.term || (envelope.message.kind === 'vote' && this.role !== 'candidate')
      if (!stale) this.sends.push(envelope)
    }
    this.#held = []
  }

  /** Follows in `term`, this one or a later one; `leader` null when it is not known. */
  becomeFollower(term: Term, leader: MemberKey | null): void {
    const wasPassive = this.campaign === null && this.lead === null
    if (term > this.term) {
      this.term = term
      this.vote = null
      this.hardChanged = true
      this.forgetTerm()
    }
    const released = this.lead?.rounds.release() ?? []
    const change = this.lead?.change ?? null
    if (change !== null) this.changes.push(outcomeOfLost(change))
    this.campaign = null
    this.lead = null
    this.role = this.passiveRole()
    this.setLeader(leader)
    for (const read of released) if (read.from === null) this.asked.add(read.number)
    if (!wasPassive) this.resetElection()
  }

  setLeader(leader: MemberKey | null): void {
    if (this.leader === leader) return
    this.leader = leader
    this.asked.restart()
  }

  /** What was verified, heard and owed in an earlier term says nothing of this one. */
  forgetTerm(): void {
    this.leader = null
    this.asked.restart()
    this.verified = 0
    this.round = 0
    this.acknowledged = 0
    this.owesReply = false
    this.reject = null
  }

  /** A configuration has entered or left the log. */
  membershipChanged(): void {
    if (this.campaign === null && this.lead === null) this.role = this.passiveRole()
  }
}

function outcomeOfLost({ ticket, begun }: Change): ChangeOutcome {
  if (begun) return { ticket, kind: 'lost' }
  return { ticket, kind: 'refused', wait: true, text: 'this node does not lead any more' }
}
