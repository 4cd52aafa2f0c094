// Whoever counts admits the members of its own configuration only: a link, a vote or an acknowledgement of others says nothing.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { keyOf } from '../../help/core-cluster.ts'
import { Solo, self } from '../../help/solo-core.ts'

/** Of {1, 2, 3}, 1 stands, and then leads; 4 and 5, which are no members, grant and acknowledge all that it asks. */
export function scenario(): void {
  const solo = new Solo()
  const strangers = [4, 5]
  solo.timeout()
  for (const [pre, role] of [
    [true, 'pre-candidate'],
    [false, 'candidate']
  ] as const) {
    const term = solo.core.status.term + (pre ? 1 : 0)
    const message = { kind: 'vote-reply', pre, round: pre ? 1 : 2, granted: true, reason: null } as const
    for (const stranger of strangers) solo.hear(stranger, term, message)
    hold(solo.core.status.role === role, 'IS1', () => 'it is elected by strangers')
    solo.hear(2, term, message)
  }
  hold(solo.core.status.leader === self, 'IX1', () => 'it does not lead')
  solo.propose()
  const { index } = solo.core.status.last
  for (const stranger of strangers) solo.reply(stranger, index)
  hold(solo.commit < index, 'IS4', () => 'what only strangers have is called committed')
  hold(!solo.core.status.peers.includes(keyOf(4)), 'IS4', () => 'a stranger is replicated to')
  solo.reply(2, index)
  hold(solo.commit === index, 'IL1', () => 'what a majority has is not committed')
}
