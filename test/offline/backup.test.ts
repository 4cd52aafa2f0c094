// Backups: saved from a node that serves, verified, refused where they are not whole, and served by new clusters.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { t } from 'tap'
import { freePorts } from '../../bin/local-cluster.ts'
import { connect } from '../../lib/client/client.ts'
import { readBackup } from '../../lib/offline/backup-file.ts'
import { inspectDirectory } from '../../lib/offline/inspect.ts'
import { revisionLeap } from '../../lib/offline/refound.ts'
import { restoreBackup, verifyBackup } from '../../lib/offline/restore.ts'
import { readBackupHeader, writeBackupHeader } from '../../lib/server/backup-format.ts'
import { readServerOptions, type ServerOptions } from '../../lib/server/options.ts'
import { startServer } from '../../lib/server/server.ts'
import { kvVersionMax } from '../../lib/wire/kv/commands.ts'
import { folderOf, live, optionsFor, pictureOf } from '../help/offline-home.ts'
import { eventually } from '../help/real-time.ts'

t.setTimeout(120_000)

const home = mkdtempSync(join(tmpdir(), 'stretto-backup-'))
t.teardown(() => rmSync(home, { recursive: true, force: true }))
const file = join(home, 'backup')

interface Saved {
  readonly options: ServerOptions
  readonly keys: ReadonlyMap<string, string>
  readonly revision: number
}

/** Writes, and saves a backup while further writes go on; it holds all that was acknowledged before it was asked for. */
const saved: Promise<Saved> = (async () => {
  const options = await optionsFor(join(home, 'n1'))
  const keys = new Map<string, string>()
  let revision = 0
  await live(options, async client => {
    for (let number = 0; number < 200; number++) keys.set(`key/${number}`, `${number} ${'y'.repeat(300)}`)
    await Promise.all([...keys].map(([key, value]) => client.put(key, value)))
    await client.delete('key/7')
    keys.delete('key/7')
    ;({ revision } = await client.put('key/8', 'the last before'))
    keys.set('key/8', 'the last before')
    const answer = fetch(`http://${options.advertise}/snapshot`)
    const after = client.put('after', 'or not')
    const response = await answer
    t.equal(response.status, 200)
    writeFileSync(file, new Uint8Array(await response.arrayBuffer()))
    await after
  })
  return { options, keys, revision }
})()

t.test('the header of a backup, byte by byte', async t => {
  const membership = { voters: ['a.00000000000000aa'], outgoing: null, learners: [], members: [] }
  const member = { key: 'a.00000000000000aa', id: 'a', incarnation: '00000000000000aa', address: 'h:1' }
  const header = {
    clusterId: '000102030405060708090a0b0c0d0e0f',
    last: { index: 258, term: 3 },
    membership: { ...membership, members: [member] },
    machineVersion: 1,
    size: 4_096,
    hash: 0xdeadbeef,
    madeAt: 1_700_000_000_000
  }
  const bytes = writeBackupHeader(header)
  t.strictSame(readBackupHeader(bytes), header)
  const hex = Buffer.from(bytes).toString('hex')
  t.equal(
    hex.slice(0, 144),
    `5354524554544f420001000000000079${hex.slice(32, 40)}0000018bcfe568000000000000000102000000030000000100000000000010` +
      '00deadbeef000102030405060708090a0b0c0d0e0f'
  )
})

t.test('a backup is verified by restoring it', async t => {
  const { keys, revision, options } = await saved
  const verified = await verifyBackup(file)
  t.ok(verified.revision >= revision)
  t.ok(verified.keys === keys.size || verified.keys === keys.size + 1)
  t.match(verified, {
    members: [{ id: 'n1', address: options.advertise, role: 'voter' }],
    machineVersion: kvVersionMax
  })
  t.ok(verified.sessions >= 1)
  t.equal(verified.clusterId, (await inspectDirectory(join(home, 'n1'))).clusterId)
})

t.test('cut short, altered, or something else: refused, and nothing made', async t => {
  const { options } = await saved
  const folder = folderOf(t)
  const bytes = readFileSync(file)
  const bad = join(folder, 'bad')
  const refused = async (change: () => void, message: RegExp) => {
    writeFileSync(bad, bytes)
    change()
    await t.rejects(verifyBackup(bad), { message })
    const order = { file: bad, id: 'n1', directory: join(folder, 'new', 'n1'), cluster: options.cluster }
    await t.rejects(restoreBackup(order), { message })
    t.strictSame(readdirSync(folder), ['bad'])
  }
  await refused(() => truncateSync(bad, bytes.length - 1), /cut short/)
  await refused(() => truncateSync(bad, 3), /no backup/)
  await refused(() => truncateSync(bad, 0), /no backup/)
  await refused(() => writeFileSync(bad, 'x', { flag: 'a' }), /1 bytes too many/)
  await refused(() => writeFileSync(bad, Buffer.alloc(100_000, 'z')), /no backup/)
  await refused(() => writeFileSync(bad, flipped(bytes, 9)), /newer version/)
  await refused(() => writeFileSync(bad, flipped(bytes, 30)), /header of the backup is damaged/)
  for (const at of [200, Math.floor(bytes.length / 2), bytes.length - 2]) {
    await refused(() => writeFileSync(bad, flipped(bytes, at)), /damaged, or was altered/)
  }
})

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at]! ^= 2
  return copy
}

t.test('a restored node serves the keys as another cluster, far above the old revisions', async t => {
  const { keys, revision } = await saved
  const directory = join(folderOf(t), 'deep', 'n7')
  const options = await optionsFor(directory, 'n7')
  const restored = await restoreBackup({ file, id: 'n7', directory, cluster: options.cluster })
  const before = await inspectDirectory(directory)
  t.match(before, { sound: true, trusted: true, id: 'n7', clusterId: restored.clusterId, term: before.base!.term })
  t.not(restored.clusterId, (await readBackup(file)).header.clusterId)
  t.ok(restored.revision >= revision + revisionLeap)
  t.equal(before.log!.blocks, 0)
  t.equal(before.base!.index, before.state!.appliedIndex)
  await live(options, async client => {
    const found = new Map<string, string>()
    for await (const { key, value } of client.range({ prefix: 'key/' })) found.set(key, value)
    t.strictSame(found, keys)
    const put = await client.put('key/new', 'on top')
    t.equal(put.revision, restored.revision + 1)
    t.equal((await client.get('key/new'))?.value, 'on top')
  })
  await live(options, async client => t.equal((await client.get('key/new'))?.value, 'on top'))
  t.match(await inspectDirectory(directory), { sound: true, trusted: true })
})

t.test('three members are restored each by itself, and are one cluster', async t => {
  const { keys } = await saved
  const folder = folderOf(t)
  const ports = await freePorts(3)
  const cluster = new Map(ports.map((port, number) => [`m${number + 1}`, `127.0.0.1:${port}`]))
  const list = [...cluster].map(([id, address]) => `${id}=${address}`).join(',')
  const restored = []
  for (const id of cluster.keys()) {
    restored.push(await restoreBackup({ file, id, directory: join(folder, id), cluster }))
  }
  t.equal(new Set(restored.map(({ clusterId }) => clusterId)).size, 1)
  t.equal(new Set(restored.map(({ incarnation }) => incarnation)).size, 3)
  const log = pino({ level: 'silent' })
  const servers = await Promise.all(
    [...cluster].map(async ([id, listen]) => {
      const flags = { id, listen, 'data-dir': join(folder, id), cluster: list }
      return startServer(await readServerOptions({ flags, env: {}, directory: '/' }), log)
    })
  )
  t.teardown(() => Promise.all(servers.map(server => server.stop())))
  t.ok(await eventually(() => servers.every(server => server.readiness().ready)))
  const client = connect([...cluster.values()], { timeout: '20s' })
  t.teardown(() => client.close())
  t.equal((await client.get('key/8'))?.value, keys.get('key/8'))
  await client.put('key/8', 'of three')
  t.equal((await client.get('key/8'))?.value, 'of three')
})

t.test('a directory that is in use or holds anything is left as it is', async t => {
  const { options } = await saved
  const folder = folderOf(t)
  const refused = async (directory: string, message: RegExp) => {
    await t.rejects(restoreBackup({ file, id: 'n1', directory, cluster: options.cluster }), { message })
  }
  const before = pictureOf(join(home, 'n1'))
  await refused(join(home, 'n1'), /is not empty/)
  t.strictSame(pictureOf(join(home, 'n1')), before)
  writeFileSync(join(folder, 'file'), '')
  await refused(join(folder, 'file'), /is a file/)
  mkdirSync(join(folder, 'empty'))
  await restoreBackup({ file, id: 'n1', directory: join(folder, 'empty'), cluster: options.cluster })
  t.match(await inspectDirectory(join(folder, 'empty')), { sound: true, id: 'n1' })
})
