// Disks that are full for longer than any node would live by a count of its faults: no process ends, and with room all go on.
import { t } from 'tap'
import { comesToRest, underLoad } from '../help/loaded-cluster.ts'

t.setTimeout(120_000)

for (const depth of ['shallow', 'deep'] as const) {
  t.test(`${depth}: a full disk ends no node for good, be it one or all`, async t => {
    const bed = await underLoad(31, depth)
    const { cluster, follower } = bed
    follower.disk.knobs.full = true
    await cluster.play(6_000)
    t.ok(follower.life !== null, 'its process goes on')
    t.ok(follower.faults > 3, `${follower.faults} lives`)
    for (const node of cluster.nodes) node.disk.knobs.full = true
    await cluster.play(6_000)
    t.same(
      cluster.nodes.map(({ life }) => life === null),
      [false, false, false]
    )
    for (const node of cluster.nodes) node.disk.knobs.full = false
    await comesToRest(t, bed)
  })
}
