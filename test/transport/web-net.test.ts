// Net on the WebSocket of a page, played by that of the ws library, against a real listener.
import { t } from 'tap'
import { WebSocket } from 'ws'
import type { Link } from '../../lib/transport/net.ts'
import { type PageSocket, WebNet } from '../../lib/transport/web-net.ts'
import { WsNet } from '../../lib/transport/ws-net.ts'
import { eventually, realEnv } from '../help/real-time.ts'
import { Ear, listen } from '../suite/net.ts'

const shared = { env: realEnv, subprotocol: 'test' }
const page = new WebNet({ ...shared, socketClass: WebSocket })
const server = new WsNet({ ...shared, messageBytesMax: 1_000_000 })

async function serve() {
  const ears: Ear[] = []
  const listener = await listen(server, '127.0.0.1:0/v1', (link: Link) => {
    const ear = new Ear()
    ear.link = link
    ears.push(ear)
    return ear
  })
  t.teardown(() => new Promise<void>(resolve => listener.close(() => resolve())))
  return { ears, at: `ws://127.0.0.1:${listener.port}/v1` }
}

t.test('messages pass both ways, whole and in order', async t => {
  const { ears, at } = await serve()
  const near = new Ear()
  const link = page.dial(at, near)
  link.send(Uint8Array.of(9))
  t.equal(near.opened, 0, 'nothing is told inside the call')
  t.ok(await eventually(() => near.opened === 1))
  for (let number = 0; number < 100; number++) link.send(Uint8Array.of(number))
  t.ok(await eventually(() => ears[0]?.heard.length === 100))
  t.same(
    ears[0]!.heard.map(([first]) => first),
    Array.from({ length: 100 }, (_, number) => number),
    'and what was sent before it was open is not among them'
  )
  ears[0]!.link!.send(new Uint8Array(500_000).fill(7))
  t.ok(await eventually(() => near.heard.length === 1))
  t.equal(near.heard[0]!.length, 500_000)
  link.pause()
  link.resume()
  t.ok(await eventually(() => link.buffered === 0))
  link.close()
  link.close()
  link.send(Uint8Array.of(1))
  t.equal(near.ends.length, 0)
  t.ok(await eventually(() => near.ends.length === 1 && ears[0]!.ends.length === 1))
  t.match(near.ends, [{ by: 'us' }])
  t.match(ears[0]!.ends, [{ by: 'them' }])
})

t.test('the end of the other side is told once', async t => {
  const { ears, at } = await serve()
  const near = new Ear()
  page.dial(at, near)
  t.ok(await eventually(() => near.opened === 1 && ears.length === 1))
  ears[0]!.link!.close()
  t.ok(await eventually(() => near.ends.length === 1))
  t.match(near.ends, [{ by: 'them', reason: /1000/ }])
})

t.test('what cannot be dialled ends, without an exception', async t => {
  const wrong = new Ear()
  page.dial('ws://[half', wrong)
  t.equal(wrong.ends.length, 0)
  const nobody = new Ear()
  page.dial('127.0.0.1:1/v1', nobody)
  t.ok(await eventually(() => wrong.ends.length === 1 && nobody.ends.length === 1))
  t.match(wrong.ends, [{ by: 'us' }])
  t.match(nobody.ends, [{ by: 'them' }])
  t.equal(nobody.opened, 0)
})

t.test('text is no message of ours', async t => {
  const listeners = new Map<string, (event: unknown) => void>()
  let closes = 0
  class Played implements PageSocket {
    binaryType = ''
    readonly bufferedAmount = 0
    constructor() {
      realEnv.soon(() => listeners.get('open')?.({}))
    }
    addEventListener(event: string, listener: (event: never) => void): void {
      listeners.set(event, listener as (event: unknown) => void)
    }
    send(): void {}
    close(): void {
      closes++
    }
  }
  const ear = new Ear()
  new WebNet({ ...shared, socketClass: Played }).dial('127.0.0.1:1/v1', ear)
  t.ok(await eventually(() => ear.opened === 1))
  listeners.get('message')!({ data: 'hello' })
  listeners.get('message')!({ data: new ArrayBuffer(3) })
  t.equal(closes, 1)
  t.match(ear.ends, [{ by: 'us', reason: /no bytes/ }])
  t.equal(ear.heard.length, 0)
})

t.test('a page cannot listen', async t => {
  await t.rejects(
    listen(page, '127.0.0.1:0/v1', () => new Ear()),
    { code: 'UNAVAILABLE' }
  )
})
