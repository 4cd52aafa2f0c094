// Net within one process, for tests and simulated clusters: delays, cut directions, resets and dead hosts, in any Env.
import { assert } from '../base/assert.ts'
import type { Cancel, Done, Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { Closed, Link, LinkHandler, Listener, Net } from './net.ts'

/** What lies between the hosts. Each direction of a link keeps its order and loses nothing, as TCP does. */
export class MemoryFabric {
  /** Milliseconds from one host to another, for a message of so many bytes. */
  delayMs: (from: string, to: string, bytes: number) => number = () => 0
  /** Sees each message as it leaves its host, and again as it arrives; null for nobody. */
  onlooker: Onlooker | null = null
  silenceMs = 3000
  readonly listeners = new Map<string, { readonly host: string; readonly net: MemoryNet; readonly accept: Accept }>()
  readonly ends = new Set<MemoryEnd>()
  readonly #cut = new Set<string>()
  #port = 40_000

  port(): number {
    return ++this.#port
  }

  isCut(from: string, to: string): boolean {
    return this.#cut.has(`${from} ${to}`)
  }

  /** What `from` sends does not reach `to` until healed; `to` takes the silence for the end of the link. */
  cut(from: string, to: string): void {
    this.#cut.add(`${from} ${to}`)
    for (const end of this.ends) if (end.host === to && end.remote === from) end.silenced()
  }

  heal(from: string, to: string): void {
    this.#cut.delete(`${from} ${to}`)
    for (const end of this.ends) if (end.host === to && end.remote === from) end.pump()
  }

  /** Ends all links between two hosts; both sides take it for the doing of the other. */
  reset(a: string, b: string): void {
    for (const end of this.ends) if (end.host === a && end.remote === b) end.reset()
  }

  /** The process of this host dies: its links end at the other side, and it hears no more itself. */
  kill(host: string): void {
    for (const end of this.#forget(host)) end.kill()
  }

  /** The power of this host fails: it hears no more, and the others hear nothing at all of it. */
  powerOff(host: string): void {
    for (const end of this.#forget(host)) end.vanish()
  }

  #forget(host: string): readonly MemoryEnd[] {
    for (const [address, listener] of this.listeners) if (listener.host === host) this.listeners.delete(address)
    return [...this.ends].filter(end => end.host === host)
  }
}

type Accept = (link: Link) => LinkHandler

/** The bytes are the same object at both ends. */
interface Onlooker {
  sent(from: string, to: string, bytes: Uint8Array): void
  arrived(from: string, to: string, bytes: Uint8Array): void
  /** It was under way when the link ended. */
  lost(from: string, to: string, bytes: Uint8Array): void
}

export class MemoryNet implements Net {
  readonly fabric: MemoryFabric
  readonly env: Env
  readonly host: string

  constructor(fabric: MemoryFabric, env: Env, host: string) {
    this.fabric = fabric
    this.env = env
    this.host = host
  }

  dial(address: string, handler: LinkHandler): Link {
    const target = this.fabric.listeners.get(address)
    const near = new MemoryEnd(this, target?.host ?? '', handler)
    this.env.soon(() => {
      if (near.ended) return
      if (target === undefined || this.fabric.listeners.get(address) !== target) return near.end('them', 'refused')
      if (this.fabric.isCut(this.host, target.host) || this.fabric.isCut(target.host, this.host)) {
        near.silenced()
        return
      }
      const far = new MemoryEnd(target.net, this.host, null)
      near.peer = far
      far.peer = near
      far.handler = target.accept(far)
      if (!near.ended) handler.open(near)
    })
    return near
  }

  listen(address: string, accept: Accept, done: Done<Listener>): void {
    const port = /:0(?=\/|$)/.test(address) ? this.fabric.port() : Number(/:(\d+)(?=\/|$)/.exec(address)?.[1])
    const key = address.replace(/:0(?=\/|$)/, `:${port}`)
    this.env.soon(() => {
      if (this.fabric.listeners.has(key)) {
        done(new StrettoError('BAD_REQUEST', `${key} is listened on already`), undefined as unknown as Listener)
        return
      }
      this.fabric.listeners.set(key, { host: this.host, net: this, accept })
      done(null, { port, close: closed => this.#unlisten(key, closed) })
    })
  }

  #unlisten(key: string, closed: Done): void {
    this.fabric.listeners.delete(key)
    for (const end of this.fabric.ends) if (end.host === this.host && end.accepted) end.close()
    this.env.soon(() => closed(null))
  }
}

interface Arrival {
  /** Null: the other side has closed. */
  readonly bytes: Uint8Array | null
  /** By the clock of the receiving host. */
  readonly at: number
}

/** One end of a link; what arrives waits here for its time. */
class MemoryEnd implements Link {
  readonly host: string
  readonly remote: string
  readonly accepted: boolean
  peer: MemoryEnd | null = null
  handler: LinkHandler | null
  ended = false
  readonly #fabric: MemoryFabric
  readonly #env: Env
  #arrivals: Arrival[] = []
  #arrivingBytes = 0
  #paused = false
  #timer: Cancel | null = null

  constructor(net: MemoryNet, remote: string, handler: LinkHandler | null) {
    this.#fabric = net.fabric
    this.#env = net.env
    this.host = net.host
    this.remote = remote
    this.handler = handler
    this.accepted = handler === null
    this.#fabric.ends.add(this)
  }

  get buffered(): number {
    return this.peer === null || this.ended ? 0 : this.peer.#arrivingBytes
  }

  send(bytes: Uint8Array): void {
    if (this.ended) return
    this.#fabric.onlooker?.sent(this.host, this.remote, bytes)
    // Who looks on may have had the host die.
    if (!this.ended) this.peer?.arrive(bytes)
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.pump()
  }

  close(): void {
    if (this.ended) return
    this.#gone()
    this.peer?.arrive(null)
    this.#env.soon(() => this.handler?.closed({ by: 'us', reason: 'closed by this side' }))
  }

  arrive(bytes: Uint8Array | null): void {
    if (this.ended) return
    const at = this.#env.now() + this.#fabric.delayMs(this.remote, this.host, bytes?.length ?? 0)
    this.#arrivals.push({ bytes, at: Math.max(at, this.#arrivals.at(-1)?.at ?? 0) })
    this.#arrivingBytes += bytes?.length ?? 0
    this.#pumpLater()
  }

  pump(): void {
    while (!this.ended && !this.#paused && !this.#fabric.isCut(this.remote, this.host)) {
      const first = this.#arrivals[0]
      if (first === undefined) return
      if (first.at > this.#env.now()) return this.#pumpLater()
      this.#arrivals.shift()
      if (first.bytes === null) return this.end('them', 'closed by the other side')
      this.#arrivingBytes -= first.bytes.length
      this.#fabric.onlooker?.arrived(this.remote, this.host, first.bytes)
      this.#deliver(first.bytes)
    }
  }

  silenced(): void {
    const { silenceMs } = this.#fabric
    this.#env.after(silenceMs, () => {
      const deaf = this.#fabric.isCut(this.remote, this.host) || this.peer === null
      if (!deaf || this.ended) return
      this.peer?.arrive(null)
      this.end('silence', `nothing heard for ${silenceMs} ms`)
    })
  }

  reset(): void {
    this.peer?.end('them', 'reset')
    this.end('them', 'reset')
  }

  kill(): void {
    this.#gone()
    this.peer?.arrive(null)
  }

  vanish(): void {
    this.#gone()
    if (this.peer === null) return
    this.peer.peer = null
    this.peer.silenced()
  }

  end(by: Closed['by'], reason: string): void {
    if (this.ended) return
    this.#gone()
    this.handler?.closed({ by, reason })
  }

  #gone(): void {
    this.ended = true
    this.#timer?.()
    const { onlooker } = this.#fabric
    if (onlooker !== null) {
      for (const { bytes } of this.#arrivals) if (bytes !== null) onlooker.lost(this.remote, this.host, bytes)
    }
    this.#arrivals = []
    this.#fabric.ends.delete(this)
  }

  /** A copy in a larger buffer, as a socket gives: what a handler keeps of it stays as it is. */
  #deliver(bytes: Uint8Array): void {
    assert(this.handler !== null, 'an end that receives has a handler')
    const received = new Uint8Array(bytes.length + 2).fill(0xdd)
    received.set(bytes, 1)
    this.handler.message(received.subarray(1, 1 + bytes.length))
  }

  #pumpLater(): void {
    if (this.#timer !== null) return
    const wake = () => {
      this.#timer = null
      this.pump()
    }
    const wait = this.#arrivals[0]!.at - this.#env.now()
    if (wait > 0) {
      this.#timer = this.#env.after(wait, wake)
      return
    }
    let stopped = false
    this.#timer = () => {
      stopped = true
    }
    this.#env.soon(() => {
      if (!stopped) wake()
    })
  }
}
