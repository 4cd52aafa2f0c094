// A large store: memory of the nodes, disk, the time until a killed node serves again, and what becomes of the rate.
//
//   npx tsx bench/million.ts [keys, default 1000000]
//
// Three nodes on loopback, values of 256 B. Nine gets to one put by 64 callers, over 10,000 keys and then over all of them;
// the last line is one JSON object. Memory is what the process alone has (RssAnon), after the load, in MiB.
import { readFileSync } from 'node:fs'
import { type Client, connect } from '../lib/client/client.ts'
import { runLoad } from './load.ts'
import { OwnCluster } from './own-cluster.ts'
import { fillStore } from './workloads.ts'

const large = Number(process.argv[2] ?? 1_000_000)
const small = 10_000
const valueBytes = 256
const cluster = await OwnCluster.begin()
const db = connect(cluster.endpoints, { valueEncoding: 'bytes' })
try {
  console.log(JSON.stringify(await measure(db)))
} finally {
  await db.close()
  await cluster.stop()
}

async function measure(client: Client<Uint8Array>): Promise<object> {
  await fillStore(client, { keys: small, valueBytes })
  const before = await mixed(client, small)
  const begun = performance.now()
  await fillStore(client, { keys: large, valueBytes })
  const fillPerSecond = (1000 * large) / (performance.now() - begun)
  const after = await mixed(client, large)
  const memory = cluster.pids.map(anonymousMiB)
  const restarts: number[] = []
  for (const id of cluster.nodes.keys()) restarts.push(await restart(id))
  const statuses = await Promise.all([...cluster.nodes.keys()].map(id => cluster.status(id)))
  return {
    keys: large,
    fillPerSecond: Math.round(fillPerSecond),
    mixedPerSecond: { small: Math.round(before), large: Math.round(after) },
    share: Math.round((100 * after) / before) / 100,
    anonymousMiB: memory,
    restartSeconds: restarts,
    stateMiB: statuses.map(({ stateBytes }) => Math.round(stateBytes / 1_048_576)),
    logMiB: statuses.map(({ logBytes }) => Math.round(logBytes / 1_048_576))
  }
}

async function mixed(client: Client<Uint8Array>, keys: number): Promise<number> {
  const job = {
    workload: 'mixed',
    keys,
    valueBytes,
    pace: { inFlight: 64 },
    warmUpMs: 1_000,
    durationMs: 8_000,
    seed: 1
  } as const
  const { operations, elapsedMs } = await runLoad([client], job, () => {})
  return (1000 * operations) / elapsedMs
}

/** Seconds from the start of the process until it serves. */
async function restart(id: string): Promise<number> {
  const before = cluster.pids.length
  cluster.kill(id)
  while (cluster.pids.length === before) await new Promise(resolve => setTimeout(resolve, 10))
  const begun = performance.now()
  await cluster.startNode(id)
  return Math.round((performance.now() - begun) / 10) / 100
}

function anonymousMiB(pid: number): number {
  const [, kib] = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))!
  return Math.round(Number(kib) / 1024)
}
