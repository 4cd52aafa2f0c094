// What a change of the members does to the failures that the cluster survives: computed, not done.
import { type ChangeLimits, type Health, safetyFault, shapeFault } from '../raft/change.ts'
import type { MemberKey, Membership } from '../raft/types.ts'
import type { Knock, MembershipChange, Plan } from '../wire/admin.ts'
import { wantedOf } from './wanted.ts'

/** The cluster as its leader sees it. */
export interface ClusterView {
  /** Not joint. */
  readonly now: Membership
  readonly leader: MemberKey
  readonly health: Health
  readonly limits: ChangeLimits
  /** A node of the id in question that waits to be let in. */
  readonly knocking: Knock | null
}

interface Voter {
  readonly id: string
  readonly heard: boolean
}

/** How many of so many voters may fail while the others are still a majority. */
export function tolerated(voters: number): number {
  return Math.max(0, Math.ceil(voters / 2) - 1)
}

export function planOf(change: MembershipChange, view: ClusterView): Plan {
  const { now, health, limits } = view
  const before = votersNow(view)
  const after = votersAfter(change, view, before)
  const wanted = wantedOf(change, now, view.knocking)
  const refused =
    wanted.kind === 'refused'
      ? wanted.text
      : wanted.kind === 'target'
        ? (shapeFault(now, wanted.target) ?? safetyFault(now, wanted.target, health, limits))
        : null
  const risks = refused === null ? risksOf(change, view, before, after) : []
  if (wanted.kind === 'awaits') risks.push(wanted.text)
  if (wanted.kind === 'done') risks.push('nothing would change')
  return {
    voters: before.map(voter => voter.id),
    votersAfter: after.map(voter => voter.id),
    tolerates: tolerated(before.length),
    toleratesAfter: tolerated(after.length),
    toleratesNow: toleratedNow(before),
    toleratesNowAfter: toleratedNow(after),
    refused,
    risks
  }
}

function votersNow({ now, health, limits }: ClusterView): Voter[] {
  return now.members
    .filter(({ key }) => now.voters.includes(key))
    .map(({ key, id }) => ({ id, heard: health.silentMs(key) <= limits.silentMsMax }))
}

/** Once all is done: a new member is a voter and level, unless it is to stay a learner. */
function votersAfter(change: MembershipChange, { now }: ClusterView, before: readonly Voter[]): Voter[] {
  const { id } = change
  const isVoter = before.some(voter => voter.id === id)
  const isMember = now.members.some(member => member.id === id)
  const others = before.filter(voter => voter.id !== id)
  switch (change.op) {
    case 'remove':
      return others
    case 'replace':
      return isVoter ? [...others, { id, heard: true }] : others
    case 'add':
      return isVoter || isMember || change.learner ? [...before] : [...others, { id, heard: true }]
    case 'promote':
      return isVoter || !isMember ? [...before] : [...others, { id, heard: true }]
  }
}

/** How many of those that are heard may fail yet. */
function toleratedNow(voters: readonly Voter[]): number {
  const heard = voters.filter(voter => voter.heard).length
  return Math.max(0, heard - (Math.floor(voters.length / 2) + 1))
}

function risksOf(
  change: MembershipChange,
  view: ClusterView,
  before: readonly Voter[],
  after: readonly Voter[]
): string[] {
  const risks: string[] = []
  const { now, health } = view
  const member = now.members.find(({ id }) => id === change.id)
  const [fewer, more] = [tolerated(after.length), tolerated(before.length)]
  if (fewer < more) risks.push(`the cluster will survive ${failures(fewer)}, where it survives ${more} now`)
  if (after.length % 2 === 0 && after.length > before.length) {
    risks.push(`${after.length} voters survive no more failures than ${after.length - 1}: add another one`)
  }
  if (change.op === 'remove' && member?.key === view.leader) risks.push(`${change.id} leads: another has to take over`)
  if (change.op === 'replace' && member !== undefined && now.voters.includes(member.key)) {
    const left = after.filter(voter => voter.id !== change.id)
    risks.push(
      `until ${change.id} is level again, ${left.length} voters count, and they survive ${failures(toleratedNow(left))}`
    )
  }
  if (change.op === 'promote' && member !== undefined && health.lacks(member.key) > 0) {
    risks.push(`${change.id} lacks ${health.lacks(member.key)} records yet`)
  }
  const silent = after.filter(voter => !voter.heard).map(voter => voter.id)
  if (silent.length > 0) {
    risks.push(
      `${silent.join(', ')} not heard at present: the cluster will survive ${failures(toleratedNow(after))} more`
    )
  }
  return risks
}

function failures(count: number): string {
  return count === 0 ? 'no failure' : count === 1 ? '1 failure' : `${count} failures`
}
