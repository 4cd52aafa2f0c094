// Links between one production node and peers made of cores: messages as fast-check orders them, links that end and begin.
import type { Done } from '../../lib/base/env.ts'
import type { Envelope } from '../../lib/raft/message.ts'
import type { Base, Member, MemberKey } from '../../lib/raft/types.ts'
import type { Transport, TransportHandler } from '../../lib/transport/transport.ts'
import type { Arrivals } from './arrivals.ts'
import { CorePeer } from './core-peer.ts'

/** One pair of members; what is on its way belongs to a link, and is lost with it. */
interface Pair {
  readonly a: MemberKey
  readonly b: MemberKey
  link: number
  cut: boolean
  /** Ends what waits for an answer over the link. */
  readonly waiting: Set<() => void>
}

export interface LinkOptions {
  /** As over one TCP connection; else messages overtake each other. */
  readonly ordered: boolean
}

export class PeerLinks {
  readonly peers: readonly CorePeer[]
  /** Looks at each message of the node as it leaves. */
  onSend: (envelope: Envelope) => void = () => {}
  readonly #arrivals: Arrivals
  readonly #node: MemberKey
  readonly #ordered: boolean
  readonly #pairs: readonly Pair[]
  #handler: TransportHandler | null = null
  #boot = 0

  constructor(node: MemberKey, base: Base, arrivals: Arrivals, { ordered }: LinkOptions) {
    this.#node = node
    this.#arrivals = arrivals
    this.#ordered = ordered
    const keys = base.membership.voters
    this.#pairs = keys.flatMap((a, at) =>
      keys.slice(at + 1).map(b => ({ a, b, link: 0, cut: false, waiting: new Set<() => void>() }))
    )
    const others = keys.filter(key => key !== node)
    this.peers = others.map(key => new CorePeer(key, base, arrivals, envelope => this.#carry(envelope)))
    for (const pair of this.#pairs) if (pair.a !== node && pair.b !== node) this.#greet(pair)
  }

  peer(key: MemberKey): CorePeer | undefined {
    return this.peers.find(each => each.key === key)
  }

  /** The transport of one life of the node. */
  transport(boot: number): Transport {
    this.#boot = boot
    return {
      connect: members => this.#connect(members),
      send: envelope => {
        this.onSend(envelope)
        if (this.#pair(envelope.from, envelope.to)?.cut === true) return false
        this.#carry(envelope)
        return true
      },
      forward: (to, request, done) => this.#forward(to, request, done),
      sendChunk: () => {
        throw new Error('no peer of these lags so far behind that it is sent a snapshot')
      },
      receive: handler => {
        this.#handler = handler
      },
      close: () => {
        throw new Error('the owner closes the transport, not the node')
      }
    }
  }

  /** The process of the node is gone, and with it its links. */
  gone(): void {
    this.#handler = null
    for (const pair of this.#pairs) if (pair.a === this.#node || pair.b === this.#node) this.#end(pair, true)
  }

  /** The link number `at` ends, and stays down until it is healed. */
  cut(at: number): void {
    const pair = this.#pairs[at]
    if (pair === undefined || pair.cut) return
    pair.cut = true
    this.#end(pair, false)
  }

  /** The link breaks, with all that is on its way, and begins anew. */
  reset(at: number): void {
    const pair = this.#pairs[at]
    if (pair === undefined || pair.cut) return
    this.#end(pair, true)
    this.#greet(pair)
  }

  heal(): void {
    for (const pair of this.#pairs) {
      if (!pair.cut) continue
      pair.cut = false
      this.#greet(pair)
    }
  }

  /** Asks the node to take a request in, as a peer that follows it would. `told` may never be called. */
  ask(peer: CorePeer, draft: Uint8Array, told: (answer: Uint8Array | null) => void): void {
    const pair = this.#pair(peer.key, this.#node)!
    if (pair.cut || this.#handler === null) return told(null)
    this.#along(pair, peer.key, this.#node, 'request', () => {
      this.#handler?.forwarded(peer.key, draft, answer => {
        this.#along(pair, this.#node, peer.key, 'answer', () => told(answer))
      })
    })
  }

  end(): void {
    for (const peer of this.peers) peer.end()
  }

  #connect(members: readonly Member[]): void {
    for (const { key } of members) {
      const pair = this.#pair(this.#node, key)
      if (pair !== undefined && pair.link === 0) pair.link = 1
    }
    for (const pair of this.#pairs) if (pair.a === this.#node || pair.b === this.#node) this.#greet(pair)
  }

  #forward(to: MemberKey, request: Uint8Array, done: Done<Uint8Array>): void {
    const pair = this.#pair(this.#node, to)!
    const handler = this.#handler
    let answered = false
    const answer = (error: Error | null, bytes: Uint8Array): void => {
      if (answered || handler !== this.#handler) return
      answered = true
      pair.waiting.delete(broken)
      done(error, bytes)
    }
    const broken = (): void => {
      this.#arrivals.add(null, 'a forwarded request is lost', () => answer(new Error('the link broke'), nothing))
    }
    if (pair.cut) return broken()
    pair.waiting.add(broken)
    this.#along(pair, this.#node, to, 'request', () => {
      this.peer(to)!.write(request, told => {
        this.#along(pair, to, this.#node, 'answer', () => answer(null, Buffer.from(told)))
      })
    })
  }

  #carry(envelope: Envelope): void {
    const { from, to, message } = envelope
    const pair = this.#pair(from, to)
    if (pair === undefined) return
    this.#along(pair, from, to, message.kind, () => {
      if (to === this.#node) this.#handler?.message(envelope)
      else this.peer(to)!.input({ kind: 'receive', envelope })
    })
  }

  /** What is sent over a link arrives over that link or not at all. */
  #along(pair: Pair, from: MemberKey, to: MemberKey, what: string, arrive: () => void): void {
    if (pair.cut) return
    const { link } = pair
    const way = `${nameOf(from)} to ${nameOf(to)}`
    this.#arrivals.add(this.#ordered ? way : null, `${way}: ${what}`, () => {
      if (pair.link === link) arrive()
    })
  }

  #end(pair: Pair, hint: boolean): void {
    pair.link++
    for (const end of pair.waiting) end()
    pair.waiting.clear()
    this.#tellEnd(pair.a, pair.b, hint)
    this.#tellEnd(pair.b, pair.a, hint)
  }

  #tellEnd(to: MemberKey, peer: MemberKey, hint: boolean): void {
    const handler = this.#handler
    this.#arrivals.add(`${to} links`, `${nameOf(to)} hears that its link to ${nameOf(peer)} is gone`, () => {
      if (to !== this.#node) this.peer(to)!.input(hint ? { kind: 'link-closed', peer } : { kind: 'unreachable', peer })
      else if (handler !== null && handler === this.#handler) handler.closed(peer, hint)
    })
  }

  #greet(pair: Pair): void {
    if (pair.cut) return
    const { link } = pair
    for (const [to, peer] of [
      [pair.a, pair.b],
      [pair.b, pair.a]
    ] as const) {
      const boot = peer === this.#node ? this.#boot : 1
      this.#arrivals.add(`${to} links`, `${nameOf(to)} is greeted by ${nameOf(peer)}`, () => {
        if (pair.link !== link) return
        if (to === this.#node) this.#handler?.greeted(peer, { boot, protocol: [1, 1], machine: [1, 1] })
        else this.peer(to)!.input({ kind: 'greeted', peer, boot })
      })
    }
  }

  #pair(one: MemberKey, other: MemberKey): Pair | undefined {
    return this.#pairs.find(({ a, b }) => (a === one && b === other) || (a === other && b === one))
  }
}

const nothing = new Uint8Array(0)

function nameOf(key: MemberKey): string {
  return key.slice(0, key.indexOf('.'))
}
