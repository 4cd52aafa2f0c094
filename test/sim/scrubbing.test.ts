// Damage that nobody meets: the scrub finds it, has the log begin above it or the state brought anew, and nothing is lost.

import { t } from 'tap'
import { readBlockKey } from '../../lib/log/keys.ts'
import type { SimDatabase } from '../../lib/sim/disk/sim-database.ts'
import type { SimNode } from '../../lib/sim/node/sim-node.ts'
import { comesToRest, type LoadedCluster, underLoad } from '../help/loaded-cluster.ts'

t.setTimeout(120_000)

const scrubbed = { scrubAfterMs: 3000, scrubEveryMs: 3000 }

/** All blocks can be read, from the base to the end. */
async function isWhole({ cluster }: LoadedCluster, node: SimNode): Promise<boolean> {
  const log = node.log!
  let sound = true
  let under = 1
  const read = (from: number): void => {
    if (from > log.tail.index) return void under--
    log.cold(from, 1_000_000, (error, blocks) => {
      if (error !== null || blocks === null || blocks.length === 0) {
        sound = false
        under--
      } else {
        const last = blocks.at(-1)!
        read(last.first + last.count)
      }
    })
  }
  read(log.base.index + 1)
  await cluster.play(5000, () => under === 0)
  return sound && under === 0
}

/** Both what is on the disk, and what a process that has it open is given. */
function spoil(database: SimDatabase, text: string): void {
  const { key, value } = database.durable.get(text)!
  const altered = new Uint8Array(value)
  altered[altered.length >> 1]! ^= 4
  database.alter(text, altered)
  if (database.seen.has(text)) database.seen.set(text, { key, value: altered })
}

/** Spoils a block of the log in the middle of what the state contains; its last record. */
function spoilLog(node: SimNode): number {
  const { log } = node.disk
  const blocks = log.durable.toArray().flatMap(([text, { key }]) => {
    const card = readBlockKey(key)
    return card === null || card.membership ? [] : [{ text, last: card.first + card.count - 1 }]
  })
  const chosen = blocks[blocks.length >> 1]!
  spoil(log, chosen.text)
  return chosen.last
}

function damagesOf({ node }: SimNode): number {
  return node?.counters.damagesFound ?? 0
}

t.test('a block that rots while the node is down, below its state: the log begins above it soon after', async t => {
  for (const seed of [1, 2, 3]) {
    const bed = await underLoad(seed, 'deep', scrubbed)
    const { cluster, follower } = bed
    follower.crash('killed')
    const last = spoilLog(follower)
    follower.start()
    t.ok(await cluster.play(20_000, () => follower.log !== null && follower.log.base.index >= last))
    t.match(bed.said.get(follower.id), [/^the log is damaged: the block of the records \d+ to \d+ is damaged on disk$/])
    t.equal(damagesOf(follower), 1)
    await comesToRest(t, bed)
    t.ok(await isWhole(bed, follower))
    t.equal(follower.snapshots, 0)
    t.equal(follower.log!.base.state, 1, 'its state has stayed')
  }
})

t.test('a block that rots while the node runs is found by a later scrub, also on a leader', async t => {
  for (const [seed, leads] of [
    [4, false],
    [5, true]
  ] as const) {
    const bed = await underLoad(seed, 'deep', scrubbed)
    const { cluster } = bed
    // What has been written by this life is still in memory.
    const node = leads ? cluster.leader! : bed.follower
    node.crash('killed')
    node.start()
    t.ok(await cluster.play(10_000, () => node.node !== null && cluster.leader !== null))
    if (leads) {
      t.ok(await cluster.play(10_000, () => cluster.leader !== null && cluster.leader.node!.peers().length === 2))
      const leader = cluster.leader!
      if (leader !== node) leader.node!.transfer(node.key)
      t.ok(await cluster.play(10_000, () => cluster.leader === node), 'it leads')
    }
    const last = spoilLog(node)
    t.ok(await cluster.play(20_000, () => node.log !== null && node.log.base.index >= last))
    t.equal(damagesOf(node), 1)
    if (leads) t.ok(await cluster.play(5000, () => cluster.leader !== null && cluster.leader !== node), 'handed over')
    await comesToRest(t, bed)
    t.ok(await isWhole(bed, node))
  }
})

t.test('a cluster of one loses nothing by a damaged block that its state contains', async t => {
  const bed = await underLoad(6, 'deep', scrubbed, 1)
  const { cluster, follower: only } = bed
  only.crash('killed')
  const last = spoilLog(only)
  only.start()
  t.ok(await cluster.play(20_000, () => only.log !== null && only.log.base.index >= last))
  await comesToRest(t, bed)
  t.ok(await isWhole(bed, only))
})

t.test('a row of the state that nobody reads rots: the state is brought by the leader', async t => {
  for (const seed of [7, 8]) {
    const bed = await underLoad(seed, 'deep', scrubbed)
    const { cluster, follower } = bed
    // The log does not go back to the beginning, so the state has to be brought.
    for (const { limits } of cluster.nodes) limits.logBytesMax = 4096
    t.ok(await cluster.play(20_000, () => follower.log!.base.index > 0))
    bed.workload.stop()
    await cluster.play(1000)
    const state = follower.disk.states.get('state-1')!
    spoil(state, state.durable.toArray().find(([, { key }]) => key[2] === 1)![0])
    t.ok(await cluster.play(30_000, () => follower.snapshots === 1))
    t.match(bed.said.get(follower.id)!.join(), /a row of the state database is damaged/)
    await comesToRest(t, bed)
  }
})

t.test('a leader hands over before it has its state brought', async t => {
  const bed = await underLoad(9, 'deep', scrubbed)
  const { cluster } = bed
  for (const { limits } of cluster.nodes) limits.logBytesMax = 4096
  t.ok(await cluster.play(20_000, () => cluster.leader !== null && cluster.leader.log!.base.index > 0))
  bed.workload.stop()
  await cluster.play(1000)
  const leader = cluster.leader!
  const { term } = leader.node!.raft.status
  const state = leader.disk.states.get('state-1')!
  spoil(state, state.durable.toArray().find(([, { key }]) => key[2] === 1)![0])
  t.ok(await cluster.play(30_000, () => leader.snapshots === 1))
  t.ok(cluster.leader !== leader && cluster.leader!.node!.raft.status.term === term + 1, 'by one election')
  await comesToRest(t, bed)
})

t.test('a cluster of one keeps a state that nobody could bring again', async t => {
  const bed = await underLoad(10, 'deep', scrubbed, 1)
  const { cluster, follower: only } = bed
  only.limits.logBytesMax = 4096
  t.ok(await cluster.play(20_000, () => only.log!.base.index > 0))
  bed.workload.stop()
  await cluster.play(1000)
  const state = only.disk.states.get('state-1')!
  spoil(state, state.durable.toArray().find(([, { key }]) => key[2] === 1)![0])
  const { node } = only
  t.ok(await cluster.play(20_000, () => damagesOf(only) >= 2), 'it tells so, each time')
  t.equal(only.node, node, 'and lives on')
})
