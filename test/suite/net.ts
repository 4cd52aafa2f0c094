// What every Net must do, whether it runs on sockets or within a process.
import type { Test } from 'tap'
import type { Done } from '../../lib/base/env.ts'
import type { Closed, Link, LinkHandler, Listener, Net } from '../../lib/transport/net.ts'

/** A listening host and a dialling one, with a path between them that can go deaf. */
export interface NetRig {
  readonly listening: Net
  readonly dialling: Net
  /** To listen at; the port may be 0. */
  readonly listenAt: string
  /** Where the listener is dialled, perhaps through a proxy. */
  dialAt(port: number): string
  /** Nothing passes any more, in neither direction, and nobody is told. */
  freeze(): void
  thaw(): void
  /** Lets time pass until it holds. */
  until(condition: () => boolean): Promise<boolean>
  end(): Promise<void>
}

/** A handler that keeps what it hears; messages are copied, and kept beside the copies as they came. */
export class Ear implements LinkHandler {
  link: Link | null = null
  opened = 0
  readonly heard: Uint8Array[] = []
  readonly received: Uint8Array[] = []
  readonly ends: Closed[] = []

  open(link: Link): void {
    this.link = link
    this.opened++
  }

  message(bytes: Uint8Array): void {
    this.heard.push(new Uint8Array(bytes))
    this.received.push(bytes)
  }

  closed(by: Closed): void {
    this.ends.push(by)
  }
}

export async function listen(net: Net, at: string, accept: (link: Link) => LinkHandler): Promise<Listener> {
  return await new Promise((resolve, reject) => {
    const done: Done<Listener> = (error, listener) => (error === null ? resolve(listener) : reject(error))
    net.listen(at, accept, done)
  })
}

/** A pair of ends: the dialler's ear, and the ear of the link that was accepted for it. */
async function pair(rig: NetRig, listeners: Listener[]): Promise<{ near: Ear; far: Ear; listener: Listener }> {
  const far = new Ear()
  const accept = (link: Link) => {
    far.link = link
    return far
  }
  rig.listening.listen(rig.listenAt, accept, (error, listener) => {
    if (error === null) listeners.push(listener)
  })
  await rig.until(() => listeners.length === 1)
  const listener = listeners[0]!
  const near = new Ear()
  rig.dialling.dial(rig.dialAt(listener.port), near)
  await rig.until(() => near.opened === 1)
  return { near, far, listener }
}

async function closeAll(rig: NetRig, listeners: readonly Listener[]): Promise<void> {
  let open = listeners.length
  const closed = () => {
    open--
  }
  for (const listener of listeners) listener.close(closed)
  await rig.until(() => open === 0)
}

function bytesOf(length: number, first: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 7 + first) & 255)
}

export function netSuite(t: Test, name: string, make: () => Promise<NetRig>): void {
  type Pair = () => ReturnType<typeof pair>
  const test = (title: string, body: (t: Test, rig: NetRig, linked: Pair) => Promise<void>) => {
    void t.test(`${name}: ${title}`, async t => {
      const rig = await make()
      const listeners: Listener[] = []
      try {
        await body(t, rig, () => pair(rig, listeners))
      } finally {
        await closeAll(rig, listeners)
        await rig.end()
      }
    })
  }

  test('messages arrive whole, in order, in both directions', async (t, rig, linked) => {
    const { near, far } = await linked()
    const lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 70_000, 1_000_000]
    for (const [at, length] of lengths.entries()) {
      near.link!.send(bytesOf(length, at))
      far.link!.send(bytesOf(length, at + 100))
    }
    t.ok(await rig.until(() => near.heard.length === lengths.length && far.heard.length === lengths.length))
    for (const [at, length] of lengths.entries()) {
      t.ok(Buffer.from(bytesOf(length, at)).equals(far.heard[at]!), `${length} bytes to the listener`)
      t.ok(Buffer.from(bytesOf(length, at + 100)).equals(near.heard[at]!), `${length} bytes to the dialler`)
    }
    for (const [at, bytes] of far.received.entries()) t.ok(Buffer.from(bytes).equals(far.heard[at]!), 'and stay so')
    t.equal(far.opened, 0, 'an accepted link is open from the start and says no more of it')
  })

  test('the dialler hears nothing inside dial', async (t, rig) => {
    const near = new Ear()
    const link = rig.dialling.dial(rig.dialAt(1), near)
    t.same([near.opened, near.ends], [0, []])
    t.ok(await rig.until(() => near.ends.length === 1))
    t.equal(near.ends[0]!.by, 'them', 'a dial that is refused was ended by the other side')
    t.equal(near.opened, 0)
    link.send(Uint8Array.of(1))
    link.close()
    t.equal(near.ends.length, 1)
  })

  test('who closes hears that it did, the other side that it did not, after all that was sent', async (t, rig, linked) => {
    const { near, far } = await linked()
    near.link!.send(bytesOf(200_000, 1))
    near.link!.send(bytesOf(10, 2))
    near.link!.close()
    t.equal(near.ends.length, 0, 'not inside the call')
    near.link!.send(bytesOf(10, 3))
    near.link!.close()
    t.ok(await rig.until(() => near.ends.length === 1 && far.ends.length === 1))
    t.equal(near.ends[0]!.by, 'us')
    t.equal(far.ends[0]!.by, 'them')
    t.same(
      far.heard.map(bytes => bytes.length),
      [200_000, 10]
    )
    far.link!.send(Uint8Array.of(1))
    t.equal(near.heard.length, 0)
  })

  test('a dial that is given up never opens', async (t, rig, linked) => {
    const { listener } = await linked()
    const ear = new Ear()
    rig.dialling.dial(rig.dialAt(listener.port), ear).close()
    t.ok(await rig.until(() => ear.ends.length === 1))
    t.equal(ear.ends[0]!.by, 'us')
    t.equal(ear.opened, 0)
  })

  test('a paused reader makes the sender see what waits, and loses nothing', async (t, rig, linked) => {
    const { near, far } = await linked()
    far.link!.pause()
    const count = 400
    for (let at = 0; at < count; at++) near.link!.send(bytesOf(65_536, at))
    await rig.until(() => near.link!.buffered > 1_000_000)
    t.ok(near.link!.buffered > 1_000_000)
    t.ok(far.heard.length < count)
    far.link!.resume()
    t.ok(await rig.until(() => far.heard.length === count))
    t.ok(far.heard.every((bytes, at) => bytes[0] === (at & 255)))
    t.ok(await rig.until(() => near.link!.buffered === 0))
  })

  test('a path that has gone deaf is noticed on both sides', async (t, rig, linked) => {
    const { near, far } = await linked()
    near.link!.send(bytesOf(10, 1))
    await rig.until(() => far.heard.length === 1)
    rig.freeze()
    t.ok(await rig.until(() => near.ends.length === 1 && far.ends.length === 1))
    t.equal(near.ends[0]!.by, 'silence')
    t.equal(far.ends[0]!.by, 'silence')
  })

  test('a path that is deaf for a moment loses nothing', async (t, rig, linked) => {
    const { near, far } = await linked()
    rig.freeze()
    near.link!.send(bytesOf(10, 1))
    rig.thaw()
    t.ok(await rig.until(() => far.heard.length === 1))
    t.same([near.ends, far.ends], [[], []])
  })

  test('a listener that closes ends its links and takes no more', async (t, rig, linked) => {
    const { near, far, listener } = await linked()
    let closed = false
    listener.close(() => {
      closed = true
    })
    t.ok(await rig.until(() => closed && near.ends.length === 1 && far.ends.length === 1))
    t.equal(near.ends[0]!.by, 'them')
    const late = new Ear()
    rig.dialling.dial(rig.dialAt(listener.port), late)
    t.ok(await rig.until(() => late.ends.length === 1))
    t.equal(late.opened, 0)
  })

  test('two listeners cannot share a place', async (t, rig, linked) => {
    const { listener } = await linked()
    let error: Error | null = null
    const at = rig.listenAt.replace(':0', `:${listener.port}`)
    rig.listening.listen(
      at,
      () => new Ear(),
      problem => {
        error = problem
      }
    )
    t.ok(await rig.until(() => error !== null))
  })
}
