// Campaigning: pre-vote, vote, winning and giving up (paper 5.2, thesis 3.10 and 9.6).
import { assert } from '../base/assert.ts'
import { becomeLeader } from './leader.ts'
import { votersOf } from './membership.ts'
import type { Envelope, VoteReply } from './message.ts'
import { voteResult } from './quorum.ts'
import type { CoreState } from './state.ts'
import { compareLogIds } from './types.ts'

/** May this node campaign now? Its own vote, too, is withheld while a lease promise runs. */
export function canStand(state: CoreState): boolean {
  return state.eligible && !state.holdsBack && state.now >= state.promisedUntil
}

/** Asks whether an election would be won, without raising the term. */
export function startCampaign(state: CoreState): void {
  assert(state.lead === null, 'a leader does not campaign')
  assert(canStand(state), 'only a trusted voter campaigns')
  state.setLeader(null)
  begin(state, true, false)
  const last = { ...state.log.last }
  const { round } = state.campaign!
  for (const to of votersOf(state.memberships.current)) {
    if (to === state.self) continue
    const message = { kind: 'vote', pre: true, force: false, round, last } as const
    state.sends.push({ from: state.self, to, term: state.term + 1, message })
  }
  state.campaign!.granted.add(state.self)
  tally(state)
}

/** Stands for election in the next term. `force`: the leader has asked for it, so nobody is held off by it. */
export function stand(state: CoreState, force: boolean): void {
  assert(state.eligible, 'only a trusted voter stands for election')
  state.term++
  state.vote = state.self
  state.hardChanged = true
  state.forgetTerm()
  begin(state, false, force)
  const last = { ...state.log.last }
  const { round } = state.campaign!
  for (const to of votersOf(state.memberships.current)) {
    if (to !== state.self) state.say(to, { kind: 'vote', pre: false, force, round, last })
  }
}

/** The own vote is durable: it counts from now on. */
export function ownVoteDurable(state: CoreState): void {
  if (state.campaign === null || state.campaign.pre || !state.hardDurable) return
  state.campaign.granted.add(state.self)
  tally(state)
}

export function onVoteReply(state: CoreState, { from, term }: Envelope, reply: VoteReply): void {
  if (state.copies.has(from)) return
  const asked = reply.pre ? state.term + 1 : state.term
  if (term > asked && !reply.granted) {
    state.becomeFollower(term, null)
    return
  }
  const campaign = state.campaign
  if (campaign === null || campaign.pre !== reply.pre || campaign.round !== reply.round || term !== asked) return
  if (reply.granted) campaign.granted.add(from)
  else if (reply.pre && (reply.reason === 'self' || reply.reason === 'voted')) {
    // The voter has voted in the term we only asked about, so that term has begun.
    state.becomeFollower(term, null)
    hurry(state)
    return
  } else {
    campaign.refused.add(from)
    if (reply.reason !== 'self') campaign.outvoted = true
    else if (!campaign.outvoted) hurry(state)
  }
  tally(state)
}

function begin(state: CoreState, pre: boolean, force: boolean): void {
  const round = ++state.campaigns
  state.campaign = { pre, force, round, granted: new Set(), refused: new Set(), outvoted: false }
  state.role = pre ? 'pre-candidate' : 'candidate'
  state.resetElection()
}

function tally(state: CoreState): void {
  const { pre, granted, refused } = state.campaign!
  const result = voteResult(state.memberships.current, granted, refused)
  if (result === 'open') return
  if (result === 'lost') {
    // The time of the next campaign stays as it is: drawn at the beginning of this one, or hurried since.
    state.campaign = null
    state.role = state.passiveRole()
  } else if (pre) stand(state, false)
  else {
    assert(state.hardDurable && granted.has(state.self), 'a leader has its own vote on its disk')
    assert(compareLogIds(state.log.last, { term: state.term, index: 0 }) < 0, 'no log holds a term before its election')
    becomeLeader(state)
  }
}

/** Two who stand at once and split the votes try again soon, at different times. */
function hurry(state: CoreState): void {
  const { voteRetryMsMin: min, voteRetryMsMax: max } = state.config
  state.electionAt = Math.min(state.electionAt, state.now + min + state.random.below(max - min + 1))
}
