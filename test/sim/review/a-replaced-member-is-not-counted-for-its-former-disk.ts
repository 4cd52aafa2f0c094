// In joint consensus a node that has come back with another disk stands in one half only: its former disk is in the other.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { keyOf } from '../../help/core-cluster.ts'
import { Solo, self } from '../../help/solo-core.ts'

const former = 'n2.00000000000000aa'
const present = 'n2.00000000000000bb'
const third = keyOf(3)

/**
 * {n1, n2 with its former disk, n3} is being left for {n1, n2 with its present one, n3}. What n1 and the present n2 have is a
 * majority of the new half alone; the former disk and n3 may still elect somebody who lacks it.
 */
export function scenario(): void {
  const membership = {
    voters: [self, present, third],
    outgoing: [self, former, third],
    learners: [],
    members: []
  }
  const candidate = new Solo({ membership })
  const vote = (solo: Solo, from: string, pre: boolean): void => {
    const { term } = solo.core.status
    const round = pre ? 1 : 2
    const message = { kind: 'vote-reply', pre, round, granted: true, reason: null } as const
    solo.step({ kind: 'receive', envelope: { from, to: self, term: pre ? term + 1 : term, message } })
  }
  candidate.timeout()
  vote(candidate, third, true)
  hold(candidate.core.status.role === 'candidate', 'IX1', () => 'it does not stand')
  vote(candidate, present, false)
  hold(candidate.core.status.role === 'candidate', 'IS1', () => 'it leads by a majority of one half alone')
  vote(candidate, third, false)
  hold(candidate.core.status.role === 'leader', 'IL1', () => 'it has a majority of each half, and does not lead')

  const leader = candidate
  leader.propose()
  const { last, term } = leader.core.status
  const acknowledge = (from: string): void => {
    const message = { kind: 'append-reply', match: last.index, reject: null, round: 0, leaseMs: 0 } as const
    leader.step({ kind: 'receive', envelope: { from, to: self, term, message } })
  }
  acknowledge(present)
  hold(leader.commit < last.index, 'IS4', () => 'what one half alone has is called committed')
  acknowledge(third)
  hold(leader.commit === last.index, 'IL1', () => 'what a majority of each half has is not committed')
}
