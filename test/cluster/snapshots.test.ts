// Real processes whose logs are cut: who was away for too long is brought a snapshot, under load, and serves the same.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t } from 'tap'
import { StrettoError } from '../../lib/base/errors.ts'
import type { Client } from '../../lib/client/client.ts'
import { type NodeProcess, RealCluster } from '../help/real-cluster.ts'
import { runCli } from '../help/run-cli.ts'

t.setTimeout(120_000)

const logMax = ['--log-max', '1MiB']
const value = 'x'.repeat(4096)

t.test('a follower that was away while the log was cut is level again, by a snapshot', async t => {
  const cluster = await RealCluster.start(t, { args: logMax })
  const client = cluster.client()
  const [away] = (await cluster.followers()) as [string]
  await client.put('before', 'kept')
  await cluster.node(away).kill()
  const writes = async (from: number, to: number): Promise<void> => {
    for (let at = from; at < to; at += 50) {
      await Promise.all(
        Array.from({ length: 50 }, (_, offset) => client.put(`key ${(at + offset) % 700}`, `${at + offset} ${value}`))
      )
    }
  }
  // Until the log of the others begins after what the one that is away has.
  const { id: leader } = await cluster.leader()
  const { lastIndex } = await cluster.status(leader)
  let written = 0
  do await writes(written, (written += 500))
  while ((await cluster.status(leader)).firstIndex <= lastIndex + 1)
  const under = writes(written, written + 500)
  const node = cluster.start(away, { args: logMax })
  await node.line(({ event }) => event === 'snapshot')
  await node.ready()
  await under
  const alone = cluster.clientOf(away)
  t.equal((await alone.get('before'))?.value, 'kept')
  t.equal(await alone.count({ prefix: 'key ' }), 700)
  const [here, there] = [await cluster.clientOf(leader).getMany(many), await alone.getMany(many)]
  t.same(there, here, 'it holds what its leader holds')
  const status = await cluster.status(away)
  t.ok(status.firstIndex > 1 && status.trusted)
  t.ok(status.logBytes <= 4 * 1_048_576, `a log of ${status.logBytes} bytes`)
  t.equal(cluster.elections, 1, 'no election for it')
})

const many = Array.from({ length: 700 }, (_, at) => `key ${at}`)

t.test('the bound of the log may be changed while a node runs', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'stretto-options-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const config = join(folder, 'options.yaml')
  writeFileSync(config, 'log-max: 1GiB\n')
  const cluster = await RealCluster.start(t, { size: 1, args: ['--config', config] })
  writeFileSync(config, 'log-max: 2MiB\n')
  const node = cluster.node('n1')
  node.signal('SIGHUP')
  const line = await node.line(({ event }) => event === 'options')
  t.match(line, { logBytesMax: 2_097_152 })
  writeFileSync(config, 'log-max: 2KiB\n')
  node.signal('SIGHUP')
  const refused = await node.line(
    ({ event, level }) => event === 'options' && level === 'error',
    node.lines.indexOf(line) + 1
  )
  t.match(refused.msg, /stay as they were: --log-max '2KiB' is too little/)
})

t.test('files of LevelDB that rot while a node is stopped: it comes back, and holds what its leader holds', async t => {
  const cluster = await RealCluster.start(t, { args: logMax })
  const client = cluster.client()
  const [rotten] = (await cluster.followers()) as [string]
  const { id: leader } = await cluster.leader()
  const directory = cluster.dataDir(rotten)
  const keys = Array.from({ length: 300 }, (_, at) => `key ${at}`)
  for (let round = 0; round < 2; round++) await Promise.all(keys.map(key => client.put(key, `${round} ${value}`)))

  /** Kills it, flips bits, and says how it starts. */
  const restarted = async (folder: string, kind: RegExp): Promise<NodeProcess> => {
    // It is flushed, its log begins above that, and there are bytes to damage.
    while ((await cluster.status(rotten)).firstIndex === 1 || bytesOf(directory, folder, kind) < 16) {
      await client.put('more', value)
    }
    await cluster.node(rotten).kill()
    t.ok(flip(directory, folder, kind) > 0, `${folder} ${kind}: bits were flipped`)
    return cluster.start(rotten, { args: logMax })
  }
  const isWhole = async (node: NodeProcess, about: string): Promise<void> => {
    await node.ready()
    await client.put('after', about)
    const alone = cluster.clientOf(rotten)
    t.equal((await alone.get('after'))?.value, about)
    const there = await readAll(alone, keys)
    t.same(there, await cluster.clientOf(leader).getMany(keys), `${about}: it holds what its leader holds`)
    const told = node.lines.filter(({ event }) => event === 'finding' || event === 'snapshot' || event === 'fault')
    t.comment(`${about}: ${told.map(({ event, msg }) => `${event}: ${msg}`).join(' | ')}`)
  }

  for (const kind of [/\.ldb$/, /\.log$/, /^MANIFEST/, /^CURRENT$/]) {
    await isWhole(await restarted('state-', kind), `the state, ${kind}`)
  }
  // At its start LevelDB makes tables of what is in its own log.
  await Promise.all(keys.slice(0, 50).map(key => client.put(key, `again ${value}`)))
  await cluster.node(rotten).kill()
  await cluster.start(rotten, { args: logMax }).ready()
  for (const kind of [/\.ldb$/, /\.log$/]) {
    const node = await restarted('log', kind)
    await node.line(({ event, msg }) => event === 'finding' && msg.includes('the log'))
    await isWhole(node, `the log, ${kind}`)
  }
  for (const kind of [/^MANIFEST/, /^CURRENT$/]) {
    const node = await restarted('log', kind)
    t.equal((await node.ended).code, 1)
    t.match(node.err, /^stretto start: [^\n]*stretto repair mends what can be mended\n$/)
    const { code, out } = await runCli(['repair', directory])
    t.equal(code, 0, out)
    await isWhole(cluster.start(rotten, { args: logMax }), `the log, ${kind}, repaired`)
  }
})

/** A node that finds damage while it reads refuses for as long as it takes to have its state brought. */
async function readAll(client: Client<string>, keys: readonly string[]): Promise<unknown> {
  for (;;) {
    try {
      return await client.getMany(keys)
    } catch (error) {
      if (!(error instanceof StrettoError) || error.code !== 'CORRUPT') throw error
    }
  }
}

/** The files of this kind in the folders of a data directory whose names begin so. */
function filesOf(directory: string, folder: string, kind: RegExp): string[] {
  const folders = readdirSync(directory).filter(name => name.startsWith(folder))
  return folders.flatMap(name => {
    const files = readdirSync(join(directory, name)).filter(file => kind.test(file))
    return files.map(file => join(directory, name, file))
  })
}

function bytesOf(directory: string, folder: string, kind: RegExp): number {
  return filesOf(directory, folder, kind).reduce((sum, path) => sum + statSync(path).size, 0)
}

/**
 * Flips a bit in each 4 KiB of these files; how many. Of tables in values alone: LevelDB ends the process when it merges
 * tables whose keys are damaged (docs/DISK.md, "Fault model").
 */
function flip(directory: string, folder: string, kind: RegExp): number {
  let flips = 0
  for (const path of filesOf(directory, folder, kind)) {
    const bytes = readFileSync(path)
    for (let at = Math.min(2000, bytes.length >> 1); at < bytes.length; at += 4096) {
      if (path.endsWith('.ldb') && !bytes.subarray(at - 40, at + 40).every(byte => byte === 120)) continue
      bytes[at]! ^= 16
      flips++
    }
    writeFileSync(path, bytes)
  }
  return flips
}
