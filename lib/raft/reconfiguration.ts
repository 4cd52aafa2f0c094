// A leader changes the configuration: joint first, then final; the rules themselves are in change.ts (thesis 4.3).
import { assert } from '../base/assert.ts'
import { finalStep, firstStep, type Health, safetyFault, shapeFault } from './change.ts'
import { isVoter } from './membership.ts'
import type { CoreState, Leadership } from './state.ts'
import type { MemberKey, Membership } from './types.ts'

/** Begins a change, or says why it cannot be begun. */
export function beginChange(state: CoreState, ticket: number, target: Membership): void {
  const refuse = (wait: boolean, text: string): void => {
    state.changes.push({ ticket, kind: 'refused', wait, text })
  }
  const { lead } = state
  if (lead === null) return refuse(true, 'this node does not lead')
  const busy = standsInTheWay(state, lead)
  if (busy !== null) return refuse(true, busy)
  const { current } = state.memberships
  const fault =
    shapeFault(current, target) ??
    safetyFault(current, target, healthOf(state, lead), {
      silentMsMax: state.config.electionTimeoutMsMax,
      lacksMax: state.config.promotionLackMax
    })
  if (fault !== null) return refuse(false, fault)
  lead.change = { ticket, target, begun: false }
}

/**
 * None before the leader's own no-op is committed, for two leaders might else change from the same configuration to
 * different ones without a majority in common; and one at a time (thesis 4.1, and its erratum of 2015).
 */
function standsInTheWay(state: CoreState, lead: Leadership): string | null {
  const { log, memberships } = state
  if (log.trail.termAt(log.commit) !== state.term) return 'this leader has committed nothing in its term yet'
  if (lead.transfer !== null) return 'leadership is being handed over'
  if (!knowsItsVoters(state, lead)) return 'this leader does not know yet which voters are there'
  const unfinished = memberships.index > log.commit || memberships.current.outgoing !== null
  return lead.change !== null || unfinished ? 'another change is under way' : null
}

/** Each voter has answered in this term, or had the time to. */
function knowsItsVoters(state: CoreState, lead: Leadership): boolean {
  if (state.now - lead.since > state.config.electionTimeoutMsMax) return true
  return state.memberships.current.voters.every(
    key => key === state.self || (lead.progress.get(key)?.heardAt ?? 0) > lead.since
  )
}

/** The configuration that a leader has to propose next: the first step of a change, or the way out of a joint one. */
export function owedMembership(state: CoreState): Membership | null {
  const { lead, log, memberships } = state
  if (lead === null || lead.transfer !== null || log.trail.termAt(log.commit) !== state.term) return null
  if (memberships.index > log.commit) return null
  if (memberships.current.outgoing !== null) return finalStep(memberships.current)
  return lead.change === null || lead.change.begun ? null : firstStep(memberships.current, lead.change.target)
}

/** A configuration is being proposed. */
export function checkProposed(state: CoreState, membership: Membership): void {
  const owed = owedMembership(state)
  assert(owed !== null, 'a leader proposes a configuration only when it owes one')
  assert(sameVoters(owed, membership), 'a leader proposes the configuration that it owes')
  const { change } = state.lead!
  if (change !== null) change.begun = true
}

function sameVoters(a: Membership, b: Membership): boolean {
  return a.voters.join() === b.voters.join() && a.outgoing?.join() === b.outgoing?.join()
}

/** The commit index has risen: a change may have come to its end. */
export function settleChange(state: CoreState, lead: Leadership): void {
  const { memberships, log } = state
  const { change } = lead
  if (change === null || !change.begun || memberships.index > log.commit || memberships.current.outgoing !== null)
    return
  lead.change = null
  state.changes.push({ ticket: change.ticket, kind: 'settled', index: memberships.index })
}

/** What the rules ask about members, as this leader knows it. */
function healthOf(state: CoreState, lead: Leadership): Health {
  const { self, now, log } = state
  return {
    silentMs: (key: MemberKey) =>
      key === self ? 0 : now - (lead.progress.get(key)?.heardAt ?? Number.NEGATIVE_INFINITY),
    lacks: (key: MemberKey) => {
      if (key === self) return 0
      const progress = lead.progress.get(key)
      return progress === undefined ? Number.POSITIVE_INFINITY : Math.max(0, log.commit - progress.match)
    }
  }
}

/** Who has just been left out is fed on until it knows, or for a while. */
export function noteLeaving(state: CoreState, lead: Leadership, peers: readonly MemberKey[]): void {
  for (const key of lead.progress.keys()) {
    if (!peers.includes(key))
      lead.leaving.set(key, lead.leaving.get(key) ?? state.now + state.config.electionTimeoutMsMin)
  }
  for (const key of peers) lead.leaving.delete(key)
}

/** Those left out that need not be fed any more: they know the configuration without them to be committed, or it was long. */
export function dueToLeave(state: CoreState, lead: Leadership): MemberKey[] {
  const { index } = state.memberships
  const gone: MemberKey[] = []
  for (const [key, until] of lead.leaving) {
    const progress = lead.progress.get(key)
    const told =
      state.log.commit >= index && progress !== undefined && progress.match >= index && progress.commitSent >= index
    if (told || state.now >= until) gone.push(key)
  }
  return gone
}

/** The leader itself is not in the configuration that is now committed (thesis 4.2.2). */
export function hasLeft(state: CoreState): boolean {
  return state.memberships.index <= state.log.commit && !isVoter(state.memberships.current, state.self)
}
