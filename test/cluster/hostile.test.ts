// Noise, lies and silence on the port of real nodes: they stay up, serve others, stay equal, and say little.
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { t } from 'tap'
import { WebSocket } from 'ws'
import { StrettoError } from '../../lib/base/errors.ts'
import { Random } from '../../lib/base/random.ts'
import { Client } from '../../lib/client/kv-client.ts'
import { realEnv } from '../../lib/client/real-env.ts'
import type { Link, LinkHandler, Net } from '../../lib/transport/net.ts'
import {
  clientMessageBytesMax,
  clientProtocol,
  clientSubprotocol,
  frameKind,
  writeHello
} from '../../lib/wire/client.ts'
import { peerMessageBytesMax } from '../../lib/wire/peer.ts'
import { peerSubprotocol } from '../../lib/wire/version.ts'
import { Load } from '../help/load.ts'
import { clientNet } from '../help/pinned.ts'
import { ask, RealCluster } from '../help/real-cluster.ts'
import { runCli } from '../help/run-cli.ts'

t.setTimeout(120_000)

/** Spoils some of the messages that leave: bits, lengths, ends, beginnings. */
class SpoilingNet implements Net {
  spoilt = 0
  readonly #net: Net
  readonly #random: Random

  constructor(net: Net, seed: number) {
    this.#net = net
    this.#random = new Random(seed)
  }

  dial(address: string, handler: LinkHandler): Link {
    const link = this.#net.dial(address, {
      open: () => handler.open(spoiling),
      message: bytes => handler.message(bytes),
      closed: by => handler.closed(by)
    })
    const spoiling: Link = {
      send: bytes => {
        // Most hellos are left alone, or nothing would get past them.
        const spoils = this.#random.chance(bytes[4] === frameKind.hello ? 0.02 : 0.3)
        link.send(spoils ? this.#spoil(bytes) : bytes)
      },
      get buffered() {
        return link.buffered
      },
      pause: () => link.pause(),
      resume: () => link.resume(),
      close: () => link.close()
    }
    return spoiling
  }

  listen(): never {
    throw new Error('a client never listens')
  }

  #spoil(bytes: Uint8Array): Uint8Array {
    const random = this.#random
    const spoilt = new Uint8Array(bytes)
    this.spoilt++
    if (random.chance(0.1)) return spoilt.subarray(0, random.below(spoilt.length))
    if (random.chance(0.1)) return new Uint8Array([...spoilt, ...spoilt.subarray(random.below(spoilt.length))])
    // Rarely the length and kind, mostly what comes after: the first are refused at the door.
    const first = random.chance(0.2) ? 0 : Math.min(8, spoilt.length - 1)
    for (let flips = 1 + random.below(3); flips > 0; flips--) {
      const at = first + random.below(spoilt.length - first)
      spoilt[at] = random.chance(0.5) ? spoilt[at]! ^ (1 << random.below(8)) : random.below(256)
    }
    return spoilt
  }
}

/** Every kind of call, over links that spoil what is sent. What they come to does not matter, as long as it is an answer. */
async function callSpoilt(endpoints: readonly string[], seed: number): Promise<number> {
  const spoiling = new SpoilingNet(clientNet(), seed)
  // A client of its own for each round: one that is refused again and again dials less and less often.
  for (let round = 0; round < 20; round++) {
    await using db = new Client<string>({ env: realEnv(), net: spoiling }, endpoints, { timeout: 200 })
    const key = `hostile/${seed}/${round}`
    const calls = [
      () => db.put(key, 'x'.repeat(round)),
      () => db.put(key, 'y', { previous: true, notAfter: 1_000 }),
      () => db.increment(`hostile/count/${round % 3}`, round),
      () => db.delete(key, { ifRevision: round }),
      () => db.getMany([key, 'load/0/1']),
      () => db.count({ prefix: `hostile/${round % 7}` }),
      () => db.range({ prefix: 'hostile/', limit: 50 }).next()
    ]
    const fates: Promise<unknown>[] = []
    await db.ready({ timeout: 1_000 }).catch(onlyRefusals)
    for (const call of calls) {
      fates.push(call().catch(onlyRefusals))
      await new Promise(setImmediate)
    }
    await Promise.all(fates)
  }
  return spoiling.spoilt
}

function onlyRefusals(error: unknown): void {
  if (!(error instanceof StrettoError)) throw error
}

/** Opens a WebSocket, sends these messages, and comes back when the other side has closed it. */
async function offend(address: string, protocol: string, messages: readonly (Uint8Array | string)[]): Promise<void> {
  const socket = new WebSocket(`ws://${address}`, protocol)
  const closed = new Promise(resolve => socket.once('close', resolve))
  socket.on('error', () => {})
  socket.once('open', () => {
    for (const message of messages) socket.send(message)
  })
  await closed
}

/** Writes to the bare port, and comes back with all that was answered until the other side has closed. */
async function mutter(address: string, bytes: Uint8Array | string): Promise<string> {
  const port = Number(address.split(':')[1])
  const socket = net.connect(port, '127.0.0.1')
  let heard = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    heard += text
  })
  socket.on('error', () => {})
  socket.write(bytes)
  await once(socket, 'close')
  return heard
}

function upgradeTo(path: string, header = ''): string {
  const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${key}${header}\r\n`
}

const hello = writeHello({ protocolMin: clientProtocol.min, protocolMax: clientProtocol.max, name: 'x', token: null })

t.test('three nodes under attack serve an honest client, and stay equal', async t => {
  const cluster = await RealCluster.start(t)
  const db = cluster.client()
  const load = new Load(db, 4)
  const { id: leader } = await cluster.leader()
  const target = cluster.address(leader)
  const [follower] = await cluster.followers()

  const spoilt = await Promise.all([1, 2, 3, 4, 5, 6].map(seed => callSpoilt(cluster.endpoints, seed)))
  const all = spoilt.reduce((sum, count) => sum + count)
  t.ok(all > 100, `${all} messages were spoilt`)

  const random = new Random(4)
  const noise = (length: number) => Uint8Array.from({ length }, () => random.below(256))
  for (const [path, protocol, bytesMax] of [
    ['/v1', clientSubprotocol, clientMessageBytesMax],
    ['/peer', peerSubprotocol, peerMessageBytesMax]
  ] as const) {
    const at = target + path
    await offend(at, protocol, [noise(100)])
    await offend(at, protocol, ['a text'])
    await offend(at, protocol, [new Uint8Array(bytesMax + 1)])
    await offend(at, protocol, [hello, hello, noise(5_000)])
    const refusals = [upgradeTo(path, 'Origin: http://evil.example\r\n'), upgradeTo(path, 'Origin: null\r\n')]
    for (const refused of refusals) t.match(await mutter(target, refused), /^HTTP\/1\.1 403 /)
    t.match(await mutter(target, `${upgradeTo(path)}\xff\xff\xff\xff`), /^HTTP\/1\.1 101 /, 'a broken frame')
  }
  t.match(await mutter(target, upgradeTo('/nowhere')), /^HTTP\/1\.1 404 /)
  t.equal((await ask(target, '/nowhere')).status, 404)
  t.equal((await ask(target, '/status', { headers: { origin: 'http://evil.example' } })).status, 403)
  t.equal((await ask(target, '/v1/kv/a', { method: 'PUT', headers: { host: 'evil.example' }, body: 'x' })).status, 403)
  t.match(await mutter(target, noise(500)), /^HTTP\/1\.1 400 /)

  await load.more(100)
  await load.stop()
  t.strictSame(load.errors, [], 'the honest client was served all the time')
  t.strictSame(await load.audit(db), { lost: 0, miscounted: [] })
  const { revision } = await db.put('last', 'written')
  const contents = cluster.ids.map(async id => {
    const one = cluster.clientOf(id)
    const entries = []
    for await (const entry of one.range({ consistency: 'stale', minRevision: revision })) entries.push(entry)
    return entries
  })
  const [first, ...others] = await Promise.all(contents)
  t.ok(first!.length > load.puts.size)
  for (const other of others) t.strictSame(other, first, 'the same entries on each node')

  t.strictSame(cluster.running, cluster.ids, 'all still run')
  t.equal((await cluster.leader()).id, leader, 'nobody was deposed')
  for (const id of cluster.ids) {
    const { lines, err } = cluster.node(id)
    t.strictSame(
      lines.filter(({ level }) => level === 'error' || level === 'fatal'),
      []
    )
    const findings = lines.filter(({ event }) => event === 'finding').map(({ msg }) => msg)
    t.equal(new Set(findings).size, findings.length, 'each refusal is said once')
    t.equal(err, '')
  }

  t.test('connections that say nothing are closed in time, and nobody waits for them', async t => {
    const halves = [
      ...Array.from({ length: 200 }, () => mutter(target, 'GET /status HTTP/1.1\r\nHost: loc')),
      ...Array.from({ length: 200 }, () => mutter(target, upgradeTo('/v1'))),
      ...Array.from({ length: 100 }, () => mutter(target, upgradeTo('/peer')))
    ]
    const honest = cluster.clientOf(leader)
    const startedAt = performance.now()
    await honest.put('through', 'the crowd')
    const waitedMs = performance.now() - startedAt
    t.ok(waitedMs < 1_000, `a new client is served after ${Math.round(waitedMs)} ms`)
    await cluster.node(follower!).kill()
    await cluster.start(follower!).ready()
    const answers = await Promise.all(halves)
    t.equal(answers.filter(answer => answer.startsWith('HTTP/1.1 408 ')).length, 200)
    t.equal(answers.filter(answer => answer.startsWith('HTTP/1.1 101 ')).length, 300)
  })

  t.test('a node with another peer secret is kept out, and says why', async t => {
    await cluster.node(follower!).stop()
    const secretFile = join(cluster.directory, 'other-secret')
    writeFileSync(secretFile, 'not the secret of the others', { mode: 0o600 })
    const stranger = cluster.start(follower!, { args: ['--peer-secret-file', secretFile] })
    await stranger.line(({ event, msg }) => event === 'finding' && /peer secrets .* differ/.test(msg))
    t.equal((await ask(cluster.address(follower!), '/readyz')).status, 503)
    const honest = cluster.clientOf(leader)
    await honest.put('without', 'the stranger')
    t.notOk(stranger.hasEnded)
    await stranger.stop()
    await cluster.start(follower!).ready()
  })
})

t.test('what is wrong at the start is one line, and exit code 2', async t => {
  const directory = t.testdir({ 'typo.yaml': 'id: n1\nlisen: 127.0.0.1:0\n', 'short-secret': 'short' })
  const blocker = net.createServer().listen(0, '127.0.0.1')
  await once(blocker, 'listening')
  const taken = `127.0.0.1:${(blocker.address() as net.AddressInfo).port}`
  const cases: readonly (readonly [args: string[], line: RegExp])[] = [
    [['--listen', taken], / is in use by another process: .*--listen/],
    [['--id', 'N 1'], /"N 1" is not a node id: /],
    [['--id', 'n9', '--cluster', 'n1=127.0.0.1:1,n2=127.0.0.1:2'], /'n9' is not in --cluster, .* n1, n2/],
    [['--listen', '127.0.0.1'], /host:port/],
    [['--cluster', 'n1=127.0.0.1:1,n2'], /'n2' in --cluster is not of the form id=host:port/],
    [['--lisen', taken], /unknown option '--lisen'.*--listen/],
    [['--config', join(directory, 'typo.yaml')], /unknown key 'lisen': did you mean 'listen'\?/],
    [['--config', join(directory, 'absent.yaml')], /absent\.yaml cannot be read/],
    [['--peer-secret-file', join(directory, 'short-secret')], /peer secret/],
    [['--listen', '0.0.0.0:0', '--advertise', 'db.example:7001'], /--insecure/]
  ]
  const runs = cases.map(async ([args, line]) => {
    const said = await runCli(['start', '--data-dir', join(directory, 'n1'), ...args])
    t.equal(said.code, 2, args.join(' '))
    t.match(said.err, /^stretto( start)?: [^\n]+\n$/, 'one line')
    t.match(said.err, line)
    t.equal(said.out, '')
  })
  await Promise.all(runs)
  blocker.close()
})
