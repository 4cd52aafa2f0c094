// A configuration acts as soon as it is in a log, so a voter may not know the candidate yet: it judges by log and term alone.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { CoreCluster, keyOf, membershipOf } from '../../help/core-cluster.ts'

/**
 * {1, 2, 3} becomes {3, 4, 5} while 3 is cut off: first 4 and 5 learn, then 1, 2, 4 and 5 commit the joint configuration, 4
 * and 5 the new one. Then 1 and 2 are gone, 5 dies, and 4 starts anew. 3 and 4 are a majority, 4 has everything, and 3 has
 * never heard of it.
 */
export function scenario(): void {
  const cluster = new CoreCluster({ count: 5, voters: 3 })
  const [one, two, three, four, five] = [1, 2, 3, 4, 5].map(number => cluster.member(number))
  const without3 = ({ from, to }: { readonly from: string; readonly to: string }): boolean =>
    from !== three!.key && to !== three!.key
  cluster.campaign(one!)
  cluster.settle(without3)
  hold(one!.core.status.role === 'leader', 'IX1', () => 'the first does not lead')
  // A leader that hears nothing of a voter waits an election timeout before it begins a change.
  cluster.run(1_500, without3)
  for (const target of [membershipOf([1, 2, 3], null, [4, 5]), membershipOf([3, 4, 5])]) {
    const ticket = cluster.change(one!, target)
    cluster.run(500, without3)
    const settled = one!.changes.some(outcome => outcome.ticket === ticket && outcome.kind === 'settled')
    hold(settled, 'IX1', () => 'the change is not committed')
  }
  for (const member of [one!, two!, four!, five!]) cluster.crash(member)
  cluster.restart(four!)
  const known = three!.core.status.membership.members.some(({ key }) => key === keyOf(4))
  hold(!known && three!.last < four!.last, 'IX1', () => 'the third has heard of it')
  cluster.run(10_000)
  hold(four!.core.status.role === 'leader', 'IL1', () => 'a majority is there, and nobody leads')
  const { commit, last } = three!.core.status
  hold(commit === last.index && last.index === four!.core.status.last.index, 'IL3', () => 'it does not commit')
}
