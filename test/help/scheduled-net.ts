// Net whose openings, messages and ends come in an order that fast-check chooses, each direction of a link in its own order.
import { assert } from '../../lib/base/assert.ts'
import type { Done } from '../../lib/base/env.ts'
import { StrettoError } from '../../lib/base/errors.ts'
import type { Closed, Link, LinkHandler, Listener, Net } from '../../lib/transport/net.ts'
import type { Arrivals } from './arrivals.ts'

type Accept = (link: Link) => LinkHandler

/** Both ends of one link, and what is on its way between them. */
export class Wire {
  readonly address: string
  readonly near: WireEnd
  readonly far: WireEnd
  /** Nothing that is sent from now on arrives. */
  broken = false

  constructor(arrivals: Arrivals, number: number, address: string, handler: LinkHandler) {
    this.address = address
    this.near = new WireEnd(this, arrivals, `link ${number} from ${address}`, handler)
    this.far = new WireEnd(this, arrivals, `link ${number} to ${address}`, null)
  }

  get over(): boolean {
    return this.near.ended && this.far.ended
  }

  /** It breaks: of what is on its way the first so many messages still arrive, and both sides take it for the other's doing. */
  break(keptToFar: number, keptToNear: number): void {
    if (this.broken) return
    this.broken = true
    this.far.cutOff(keptToFar)
    this.near.cutOff(keptToNear)
  }
}

export class WireEnd implements Link {
  readonly wire: Wire
  readonly lane: string
  handler: LinkHandler | null
  ended = false
  readonly #arrivals: Arrivals
  #arrivingBytes = 0

  constructor(wire: Wire, arrivals: Arrivals, lane: string, handler: LinkHandler | null) {
    this.wire = wire
    this.#arrivals = arrivals
    this.lane = lane
    this.handler = handler
  }

  get peer(): WireEnd {
    return this.wire.near === this ? this.wire.far : this.wire.near
  }

  get buffered(): number {
    return this.ended ? 0 : this.peer.#arrivingBytes
  }

  send(bytes: Uint8Array): void {
    if (this.ended || this.wire.broken) return
    const { peer } = this
    peer.#arrivingBytes += bytes.length
    this.#arrivals.add(peer.lane, `${peer.lane}: message`, () => {
      peer.#arrivingBytes -= bytes.length
      peer.#receive(bytes)
    })
  }

  pause(): void {
    this.#arrivals.hold(this.lane)
  }

  resume(): void {
    this.#arrivals.release(this.lane)
  }

  close(): void {
    if (this.ended) return
    this.ended = true
    const { peer } = this
    if (!this.wire.broken) {
      this.#arrivals.add(peer.lane, `${peer.lane}: end`, () => peer.end('them', 'closed by the other side'))
    }
    this.#arrivals.lose(this.lane, 0)
    this.#arrivals.release(this.lane)
    this.#arrivals.add(this.lane, `${this.lane}: closed`, () => {
      this.handler?.closed({ by: 'us', reason: 'closed by this side' })
    })
  }

  cutOff(kept: number): void {
    if (this.ended) return
    this.#arrivals.lose(this.lane, kept)
    this.#arrivals.release(this.lane)
    this.#arrivals.add(this.lane, `${this.lane}: break`, () => this.end('them', 'reset'))
  }

  end(by: Closed['by'], reason: string): void {
    if (this.ended) return
    this.ended = true
    this.handler?.closed({ by, reason })
  }

  /** A copy in a larger buffer, as a socket gives: what a handler keeps of it stays as it is. */
  #receive(bytes: Uint8Array): void {
    if (this.ended) return
    assert(this.handler !== null, 'an end that receives has a handler')
    const received = new Uint8Array(bytes.length + 2).fill(0xdd)
    received.set(bytes, 1)
    this.handler.message(received.subarray(1, 1 + bytes.length))
  }
}

export class ScheduledNet implements Net {
  readonly wires: Wire[] = []
  readonly #arrivals: Arrivals
  readonly #listeners = new Map<string, Accept>()
  #number = 0
  #frozen = false

  constructor(arrivals: Arrivals) {
    this.#arrivals = arrivals
  }

  /** Links that are not over on both sides. */
  get open(): readonly Wire[] {
    return this.wires.filter(wire => !wire.over)
  }

  /** Nothing passes any more, and nobody is told; who hears nothing for so long takes it for the end. */
  freeze(silenceMs: number): void {
    this.#frozen = true
    for (const { near, far } of this.open) {
      for (const end of [near, far]) {
        this.#arrivals.hold(end.lane)
        this.#arrivals.env('silence').after(silenceMs, () => {
          if (this.#frozen) end.end('silence', 'nothing heard for too long')
        })
      }
    }
  }

  thaw(): void {
    this.#frozen = false
    for (const { near, far } of this.open) for (const end of [near, far]) this.#arrivals.release(end.lane)
  }

  /** The process that listens there is gone. */
  forget(address: string): void {
    this.#listeners.delete(address)
  }

  dial(address: string, handler: LinkHandler): Link {
    const wire = new Wire(this.#arrivals, ++this.#number, address, handler)
    const { near, far } = wire
    this.wires.push(wire)
    this.#arrivals.add(far.lane, `${far.lane}: accept`, () => {
      const accept = this.#listeners.get(address)
      if (near.ended || accept === undefined) {
        far.ended = true
        this.#arrivals.add(near.lane, `${near.lane}: refused`, () => near.end('them', 'refused'))
        return
      }
      far.handler = accept(far)
      this.#arrivals.add(near.lane, `${near.lane}: open`, () => {
        if (!near.ended) handler.open(near)
      })
    })
    return near
  }

  listen(address: string, accept: Accept, done: Done<Listener>): void {
    if (this.#listeners.has(address)) {
      const taken = new StrettoError('BAD_REQUEST', `${address} is listened on already`)
      this.#arrivals.add(null, `${address}: taken`, () => done(taken, undefined as unknown as Listener))
      return
    }
    this.#listeners.set(address, accept)
    const close = (closed: Done): void => {
      this.#listeners.delete(address)
      for (const wire of this.wires) if (wire.address === address && wire.far.handler !== null) wire.far.close()
      this.#arrivals.add(null, `${address}: closed`, () => closed(null))
    }
    const port = Number(/:(\d+)(?=\/|$)/.exec(address)?.[1])
    this.#arrivals.add(null, `${address}: listens`, () => done(null, { port, close }))
  }
}
