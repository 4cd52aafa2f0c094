// The core seen from outside: a live view for its owner, and a plain copy for invariants, traces and hashes.

import type { Status } from './doors.ts'
import type { Progress } from './progress.ts'
import { owedMembership } from './reconfiguration.ts'
import type { CoreState } from './state.ts'
import type { Index, LogId, MemberKey, Membership, Role, Term } from './types.ts'

const nobody: readonly MemberKey[] = []

export class StatusView implements Status {
  readonly #state: CoreState

  constructor(state: CoreState) {
    this.#state = state
  }

  get self(): MemberKey {
    return this.#state.self
  }

  get role(): Role {
    return this.#state.role
  }

  get term(): Term {
    return this.#state.term
  }

  get leader(): MemberKey | null {
    return this.#state.leader
  }

  get membership(): Membership {
    return this.#state.memberships.current
  }

  get base(): LogId {
    return this.#state.log.base
  }

  get last(): LogId {
    return this.#state.log.last
  }

  get durable(): Index {
    return this.#state.log.durable
  }

  get commit(): Index {
    return this.#state.log.commit
  }

  get trusted(): boolean {
    return this.#state.trusted
  }

  get accepts(): boolean {
    return this.#state.lead !== null && this.#state.lead.transfer === null
  }

  get owesNoop(): boolean {
    return this.#state.lead !== null && this.#state.log.last.term !== this.#state.term
  }

  get owesMembership(): Membership | null {
    return owedMembership(this.#state)
  }

  get peers(): readonly MemberKey[] {
    return this.#state.lead?.peers ?? nobody
  }

  match(peer: MemberKey): Index {
    return this.#state.lead?.progress.get(peer)?.match ?? 0
  }

  heardAt(peer: MemberKey): number {
    return this.#state.lead?.progress.get(peer)?.heardAt ?? Number.NEGATIVE_INFINITY
  }

  get hollow(): boolean {
    return this.#state.hollow
  }

  needsSnapshot(peer: MemberKey): boolean {
    const progress = this.#state.lead?.progress.get(peer)
    return progress !== undefined && (progress.mode === 'snapshot' || progress.hollow)
  }

  mode(peer: MemberKey): Progress['mode'] {
    return this.#state.lead?.progress.get(peer)?.mode ?? 'probe'
  }
}

export interface PeerView {
  readonly key: MemberKey
  readonly mode: Progress['mode']
  readonly match: Index
  readonly next: Index
  readonly boot: number
}

/** A copy of all that rules about safety speak of. Small: the log is there as its term trail only. */
export interface CoreView {
  readonly self: MemberKey
  readonly role: Role
  readonly term: Term
  readonly vote: MemberKey | null
  readonly leader: MemberKey | null
  readonly trusted: boolean
  readonly hardDurable: boolean
  readonly base: LogId
  readonly last: LogId
  readonly durable: Index
  readonly commit: Index
  /** The first record of each term above the base. */
  readonly starts: readonly LogId[]
  readonly membershipIndex: Index
  readonly verified: Index
  readonly round: number
  readonly accepts: boolean
  readonly peers: readonly PeerView[]
}

export function viewOf(state: CoreState): CoreView {
  const { log, lead } = state
  const peers: PeerView[] = []
  if (lead !== null) {
    for (const [key, { mode, match, next }] of lead.progress) {
      peers.push({ key, mode, match, next, boot: state.boots.get(key) ?? 0 })
    }
  }
  return {
    self: state.self,
    role: state.role,
    term: state.term,
    vote: state.vote,
    leader: state.leader,
    trusted: state.trusted,
    hardDurable: state.hardDurable,
    base: log.base,
    last: log.last,
    durable: log.durable,
    commit: log.commit,
    starts: [...log.trail.starts],
    membershipIndex: state.memberships.index,
    verified: state.verified,
    round: lead?.rounds.number ?? state.round,
    accepts: lead !== null && lead.transfer === null,
    peers
  }
}
