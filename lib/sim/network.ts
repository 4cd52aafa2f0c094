// Transport in virtual time: messages pass by reference, late, lost or cut off; replaced below by Net in the deep simulation.

import { assert } from '../base/assert.ts'
import type { Done } from '../base/env.ts'
import type { Random } from '../base/random.ts'
import type { Member, MemberKey } from '../raft/types.ts'
import type { Transport, TransportHandler } from '../transport/transport.ts'
import type { Life, World } from './world.ts'

export interface NetworkFaults {
  /** Probability that a message is lost. */
  readonly drop: number
  readonly delayMsMin: number
  readonly delayMsMax: number
}

interface Port {
  readonly life: Life
  readonly boot: number
  readonly handler: TransportHandler
  /** The boot number with which each peer has introduced itself here. */
  readonly greeted: Map<MemberKey, number>
}

export class Network {
  faults: NetworkFaults
  readonly #world: World
  readonly #random: Random
  readonly #ports = new Map<MemberKey, Port>()
  /** Directed pairs that do not reach each other, as `from>to`. */
  readonly #cut = new Set<string>()
  dropped = 0

  constructor(world: World, faults: NetworkFaults) {
    this.#world = world
    this.faults = faults
    this.#random = world.random('network')
  }

  /** Cuts all directed links from the first to the second group. */
  cut(from: readonly MemberKey[], to: readonly MemberKey[]): void {
    for (const source of from) for (const target of to) this.#cut.add(`${source}>${target}`)
  }

  heal(): void {
    this.#cut.clear()
  }

  /** The transport of one life of a node. */
  transport(self: MemberKey, life: Life, boot: number): Transport {
    return {
      connect: members => this.#greet(self, life, members),
      send: envelope => {
        this.#carry(self, envelope.to, port => {
          if (introduce(port, self, boot)) port.handler.message(envelope)
        })
        return true
      },
      forward: (to, request, done) => this.#forward(self, life, to, request, done),
      receive: handler => void this.#ports.set(self, { life, boot, handler, greeted: new Map() }),
      close: done => {
        this.down(self)
        this.#world.after(0, null, () => done(null))
      }
    }
  }

  /** The process is gone: the others see their links to it closed, after all that it has sent before. */
  down(self: MemberKey): void {
    this.#ports.delete(self)
    for (const peer of this.#ports.keys())
      this.#carry(self, peer, port => port.handler.closed(self, true), this.faults.delayMsMax)
  }

  #greet(self: MemberKey, life: Life, members: readonly Member[]): void {
    const own = this.#ports.get(self)
    assert(own?.life === life, 'a transport is given its handler before it connects')
    for (const { key } of members) {
      const peer = this.#ports.get(key)
      if (key === self || peer === undefined) continue
      this.#carry(self, key, port => introduce(port, self, own.boot))
      this.#carry(key, self, port => introduce(port, key, peer.boot))
    }
  }

  #forward(self: MemberKey, life: Life, to: MemberKey, request: Uint8Array, done: Done<Uint8Array>): void {
    let answered = false
    const answer = (error: Error | null, bytes: Uint8Array): void => {
      if (answered || life.over) return
      answered = true
      done(error, bytes)
    }
    this.#carry(self, to, port =>
      port.handler.forwarded(self, request, bytes => this.#carry(to, self, () => answer(null, bytes)))
    )
    this.#world.after(1_000, life, () => answer(new Error('no answer'), none))
  }

  #delayMs(): number {
    const { delayMsMin, delayMsMax } = this.faults
    return delayMsMin + (this.#random.next() / 0x1_0000_0000) * (delayMsMax - delayMsMin)
  }

  #carry(from: MemberKey, to: MemberKey, deliver: (port: Port) => unknown, delayMs = this.#delayMs()): void {
    if (this.#cut.has(`${from}>${to}`) || this.#random.chance(this.faults.drop)) {
      this.dropped++
      return
    }
    this.#world.after(delayMs, null, () => {
      const port = this.#ports.get(to)
      if (port === undefined) return
      // What has arrived belongs to the receiving process, and waits with it when that is held up.
      if (port.life.stalledUntil > this.#world.now) this.#world.after(0, port.life, () => deliver(port))
      else if (!port.life.over) deliver(port)
    })
  }
}

/** A link begins with a hello, so nothing comes of a life before it has introduced itself; false for an earlier life. */
function introduce(port: Port, peer: MemberKey, boot: number): boolean {
  const known = port.greeted.get(peer) ?? 0
  if (boot > known) {
    port.greeted.set(peer, boot)
    port.handler.greeted(peer, { boot, protocol: [1, 1], machine: [1, 1] })
  }
  return boot >= known
}

const none = new Uint8Array(0)
