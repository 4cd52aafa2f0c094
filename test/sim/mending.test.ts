// States that rot: a node throws away what is damaged, and has it brought by its leader, or makes it again from its own log.
import { t } from 'tap'
import type { SimNode } from '../../lib/sim/node/sim-node.ts'
import { comesToRest, cutEarly, underLoad } from '../help/loaded-cluster.ts'

t.setTimeout(120_000)

t.test(
  'a state whose head is damaged is brought by the leader, where the log does not go back to the beginning',
  async t => {
    for (const seed of [1, 2]) {
      const bed = await underLoad(seed, 'deep', cutEarly)
      const { cluster, follower } = bed
      const { base } = follower.log!
      t.ok(base.index > 0)
      follower.crash('killed')
      damageHead(follower)
      follower.start()
      t.ok(await cluster.play(10_000, () => follower.snapshots === 1))
      t.match(bed.said.get(follower.id), [/^the state is damaged, and made anew/])
      await comesToRest(t, bed)
      t.ok(follower.log!.base.state > base.state, 'another directory is in force')
    }
  }
)

t.test('a state whose head is damaged is made again from the own log, where that is whole', async t => {
  const bed = await underLoad(4, 'deep')
  const { cluster, follower } = bed
  follower.crash('killed')
  damageHead(follower)
  follower.start()
  t.ok(await cluster.play(10_000, () => follower.node !== null))
  await comesToRest(t, bed)
  t.equal(follower.snapshots, 0)
  t.equal(follower.log!.base.index, 0)
  t.equal(follower.log!.base.state, 2)
})

t.test('damage that is only found when it is read ends in the same way', async t => {
  let found = 0
  for (let seed = 10; seed < 13; seed++) {
    const bed = await underLoad(seed, 'deep', cutEarly)
    const { cluster, follower } = bed
    follower.crash('killed')
    // Every row but those that opening reads: whatever is read next.
    for (const state of follower.disk.states.values()) {
      for (const [key, { value }] of state.durable.toArray()) if (!isReadAtOpen(key)) state.alter(key, flipped(value))
    }
    follower.start()
    await cluster.play(5000)
    await comesToRest(t, bed)
    found += follower.snapshots
  }
  t.ok(found > 0, `${found} snapshots`)
})

t.test('a leader whose own state is damaged hands over to one whose state is whole', async t => {
  const bed = await underLoad(21, 'deep', cutEarly)
  const { cluster } = bed
  const leader = cluster.leader!
  const { term } = leader.node!.raft.status
  leader.crash('killed')
  damageHead(leader)
  leader.start()
  t.ok(await cluster.play(10_000, () => leader.snapshots === 1))
  t.ok(cluster.leader !== leader && cluster.leader!.node!.raft.status.term > term)
  await comesToRest(t, bed)
})

/** The head and the generations. */
function isReadAtOpen(key: string): boolean {
  return isHead(key) || key.charCodeAt(2) === 4
}

function isHead(key: string): boolean {
  return key.charCodeAt(2) === 0
}

function flipped(value: Uint8Array): Uint8Array {
  const copy = new Uint8Array(value)
  copy[copy.length >> 1]! ^= 4
  return copy
}

function damageHead({ disk }: SimNode): void {
  let damaged = 0
  for (const state of disk.states.values()) {
    for (const [key, { value }] of state.durable.toArray()) {
      if (!isHead(key)) continue
      state.alter(key, flipped(value))
      damaged++
    }
  }
  t.equal(damaged, 1, 'there was a head to damage')
}
