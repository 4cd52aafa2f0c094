// Snapshots in whole clusters: to who was away, over bad links, with a crash at each step, and never one after the other.
import { t } from 'tap'
import type { Depth } from '../../lib/sim/cluster.ts'
import type { SimNode } from '../../lib/sim/node/sim-node.ts'
import { comesToRest, cutEarly, fill, isLevel, type LoadedCluster, underLoad } from '../help/loaded-cluster.ts'

t.setTimeout(300_000)

/** The log of its leader begins after what this node has. */
async function leaveBehind({ cluster }: LoadedCluster, node: SimNode): Promise<void> {
  const last = node.log!.tail.index
  node.crash('killed')
  t.ok(await cluster.play(20_000, () => (cluster.leader?.log?.base.index ?? 0) > last))
}

for (const depth of ['shallow', 'deep'] satisfies Depth[]) {
  t.test(`${depth}: who was away while the log was cut takes up a snapshot, under load`, async t => {
    const bed = await underLoad(31, depth, cutEarly)
    const { cluster, follower } = bed
    await leaveBehind(bed, follower)
    follower.start()
    t.ok(await cluster.play(10_000, () => follower.snapshots === 1))
    await comesToRest(t, bed)
    t.equal(follower.snapshots, 1, 'one is enough')
    t.equal(follower.log!.base.state, 2)
  })

  t.test(`${depth}: it dies at any step of taking one up, and is level in the end`, async t => {
    let died = 0
    let taken = 0
    for (let effects = 1; effects <= 12; effects += depth === 'shallow' ? 2 : 4) {
      const bed = await underLoad(100 + effects, depth, cutEarly)
      const { cluster, follower } = bed
      await leaveBehind(bed, follower)
      follower.start()
      // From the first moment at which a snapshot may be on its way.
      await cluster.play(5000, () => cluster.leader!.node!.counters.snapshotBytesSent > 0)
      follower.dieAfter(effects, () => {
        died++
        cluster.world.after(50, null, () => follower.start())
      })
      await cluster.play(3000)
      follower.dieAfter(0, () => {})
      await comesToRest(t, bed)
      taken += follower.snapshots
    }
    t.ok(died >= 2 && taken >= 2, `${died} deaths, ${taken} snapshots`)
  })
}

t.test('a broken link costs what was on its way, and not what had come', async t => {
  const bed = await underLoad(41, 'deep', cutEarly)
  const { cluster, workload, follower } = bed
  workload.stop()
  await cluster.play(1000)
  follower.crash('killed')
  // Much larger than what may be on its way.
  await fill(cluster, 400, 4096)
  await cluster.play(3000)
  follower.start()
  const { leader } = cluster
  const sent = (): number => leader!.node!.counters.snapshotBytesSent
  for (let broken = 0; broken < 3; broken++) {
    const before = sent()
    await cluster.play(10_000, () => sent() > before + 300_000)
    cluster.reset(follower)
  }
  t.ok(await cluster.play(20_000, () => follower.snapshots === 1))
  const size = 400 * 4096
  t.ok(sent() < 1.6 * size + 3 * 8 * 65_536, `${sent()} bytes sent of about ${size}`)
  await comesToRest(t, bed)
})

t.test('a slow link under a load that fills the log again and again: no snapshot follows another for ever', async t => {
  const bed = await underLoad(51, 'shallow', cutEarly)
  const { cluster, follower } = bed
  await leaveBehind(bed, follower)
  const lift = cluster.wires.disturb({ kind: 'delay', amount: 200 })
  follower.start()
  t.ok(
    await cluster.play(
      30_000,
      () => follower.snapshots > 0 && cluster.leader?.node?.raft.status.mode(follower.key) === 'replicate'
    )
  )
  await cluster.play(20_000)
  t.ok(follower.snapshots <= 2, `${follower.snapshots} snapshots`)
  lift()
  await comesToRest(t, bed)
  t.ok(isLevel(bed))
})
