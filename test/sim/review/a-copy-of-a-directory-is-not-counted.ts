// A boot number that falls is that of a copied directory: both of its users would vote and acknowledge under one name.

import { hold } from '../../../lib/sim/ghost/violation.ts'
import { keyOf } from '../../help/core-cluster.ts'
import { Solo } from '../../help/solo-core.ts'

/** A peer has introduced itself with its fifth start; then somebody does so with the fourth, and acknowledges everything. */
export function scenario(): void {
  const solo = new Solo()
  const peer = keyOf(2)
  const greet = (boot: number): void => void solo.step({ kind: 'greeted', peer, boot })
  greet(5)
  solo.lead([3])
  solo.propose()
  const { index } = solo.core.status.last
  greet(4)
  solo.reply(2, index)
  hold(solo.commit < index, 'IS4', () => 'what a copy has acknowledged is called committed')
  greet(6)
  solo.reply(2, index)
  hold(solo.commit === index, 'IL1', () => 'what a majority has is not committed')
}
