// A follower that was away: how long until it is level, what its snapshot costs the others, and how large the log is then.
//
//   npx tsx bench/away.ts [writes, default 1000000] [bound of the log, default 64MiB]
//
// Three nodes on loopback. One is killed; the writes are made by 64 callers, over 200,000 keys with 256 B values; it is
// started again while 64 callers go on; then under light load. Prints one JSON object.
import { type Client, connect } from '../lib/client/client.ts'
import { OwnCluster } from './own-cluster.ts'

const writes = Number(process.argv[2] ?? 1_000_000)
const logMax = process.argv[3] ?? '64MiB'
const keys = 200_000
const callers = 64
const value = new Uint8Array(256).fill(120)

process.env['STRETTO_LOG_MAX'] = logMax
const cluster = await OwnCluster.begin()
const db = connect(cluster.endpoints, { valueEncoding: 'bytes' })
try {
  await measure(db)
} finally {
  await db.close()
  await cluster.stop()
}

async function measure(db: Client<Uint8Array>): Promise<void> {
  await write(db, 20_000)
  const leader = (await cluster.status('n1')).leader!
  const away = [...cluster.nodes.keys()].find(id => id !== leader)!
  cluster.kill(away)
  const missed = await write(db, writes)
  const electionsBefore = cluster.elections
  // Under full load: what it costs the others.
  const before = await writeFor(db, 5_000)
  const started = performance.now()
  const back = cluster.startNode(away)
  const during = await writeFor(db, 5_000)
  await back
  await level(away, leader)
  const levelMs = performance.now() - started
  const after = await writeFor(db, 5_000)
  const { logBytes } = await cluster.status(leader)
  const rate = (before + after) / 2
  const figures = {
    missed: writes,
    missedPerSecond: Math.round(missed),
    levelSeconds: Math.round(levelMs / 100) / 10,
    perSecond: { before: Math.round(before), during: Math.round(during), after: Math.round(after) },
    during: Math.round((100 * during) / rate) / 100,
    elections: cluster.elections - electionsBefore,
    logMiB: Math.round(logBytes / 1_048_576)
  }
  console.log(JSON.stringify(figures))
}

/** So many puts by all callers; per second. */
async function write(db: Client<Uint8Array>, count: number): Promise<number> {
  let left = count
  const begun = performance.now()
  const caller = async (number: number): Promise<void> => {
    for (let at = number; left-- > 0; at += callers) await db.put(`key ${at % keys}`, value)
  }
  await Promise.all(Array.from({ length: callers }, (_, number) => caller(number)))
  return (1000 * count) / (performance.now() - begun)
}

async function writeFor(db: Client<Uint8Array>, ms: number): Promise<number> {
  const begun = performance.now()
  let count = 0
  const caller = async (number: number): Promise<void> => {
    for (let at = number; performance.now() - begun < ms; at += callers, count++)
      await db.put(`key ${at % keys}`, value)
  }
  await Promise.all(Array.from({ length: callers }, (_, number) => caller(number)))
  return (1000 * count) / (performance.now() - begun)
}

/** Looks until what the leader had committed when it was asked is applied there. */
async function level(id: string, leader: string): Promise<void> {
  for (;;) {
    const { commitIndex } = await cluster.status(leader)
    const status = await cluster.status(id).catch(() => null)
    if (status !== null && status.ready && status.appliedIndex + 1_000 >= commitIndex) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}
