// Stalls, damaged, wiped and foreign disks: a node says what is wrong, the others serve, and nothing is lost.
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pass } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { type Test, t } from 'tap'
import { Load } from '../help/load.ts'
import { ask, NodeProcess, RealCluster, statusOnce } from '../help/real-cluster.ts'

t.setTimeout(120_000)

/** Both sides of a pause are what is tested, so this waits for the clock. */
async function paused(node: NodeProcess, ms: number): Promise<void> {
  node.signal('SIGSTOP')
  await pass(ms)
  node.signal('SIGCONT')
}

async function stalls(t: Test, cluster: RealCluster): Promise<void> {
  const db = cluster.client()
  const load = new Load(db, 16, 'stalls')
  await load.more(500)
  let leader = await cluster.leader()
  const { elections } = cluster

  const [follower] = await cluster.followers()
  await paused(cluster.node(follower!), 600)
  await load.more(1_000)
  t.strictSame(await cluster.leader(), leader, 'a follower that stalls for 600 ms changes nothing')
  t.equal(cluster.elections, elections)

  await paused(cluster.node(leader.id), 600)
  await load.more(1_000)
  t.ok(cluster.elections <= elections + 1, 'a leader that stalls for 600 ms costs one election at most')

  leader = await cluster.leader()
  const old = cluster.clientOf(leader.id)
  const others = cluster.clientOf((await cluster.followers())[0]!)
  await old.put('fresh', 'before')
  cluster.node(leader.id).signal('SIGSTOP')
  // Asked while it does not turn, these wait in its socket: they are the first that it hears.
  const asked = performance.now()
  const early = old.get('fresh', { timeout: 10_000 })
  const next = await cluster.leader(leader.term)
  await others.put('fresh', 'after')
  const reads = Array.from({ length: 20 }, () => old.get('fresh', { timeout: 10_000 }))
  await pass(Math.max(0, asked + 2_000 - performance.now()))
  cluster.node(leader.id).signal('SIGCONT')
  for (const entry of await Promise.all(reads)) t.equal(entry?.value, 'after', 'asked after the write')
  t.match((await early)?.value, /^(before|after)$/, 'asked before it')
  t.equal((await old.get('fresh'))?.value, 'after')
  await load.more(500)
  await load.stop()
  t.comment(`${next.id} took over from ${leader.id}; ${cluster.elections} elections in all`)
  t.strictSame(load.errors, [])
  t.strictSame(await load.audit(old), { lost: 0, miscounted: [] })
}

const tables = /\.(log|ldb)$/

/** Flips one bit in the middle of the largest file of LevelDB's in this directory. */
function flipBit(directory: string): void {
  const files = readdirSync(directory).filter(name => tables.test(name))
  const contents = files.map(name => ({ file: join(directory, name), bytes: readFileSync(join(directory, name)) }))
  const { file, bytes } = contents.toSorted((a, b) => b.bytes.length - a.bytes.length)[0]!
  bytes[bytes.length >> 1]! ^= 16
  writeFileSync(file, bytes)
}

/** Flips one bit of this text wherever LevelDB's table files hold it; returns at how many places. */
function flipWithin(directory: string, text: string): number {
  let places = 0
  for (const name of readdirSync(directory).filter(name => name.endsWith('.ldb'))) {
    const bytes = readFileSync(join(directory, name))
    for (let at = bytes.indexOf(text); at !== -1; at = bytes.indexOf(text, at + 1)) {
      bytes[at]! ^= 16
      places++
    }
    writeFileSync(join(directory, name), bytes)
  }
  return places
}

/** Both slots of the memory file as a later version might write them. */
function makeNewer(file: string): void {
  const bytes = readFileSync(file)
  for (const start of [0, 4096]) {
    const slot = bytes.subarray(start, start + 512)
    slot.writeUInt16BE(9, 4)
    slot.writeUInt32BE(crc32(slot.subarray(4, slot.readUInt16BE(6))), 0)
  }
  writeFileSync(file, bytes)
}

async function refused(args: readonly string[]): Promise<{ code: number | null; err: string }> {
  const node = new NodeProcess(args)
  const { code } = await node.ended
  return { code, err: node.err }
}

async function damagedLog(t: Test, cluster: RealCluster): Promise<void> {
  const db = cluster.client()
  const load = new Load(db, 16, 'log')
  await load.more(5_000)
  await load.stop()
  await Promise.all(cluster.ids.map(id => cluster.node(id).stop()))

  flipBit(join(cluster.dataDir('n1'), 'log'))
  const damaged = cluster.start('n1')
  const finding = await damaged.line(({ event }) => event === 'finding')
  t.comment(finding.msg)
  await damaged.line(({ event }) => event === 'waiting')
  const lonely = await cluster.status('n1')
  t.match(lonely, { trusted: false, ready: false, leader: null })
  t.match(lonely.reasons.join(), /not the one that was promised/)
  await Promise.all([cluster.start('n2').ready(), cluster.start('n3').ready(), damaged.ready()])
  t.match(await statusOnce(cluster.address('n1'), ({ trusted }) => trusted), { ready: true }, 'repaired by the leader')

  await cluster.node('n2').kill()
  const pair = cluster.client()
  await pair.put('without n2', 'written')
  t.strictSame(await load.audit(pair), { lost: 0, miscounted: [] }, 'what was damaged is whole again')

  await cluster.start('n2').ready()
}

async function damagedState(t: Test, cluster: RealCluster): Promise<void> {
  const db = cluster.client()
  const value = 'a value of which one bit will be flipped'
  await db.put('state/sound', 'sound')
  const { revision } = await db.put('state/damaged', value)
  await statusOnce(cluster.address('n3'), status => status.revision >= revision)
  const before = await flushesOf(cluster, 'n3')
  while ((await flushesOf(cluster, 'n3')) === before) await pass(50)
  await cluster.node('n3').stop()
  // At its start LevelDB empties its own log, which it verifies, into tables, which it does not.
  await cluster.start('n3').line(({ event }) => event === 'open')
  await cluster.node('n3').stop()
  t.ok(flipWithin(join(cluster.dataDir('n3'), 'state-1'), value) > 0)
  await cluster.start('n3').ready()
  const damaged = cluster.clientOf('n3')
  await t.rejects(damaged.get('state/damaged'), { code: 'CORRUPT' })
  t.equal((await damaged.get('state/sound'))?.value, 'sound')
  t.equal((await cluster.clientOf('n1').get('state/damaged'))?.value, value, 'the others have it')

  // To write the key anew its entry is needed: a node that cannot read it makes its state again, and does not go on as if
  // there were none.
  await db.put('state/damaged', 'new')
  await cluster.node('n3').line(({ event, msg }) => event === 'fault' && msg.includes('damaged'))
  t.match(await cluster.clientOf('n1').get('state/damaged'), { value: 'new', version: 2 }, 'the others serve on')
  await statusOnce(cluster.address('n3'), status => status.ready && status.revision > revision)
  t.match(await cluster.clientOf('n3').get('state/damaged'), { value: 'new', version: 2 }, 'and it has it again')
}

async function flushesOf(cluster: RealCluster, id: string): Promise<number> {
  return Number(/^stretto_flushes\S* (\d+)/m.exec((await ask(cluster.address(id), '/metrics')).text)![1])
}

async function refusals(t: Test, cluster: RealCluster): Promise<void> {
  await cluster.node('n2').kill()
  const pair = cluster.client()
  const memory = join(cluster.dataDir('n2'), 'memory')
  const kept = readFileSync(memory)
  makeNewer(memory)
  const newer = await refused(cluster.args('n2'))
  t.match(newer.err, /^stretto start: [^\n]*newer version[^\n]*\n$/)
  t.not(newer.code, 0)
  writeFileSync(
    memory,
    kept.map((byte, at) => (at % 4096 === 40 ? byte ^ 1 : byte))
  )
  const forgetful = await refused(cluster.args('n2'))
  t.match(forgetful.err, /^stretto start: [^\n]*members replace[^\n]*\n$/, 'both slots damaged')
  t.not(forgetful.code, 0)
  writeFileSync(memory, kept)

  const foreignId = await refused([
    ...cluster.args('n2'),
    '--data-dir',
    cluster.dataDir('n2'),
    '--id',
    'n1',
    '--listen',
    '127.0.0.1:0'
  ])
  t.match(foreignId.err, /^stretto start: [^\n]*belongs to node n2, not to n1[^\n]*\n$/)
  t.not(foreignId.code, 0)
  const locked = await refused([...cluster.args('n1'), '--listen', '127.0.0.1:0'])
  t.match(locked.err, /^stretto start: [^\n]*in use by another process[^\n]*\n$/)
  t.not(locked.code, 0)

  const elsewhere = join(cluster.directory, 'elsewhere')
  const alone = ['--id', 'n2', '--listen', cluster.address('n2'), '--data-dir', elsewhere]
  const other = new NodeProcess(alone)
  await other.ready()
  await other.stop()
  const foreign = await refused([...cluster.args('n2'), '--data-dir', elsewhere])
  t.match(foreign.err, /^stretto start: [^\n]*belongs to the cluster n2=[^\n]*\n$/)
  t.not(foreign.code, 0)

  cpSync(cluster.dataDir('n2'), join(cluster.directory, 'kept'), { recursive: true })
  rmSync(cluster.dataDir('n2'), { recursive: true })
  const wiped = await refused(cluster.args('n2'))
  t.match(wiped.err, /^stretto start: [^\n]*members replace n2[^\n]*\n$/)
  t.not(wiped.code, 0)
  t.equal((await pair.get('without n2'))?.value, 'written', 'the others serve on')

  rmSync(cluster.dataDir('n2'), { recursive: true })
  cpSync(join(cluster.directory, 'kept'), cluster.dataDir('n2'), { recursive: true })
  await cluster.start('n2').ready()
}

t.test('one cluster, from fault to fault', async t => {
  const cluster = await RealCluster.start(t)
  t.test('paused nodes: no needless election, and no stale read afterwards', t => stalls(t, cluster))
  t.test('a bit flipped in a log: untrusted alone, repaired by the others', t => damagedLog(t, cluster))
  t.test('wiped, foreign, in use, of a later version: one line each', t => refusals(t, cluster))
  t.test('a bit flipped in a value of the state: refused, never served', t => damagedState(t, cluster))
})
