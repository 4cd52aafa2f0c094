// States that rot: a node throws away what is damaged, and has it brought by its leader, or makes it again from its own log.
import { t } from 'tap'
import { type Depth, SimCluster } from '../../lib/sim/cluster.ts'
import { keyValueMachines } from '../../lib/sim/ghost/machines.ts'
import { KvWorkload } from '../../lib/sim/kv-workload.ts'
import type { SimNode } from '../../lib/sim/node/sim-node.ts'

interface Bed {
  readonly cluster: SimCluster
  readonly workload: KvWorkload
  readonly said: Map<string, string[]>
  /** A node that follows. */
  readonly follower: SimNode
}

/** Three nodes under load, whose logs are cut at 4 KiB where `cuts`. */
async function begun(seed: number, depth: Depth, cuts: boolean): Promise<Bed> {
  const said = new Map<string, string[]>()
  const nothing = (): void => {}
  const spectator = {
    sent: nothing,
    delivered: nothing,
    dropped: nothing,
    answered: nothing,
    looked: nothing,
    began: nothing,
    ended: nothing,
    found: ({ id }: SimNode, line: string): void => void said.set(id, [...(said.get(id) ?? []), line])
  }
  const cluster = new SimCluster({ seed, nodes: 3, depth, machine: keyValueMachines, spectator })
  await cluster.play(5000, () => cluster.leader !== null)
  for (const { limits } of cluster.nodes) {
    limits.flushAfterMs = 200
    if (cuts) limits.logBytesMax = 4096
  }
  const workload = new KvWorkload({ cluster, clients: 3, listener: null })
  workload.start()
  await cluster.play(2000)
  const follower = cluster.nodes.find(node => node !== cluster.leader)!
  return { cluster, workload, said, follower }
}

function isLevel({ cluster }: Bed): boolean {
  const { leader } = cluster
  if (leader === null) return false
  const { last, commit } = leader.node!.raft.status
  return (
    cluster.nodes.every(({ node }) => node !== null && !node.raft.status.hollow && node.applied === last.index) &&
    commit === last.index
  )
}

async function ended(bed: Bed): Promise<void> {
  bed.workload.stop()
  t.ok(await bed.cluster.play(15_000, () => isLevel(bed)), 'all come to the same end')
  const looking = bed.workload.look()
  let over = false
  void looking.then(() => (over = true))
  await bed.cluster.play(10_000, () => over)
  bed.workload.judge()
}

t.test(
  'a state whose head is damaged is brought by the leader, where the log does not go back to the beginning',
  async t => {
    for (const seed of [1, 2, 3]) {
      const bed = await begun(seed, 'deep', true)
      const { cluster, follower } = bed
      const { base } = follower.log!
      t.ok(base.index > 0)
      follower.crash('killed')
      damageHead(follower)
      follower.start()
      t.ok(await cluster.play(10_000, () => follower.snapshots === 1))
      t.match(bed.said.get(follower.id), [/^the state is damaged, and made anew/])
      await ended(bed)
      t.ok(follower.log!.base.state > base.state, 'another directory is in force')
    }
  }
)

t.test('a state whose head is damaged is made again from the own log, where that is whole', async t => {
  const bed = await begun(4, 'deep', false)
  const { cluster, follower } = bed
  follower.crash('killed')
  damageHead(follower)
  follower.start()
  t.ok(await cluster.play(10_000, () => follower.node !== null))
  await ended(bed)
  t.equal(follower.snapshots, 0)
  t.equal(follower.log!.base.index, 0)
  t.equal(follower.log!.base.state, 2)
})

t.test('damage that is only found when it is read ends in the same way', async t => {
  let found = 0
  for (let seed = 10; seed < 16; seed++) {
    const bed = await begun(seed, 'deep', true)
    const { cluster, follower } = bed
    follower.crash('killed')
    // Every row but the head: whatever is read next.
    for (const state of follower.disk.states.values()) {
      for (const [key, { value }] of state.durable.toArray()) if (!isHead(key)) state.alter(key, flipped(value))
    }
    follower.start()
    await cluster.play(5000)
    await ended(bed)
    found += follower.snapshots
  }
  t.ok(found > 0, `${found} snapshots`)
})

t.test('a leader whose own state is damaged hands over to one whose state is whole', async t => {
  const bed = await begun(21, 'deep', true)
  const { cluster } = bed
  const leader = cluster.leader!
  const { term } = leader.node!.raft.status
  leader.crash('killed')
  damageHead(leader)
  leader.start()
  t.ok(await cluster.play(10_000, () => leader.snapshots === 1))
  t.ok(cluster.leader !== leader && cluster.leader!.node!.raft.status.term > term)
  await ended(bed)
})

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
