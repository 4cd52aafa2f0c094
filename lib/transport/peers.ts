// Transport over Net: keeps one proven link to every other member, whoever dialled it.
//
// Both members of a pair dial, so that either can reach the other, and two links may come up at once. The one dialled by the
// member with the smaller key stays: both sides judge alike, because both look at who dialled. That member alone closes the
// other link, a second later, so nothing on its way is lost and nobody takes it for a death.
import { assert } from '../base/assert.ts'
import type { Done, Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { Envelope } from '../raft/message.ts'
import type { Member, MemberKey, Membership } from '../raft/types.ts'
import { type Chunk, type Hello, type Refusal, writePeerFrame } from '../wire/peer.ts'
import type { VersionRange } from '../wire/version.ts'
import { Dialler } from './dialler.ts'
import { Handshake, type HandshakeOutcome, type Identity } from './handshake.ts'
import type { Link, LinkHandler, Listener, Net } from './net.ts'
import { PeerLink, type PeerLinkOwner } from './peer-link.ts'
import type { ChunkAnswer, Transport, TransportHandler } from './transport.ts'

export interface PeersOptions {
  readonly env: Env
  readonly net: Net
  /** `host:port` to listen at. */
  readonly listen: string
  readonly self: MemberKey
  /** 32 hexadecimal digits. */
  readonly clusterId: string
  /** Durable, one more at each start. */
  readonly boot: number
  /** Machine versions this node can run. */
  readonly machine: VersionRange
  /** Of those that could lead, one of the highest is to. */
  readonly priority?: number
  /** Shared by all nodes of the cluster; empty for none. */
  readonly secret: Uint8Array
  /** What the cluster was founded with, for nodes that have not heard of it yet; null when no longer known. */
  readonly founding: Membership | null
  readonly queueBytesMax?: number
  readonly requestsMax?: number
  /** Lines for an operator: refusals, each at most once a minute. */
  readonly log?: (line: string) => void
}

export const peerPath = '/peer'

/** Links that have not proven themselves yet, at one time. */
const strangersMax = 64
/** No dial takes longer to be proven or given up: 5 s to open and 5 s to greet. */
const dialMsMax = 10_000
/** A link that lasted so long was a good one: the next back-off begins small again. */
const lastedMs = 1000
const saidMs = 60_000
const saidMax = 64
const nothing = undefined as unknown as Uint8Array

export class Peers implements Transport, PeerLinkOwner {
  readonly #options: PeersOptions
  readonly #identity: Identity
  readonly #link: { env: Env; self: MemberKey; queueBytesMax: number; requestsMax: number }
  readonly #diallers = new Map<MemberKey, Dialler>()
  /** The link in use to each member. */
  readonly #current = new Map<MemberKey, PeerLink>()
  /** All that are proven, also those that another has replaced. */
  readonly #links = new Set<PeerLink>()
  /** The highest boot number seen of each member. */
  readonly #boots = new Map<MemberKey, number>()
  readonly #said = new Map<string, number>()
  #handler: TransportHandler | null = null
  #listener: Listener | null = null
  #strangers = 0
  #closed = false

  constructor(options: PeersOptions) {
    const { env, self, queueBytesMax = 8_388_608, requestsMax = 4096 } = options
    this.#options = options
    this.#identity = options
    this.#link = { env, self, queueBytesMax, requestsMax }
  }

  receive(handler: TransportHandler): void {
    this.#handler = handler
  }

  /** Begins to take links; `receive` has been called before. */
  listen(done: Done<Listener>): void {
    assert(this.#handler !== null, 'links come up only where somebody listens')
    this.#options.net.listen(
      this.#options.listen + peerPath,
      link => this.#accept(link),
      (error, listener) => {
        if (error === null) this.#listener = listener
        done(error, listener)
      }
    )
  }

  connect(members: readonly Member[]): void {
    const wanted = new Set<MemberKey>()
    for (const { key, address } of members) {
      if (key === this.#options.self) continue
      wanted.add(key)
      const known = this.#diallers.get(key)
      if (known !== undefined) known.address = address + peerPath
      else this.#dial(key, address + peerPath)
    }
    for (const [key, dialler] of this.#diallers) {
      if (wanted.has(key)) continue
      dialler.stop()
      this.#diallers.delete(key)
      const link = this.#current.get(key)
      if (link?.dialler === this.#options.self) link.retire()
    }
  }

  send(envelope: Envelope): boolean {
    return this.#current.get(envelope.to)?.send(envelope) ?? false
  }

  forward(to: MemberKey, request: Uint8Array, done: Done<Uint8Array>): void {
    const link = this.#current.get(to)
    if (link !== undefined) return link.forward(request, done)
    this.#noLink(to, done)
  }

  sendChunk(to: MemberKey, chunk: Omit<Chunk, 'number'>, done: Done<Uint8Array>): void {
    const link = this.#current.get(to)
    if (link !== undefined) return link.sendChunk(chunk, done)
    this.#noLink(to, done)
  }

  close(done: Done): void {
    this.#closed = true
    for (const dialler of this.#diallers.values()) dialler.stop()
    this.#diallers.clear()
    this.#current.clear()
    for (const link of this.#links) link.close('this node stops')
    if (this.#listener === null) this.#options.env.soon(() => done(null))
    else this.#listener.close(done)
  }

  message(envelope: Envelope): void {
    if (!this.#closed) this.#handler!.message(envelope)
  }

  forwarded(from: MemberKey, request: Uint8Array, answer: (answer: Uint8Array) => void): void {
    if (!this.#closed) this.#handler!.forwarded(from, request, answer)
  }

  chunk(from: MemberKey, chunk: Chunk, answer: ChunkAnswer): void {
    if (!this.#closed) this.#handler!.chunk(from, chunk, answer)
  }

  refused(link: PeerLink, refusal: Refusal): void {
    if (refusal.code !== 'duplicate') this.#say(`${link.peer}: ${refusal.text}`)
  }

  ended(link: PeerLink, hint: boolean): void {
    this.#links.delete(link)
    if (this.#current.get(link.peer) !== link) return
    this.#current.delete(link.peer)
    const dialler = this.#diallers.get(link.peer)
    if (this.#options.env.now() - link.upAt >= lastedMs) dialler?.lasted()
    dialler?.again()
    this.#handler!.closed(link.peer, hint)
  }

  #noLink(to: MemberKey, done: Done<Uint8Array>): void {
    this.#options.env.soon(() => done(new StrettoError('UNAVAILABLE', `there is no link to ${to}`), nothing))
  }

  #dial(key: MemberKey, address: string): void {
    const { env, net, self } = this.#options
    const outcome: HandshakeOutcome = {
      admit: hello => this.#admit(hello),
      judge: hello => this.#judge(hello),
      proven: (link, hello) => {
        dialler.reached()
        return this.#add(link, hello, self)
      },
      failed: (_reason, refusal) => {
        if (refusal !== null) this.#say(`${key}: ${refusal.text}`)
        dialler.failed()
      }
    }
    const handler = () => new Handshake(this.#identity, 'dialler', key, outcome)
    const dialler = new Dialler(env, net, address, () => !this.#current.has(key), handler)
    this.#diallers.set(key, dialler)
    dialler.dial()
  }

  #accept(link: Link): LinkHandler {
    if (this.#strangers >= strangersMax || this.#closed) link.close()
    this.#strangers++
    return Handshake.accept(this.#identity, link, {
      admit: hello => (hello.clusterId === '' ? null : this.#admit(hello)),
      judge: hello => this.#judge(hello),
      proven: (proven, hello) => {
        this.#strangers--
        if (hello.clusterId === '') return this.#tellFounding(proven, hello.from)
        return this.#add(proven, hello, hello.from)
      },
      failed: (_reason, refusal) => {
        this.#strangers--
        if (refusal !== null) this.#say(`a node that dialled in: ${refusal.text}`)
      }
    })
  }

  #admit(hello: Hello): Refusal | null {
    if (hello.clusterId === this.#options.clusterId) return null
    return { code: 'foreign-cluster', text: 'the two nodes belong to different clusters' }
  }

  #judge(hello: Hello): Refusal | null {
    const { self } = this.#options
    const copied = hello.from === self || hello.boot < (this.#boots.get(hello.from) ?? 0)
    if (!copied) return null
    return { code: 'copied-directory', text: `the data directory of ${hello.from} is in use twice: one must be a copy` }
  }

  #add(proven: Link, hello: Hello, dialler: MemberKey): LinkHandler {
    const link = new PeerLink(this.#link, this, proven, hello, dialler)
    this.#links.add(link)
    if (this.#closed) {
      link.close('this node stops')
      return link
    }
    this.#boots.set(link.peer, hello.boot)
    const current = this.#current.get(link.peer)
    if (current === undefined) {
      this.#greet(link)
    } else if (this.#hasLost(current, link)) {
      current.close('the other side has dialled again')
      this.#greet(link)
    } else {
      this.#choose(current, link)
    }
    return link
  }

  #greet(link: PeerLink): void {
    this.#current.set(link.peer, link)
    const { boot, protocol, machine, priority } = link.hello
    const greeting = { boot, protocol, machine }
    this.#handler!.greeted(link.peer, priority === undefined ? greeting : { ...greeting, priority })
  }

  /** The other side would not have dialled the newer link if it still had the older one. */
  #hasLost(older: PeerLink, newer: PeerLink): boolean {
    return newer.hello.boot > older.hello.boot || newer.dialler === older.dialler || newer.upAt - older.upAt > dialMsMax
  }

  #choose(older: PeerLink, newer: PeerLink): void {
    const { self } = this.#options
    const smaller = self < newer.peer ? self : newer.peer
    const stays = newer.dialler === smaller ? newer : older
    this.#current.set(newer.peer, stays)
    if (self === smaller) (stays === newer ? older : newer).retire()
  }

  /** Answers a node that is still to be founded. */
  #tellFounding(link: Link, from: MemberKey): LinkHandler {
    const { founding } = this.#options
    const id = from.slice(0, from.indexOf('.'))
    if (founding?.members.some(member => member.key === from) === true) {
      link.send(writePeerFrame({ kind: 'founded', membership: founding }))
    } else {
      const known = founding === null || founding.members.some(member => member.id === id)
      const command = known ? `members replace ${id}` : `members add ${id}`
      const text = `the cluster is founded, and not with this incarnation of ${id}: start it with --join, and admit it with \`${command}\``
      link.send(writePeerFrame({ kind: 'refusal', refusal: { code: 'founded', text } }))
    }
    link.close()
    return { open: () => {}, message: () => {}, closed: () => {} }
  }

  #say(line: string): void {
    const now = this.#options.env.now()
    const last = this.#said.get(line)
    if (last !== undefined && now - last < saidMs) return
    if (this.#said.size >= saidMax) this.#said.clear()
    this.#said.set(line, now)
    this.#options.log?.(line)
  }
}
