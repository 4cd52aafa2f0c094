// Net on WebSockets: passes the suite, and what strangers send to its port does no harm.
import http from 'node:http'
import net from 'node:net'
import { Worker } from 'node:worker_threads'
import { type Test, t } from 'tap'
import { WebSocket } from 'ws'
import type { Env } from '../../lib/base/env.ts'
import type { Link } from '../../lib/transport/net.ts'
import { WsNet, type WsNetOptions } from '../../lib/transport/ws-net.ts'
import { eventually, realEnv } from '../help/real-time.ts'
import { TcpProxy } from '../help/tcp-proxy.ts'
import { Ear, listen, type NetRig, netSuite } from '../suite/net.ts'

const options = {
  env: realEnv,
  messageBytesMax: 2_000_000,
  subprotocol: 'test',
  pingMs: 50,
  silenceMs: 200
} satisfies WsNetOptions

async function rig(): Promise<NetRig> {
  let port = 0
  const proxy = new TcpProxy(() => port)
  await proxy.listen()
  return {
    listening: new WsNet(options),
    dialling: new WsNet(options),
    listenAt: '127.0.0.1:0/peer',
    dialAt: listening => {
      port = listening
      return listening === 1 ? '127.0.0.1:1/peer' : `127.0.0.1:${proxy.port}/peer`
    },
    freeze: () => proxy.freeze(),
    thaw: () => proxy.thaw(),
    until: eventually,
    end: async () => await proxy.close()
  }
}

netSuite(t, 'WsNet', rig)

/** A listening net with an ear for the last accepted link. */
async function serve(t: Test, more: Partial<WsNetOptions> = {}) {
  const ears: Ear[] = []
  const accept = (link: Link) => {
    const ear = new Ear()
    ear.link = link
    ears.push(ear)
    return ear
  }
  const listener = await listen(new WsNet({ ...options, ...more }), '127.0.0.1:0/peer', accept)
  t.teardown(async () => await new Promise<void>(resolve => listener.close(() => resolve())))
  return { ears, port: listener.port, at: `127.0.0.1:${listener.port}/peer` }
}

async function works(t: Test, at: string): Promise<void> {
  const ear = new Ear()
  const link = new WsNet(options).dial(at, ear)
  t.ok(await eventually(() => ear.opened === 1), 'others are served')
  link.close()
}

/** The status of an upgrade request with these headers; 101 when it was taken. */
async function statusOf(port: number, path: string, headers: Record<string, string>): Promise<number> {
  const upgrade = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA=='
  }
  return await new Promise((resolve, reject) => {
    const request = http.request({ port, path, headers: { ...upgrade, ...headers } })
    request.on('response', response => resolve(response.statusCode!))
    request.on('upgrade', (_response, socket) => {
      socket.destroy()
      resolve(101)
    })
    request.on('error', reject)
    request.end()
  })
}

t.test('at the door: unknown paths and web pages from elsewhere are refused', async t => {
  const { port } = await serve(t, { origins: ['https://good.example'] })
  t.equal(await statusOf(port, '/elsewhere', {}), 404)
  t.equal(await statusOf(port, '/peer/', {}), 404)
  for (const origin of ['https://evil.example', 'null', 'https://good.example.evil.example', 'http://good.example']) {
    t.equal(await statusOf(port, '/peer', { Origin: origin }), 403, origin)
  }
  t.equal(await statusOf(port, '/peer', { Origin: 'https://good.example' }), 101)
  t.equal(await statusOf(port, '/peer?x=1', {}), 101, 'programs name no origin')
})

t.test('at the door: whoever the owner does not admit is refused', async t => {
  const { port } = await serve(t, { admits: ({ headers }) => headers.host === 'db.example:7001' })
  t.equal(await statusOf(port, '/peer', { Host: 'rebound.example:7001' }), 403)
  t.equal(await statusOf(port, '/peer', { Host: 'db.example:7001' }), 101)
})

t.test('at the door: more links than allowed are refused, and a link that has ended leaves its place', async t => {
  const { port, at, ears } = await serve(t, { linksMax: 1 })
  const near = new Ear()
  const link = new WsNet(options).dial(at, near)
  t.ok(await eventually(() => near.opened === 1))
  t.equal(await statusOf(port, '/peer', {}), 503)
  const late = new Ear()
  new WsNet(options).dial(at, late)
  t.ok(await eventually(() => late.ends.length === 1))
  t.same([late.opened, late.ends[0]!.by], [0, 'them'])
  link.close()
  t.ok(await eventually(() => ears[0]!.ends.length === 1))
  t.equal(await statusOf(port, '/peer', {}), 101)
})

t.test('the same port serves plain HTTP, and two nets share it by path', async t => {
  const server = http.createServer((_request, response) => response.end('alive'))
  const peers = new WsNet({ ...options, server })
  const clients = new WsNet({ ...options, server, subprotocol: 'other', messageBytesMax: 100 })
  const ear = new Ear()
  const peerListening = listen(peers, '/peer', () => ear)
  const clientListening = listen(clients, '/v1', () => ear)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const [listener, other] = await Promise.all([peerListening, clientListening])
  t.equal(listener.port, other.port)
  const answer = await fetch(`http://127.0.0.1:${listener.port}/livez`)
  t.equal(await answer.text(), 'alive')
  const near = new Ear()
  new WsNet({ ...options, subprotocol: 'other' }).dial(`127.0.0.1:${listener.port}/v1`, near)
  t.ok(await eventually(() => near.opened === 1))
  const stranger = new Ear()
  new WsNet({ ...options, subprotocol: 'unheard-of' }).dial(`127.0.0.1:${listener.port}/v1`, stranger)
  t.ok(await eventually(() => stranger.ends.length === 1))
  t.equal(stranger.opened, 0, 'another subprotocol is not spoken')
  await t.rejects(
    listen(peers, '/peer', () => ear),
    { code: 'BAD_REQUEST' }
  )
  await new Promise<void>(resolve => other.close(() => resolve()))
  t.ok(await eventually(() => near.ends.length === 1))
  t.equal(await statusOf(listener.port, '/v1', {}), 404)
  t.equal(await statusOf(listener.port, '/peer', {}), 101, 'the other path is still served')
  server.close()
  server.closeAllConnections()
})

t.test('a message above the limit ends its link, not the process', async t => {
  const { ears, at } = await serve(t)
  const near = new Ear()
  const link = new WsNet(options).dial(at, near)
  await eventually(() => near.opened === 1)
  link.send(new Uint8Array(options.messageBytesMax))
  t.ok(await eventually(() => ears[0]!.heard.length === 1))
  link.send(new Uint8Array(options.messageBytesMax + 1))
  t.ok(await eventually(() => ears[0]!.ends.length === 1 && near.ends.length === 1))
  t.equal(ears[0]!.ends[0]!.by, 'us', 'who refuses a message has closed the link itself')
  t.equal(near.ends[0]!.by, 'them')
  await works(t, at)
})

t.test('text messages, fragments without end and broken frames end their link, not the process', async t => {
  const { ears, port, at } = await serve(t)
  const text = new WebSocket(`ws://${at}`, 'test')
  text.on('open', () => text.send('hello'))
  t.ok(await eventually(() => ears[0]?.ends.length === 1))
  t.equal(ears[0]!.heard.length, 0)
  const fragments = new WebSocket(`ws://${at}`, 'test')
  fragments.on('error', () => {})
  fragments.on('open', () => {
    for (let at = 0; at < 100; at++) fragments.send('x', { fin: false, binary: true })
  })
  t.ok(await eventually(() => ears[1]?.ends.length === 1))
  const raw = net.connect(port, '127.0.0.1')
  raw.on('error', () => {})
  raw.write(
    'GET /peer HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'
  )
  raw.once('data', () => raw.write(Buffer.from('ffffffffffffffffffff', 'hex')))
  t.ok(await eventually(() => ears[2]?.ends.length === 1))
  raw.destroy()
  const mute = net.connect(port, '127.0.0.1')
  mute.write('GET /peer HTTP/1.1\r\nUpgrade: nonsense\r\nConnection: upgrade\r\nHost: x\r\n\r\n')
  mute.on('error', () => {})
  await eventually(() => mute.readableEnded || mute.destroyed || mute.bytesRead > 0)
  mute.resetAndDestroy()
  await works(t, at)
})

t.test('an address that is none fails the dial, later', async t => {
  for (const address of ['not an address', '127.0.0.1:99999/peer', 'http://[/peer', '127.0.0.1:80/peer#x']) {
    const ear = new Ear()
    const link = new WsNet(options).dial(address, ear)
    t.same(ear.ends, [])
    link.send(Uint8Array.of(1))
    t.equal(link.buffered, 0)
    t.ok(await eventually(() => ear.ends.length === 1), address)
    t.equal(ear.ends[0]!.by, 'us')
  }
})

t.test('a dial that is never answered fails after its time', async t => {
  const dumb = net.createServer(socket => socket.on('error', () => {}).resume())
  await new Promise<void>(resolve => dumb.listen(0, '127.0.0.1', resolve))
  const { port } = dumb.address() as net.AddressInfo
  const ear = new Ear()
  new WsNet({ ...options, handshakeMs: 30 }).dial(`127.0.0.1:${port}/peer`, ear)
  t.ok(await eventually(() => ear.ends.length === 1))
  t.equal(ear.ends[0]!.by, 'silence')
  await new Promise(resolve => dumb.close(resolve))
})

t.test('an idle link lives on, because both sides ping', async t => {
  const { ears, at } = await serve(t)
  const near = new Ear()
  const link = new WsNet(options).dial(at, near)
  await eventually(() => near.opened === 1)
  const start = realEnv.now()
  await eventually(() => near.ends.length + ears[0]!.ends.length > 0 || realEnv.now() - start > 3 * options.silenceMs)
  t.same([near.ends, ears[0]!.ends], [[], []])
  link.close()
})

t.test('a process that stalls does not take its own silence for that of the other side', async t => {
  const code = `
    const { parentPort } = require('node:worker_threads')
    const { WebSocketServer } = require('ws')
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' }, () => parentPort.postMessage(server.address().port))`
  const worker = new Worker(code, { eval: true })
  const port = await new Promise<number>(resolve => worker.once('message', resolve))
  let stalls = 0
  const cell = new Int32Array(new SharedArrayBuffer(4))
  const after: Env['after'] = (ms, wake) =>
    realEnv.after(ms, () => {
      wake()
      if (near.opened === 0) return
      stalls++
      // Late in the turn, so that timers which are due meanwhile run before sockets are read.
      realEnv.soon(() => void Atomics.wait(cell, 0, 0, 80))
    })
  const near = new Ear()
  const stalling = new WsNet({ ...options, env: { ...realEnv, after }, pingMs: 20, silenceMs: 60 })
  const link = stalling.dial(`127.0.0.1:${port}/`, near)
  t.ok(await eventually(() => stalls === 6 || near.ends.length > 0))
  t.same(near.ends, [])
  link.close()
  await worker.terminate()
})

t.test('what a handler throws goes to the guard, and the link goes on', async t => {
  const caught: unknown[] = []
  const { ears, at } = await serve(t, { guard: error => caught.push(error) })
  const near = new Ear()
  const link = new WsNet({ ...options, mask: 'random' }).dial(at, near)
  await eventually(() => near.opened === 1)
  const problem = new Error('a bug')
  const message = ears[0]!.message.bind(ears[0]!)
  ears[0]!.message = () => {
    throw problem
  }
  link.send(Uint8Array.of(1))
  t.ok(await eventually(() => caught.length === 1))
  t.equal(caught[0], problem)
  ears[0]!.message = message
  link.send(Uint8Array.of(2))
  t.ok(await eventually(() => ears[0]!.heard.length === 1))
  t.same([...ears[0]!.heard[0]!], [2], 'and a random mask is taken off again')
  link.close()
})
