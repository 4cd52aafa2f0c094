// Leases that fall due together: how soon they are gone, and what writers feel of it meanwhile.
//
//   npx tsx bench/leases.ts [leases, default 100000]
//
// Three nodes on loopback. The keys are put with a ttl each, so that all deadlines lie within one second, while 64 callers
// write; then the callers go on until nothing is left. Prints one JSON object.
import { type Client, connect } from '../lib/client/client.ts'
import { OwnCluster } from './own-cluster.ts'

const leases = Number(process.argv[2] ?? 100_000)
const callers = 64
const putsAtOnce = 2_000

const cluster = await OwnCluster.begin()
const db = connect(cluster.endpoints, { timeout: '30s' })
try {
  console.log(JSON.stringify(await measure(db)))
} finally {
  await db.close()
  await cluster.stop()
}

async function measure(db: Client<string>): Promise<object> {
  const writer = connect(cluster.endpoints, { timeout: '30s' })
  await writer.put('other', 'x')
  const begun = performance.now()
  // Long enough for all of them to be put; each a little shorter than the one before, by what has passed meanwhile.
  const dueAt = begun + 2_000 + leases / 2
  for (let from = 0; from < leases; from += putsAtOnce) {
    const count = Math.min(putsAtOnce, leases - from)
    const ttl = Math.round(dueAt - performance.now())
    await Promise.all(
      Array.from({ length: count }, (_, at) => db.put(`lease/${from + at}`, 'v', { ttl: ttl + ((from + at) % 1_000) }))
    )
  }
  const putMs = performance.now() - begun
  const electionsBefore = cluster.elections
  const calm = await writeUntil(writer, () => performance.now() >= dueAt - 100)
  let gone = false
  const watching = (async () => {
    while (!gone) {
      gone = (await db.leases.list().next()).done === true
      if (!gone) await new Promise(resolve => setTimeout(resolve, 50))
    }
    return performance.now()
  })()
  const stormy = await writeUntil(writer, () => gone)
  const goneAt = await watching
  if ((await db.count({ prefix: 'lease/' })) !== 0) throw new Error('keys have outlived their leases')
  await writer.close()
  return {
    leases,
    putSeconds: Math.round(putMs / 100) / 10,
    goneSecondsAfterTheLastWasDue: Math.round((goneAt - dueAt - 1_000) / 10) / 100,
    elections: cluster.elections - electionsBefore,
    writesMs: { before: calm, meanwhile: stormy }
  }
}

/** All callers write until it is over: percentiles of what a write took. */
async function writeUntil(db: Client<string>, over: () => boolean): Promise<object> {
  const took: number[] = []
  const call = async (caller: number): Promise<void> => {
    while (!over()) {
      const begun = performance.now()
      await db.put(`write/${caller}`, 'x'.repeat(256))
      took.push(performance.now() - begun)
    }
  }
  await Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)))
  took.sort((a, b) => a - b)
  const percentile = (share: number): number => Math.round(10 * (took[Math.floor(share * (took.length - 1))] ?? 0)) / 10
  return { count: took.length, p50: percentile(0.5), p99: percentile(0.99), max: percentile(1) }
}
