// `recover`: survivors of a real cluster of three are compared, and the best of them becomes a cluster of its own.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { t } from 'tap'
import { freePorts } from '../../bin/local-cluster.ts'
import { connect } from '../../lib/client/client.ts'
import { inspectDirectory } from '../../lib/offline/inspect.ts'
import { compareSurvivors, recoverCluster } from '../../lib/offline/recover.ts'
import { revisionLeap } from '../../lib/offline/refound.ts'
import { readServerOptions } from '../../lib/server/options.ts'
import { type Server, startServer } from '../../lib/server/server.ts'
import { copyOf, filledDirectory, folderOf, live, optionsFor, pictureOf } from '../help/offline-home.ts'
import { connectOnly } from '../help/pinned.ts'
import { eventually } from '../help/real-time.ts'

t.setTimeout(120_000)

const home = mkdtempSync(join(tmpdir(), 'stretto-recover-'))
t.teardown(() => rmSync(home, { recursive: true, force: true }))
const [n1, n2, n3] = ['n1', 'n2', 'n3'].map(id => join(home, id)) as [string, string, string]

/** Three nodes: n3 stops first, and lacks what is written then. Gives the last revision. */
const filled = (async () => {
  const ports = await freePorts(3)
  const addresses = ports.map((port, number) => [`n${number + 1}`, `127.0.0.1:${port}`] as const)
  const cluster = addresses.map(([id, address]) => `${id}=${address}`).join(',')
  const log = pino({ level: 'silent' })
  const servers: Server[] = await Promise.all(
    addresses.map(async ([id, listen]) => {
      const flags = { id, listen, 'data-dir': join(home, id), cluster }
      return startServer(await readServerOptions({ flags, env: {}, directory: '/' }), log)
    })
  )
  t.ok(await eventually(() => servers.every(server => server.readiness().ready)))
  const client = connect(
    addresses.map(([, address]) => address),
    { timeout: '20s' }
  )
  for (let round = 0; round < 5; round++) {
    await Promise.all(Array.from({ length: 20 }, (_, number) => client.put(`key/${number}`, `round ${round}`)))
  }
  await servers[2]!.stop()
  let revision = 0
  for (let number = 0; number < 20; number++) ({ revision } = await client.put(`late/${number}`, `${number}`))
  const last = servers[0]!.status().lastIndex
  t.ok(await eventually(() => servers[1]!.status().durableIndex >= last))
  await client.close()
  await Promise.all(servers.slice(0, 2).map(server => server.stop()))
  return revision
})()

t.test('the survivor that holds the most is the best; what may be lost is said', async t => {
  await filled
  const two = await compareSurvivors([n3, n1])
  t.equal(two.best.directory, n1)
  t.match(two, { voters: 3, missing: ['n2'] })
  t.match(two.risks.join('\n'), /2 of 3 voters are here, a majority: start them again instead/)
  const one = await compareSurvivors([n3])
  t.equal(one.best.directory, n3)
  t.strictSame(one.missing, ['n1', 'n2'])
  t.match(one.risks.join('\n'), /writes after \d+@\d+ that only n1, n2 had acknowledged are lost/)
  t.notMatch(one.risks.join('\n'), /majority/)
})

t.test('a cluster of one on the best survivor: all that was acknowledged, and no survivor changed', async t => {
  const revision = await filled
  const before = pictureOf(home)
  const comparison = await compareSurvivors([n3, n1])
  const directory = join(folderOf(t), 'new')
  const options = await optionsFor(directory, 'm1')
  const founded = await recoverCluster({ comparison, directory, id: 'm1', address: options.advertise })
  t.strictSame(pictureOf(home), before)
  t.not(founded.clusterId, comparison.clusterId)
  t.ok(founded.revision >= revision + revisionLeap)
  t.ok(founded.index >= comparison.best.last.index)
  await live(options, async client => {
    t.equal((await client.get('key/3'))?.value, 'round 4')
    t.equal((await client.get('late/19'))?.value, '19')
    t.ok((await client.put('key/3', 'new')).revision > founded.revision)
  })
  const again = join(folderOf(t), 'again')
  const other = await recoverCluster({ comparison, directory: again, id: 'm1', address: options.advertise })
  t.not(other.clusterId, founded.clusterId, 'each is a cluster of its own')
})

t.test('nodes with empty directories join the new cluster, and get all that it holds', async t => {
  await filled
  const folder = folderOf(t)
  const options = await optionsFor(join(folder, 'm1'), 'm1')
  const comparison = await compareSurvivors([n1])
  const order = { comparison, directory: options.dataDir, id: 'm1', address: options.advertise }
  const { clusterId, index } = await recoverCluster(order)
  await live(options, async () => {
    const [port] = await freePorts(1)
    const flags = { id: 'm2', listen: `127.0.0.1:${port}`, 'data-dir': join(folder, 'm2'), join: options.advertise }
    const joins = await readServerOptions({ flags, env: {}, directory: '/' })
    const server = await startServer(joins, pino({ level: 'silent' }))
    const isLevel = (): boolean => server.readiness().ready && server.status().appliedIndex > index
    t.ok(await eventually(isLevel, 30_000))
    t.equal(server.status().members.length, 2)
    t.equal(server.status().clusterId, clusterId)
    const other = connectOnly(joins.advertise)
    t.equal((await other.get('late/19', { consistency: 'stale' }))?.value, '19')
    await other.close()
    await server.stop()
  })
  const joined = await inspectDirectory(join(folder, 'm2'))
  t.strictSame(joined.findings, [])
  t.match(joined, { id: 'm2', clusterId, base: { index } })
})

t.test('a damaged survivor counts for what is sound in it', async t => {
  await filled
  const hurt = copyOf(t, n1)
  const log = readdirSync(join(hurt, 'log')).find(name => name.endsWith('.log'))!
  const bytes = readFileSync(join(hurt, 'log', log))
  bytes[Math.floor(bytes.length / 2)]! ^= 1
  writeFileSync(join(hurt, 'log', log), bytes)
  const comparison = await compareSurvivors([hurt, n2])
  t.equal(comparison.best.directory, n2)
  t.equal(comparison.survivors[0]!.trusted, false)
  const alone = await compareSurvivors([hurt])
  t.match(alone.risks.join('\n'), /no directory is as it was promised/)

  const rotten = copyOf(t, n2)
  rmSync(join(rotten, 'state-1'), { recursive: true })
  const rebuilt = await compareSurvivors([rotten])
  t.equal(rebuilt.best.unusable, null, 'the log begins at 1: the state is rebuilt from it')
  const directory = join(folderOf(t), 'new')
  const options = await optionsFor(directory)
  await recoverCluster({ comparison: rebuilt, directory, id: 'n1', address: options.advertise })
  await live(options, async client => t.equal((await client.get('late/7'))?.value, '7'))
})

t.test('directories that do not belong together, or are of no use', async t => {
  await filled
  const other = join(folderOf(t), 'other')
  await filledDirectory(other, 1)
  await t.rejects(compareSurvivors([n1, other]), { message: /of another cluster/ })
  await t.rejects(compareSurvivors([n1, copyOf(t, n1)]), { message: /are of the same member/ })
  const empty = copyOf(t, n1)
  rmSync(join(empty, 'log'), { recursive: true })
  await t.rejects(compareSurvivors([empty]), {
    message: /nothing can be founded on these directories .*restore a backup/
  })
  const comparison = await compareSurvivors([n1])
  await t.rejects(recoverCluster({ comparison, directory: n2, id: 'n1', address: 'h:1' }), { message: /is not empty/ })
  const changed = copyOf(t, n1)
  const stale = await compareSurvivors([changed])
  rmSync(changed, { recursive: true })
  cpSync(n3, changed, { recursive: true })
  const directory = join(folderOf(t), 'new')
  await t.rejects(recoverCluster({ comparison: stale, directory, id: 'n1', address: 'h:1' }), {
    message: /has changed/
  })
})
