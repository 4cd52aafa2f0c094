// The core: a function of (state, input, now). `step` dispatches to the rooms, `ready` gathers what they want done.
//
// The rooms: `voting` answers candidates in any role, `candidate` campaigns, `follower` takes blocks and acknowledges,
// `leader` counts and commits, `replication` says what each peer is owed, `state` is what they share, `log-state` the
// log as (term, index) and its writes under way. Nothing here keeps a payload beyond the turn, knows the time, or draws
// chance from anywhere but its seed.

import { onVoteReply, ownVoteDurable } from './candidate.ts'
import type { Due, Input, Raft, Ready } from './doors.ts'
import {
  durableMatch,
  followerPersisted,
  leaderLinkClosed,
  onAppend,
  onReadIndexReply,
  onSnapshot,
  onTimeoutNow,
  quorumGreeted,
  settleFollower,
  tickFollower
} from './follower.ts'
import { checkBasic, checkDelta } from './invariants.ts'
import {
  advanceCommit,
  onAppendReply,
  onSnapshotReply,
  peerRestarted,
  propose,
  settleLeader,
  stepAside,
  tickLeader,
  transfer
} from './leader.ts'
import type { Envelope } from './message.ts'
import { beginChange } from './reconfiguration.ts'
import { announceTo, appendTo, dueFor, leaderWakeAt } from './replication.ts'
import { type CoreOptions, CoreState } from './state.ts'
import { type CoreView, StatusView, viewOf } from './status.ts'
import type { Block, Index, LogId, MemberKey, Membership, Role, SnapshotMeta, Term } from './types.ts'
import { onVote } from './voting.ts'

export class Core implements Raft {
  readonly status: StatusView
  readonly #state: CoreState
  /** What the last `Ready` told. */
  #told: { role: Role; term: Term; leader: MemberKey | null; membership: Membership }
  #commitTold: Index
  #checked: CoreView

  constructor(options: CoreOptions) {
    this.#state = new CoreState(options)
    this.status = new StatusView(this.#state)
    const { role, term, leader, membership } = this.status
    this.#told = { role, term, leader, membership }
    this.#commitTold = this.status.commit
    this.#checked = viewOf(this.#state)
    checkBasic(this.#checked)
  }

  step(input: Input, now: number): void {
    const state = this.#state
    state.now = Math.max(state.now, now)
    switch (input.kind) {
      case 'time':
        if (state.lead === null) tickFollower(state)
        else tickLeader(state)
        return
      case 'receive':
        receive(state, input.envelope)
        return
      case 'propose':
        propose(state, input.block)
        return
      case 'persisted':
        persisted(state, input.mark)
        return
      case 'read':
        read(state, input.ticket)
        return
      case 'change':
        beginChange(state, input.ticket, input.target)
        return
      case 'transfer':
        transfer(state, input.to)
        return
      case 'unreachable':
        state.lead?.progress.get(input.peer)?.unreachable(state.log.trail)
        return
      case 'link-closed':
        if (state.lead !== null) state.lead.progress.get(input.peer)?.unreachable(state.log.trail)
        else if (state.leader === input.peer) leaderLinkClosed(state)
        return
      case 'greeted':
        greeted(state, input.peer, input.boot)
        return
      case 'compacted':
        compacted(state, input.base)
        return
      case 'unable':
        unable(state)
        return
      case 'fit':
        judged(state, input.fit)
        return
      case 'resign':
        stepAside(state)
    }
  }

  ready(): Ready | null {
    const state = this.#state
    settleLeader(state)
    if (state.lead === null) settleFollower(state)
    this.#check()
    const { sends, reads, refused } = state
    const hard = state.takeHard()
    const trust = trustDue(state)
    const persist = state.log.take(hard, trust)
    if (persist !== null && hard !== null) state.hardHanded(persist.mark)
    if (persist !== null && trust) state.trustMark = persist.mark
    const commit = state.log.commit === this.#commitTold ? null : state.log.commit
    const changed = this.#changed()
    const { changes, offer } = state
    const answers = sends.length + reads.length + refused.length + changes.length
    if (persist === null && commit === null && !changed && answers === 0 && offer === null) return null
    this.#commitTold = state.log.commit
    const ready = {
      persist,
      send: [...sends],
      commit,
      reads: [...reads],
      refused: [...refused],
      changes,
      offer,
      changed
    }
    sends.length = 0
    reads.length = 0
    refused.length = 0
    state.changes = []
    state.offer = null
    return ready
  }

  due(peer: MemberKey, now: number): Due | null {
    return dueFor(this.#state, peer, now)
  }

  append(peer: MemberKey, blocks: readonly Block[], now: number, time: number): Envelope {
    return appendTo(this.#state, peer, blocks, now, time)
  }

  announce(peer: MemberKey, meta: SnapshotMeta): Envelope {
    return announceTo(this.#state, peer, meta)
  }

  membershipAt(index: Index): Membership {
    return this.#state.memberships.at(index)
  }

  wakeAt(): number {
    const state = this.#state
    if (state.lead !== null) return leaderWakeAt(state, state.lead)
    const waits = state.eligible || state.leader !== null
    return Math.min(waits ? state.electionAt : Number.POSITIVE_INFINITY, state.asked.askAgainAt)
  }

  /** A copy of all that rules about safety speak of: for invariants, traces and hashes. */
  view(): CoreView {
    return viewOf(this.#state)
  }

  /** Once a turn, in production too. */
  #check(): void {
    const view = viewOf(this.#state)
    checkBasic(view)
    checkDelta(this.#checked, view)
    this.#checked = view
  }

  #changed(): boolean {
    const { role, term, leader, membership } = this.status
    const told = this.#told
    if (told.role === role && told.term === term && told.leader === leader && told.membership === membership)
      return false
    this.#told = { role, term, leader, membership }
    return true
  }
}

function receive(state: CoreState, envelope: Envelope): void {
  const { from, to, term, message } = envelope
  if (to !== state.self || from === state.self) return
  if (message.kind === 'vote') {
    onVote(state, envelope, message)
    return
  }
  if (message.kind === 'vote-reply') {
    onVoteReply(state, envelope, message)
    return
  }
  if (term < state.term) {
    answerStale(state, envelope)
    return
  }
  if (term > state.term) {
    // A question binds nobody: a member that was removed in a later term must not unseat a leader by asking.
    if (message.kind === 'read-index') return
    state.becomeFollower(term, null)
  }
  switch (message.kind) {
    case 'append':
      onAppend(state, from, message)
      return
    case 'append-reply':
      onAppendReply(state, from, message)
      return
    case 'timeout-now':
      onTimeoutNow(state, from)
      return
    case 'read-index':
      if (state.lead === null) state.say(from, { kind: 'read-index-reply', number: message.number, index: null })
      else if (state.lead.rounds.count < state.config.readsWaitingMax)
        state.lead.rounds.add({ from, number: message.number })
      return
    case 'read-index-reply':
      onReadIndexReply(state, from, message)
      return
    case 'snapshot':
      onSnapshot(state, from, message)
      return
    case 'snapshot-reply':
      onSnapshotReply(state, from, message)
  }
}

/** A leader of an earlier term learns from the answer that there is a later one (paper 5.1). */
function answerStale(state: CoreState, { from, message }: Envelope): void {
  if (message.kind === 'append' || message.kind === 'snapshot') {
    state.say(from, { kind: 'append-reply', match: 0, reject: null, round: 0, leaseMs: 0 })
  } else if (message.kind === 'read-index') {
    state.say(from, { kind: 'read-index-reply', number: message.number, index: null })
  }
}

function persisted(state: CoreState, mark: number): void {
  state.log.persisted(mark)
  state.persisted(mark)
  if (state.trustMark !== null && mark >= state.trustMark) {
    state.trustMark = null
    state.trusted = true
  }
  ownVoteDurable(state)
  if (state.lead === null) followerPersisted(state)
  else advanceCommit(state)
}

function read(state: CoreState, ticket: number): void {
  const { lead, asked, config } = state
  if ((lead?.rounds.count ?? asked.count) >= config.readsWaitingMax)
    state.refused.push({ ticket, leader: state.leader })
  else if (lead === null) asked.add(ticket)
  else lead.rounds.add({ from: null, number: ticket })
}

function greeted(state: CoreState, peer: MemberKey, boot: number): void {
  const seen = state.boots.get(peer) ?? 0
  if (boot < seen) {
    state.copies.add(peer)
    return
  }
  state.copies.delete(peer)
  if (boot > seen) {
    state.boots.set(peer, boot)
    peerRestarted(state, peer)
  }
  if (peer === state.leader) state.asked.restart()
  quorumGreeted(state)
}

function compacted(state: CoreState, base: LogId): void {
  state.log.compact(base)
  state.memberships.compact(base.index)
  for (const progress of state.lead?.progress.values() ?? []) progress.rebased(state.log.trail)
}

/** Whoever leads must apply: for a client's answers, and for the time and the sessions that the next leader takes up. */
function unable(state: CoreState): void {
  state.able = false
  if (state.campaign !== null || state.lead !== null) state.becomeFollower(state.term, null)
}

/** The owner judges its own disk and event loop. */
function judged(state: CoreState, fit: boolean): void {
  if (state.fit && !fit) state.unfitAt = state.now
  state.fit = fit
}

/** The log holds all that this node may have promised before its start, durably and as its leader has it. */
function trustDue(state: CoreState): boolean {
  if (state.trusted || state.trustMark !== null || state.trustIndex === null || state.leader === null) return false
  return durableMatch(state) >= state.trustIndex
}
