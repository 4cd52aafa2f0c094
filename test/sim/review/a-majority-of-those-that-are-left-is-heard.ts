// Voters are removed only while those that are left can decide: a cluster must not be changed into one that stands still.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { CoreCluster, membershipOf } from '../../help/core-cluster.ts'

/** Of three, one is down. Without one of the others nothing could be committed; without the one that is down all can. */
export function scenario(): void {
  const cluster = new CoreCluster({ count: 3 })
  const [one, three] = [cluster.member(1), cluster.member(3)]
  cluster.campaign(one)
  cluster.run(500)
  cluster.crash(three)
  cluster.run(2_000)
  const unsafe = cluster.change(one, membershipOf([1, 3]))
  cluster.run(500)
  cluster.put(one)
  cluster.run(500)
  const { commit, last, role } = one.core.status
  hold(role === 'leader' && commit === last.index, 'IL1', () => `${commit} of ${last.index} is committed by a ${role}`)
  const outcome = one.changes.find(({ ticket }) => ticket === unsafe)
  hold(outcome?.kind === 'refused' && !outcome.wait, 'IX1', () => 'the change is not refused')
  const safe = cluster.change(one, membershipOf([1, 2]))
  cluster.run(1_000)
  const settled = one.changes.some(({ ticket, kind }) => ticket === safe && kind === 'settled')
  hold(settled, 'IL1', () => 'who is down cannot be removed')
}
