// A member that has lost its disk comes back with another one, and is let in in the place of the former.
import { t } from 'tap'
import { Nemesis } from '../../lib/sim/nemesis.ts'
import { comesToRest, underLoad } from '../help/loaded-cluster.ts'

t.setTimeout(120_000)

t.test('it learns at first, votes once it is promoted, and its former disk counts for nothing', async t => {
  const bed = await underLoad(47, 'deep')
  const { cluster, follower } = bed
  const node = cluster.nodes.indexOf(follower)
  const former = follower.key
  const event = { node, ms: 0 }
  const nemesis = new Nemesis(cluster, [], null)
  nemesis.follow([
    { ...event, at: 100, kind: 'wiped-disk', amount: 0 },
    { ...event, at: 2_000, kind: 'members', amount: 0.1 }
  ])
  await cluster.play(1_000)
  t.ok(follower.lost)
  const membership = () => cluster.leader!.node!.raft.status.membership
  t.ok(await cluster.play(20_000, () => follower.node !== null && membership().learners.includes(follower.key)))
  t.not(follower.key, former)
  t.notOk(membership().members.some(({ key }) => key === former))
  await cluster.play(3_000)
  nemesis.follow([{ ...event, at: 1, kind: 'members', amount: 0.6 }])
  t.ok(await cluster.play(10_000, () => membership().voters.includes(follower.key)))
  await comesToRest(t, bed)
})
