// Majorities, and joint majorities: both halves must agree while a configuration is being left (thesis 4.3).
import type { MemberKey, Membership } from './types.ts'

/** Do the members for whom `has` is true form a quorum? Never in a configuration without voters. */
export function hasQuorum(membership: Membership, has: (key: MemberKey) => boolean): boolean {
  return hasMajority(membership.voters, has) && (membership.outgoing === null || hasMajority(membership.outgoing, has))
}

/** The largest value that a quorum has reached: the commit index of matches, or when a quorum was last heard. */
export function quorumValue(membership: Membership, valueOf: (key: MemberKey) => number): number {
  const value = majorityValue(membership.voters, valueOf)
  return membership.outgoing === null ? value : Math.min(value, majorityValue(membership.outgoing, valueOf))
}

/** `lost`: those who have refused leave no quorum. */
export function voteResult(
  membership: Membership,
  granted: ReadonlySet<MemberKey>,
  refused: ReadonlySet<MemberKey>
): 'won' | 'lost' | 'open' {
  if (hasQuorum(membership, key => granted.has(key))) return 'won'
  return hasQuorum(membership, key => !refused.has(key)) ? 'open' : 'lost'
}

function hasMajority(voters: readonly MemberKey[], has: (key: MemberKey) => boolean): boolean {
  let count = 0
  for (const key of voters) if (has(key)) count++
  return 2 * count > voters.length
}

function majorityValue(voters: readonly MemberKey[], valueOf: (key: MemberKey) => number): number {
  if (voters.length === 0) return Number.NEGATIVE_INFINITY
  const values = voters.map(valueOf).toSorted((a, b) => b - a)
  return values[voters.length >> 1]!
}
