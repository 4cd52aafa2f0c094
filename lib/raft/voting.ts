// How a member answers who asks for its vote, in whatever role it is (paper 5.2 and 5.4.1, thesis 4.2.3 and 9.6).
import { canStand, startCampaign } from './candidate.ts'
import type { Envelope, Vote, VoteReply } from './message.ts'
import type { CoreState } from './state.ts'
import { compareLogIds, type MemberKey } from './types.ts'

/**
 * Judged by log and term alone, also for candidates this node has never heard of: a configuration acts as soon as it is
 * in a log, so the candidate may know of one that this node lacks.
 */
export function onVote(state: CoreState, envelope: Envelope, request: Vote): void {
  const { from, term } = envelope
  if (term < state.term) {
    state.say(from, { kind: 'vote-reply', pre: request.pre, round: request.round, granted: false, reason: null })
    return
  }
  if (!request.force && heldOff(state, from)) {
    // A vote of a later term is met with silence: an answer would speak for a term that is not ours (thesis 4.2.3).
    if (request.pre || term === state.term) answer(state, envelope, request, 'leader')
    return
  }
  if (!request.pre && term > state.term) state.becomeFollower(term, null)
  const reason = refusal(state, envelope, request)
  if (reason === null && !request.pre) give(state, from)
  answer(state, envelope, request, reason)
  // Nobody leads and the better log is here: the candidate cannot win without it, so this node need not wait.
  if (reason === 'log' && state.campaign === null && state.lead === null && canStand(state)) startCampaign(state)
}

/** A leader is at work, or is promised that nobody else will be elected. The leader itself is never held off. */
function heldOff(state: CoreState, from: MemberKey): boolean {
  if (state.now < state.promisedUntil && from !== state.promisedTo) return true
  if (state.lead !== null) return true
  if (state.leader === null || state.leader === from) return false
  return state.now - state.leaderHeardAt < state.config.electionTimeoutMsMin
}

function refusal(state: CoreState, { from, term }: Envelope, request: Vote): VoteReply['reason'] {
  if (term === state.term && state.vote !== null && state.vote !== from) {
    return state.vote === state.self ? 'self' : 'voted'
  }
  if (compareLogIds(request.last, state.log.last) < 0) return 'log'
  // What was promised before the damage counts as if it were still here.
  if (!state.trusted && compareLogIds(request.last, state.mark) < 0) return 'log'
  return null
}

function give(state: CoreState, to: MemberKey): void {
  if (state.campaign !== null) state.becomeFollower(state.term, null)
  if (state.vote !== to) {
    state.vote = to
    state.hardChanged = true
  }
  state.resetElection()
}

function answer(state: CoreState, { from, term }: Envelope, request: Vote, reason: VoteReply['reason']): void {
  const { pre, round } = request
  const reply: VoteReply = { kind: 'vote-reply', pre, round, granted: reason === null, reason }
  // A pre-vote binds nobody, so its answer waits for no disk and names the term it was asked about.
  if (pre) state.sends.push({ from: state.self, to: from, term, message: reply })
  else state.say(from, reply)
}
