// Changes of the configuration: through a joint one, one at a time, and never into one that cannot decide (thesis 4.3).
import { hasQuorum } from './quorum.ts'
import type { Member, MemberKey, Membership } from './types.ts'

/** What a leader knows of those it counts: asked before it begins a change. */
export interface Health {
  /** Milliseconds since this member was last heard; 0 for the leader itself, Infinity for who is unknown here. */
  silentMs(key: MemberKey): number
  /** Records that this member's disk lacks; 0 for the leader itself, Infinity for who is unknown here. */
  lacks(key: MemberKey): number
}

export interface ChangeLimits {
  /** A member silent for longer is not counted upon. */
  readonly silentMsMax: number
  /** A learner that lacks more records than this is not promoted. */
  readonly lacksMax: number
}

/** Equal sets of keys. */
function same(a: readonly MemberKey[], b: readonly MemberKey[]): boolean {
  return a.length === b.length && a.every(key => b.includes(key))
}

/**
 * What enters the log first on the way from `now` to `target`: the joint configuration of both, in which votes and commits
 * need both halves; where no voter changes, the target itself.
 */
export function firstStep(now: Membership, target: Membership): Membership {
  if (same(now.voters, target.voters)) return target
  const members = [...target.members, ...now.members.filter(({ key }) => isLeaving(key, now, target))]
  return { voters: target.voters, outgoing: now.voters, learners: target.learners, members }
}

/** A voter of `now` that is no member of `target`: it counts in the outgoing half and is then gone. */
function isLeaving(key: MemberKey, now: Membership, target: Membership): boolean {
  return now.voters.includes(key) && !target.members.some(member => member.key === key)
}

/** The configuration that a joint one leads to. */
export function finalStep(joint: Membership): Membership {
  const { voters, learners } = joint
  const stays = ({ key }: Member): boolean => voters.includes(key) || learners.includes(key)
  return { voters, outgoing: null, learners, members: joint.members.filter(stays) }
}

/** Why `target` is no configuration that `now` may be changed into, in a sentence; null when it is one. */
export function shapeFault(now: Membership, target: Membership): string | null {
  const { voters, learners, members, outgoing } = target
  if (outgoing !== null) return 'a change leads to a configuration that is not joint'
  if (voters.length === 0) return 'the last voter cannot be removed'
  const keys = [...voters, ...learners]
  if (new Set(keys).size !== keys.length) return 'a member is a voter or a learner, and once'
  if (
    !same(
      members.map(member => member.key),
      keys
    )
  )
    return 'each member is a voter or a learner'
  if (new Set(members.map(member => member.id)).size !== members.length) return 'two members have one id'
  const addresses = new Set(members.map(member => member.address))
  if (addresses.size !== members.length) return 'two members have one address'
  for (const key of voters) {
    const known = now.voters.includes(key) || now.learners.includes(key)
    if (!known) return `${idOf(key)} has to be a learner before it is a voter`
  }
  return null
}

/** Why the change would be unsafe to begin now, in a sentence; null when it is not. `target` has the right shape. */
export function safetyFault(
  now: Membership,
  target: Membership,
  health: Health,
  { silentMsMax, lacksMax }: ChangeLimits
): string | null {
  if (same(now.voters, target.voters)) return null
  for (const key of target.voters) {
    if (now.voters.includes(key)) continue
    const lacks = health.lacks(key)
    if (lacks > lacksMax) return `${idOf(key)} is not level yet: it lacks ${lacks} records`
    if (health.silentMs(key) > silentMsMax) return `${idOf(key)} is not heard`
  }
  const heard = (key: MemberKey): boolean => health.silentMs(key) <= silentMsMax
  if (hasQuorum(target, heard)) return null
  const silent = target.voters.filter(key => !heard(key)).map(idOf)
  return `the voters that are left would have no healthy majority: ${silent.join(', ')} not heard`
}

/** The node id in a member key. */
export function idOf(key: MemberKey): string {
  return key.slice(0, key.lastIndexOf('.'))
}
