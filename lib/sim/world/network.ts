// Transport in virtual time: messages pass by reference, late, lost, doubled, out of order or cut off (the shallow depth).

import { assert } from '../../base/assert.ts'
import type { Done } from '../../base/env.ts'
import { StrettoError } from '../../base/errors.ts'
import type { Envelope } from '../../raft/message.ts'
import type { Member, MemberKey, NodeId } from '../../raft/types.ts'
import type { ChunkAnswer, Greeting, Transport, TransportHandler } from '../../transport/transport.ts'
import type { Watcher } from '../ghost/watcher.ts'
import type { Wires } from './wires.ts'
import type { Life, World } from './world.ts'

interface Port {
  readonly life: Life
  readonly hello: Hello
  readonly handler: TransportHandler
  /** What each peer has said of itself here last. */
  readonly greeted: Map<MemberKey, Hello>
}

/** What a life of a node says of itself. */
export interface Hello {
  readonly boot: number
  /** Machine versions that it can run. */
  readonly machine: Greeting['machine']
  readonly priority: number
}

/** Gives a question to who is asked. */
type Put = (port: Port, answer: ChunkAnswer) => void

export class Network {
  readonly #world: World
  readonly #wires: Wires
  readonly #watcher: Watcher
  readonly #ports = new Map<MemberKey, Port>()
  #chunks = 0
  /** Holds a message back from its way: for scenarios that need one certain message late, or never. */
  hold: ((envelope: Envelope, release: () => void) => boolean) | null = null

  constructor(world: World, wires: Wires, watcher: Watcher) {
    this.#world = world
    this.#wires = wires
    this.#watcher = watcher
  }

  /** The transport of one life of a node; `effect` is asked before each message, and false ends it all. */
  transport(self: MemberKey, life: Life, hello: Hello, effect: () => boolean): Transport {
    const deliver = (envelope: Envelope) => (port: Port) => {
      if (introduce(port, self, hello)) port.handler.message(envelope)
    }
    return {
      connect: members => this.#greet(self, life, members),
      send: envelope => {
        if (!effect()) return true
        this.#watcher.sent(envelope)
        const release = (): void => this.#carry(self, envelope.to, deliver(envelope), envelope)
        if (this.hold === null || !this.hold(envelope, release)) release()
        return true
      },
      forward: (to, request, done) => {
        this.#ask(self, life, to, 64, done, (port, answer) => {
          port.handler.forwarded(self, request, bytes => answer(null, bytes))
        })
      },
      sendChunk: (to, piece, done) => {
        const chunk = { ...piece, number: ++this.#chunks }
        this.#ask(self, life, to, 64 + piece.bytes.length, done, (port, answer) => {
          if (introduce(port, self, hello)) port.handler.chunk(self, chunk, answer)
        })
      },
      receive: handler => void this.#ports.set(self, { life, hello, handler, greeted: new Map() }),
      close: done => {
        if (this.#ports.get(self)?.life === life) this.down(self)
        this.#world.after(0, null, () => done(null))
      }
    }
  }

  /** The process is gone: the others see their links to it closed, after all that it has sent before. */
  down(self: MemberKey): void {
    this.#ports.delete(self)
    for (const peer of this.#ports.keys()) this.#carry(self, peer, port => port.handler.closed(self, true), null)
  }

  /** The power is gone: nobody is told. */
  vanish(self: MemberKey): void {
    this.#ports.delete(self)
  }

  /** The links of a member are closed by something on their way; each side takes it for the doing of the other. */
  reset(self: MemberKey): void {
    const own = this.#ports.get(self)
    for (const [peer, port] of this.#ports) {
      if (peer === self || own === undefined) continue
      for (const [here, there] of [
        [own, peer],
        [port, self]
      ] as const) {
        this.#world.after(0, here.life, () => {
          here.handler.closed(there, true)
          const hello = here.greeted.get(there)
          if (hello !== undefined) here.handler.greeted(there, { ...hello, protocol: [1, 1] })
        })
      }
    }
  }

  #greet(self: MemberKey, life: Life, members: readonly Member[]): void {
    const own = this.#ports.get(self)
    if (life.over) return
    assert(own?.life === life, 'a transport is given its handler before it connects')
    for (const { key } of members) {
      const peer = this.#ports.get(key)
      if (key === self || peer === undefined) continue
      this.#carry(self, key, port => introduce(port, self, own.hello), null)
      this.#carry(key, self, port => introduce(port, key, peer.hello), null)
    }
  }

  /** A question of so many bytes, carried there by `put`, and its answer; an error when nothing has come after a second. */
  #ask(self: MemberKey, life: Life, to: MemberKey, bytes: number, done: Done<Uint8Array>, put: Put): void {
    let answered = false
    const answer: ChunkAnswer = (error, result) => {
      if (answered || life.over) return
      answered = true
      done(error, result)
    }
    const back: ChunkAnswer = (error, result) => this.#carry(to, self, () => answer(error, result), null)
    this.#carry(self, to, port => put(port, back), null, bytes)
    this.#world.after(1_000, life, () =>
      answer(new StrettoError('UNAVAILABLE', 'no answer', { fate: 'unknown' }), nothing)
    )
  }

  /** `envelope`: what is carried, where it is a message that may arrive twice; null for what keeps a link going. */
  #carry(
    from: MemberKey,
    to: MemberKey,
    deliver: (port: Port) => unknown,
    envelope: Envelope | null,
    bytes = envelope === null ? 64 : bytesOf(envelope)
  ): void {
    const [source, target] = [idOf(from), idOf(to)]
    const fate = this.#wires.fate(source, target, bytes)
    const cut = this.#wires.isCut(source, target)
    if (fate.lost || cut) {
      if (envelope !== null) this.#watcher.dropped(envelope, cut ? 'cut' : 'lost')
      return
    }
    const ms = this.#wires.arrival(source, target, fate) - this.#world.now
    this.#arrive(to, ms, deliver, envelope)
    if (fate.copyMs > 0 && envelope !== null) this.#arrive(to, ms + fate.copyMs, deliver, envelope)
  }

  #arrive(to: MemberKey, ms: number, deliver: (port: Port) => unknown, envelope: Envelope | null): void {
    this.#world.after(ms, null, () => {
      const port = this.#ports.get(to)
      if (port === undefined || port.life.over) {
        if (envelope !== null) this.#watcher.dropped(envelope, 'no process')
        return
      }
      this.#world.touched = port.life
      const arrived = (): void => {
        if (envelope !== null) this.#watcher.delivered(envelope)
        deliver(port)
      }
      // What has arrived belongs to the receiving process, and waits with it when that is held up.
      if (port.life.stalledUntil > this.#world.now) this.#world.after(0, port.life, arrived)
      else arrived()
    })
  }
}

function idOf(key: MemberKey): NodeId {
  return key.slice(0, key.indexOf('.'))
}

/** A link begins with a hello, so nothing comes of a life before it has introduced itself; false for an earlier life. */
function introduce(port: Port, peer: MemberKey, hello: Hello): boolean {
  const known = port.greeted.get(peer)?.boot ?? 0
  if (hello.boot > known) {
    port.greeted.set(peer, hello)
    port.handler.greeted(peer, { ...hello, protocol: [1, 1] })
  }
  return hello.boot >= known
}

/** About what the message takes on a wire, bytes. */
function bytesOf({ message }: Envelope): number {
  if (message.kind !== 'append') return 80
  let bytes = 100
  for (const block of message.blocks) bytes += block.bytes.length
  return bytes
}

const nothing = new Uint8Array(0)
