// Simulated nodes under load, with limits of one's own: for stories of snapshots and of states that are lost.

import type { Test } from 'tap'
import { Client } from '../../lib/client/kv-client.ts'
import type { NodeLimits } from '../../lib/node/limits.ts'
import type { Status } from '../../lib/raft/doors.ts'
import { type Depth, SimCluster } from '../../lib/sim/cluster.ts'
import { keyValueMachines } from '../../lib/sim/ghost/machines.ts'
import { KvWorkload } from '../../lib/sim/kv-workload.ts'
import type { SimNode } from '../../lib/sim/node/sim-node.ts'
import { Caller } from '../../lib/sim/workload.ts'
import { linesFound } from './lines-found.ts'

export interface LoadedCluster {
  readonly cluster: SimCluster
  readonly workload: KvWorkload
  readonly said: Map<string, string[]>
  /** A node that follows; alone, the leader. */
  readonly follower: SimNode
}

/** Of nodes whose logs are cut very early. */
export const cutEarly: Partial<NodeLimits> = { logBytesMax: 4096 }

/** Nodes under load, which flush five times a second. */
export async function underLoad(
  seed: number,
  depth: Depth,
  limits: Partial<NodeLimits> = {},
  nodes = 3
): Promise<LoadedCluster> {
  const said = new Map<string, string[]>()
  const spectator = linesFound(
    ({ id }: SimNode, line: string): void => void said.set(id, [...(said.get(id) ?? []), line])
  )
  const cluster = new SimCluster({ seed, nodes, depth, machine: keyValueMachines, spectator })
  for (const node of cluster.nodes) Object.assign(node.limits, { flushAfterMs: 200, ...limits })
  await cluster.play(5000, () => cluster.leader !== null)
  const workload = new KvWorkload({ cluster, clients: 3, listener: null })
  workload.start()
  await cluster.play(2000)
  const follower = cluster.nodes.find(node => node !== cluster.leader) ?? cluster.nodes[0]!
  return { cluster, workload, said, follower }
}

export function isLevel({ cluster }: LoadedCluster): boolean {
  const { leader } = cluster
  if (leader === null) return false
  const { last, commit } = leader.node!.raft.status
  return (
    cluster.nodes.every(({ node }) => node !== null && isWhole(node.raft.status) && node.applied === last.index) &&
    commit === last.index
  )
}

function isWhole({ hollow, trusted }: Status): boolean {
  return trusted && !hollow
}

export async function comesToRest(t: Test, bed: LoadedCluster): Promise<void> {
  bed.workload.stop()
  t.ok(await bed.cluster.play(30_000, () => isLevel(bed)), 'all come to the same end')
  const looking = bed.workload.look()
  let over = false
  void looking.then(() => (over = true))
  await bed.cluster.play(10_000, () => over)
  bed.workload.judge()
}

/** Writes so many keys of so many bytes each, as one more client. */
export async function fill(cluster: SimCluster, keys: number, bytes: number): Promise<void> {
  const caller = new Caller(cluster, 9)
  const store = new Client(caller.parts, caller.endpoints, { timeout: 60_000 })
  let over = false
  const value = 'x'.repeat(bytes)
  const writes = Array.from({ length: keys }, (_, at) => store.put(`filled ${at}`, value))
  void Promise.all(writes)
    .then(() => store.close())
    .finally(() => (over = true))
  await cluster.play(60_000, () => over)
  await Promise.all(writes)
}
