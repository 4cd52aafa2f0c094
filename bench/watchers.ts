// Many watchers of one key: how many changes a second reach them, and what they cost the writer.
//
//   npx tsx bench/watchers.ts [watchers, default 1000] [seconds, default 5] [puts in flight, default 1]
//
// Three nodes on loopback, one writer that puts again once a put is answered, at first alone, then watched over 16 connections
// from two processes. The last line is one JSON object.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { connect } from '../lib/client/client.ts'
import { OwnCluster } from './own-cluster.ts'

const processes = 2
const connectionsOfProcess = 8
const key = 'watched'
const value = 'x'.repeat(100)

interface Told {
  readonly deliveries: number
}

if (process.send === undefined)
  await measure(Number(process.argv[2] ?? 1000), Number(process.argv[3] ?? 5), Number(process.argv[4] ?? 1))
else await watchIn(process.argv[2]!.split(','), Number(process.argv[3]))

async function measure(watchers: number, seconds: number, inFlight: number): Promise<void> {
  const cluster = await OwnCluster.begin()
  const db = connect(cluster.endpoints)
  const children = Array.from({ length: processes }, () =>
    fork(fileURLToPath(import.meta.url), [cluster.endpoints.join(), String(watchers / processes)], {
      execArgv: process.execArgv
    })
  )
  const ask = async (what: string): Promise<number> => {
    const answers = children.map(async child => {
      const answer = once(child, 'message') as Promise<[Told]>
      child.send(what)
      return (await answer)[0].deliveries
    })
    return (await Promise.all(answers)).reduce((sum, each) => sum + each, 0)
  }
  const write = async (): Promise<number> => {
    let count = 0
    const end = performance.now() + 1000 * seconds
    const put = async (): Promise<void> => {
      for (; performance.now() < end; count++) await db.put(key, value)
    }
    await Promise.all(Array.from({ length: inFlight }, put))
    return Math.round(count / seconds)
  }
  try {
    await write()
    const alone = await write()
    await ask('watch')
    await write()
    const before = await ask('tell')
    const begun = performance.now()
    const watched = await write()
    const deliveries = (await ask('tell')) - before
    const deliveriesPerSecond = Math.round((1000 * deliveries) / (performance.now() - begun))
    const slowdown = Math.round((100 * alone) / watched) / 100
    console.log(JSON.stringify({ watchers, putsPerSecond: { alone, watched }, slowdown, deliveriesPerSecond }))
  } finally {
    for (const child of children) child.kill()
    await db.close()
    await cluster.stop()
  }
}

async function watchIn(endpoints: readonly string[], watchers: number): Promise<void> {
  const clients = Array.from({ length: connectionsOfProcess }, () => connect(endpoints))
  let deliveries = 0
  const follow = async (at: number, begun: () => void): Promise<void> => {
    for await (const { changes, synced } of clients[at % clients.length]!.watch({ key, initial: true })) {
      if (synced === true) begun()
      else deliveries += changes.length
    }
  }
  const begin = (at: number): Promise<void> => new Promise(begun => void follow(at, begun))
  process.on('message', what => {
    const begun = what === 'watch' ? Array.from({ length: watchers }, (_, at) => begin(at)) : []
    void Promise.all(begun).then(() => process.send!({ deliveries } satisfies Told))
  })
  await once(process, 'disconnect')
}
