// What a follower or learner does: takes blocks from its leader, acknowledges what is durable, and notices its silence.
import { assert } from '../base/assert.ts'
import { canStand, stand, startCampaign } from './candidate.ts'
import type { Append, ReadIndexReply, Snapshot } from './message.ts'
import { hasQuorum } from './quorum.ts'
import { type CoreState, trustTicket } from './state.ts'
import { type Block, type Index, lastOf, type MemberKey, type Term } from './types.ts'

/** An append of the leader of this term (paper 5.3). */
export function onAppend(state: CoreState, from: MemberKey, append: Append): void {
  if (!wellFormed(append, state.term, state.log.base.index)) return
  heardLeader(state, from)
  if (append.round > state.round) noteRound(state, from, append.round)
  const { log } = state
  const { prev, blocks } = append
  if (prev.index >= log.base.index && !log.trail.holds(prev)) {
    state.reject = { index: prev.index, hint: { ...log.hintFor(Math.min(prev.index, log.last.index), prev.term) } }
    state.owesReply = true
    return
  }
  for (const block of blocks) take(state, block)
  const end = blocks.length === 0 ? prev.index : lastOf(blocks.at(-1)!)
  // All below the base is committed, and so in the log of every leader.
  state.verified = Math.max(state.verified, end, log.base.index)
  const commit = Math.min(append.commit, state.verified)
  if (commit > log.commit) log.commitTo(commit)
  if (blocks.length === 0 || durableMatch(state) >= end) state.owesReply = true
}

/** The leader has compacted away what this node lacks, and has a snapshot instead (thesis 5). */
export function onSnapshot(state: CoreState, from: MemberKey, { meta }: Snapshot): void {
  heardLeader(state, from)
  const { commit } = state.log
  if (state.hollow) {
    if (meta.last.index >= state.log.base.index) state.offer = { from, meta }
  } else if (meta.last.index <= commit) state.say(from, { kind: 'snapshot-reply', installed: commit })
  else state.offer = { from, meta }
}

/** Up to here the own disk holds the log of this term's leader: what an acknowledgement may say. */
export function durableMatch(state: CoreState): Index {
  return Math.min(state.verified, state.log.durable)
}

/** The own disk has moved on: the leader is told at the end of the turn. */
export function followerPersisted(state: CoreState): void {
  if (state.leader !== null && durableMatch(state) > state.acknowledged) state.owesReply = true
}

/** At the end of a turn: one answer to the leader for all that it sent, and one question for all reads. */
export function settleFollower(state: CoreState): void {
  const { leader, config } = state
  if (leader === null) return
  if (state.owesReply && state.hardDurable) {
    const match = durableMatch(state)
    const leaseMs = config.leaseReads && state.round > 0 ? config.leaseMs : 0
    state.say(leader, { kind: 'append-reply', match, reject: state.reject, round: state.round, leaseMs })
    state.acknowledged = match
    state.owesReply = false
    state.reject = null
    if (state.hollow) askForState(state, leader)
  }
  if (state.asked.unasked) {
    const number = state.asked.ask(state.now, config.electionTimeoutMsMin)
    state.say(leader, { kind: 'read-index', number })
  }
}

/** Again with each heartbeat, for the word may be lost and the leader another. */
function askForState(state: CoreState, leader: MemberKey): void {
  if (state.now < state.hollowToldAt + state.config.heartbeatMs) return
  state.hollowToldAt = state.now
  state.say(leader, { kind: 'snapshot-reply', installed: 0 })
}

export function tickFollower(state: CoreState): void {
  if (state.now >= state.asked.askAgainAt) state.asked.restart()
  if (state.now < state.electionAt) return
  if (canStand(state)) {
    startCampaign(state)
    return
  }
  state.setLeader(null)
  state.resetElection()
}

/** The leader hands over: campaign at once, without a pre-vote (thesis 3.10). */
export function onTimeoutNow(state: CoreState, from: MemberKey): void {
  if (state.leader === from && state.campaign === null && state.eligible && !state.holdsBack) stand(state, true)
}

export function onReadIndexReply(state: CoreState, from: MemberKey, reply: ReadIndexReply): void {
  if (from !== state.leader || reply.index === null) return
  for (const ticket of state.asked.answered(reply.number)) {
    if (ticket === trustTicket) state.trustIndex = reply.index
    else state.reads.push({ ticket, index: reply.index })
  }
}

/**
 * The other side has closed the link to the leader: it may be dead. This node forgets it, so that it may grant votes,
 * and asks for pre-votes after a short random time; not while it has promised to wait, and once per election timeout.
 */
/**
 * Enough members have greeted this node since its start to elect one of them, and no leader has been heard yet: if there
 * were one, its heartbeat would come within the next interval. So the first election waits for that, not for a timeout.
 */
export function quorumGreeted(state: CoreState): void {
  const { now, config } = state
  const heard = state.leaderHeardAt !== Number.NEGATIVE_INFINITY
  if (heard || state.lead !== null || state.campaign !== null || !canStand(state)) return
  if (!hasQuorum(state.memberships.current, key => key === state.self || state.boots.has(key))) return
  state.electionAt = Math.min(state.electionAt, now + config.heartbeatMs + state.random.below(config.heartbeatMs))
}

export function leaderLinkClosed(state: CoreState): void {
  const { now, config } = state
  if (now < state.promisedUntil) return
  state.setLeader(null)
  if (!canStand(state) || now - state.hintedAt < config.electionTimeoutMsMin) return
  state.hintedAt = now
  state.electionAt = Math.min(state.electionAt, now + state.random.below(config.hintMsMax + 1))
}

function heardLeader(state: CoreState, from: MemberKey): void {
  assert(state.lead === null, 'one leader a term: a leader never hears another of its own term')
  assert(state.leader === null || state.leader === from, 'one leader a term: a follower never hears two')
  if (state.campaign === null) state.setLeader(from)
  else state.becomeFollower(state.term, from)
  state.leaderHeardAt = state.now
  state.resetElection()
}

/** A round is answered in this turn, without waiting for the disk: it asks for the term, and that is durable. */
function noteRound(state: CoreState, from: MemberKey, round: number): void {
  state.round = round
  state.owesReply = true
  if (!state.config.leaseReads) return
  state.promisedUntil = state.now + state.config.leaseMs
  state.promisedTo = from
}

/** Contiguous blocks, whole on either side of the base, whose terms do not fall and do not exceed the leader's. */
function wellFormed({ prev, blocks }: Append, term: Term, base: Index): boolean {
  let next = prev.index + 1
  let least = prev.term
  if (least > term) return false
  for (const block of blocks) {
    if (block.first !== next || block.term < least || block.term > term) return false
    next = block.first + block.count
    least = block.term
    if (block.first <= base && next > base + 1) return false
  }
  return true
}

/** Holds a block already, or cuts what conflicts with it and appends it (paper figure 2, AppendEntries 3 and 4). */
function take(state: CoreState, block: Block): void {
  const { log } = state
  if (lastOf(block) <= log.base.index) return
  if (block.first <= log.last.index) {
    if (log.trail.termAt(block.first) === block.term) {
      assert(lastOf(block) <= log.last.index, 'a block is held whole or not at all')
      return
    }
    assert(block.first > state.verified, 'what was verified in this term is not cut in it')
    log.cut(block.first - 1)
    state.memberships.cut(block.first - 1)
    state.membershipChanged()
  }
  log.append(block)
  if (block.membership === null) return
  state.memberships.append(block.first, block.membership)
  state.membershipChanged()
}
