// Leading: proposing, counting acknowledgements, committing, keeping a quorum, answering reads, handing over.
import { assert } from '../base/assert.ts'
import { isVoter, peersOf, votersOf } from './membership.ts'
import type { AppendReply, SnapshotReply } from './message.ts'
import { Progress } from './progress.ts'
import { hasQuorum, quorumValue } from './quorum.ts'
import { ReadRounds } from './read-rounds.ts'
import { checkProposed, dueToLeave, hasLeft, noteLeaving, settleChange } from './reconfiguration.ts'
import type { CoreState, Leadership } from './state.ts'
import type { Block, MemberKey } from './types.ts'

/** Probes every peer at once; the first block of the term (a no-op) is proposed by the owner. */
export function becomeLeader(state: CoreState): void {
  const tickets = state.asked.release()
  state.campaign = null
  state.role = 'leader'
  state.leader = state.self
  state.lead = {
    progress: new Map(),
    peers: [],
    rounds: new ReadRounds(),
    transfer: null,
    change: null,
    leaving: new Map(),
    since: state.now,
    quorumCheckAt: state.now + state.config.electionTimeoutMsMax,
    commitAt: state.now
  }
  for (const ticket of tickets) state.lead.rounds.add({ from: null, number: ticket })
  // They are given the time to answer.
  meetPeers(state, state.lead, state.now)
}

/** A block that continues the log in this term. */
export function propose(state: CoreState, block: Block): void {
  assert(state.lead !== null && state.lead.transfer === null, 'only a leader that accepts is given blocks')
  assert(block.term === state.term, 'a leader proposes in its own term')
  if (block.membership !== null) checkProposed(state, block.membership)
  state.log.append(block)
  if (block.membership === null) return
  state.memberships.append(block.first, block.membership)
  meetPeers(state, state.lead, Number.NEGATIVE_INFINITY)
}

export function onAppendReply(state: CoreState, from: MemberKey, reply: AppendReply): void {
  const lead = state.lead
  const progress = lead?.progress.get(from)
  if (lead === null || progress === undefined || state.copies.has(from)) return
  if (reply.match > state.log.last.index) return
  progress.heardAt = state.now
  lead.rounds.answered(from, reply.round)
  if (reply.reject !== null) progress.rejected(reply.reject, state.log.trail)
  const news = progress.acknowledged(reply.match)
  if (lead.leaving.has(from)) partWith(state, lead)
  if (reply.round === lead.rounds.number) finishRound(state, lead)
  if (news) advanceCommit(state)
  if (state.lead === lead && lead.transfer?.to === from) tellTarget(state, lead)
}

/** By counting, only records of the own term are committed; all before them with them (paper 5.4.2). */
export function advanceCommit(state: CoreState): void {
  const { lead, log } = state
  if (lead === null) return
  const index = quorumValue(state.memberships.current, key =>
    key === state.self ? log.durable : (lead.progress.get(key)?.match ?? 0)
  )
  if (index <= log.commit || log.trail.termAt(index) !== state.term) return
  log.commitTo(index)
  lead.commitAt = state.now
  settleChange(state, lead)
  if (hasLeft(state)) resign(state, lead)
}

/** At the end of a turn: begins the next read round; alone in the cluster it is over at once. */
export function settleLeader(state: CoreState): void {
  const { lead, log, config } = state
  if (lead === null || log.trail.termAt(log.commit) !== state.term) return
  const { rounds } = lead
  while (rounds.begin(state.memberships.current, state.self, log.commit, state.now, config.readSpreadMs)) {
    if (!finishRound(state, lead)) return
  }
}

export function tickLeader(state: CoreState): void {
  const lead = state.lead!
  if (lead.transfer !== null && state.now >= lead.transfer.giveUpAt) lead.transfer = null
  partWith(state, lead)
  if (state.now < lead.quorumCheckAt) return
  const heardAt = quorumValue(state.memberships.current, key =>
    key === state.self ? state.now : (lead.progress.get(key)?.heardAt ?? Number.NEGATIVE_INFINITY)
  )
  // One sum for both questions: with a difference here, rounding could say "not yet" while the timer says "now" for ever.
  const patientUntil = heardAt + state.config.electionTimeoutMsMax
  if (state.now >= patientUntil) state.becomeFollower(state.term, null)
  else lead.quorumCheckAt = patientUntil
}

/** Stops accepting, brings the target level, and tells it to campaign (thesis 3.10). */
export function transfer(state: CoreState, wanted: MemberKey | null): void {
  const { lead, now, config } = state
  // Before its no-op a leader must go on accepting, and knows of no peer how far it is.
  if (lead === null || lead.transfer !== null || state.log.last.term !== state.term) return
  const to = wanted ?? furthestVoter(state, lead)
  if (to === null || to === state.self || !isVoter(state.memberships.current, to) || !mayFollow(state, lead, to)) return
  lead.transfer = { to, giveUpAt: now + config.electionTimeoutMsMin, toldAt: Number.NEGATIVE_INFINITY }
  tellTarget(state, lead)
}

/** A peer has introduced itself with a new boot number: what it acknowledged before is to be proved again. */
export function peerRestarted(state: CoreState, peer: MemberKey): void {
  state.lead?.progress.get(peer)?.restarted(state.log.last.index + 1, state.log.trail)
}

/** `heardAt`: what is taken for the time at which those that are new were heard. */
function meetPeers(state: CoreState, lead: Leadership, heardAt: number): void {
  const peers = peersOf(state.memberships.current, state.self)
  noteLeaving(state, lead, peers)
  lead.peers = [...peers, ...lead.leaving.keys()]
  for (const key of peers) {
    if (!lead.progress.has(key)) lead.progress.set(key, new Progress(state.log.last.index + 1, heardAt))
  }
}

/** Those left out who know it by now, or never will, are peers no more. */
function partWith(state: CoreState, lead: Leadership): void {
  if (lead.leaving.size === 0) return
  for (const key of dueToLeave(state, lead)) {
    lead.leaving.delete(key)
    lead.progress.delete(key)
  }
  lead.peers = [...lead.progress.keys()]
}

/** A peer has the snapshot, or the log up to where it ends: it is probed there. With 0 it asks for one. */
export function onSnapshotReply(state: CoreState, from: MemberKey, { installed }: SnapshotReply): void {
  const progress = state.lead?.progress.get(from)
  if (progress === undefined || state.copies.has(from) || installed > state.log.last.index) return
  progress.heardAt = state.now
  if (installed === 0) progress.hollow = true
  else progress.levelWith(installed)
}

/** Answers the reads of the round under way if a quorum has answered it. True when it did. */
function finishRound(state: CoreState, lead: Leadership): boolean {
  const finished = lead.rounds.finish(state.memberships.current)
  if (finished === null) return false
  const { reads, index } = finished
  for (const { from, number } of reads) {
    if (from === null) state.reads.push({ ticket: number, index })
    else state.say(from, { kind: 'read-index-reply', number, index })
  }
  return true
}

/** Once the target holds the whole log; again after a heartbeat, for the word may have been lost. */
function tellTarget(state: CoreState, lead: Leadership): void {
  const handing = lead.transfer
  if (handing === null || state.now < handing.toldAt + state.config.heartbeatMs) return
  if (lead.progress.get(handing.to)?.match !== state.log.last.index) return
  handing.toldAt = state.now
  state.say(handing.to, { kind: 'timeout-now' })
}

function furthestVoter(state: CoreState, lead: Leadership): MemberKey | null {
  let best: MemberKey | null = null
  let match = -1
  for (const key of votersOf(state.memberships.current)) {
    const progress = lead.progress.get(key)
    if (progress === undefined || progress.match <= match || !mayFollow(state, lead, key)) continue
    best = key
    match = progress.match
  }
  return best
}

/**
 * It answers, and its disk is so near to what is committed that the rest is a matter of moments: a leader that hands over
 * accepts nothing meanwhile.
 */
function mayFollow(state: CoreState, lead: Leadership, key: MemberKey): boolean {
  const progress = lead.progress.get(key)
  if (progress === undefined || progress.mode === 'snapshot' || progress.hollow || !isHeard(state, lead, key))
    return false
  return progress.match + state.config.promotionLackMax >= state.log.commit
}

function isHeard(state: CoreState, lead: Leadership, key: MemberKey): boolean {
  const heardAt = lead.progress.get(key)?.heardAt ?? Number.NEGATIVE_INFINITY
  return !state.copies.has(key) && state.now < heardAt + state.config.electionTimeoutMsMin
}

/**
 * The owner has found this node unfit, and nobody has taken over. That helps where those who are heard make a quorum and
 * hold more than the disk here does; where they do not, no other would do better.
 */
export function stepAside(state: CoreState): void {
  const { lead, log } = state
  if (lead === null) return
  const isAhead = (key: MemberKey): boolean =>
    key !== state.self && isHeard(state, lead, key) && lead.progress.get(key)!.match > log.durable
  if (!hasQuorum(state.memberships.current, isAhead)) return
  state.unfitAt = state.now
  resign(state, lead)
}

/** Steps down for good, and names a successor so that nobody has to wait for a timeout. */
function resign(state: CoreState, lead: Leadership): void {
  const successor = furthestVoter(state, lead)
  if (successor !== null) state.say(successor, { kind: 'timeout-now' })
  state.becomeFollower(state.term, null)
}
