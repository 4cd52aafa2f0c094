// Who is made a voter counts at once: if it lacks half the log, nothing is committed until it has that.

import type { Envelope } from '../../../lib/raft/message.ts'
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { CoreCluster, membershipOf } from '../../help/core-cluster.ts'

/** 1 is alone but for a learner, which answers all that it is asked and is not brought any records. */
export function scenario(): void {
  const cluster = new CoreCluster({ count: 2, learners: [2], config: { promotionLackMax: 10 } })
  const [one, two] = [cluster.member(1), cluster.member(2)]
  const withoutRecords = ({ message }: Envelope): boolean => message.kind !== 'append' || message.blocks.length === 0
  cluster.campaign(one)
  cluster.run(500, withoutRecords)
  for (let at = 0; at < 20; at++) cluster.put(one)
  cluster.run(500, withoutRecords)
  const early = cluster.change(one, membershipOf([1, 2]))
  cluster.run(200, withoutRecords)
  cluster.put(one)
  cluster.run(200, withoutRecords)
  const { commit, last } = one.core.status
  hold(commit === last.index, 'IL1', () => `${commit} of ${last.index} is committed, and all voters are there`)
  const outcome = one.changes.find(({ ticket }) => ticket === early)
  hold(outcome?.kind === 'refused' && !outcome.wait, 'IX1', () => 'the change is not refused')
  cluster.run(1_000)
  const late = cluster.change(one, membershipOf([1, 2]))
  cluster.run(1_000)
  hold(
    one.changes.some(({ ticket, kind }) => ticket === late && kind === 'settled') && two.core.status.role !== 'learner',
    'IL1',
    () => 'a learner that is level is made no voter'
  )
}
