// Real servers on real disks: lives that follow each other, what a directory is refused for, and a clean end.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { type Logger, pino } from 'pino'
import { type Test, t } from 'tap'
import { freePorts } from '../../bin/local-cluster.ts'
import { connect } from '../../lib/client/client.ts'
import { OpenError } from '../../lib/log/faults.ts'
import type { ServerOptions } from '../../lib/server/options.ts'
import { type Server, startServer } from '../../lib/server/server.ts'
import { eventually } from '../help/real-time.ts'

interface Line {
  readonly event: string
  readonly msg: string
  readonly boot?: number
  readonly clusterId?: string
  readonly incarnation?: string
  readonly role?: string
}

function folderOf(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'stretto-life-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A place for a node, its log lines, and its lives. */
class Home {
  readonly lines: Line[] = []
  readonly options: ServerOptions
  readonly log: Logger
  readonly #t: Test

  constructor(t: Test, dataDir: string, id: string, cluster: ReadonlyMap<string, string>, secret: Uint8Array | null) {
    const [host, port] = cluster.get(id)!.split(':')
    this.options = {
      id,
      listen: { host: host!, port: Number(port) },
      advertise: cluster.get(id)!,
      dataDir,
      cluster,
      join: [],
      learner: false,
      peerSecret: secret,
      insecure: false,
      memoryBytes: 33_554_432,
      logBytesMax: 1_073_741_824,
      history: null,
      ballastBytes: 0,
      priority: 100,
      hosts: [],
      origins: [],
      logLevel: 'info'
    }
    this.#t = t
    this.log = pino({ base: null }, { write: text => this.lines.push(JSON.parse(text) as Line) })
  }

  /** A node alone in its cluster. */
  static async alone(t: Test, dataDir = folderOf(t), id = 'n1'): Promise<Home> {
    const [port] = await freePorts(1)
    return new Home(t, dataDir, id, new Map([[id, `127.0.0.1:${port}`]]), null)
  }

  async start(options: Partial<ServerOptions> = {}): Promise<Server> {
    const server = await startServer({ ...this.options, ...options }, this.log)
    this.#t.teardown(() => server.stop())
    return server
  }

  events(event: string): Line[] {
    return this.lines.filter(line => line.event === event)
  }

  client(t: Test) {
    const client = connect([this.options.advertise], { timeout: '10s' })
    t.teardown(() => client.close())
    return client
  }
}

/** Lets the next writes of the databases in folders of this name be refused, as many as it says, for this reason. */
function refuseWrites(t: Test, name: string, reason = 'input/output error'): { left: number; refused: number } {
  const faults = { left: 0, refused: 0 }
  const { batch } = ClassicLevel.prototype
  const patched = function patched(this: ClassicLevel, ...args: unknown[]): unknown {
    if (faults.left === 0 || !this.location.endsWith(name)) return Reflect.apply(batch, this, args)
    faults.left--
    faults.refused++
    const refuse = (): Promise<never> => Promise.reject(new Error(`IO error: ${reason}`))
    if (args.length > 0) return refuse()
    // A chained batch is refused when it is to be written.
    return Object.assign(Reflect.apply(batch, this, args) as object, { write: refuse })
  }
  Object.defineProperty(ClassicLevel.prototype, 'batch', { value: patched, configurable: true })
  t.teardown(() => Reflect.deleteProperty(ClassicLevel.prototype, 'batch'))
  return faults
}

t.test('what was acknowledged is there after a new start, under the same name, with the next boot number', async t => {
  const home = await Home.alone(t)
  const first = await home.start()
  t.ok(await eventually(() => first.readiness().ready))
  const client = home.client(t)
  const { revision } = await client.put('key', 'value')
  const status = first.status()
  t.match(status, { id: 'n1', role: 'leader', leader: 'n1', ready: true, trusted: true, revision })
  t.same(status.members, [
    { id: 'n1', address: home.options.advertise, role: 'voter', incarnation: status.incarnation }
  ])
  await first.stop()
  await first.stop()

  const second = await home.start()
  t.equal((await client.get('key'))?.modRevision, revision)
  t.match(second.status(), { clusterId: status.clusterId, incarnation: status.incarnation })
  t.ok(second.status().term > status.term)
  t.match(home.events('open'), [{ boot: 1 }, { boot: 2, clusterId: status.clusterId }])
  await second.stop()
})

t.test('a write that the disk refuses begins another life, from what the disk holds', async t => {
  const faults = refuseWrites(t, 'log')
  const home = await Home.alone(t)
  const server = await home.start()
  const client = home.client(t)
  await client.put('before', '1')
  faults.left = 1
  // The client hears nothing of it but the time it takes: it asks again, and the write is applied once.
  t.same(await client.increment('counter', 1), { value: 1, revision: 3 })
  t.equal(faults.refused, 1)
  t.match(home.events('fault'), [{ msg: /cannot be written: .*input/ }])
  t.match(home.events('open'), [{ boot: 1 }, { boot: 2 }])
  t.match(await client.get('before'), { value: '1' })
  t.ok(server.readiness().ready)
  await server.stop()
})

t.test('a node that is stopped between two lives has let go of everything when it says so', async t => {
  const faults = refuseWrites(t, 'log')
  const home = await Home.alone(t)
  const server = await home.start()
  const client = home.client(t)
  await client.put('key', 'value')
  faults.left = 1
  const write = client.put('key', 'later', { timeout: '1s' })
  write.catch(() => {})
  t.ok(await eventually(() => home.events('fault').length === 1))
  await Promise.all([server.stop(), server.stop()])
  const again = await home.start()
  t.ok(await eventually(() => again.readiness().ready))
  await again.stop()
  await write.catch(() => {})
})

t.test('a directory that goes on refusing ends the node with one error, after three lives', async t => {
  const faults = refuseWrites(t, 'log')
  const home = await Home.alone(t)
  const server = await home.start()
  const client = home.client(t)
  await client.put('before', '1')
  faults.left = Number.POSITIVE_INFINITY
  const write = client.put('never', '1', { timeout: '1s' })
  write.catch(() => {})
  const error = await server.ended
  t.match(error, { code: 'UNAVAILABLE', message: /input/ })
  t.equal(home.events('fault').length, 3)
  t.same(
    home.events('open').map(({ boot }) => boot),
    [1, 2, 3]
  )
  t.match(server.readiness(), { ready: false, reasons: ['opening the data directory'] })
  await server.stop()
  await t.rejects(write)
  faults.left = 0
  const again = await home.start()
  const reader = home.client(t)
  t.match(await reader.get('before'), { value: '1' }, 'what was acknowledged is not touched by it')
  await again.stop()
})

t.test('a full disk ends no node, however often it is met: the next life waits, and begins by itself', async t => {
  const faults = refuseWrites(t, 'log', 'no space left on device')
  const home = await Home.alone(t)
  const server = await home.start()
  const client = home.client(t)
  await client.put('before', '1')
  faults.left = 3
  const write = client.put('after', '2', { timeout: '30s' })
  t.ok(await eventually(() => server.readiness().reasons.some(reason => reason.includes('full'))))
  t.match(server.readiness().reasons, [/the disk is full: .* and the node waits for room/])
  t.same(server.status().reasons, server.readiness().reasons)
  t.match(await write, { revision: 3 })
  t.equal(faults.refused, 3)
  t.equal(home.events('fault').length, 3, 'so many would end it for any other fault')
  t.match(await client.get('before'), { value: '1' })
  await server.stop()
})

t.test('a node that waits for room can be stopped', async t => {
  const faults = refuseWrites(t, 'log', 'no space left on device')
  const home = await Home.alone(t)
  faults.left = 1
  const server = await home.start()
  t.match(server.readiness().reasons, [/the disk is full/], 'also one that is started on a full disk')
  await server.stop()
  const again = await home.start()
  t.ok(await eventually(() => again.readiness().ready))
  await again.stop()
})

t.test('the state that cannot be flushed begins another life too', async t => {
  const faults = refuseWrites(t, 'state-1')
  const home = await Home.alone(t)
  const server = await home.start()
  const client = home.client(t)
  await client.put('key', 'value')
  faults.left = 1
  t.ok(await eventually(() => home.events('open').length === 2))
  t.match(await client.get('key'), { value: 'value' }, 'from the log')
  t.equal(home.events('fault').length, 1)
  await server.stop()
})

t.test('a directory belongs to one process at a time', async t => {
  const home = await Home.alone(t)
  const server = await home.start()
  const other = await Home.alone(t, home.options.dataDir)
  const error = await other.start().catch((error: unknown) => error)
  t.ok(error instanceof OpenError && error.fault === 'locked', String(error))
  await home.client(t).put('key', 'value')
  await server.stop()
  await (await other.start()).stop()
})

t.test('a directory is refused to another node, and a damaged memory to everybody', async t => {
  const home = await Home.alone(t)
  await (await home.start()).stop()
  const stranger = await Home.alone(t, home.options.dataDir, 'n2')
  const foreign = await stranger.start().catch((error: unknown) => error)
  t.match(foreign, { fault: 'foreign-id', message: /belongs to node n1, not to n2/ })
  await (await home.start()).stop()

  const file = join(home.options.dataDir, 'memory')
  const sound = readFileSync(file)
  writeFileSync(
    file,
    sound.map(byte => byte ^ 0x55)
  )
  const amnesia = await home.start().catch((error: unknown) => error)
  t.match(amnesia, { fault: 'amnesia', message: /only as a new member/ })
  writeFileSync(file, sound)
  const again = await home.start()
  await again.stop()
  t.same(
    home.events('open').map(({ boot }) => boot),
    [1, 2, 3],
    'what was refused has left no trace'
  )
})

t.test('an address that is in use is told, and the directory is left alone', async t => {
  const home = await Home.alone(t)
  const server = await home.start()
  const other = await Home.alone(t)
  await t.rejects(other.start({ listen: home.options.listen }), { code: 'EADDRINUSE' })
  await (await other.start()).stop()
  t.match(other.events('open'), [{ boot: 1 }])
  await server.stop()
})

/** Homes of a cluster that is to be founded. */
async function cluster(t: Test, size: number): Promise<Home[]> {
  const ports = await freePorts(size)
  const nodes = new Map(ports.map((port, at) => [`n${at + 1}`, `127.0.0.1:${port}`]))
  const secret = new Uint8Array(32).fill(7)
  return [...nodes.keys()].map(id => new Home(t, folderOf(t), id, nodes, secret))
}

t.test('a node that waits for its founding says for whom, and can be stopped and started again', async t => {
  const [first, second] = await cluster(t, 2)
  const waiting = await first!.start()
  t.match(waiting.readiness(), { ready: false, reasons: [/^waiting for n2: /] })
  t.match(waiting.status(), { clusterId: '', role: 'follower', leader: null })
  await waiting.stop()
  t.match(first!.events('open'), [])
  const servers = await Promise.all([first!.start(), second!.start()])
  t.ok(await eventually(() => servers.every(server => server.readiness().ready)))
  const [a, b] = servers.map(server => server.status())
  t.equal(a!.clusterId, b!.clusterId)
  await Promise.all(servers.map(server => server.stop()))
})

t.test('three nodes: a leader that stops hands over, and clients hardly notice', async t => {
  const homes = await cluster(t, 3)
  const servers = await Promise.all(homes.map(home => home.start()))
  t.ok(await eventually(() => servers.every(server => server.readiness().ready)))
  const client = connect(
    homes.map(home => home.options.advertise),
    { timeout: '10s' }
  )
  t.teardown(() => client.close())
  await client.put('key', 'before')
  const at = servers.findIndex(server => server.status().role === 'leader')
  const { term } = servers[at]!.status()
  await servers[at]!.stop()
  const rest = servers.filter((_, other) => other !== at)
  t.ok(
    rest.some(server => server.status().role === 'leader'),
    'another leads when it is gone'
  )
  t.equal(rest[0]!.status().term, term + 1, 'after one election, which was asked for')
  await client.put('key', 'after')
  t.match(await client.get('key'), { value: 'after' })
  await Promise.all(rest.map(server => server.stop()))
})
