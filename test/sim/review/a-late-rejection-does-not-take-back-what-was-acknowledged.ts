// A rejection may arrive twice, or long after what has mended it: what a peer has acknowledged since is not sent again.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { keyOf } from '../../help/core-cluster.ts'
import { blockAfter, Solo } from '../../help/solo-core.ts'

/** 2 has refused what it was probed with, has been mended, and has acknowledged all. Then its rejection comes once more. */
export function scenario(): void {
  const solo = new Solo({ log: [1, 1, 1] })
  solo.lead()
  solo.propose()
  const { index } = solo.core.status.last
  const reject = { index: 3, hint: { index: 1, term: 1 } }
  solo.reply(2, 0, { reject })
  const due = solo.core.due(keyOf(2), solo.now)
  hold(due?.next === 2, 'IX1', () => `it is probed before ${due?.next}`)
  solo.send(2)
  solo.reply(2, 1)
  solo.send(2, [blockAfter(1, 1, 2), blockAfter(3, solo.core.status.term)])
  solo.reply(2, index)
  hold(solo.core.status.match(keyOf(2)) === index, 'IX1', () => 'it is not level')
  solo.reply(2, 0, { reject })
  const next = solo.core.due(keyOf(2), solo.now)?.next ?? index + 1
  hold(next > index, 'IS7', () => `${next} is next for a peer that has acknowledged ${index}`)
}
