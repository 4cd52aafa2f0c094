// The founding of a cluster: every node hears every other of the configured list before any of them votes.
//
// A node tells all others which incarnations it has heard. It is done when it has heard all, and each of the others has last
// told it exactly the same: then no two nodes can be done with different memberships, for each would have had to hear the
// other say its own. From then on its view is frozen, also while the caller makes the result durable. A node that is
// founded already never tells; it hands its founding membership to those that belong to it and refuses all others.
import { createHash } from 'node:crypto'
import type { Cancel, Done, Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import { type Member, type MemberKey, type Membership, memberKey, type NodeId } from '../raft/types.ts'
import { writeMembership } from '../record/membership.ts'
import { type Hello, type PeerFrame, type Refusal, readPeerFrame, type Tell, writePeerFrame } from '../wire/peer.ts'
import type { VersionRange } from '../wire/version.ts'
import { Dialler } from './dialler.ts'
import { Handshake, type HandshakeOutcome, type Identity } from './handshake.ts'
import type { Link, LinkHandler, Listener, Net } from './net.ts'
import { peerPath } from './peers.ts'

export interface FoundingOptions {
  readonly env: Env
  readonly net: Net
  /** `host:port` to listen at. */
  readonly listen: string
  readonly id: NodeId
  /** 16 hexadecimal digits, durable before this begins. */
  readonly incarnation: string
  /** All nodes of the cluster, this one among them, and where they are dialled: the same list on every node. */
  readonly cluster: ReadonlyMap<NodeId, string>
  readonly boot: number
  readonly machine: VersionRange
  readonly secret: Uint8Array
  /** The port listened on, as soon as it is. */
  readonly listening?: (port: number) => void
  /** Called when it changes: for whom this node waits, and why. */
  readonly progress?: (waiting: readonly Waiting[]) => void
}

export interface Waiting {
  readonly id: NodeId
  readonly reason: string
}

export interface Founded {
  readonly membership: Membership
  readonly clusterId: string
}

/** What was told is told again after so long, so that no lost word holds up the founding. */
const tellAgainMs = 500

/** The first 32 hexadecimal digits of SHA-256 over the founding membership. */
export function clusterIdOf(founding: Membership): string {
  return createHash('sha256').update(writeMembership(founding)).digest('hex').slice(0, 32)
}

export class Founding {
  readonly #options: FoundingOptions
  readonly #identity: Identity
  readonly #list: Tell['list']
  readonly #diallers = new Map<NodeId, Dialler>()
  readonly #links = new Map<Link, NodeId>()
  readonly #view = new Map<NodeId, string>()
  /** The view each other node has told last, as text. */
  readonly #told = new Map<NodeId, string>()
  readonly #obstacles = new Map<NodeId, string>()
  #listener: Listener | null = null
  #timer: Cancel | null = null
  #done: Done<Founded> | null = null
  #progress = ''
  #closed = false

  constructor(options: FoundingOptions) {
    const { env, id, incarnation, boot, machine, secret, cluster } = options
    this.#options = options
    this.#identity = { env, self: memberKey(id, incarnation), clusterId: '', boot, machine, secret }
    this.#list = [...cluster].map(([id, address]) => ({ id, address })).toSorted(byId)
    this.#view.set(id, incarnation)
  }

  /**
   * `done` once: with the founding membership and cluster id, which the caller makes durable before it calls `close` and
   * starts as a member; or with an error that ends it: this node's directory is empty and the cluster is founded without it.
   */
  start(done: Done<Founded>): void {
    const { env, net, listen, cluster, id } = this.#options
    this.#done = done
    if (!cluster.has(id)) {
      env.soon(() => this.#finish(new StrettoError('BAD_REQUEST', `the cluster list does not name ${id} itself`), null))
      return
    }
    net.listen(
      listen + peerPath,
      link => this.#accept(link),
      (error, listener) => {
        if (error !== null) return this.#finish(error, null)
        this.#listener = listener
        if (this.#closed) return listener.close(() => {})
        this.#options.listening?.(listener.port)
        for (const node of this.#list) if (node.id !== id) this.#dial(node.id, node.address)
        this.#tellAgain()
        this.#look()
      }
    )
  }

  close(done: Done): void {
    this.#closed = true
    this.#done = null
    this.#timer?.()
    for (const dialler of this.#diallers.values()) dialler.stop()
    for (const link of this.#links.keys()) link.close()
    if (this.#listener === null) this.#options.env.soon(() => done(null))
    else this.#listener.close(done)
  }

  #dial(id: NodeId, address: string): void {
    const { env, net } = this.#options
    const outcome: HandshakeOutcome = {
      admit: hello => {
        const is = idOf(hello.from)
        return is === id ? null : { code: 'other-member', text: `${address} is the address of ${is}, not of ${id}` }
      },
      judge: () => null,
      proven: (link, hello) => {
        dialler.reached()
        return this.#add(link, hello)
      },
      failed: (reason, refusal) => {
        this.#obstacles.set(id, refusal?.text ?? `not reached at ${address}: ${reason}`)
        dialler.failed()
        this.#look()
      }
    }
    const handler = () => new Handshake(this.#identity, 'dialler', null, outcome)
    const dialler = new Dialler(env, net, address + peerPath, () => !this.#isLinked(id), handler)
    this.#diallers.set(id, dialler)
    dialler.dial()
  }

  #accept(link: Link): LinkHandler {
    return Handshake.accept(this.#identity, link, {
      admit: hello => this.#admit(hello),
      judge: () => null,
      proven: (proven, hello) => this.#add(proven, hello),
      failed: () => {}
    })
  }

  #admit(hello: Hello): Refusal | null {
    const { id, cluster } = this.#options
    const from = idOf(hello.from)
    if (hello.clusterId !== '') return { code: 'not-founded', text: `${id} is not founded yet` }
    if (from === id) return { code: 'cluster-differs', text: `two nodes call themselves ${id}` }
    if (!cluster.has(from)) return { code: 'cluster-differs', text: `the cluster list of ${id} does not name ${from}` }
    return null
  }

  #isLinked(id: NodeId): boolean {
    for (const linked of this.#links.values()) if (linked === id) return true
    return false
  }

  #add(link: Link, hello: Hello): LinkHandler {
    const id = idOf(hello.from)
    this.#links.set(link, id)
    if (hello.clusterId === '') this.#tell(link)
    return {
      open: () => {},
      message: bytes => this.#message(link, hello, bytes),
      closed: by => {
        this.#links.delete(link)
        this.#obstacles.set(id, `lost: ${by.reason}`)
        this.#diallers.get(id)?.again()
        this.#look()
      }
    }
  }

  #message(link: Link, hello: Hello, bytes: Uint8Array): void {
    const id = idOf(hello.from)
    let frame: PeerFrame
    try {
      frame = readPeerFrame(bytes)
    } catch (error) {
      if (!(error instanceof StrettoError)) throw error
      return this.#refuse(link, { code: 'bad-frame', text: error.message })
    }
    if (frame.kind === 'tell') {
      this.#hear(link, hello.from, frame.tell)
    } else if (frame.kind === 'founded') {
      this.#adopt(link, frame.membership)
    } else if (frame.kind === 'refusal') {
      if (frame.refusal.code === 'founded')
        return this.#finish(new StrettoError('BAD_REQUEST', frame.refusal.text), null)
      this.#obstacles.set(id, frame.refusal.text)
      this.#told.delete(id)
      this.#look()
    } else {
      this.#refuse(link, { code: 'bad-frame', text: 'a frame that has no place in a founding' })
    }
  }

  #hear(link: Link, from: MemberKey, tell: Tell): void {
    const id = idOf(from)
    const difference = differenceOf(this.#options.id, this.#list, id, tell.list)
    if (difference !== null) {
      this.#obstacles.set(id, difference)
      this.#told.delete(id)
      this.#refuse(link, { code: 'cluster-differs', text: difference })
      return this.#look()
    }
    this.#told.set(id, JSON.stringify(tell.view))
    const incarnation = from.slice(id.length + 1)
    const frozen = this.#done === null
    if (!frozen && this.#view.get(id) !== incarnation) {
      this.#view.set(id, incarnation)
      for (const [other, node] of this.#links) if (node !== id || other === link) this.#tell(other)
    }
    this.#look()
  }

  #adopt(link: Link, membership: Membership): void {
    const own = membership.members.some(member => member.key === this.#identity.self)
    if (own) return this.#finish(null, { membership, clusterId: clusterIdOf(membership) })
    this.#refuse(link, { code: 'bad-frame', text: 'a founding membership without the node it was told to' })
  }

  #refuse(link: Link, refusal: Refusal): void {
    link.send(writePeerFrame({ kind: 'refusal', refusal }))
    link.close()
  }

  #tell(link: Link): void {
    link.send(writePeerFrame({ kind: 'tell', tell: { list: this.#list, view: this.#sortedView() } }))
  }

  #tellAgain(): void {
    this.#timer = this.#options.env.after(tellAgainMs, () => {
      for (const link of this.#links.keys()) this.#tell(link)
      this.#tellAgain()
    })
  }

  #sortedView(): Tell['view'] {
    return [...this.#view].map(([id, incarnation]) => ({ id, incarnation })).toSorted(byId)
  }

  /** Is it done, and if not, for whom does it wait? */
  #look(): void {
    if (this.#done === null) return
    const view = JSON.stringify(this.#sortedView())
    const waiting: Waiting[] = []
    for (const { id } of this.#list) {
      if (id === this.#options.id) continue
      const reason = this.#obstacles.get(id) ?? 'not reached yet'
      if (!this.#told.has(id)) waiting.push({ id, reason })
      else if (this.#told.get(id) !== view) waiting.push({ id, reason: 'it has not heard of the same nodes yet' })
    }
    if (waiting.length === 0) return this.#finish(null, this.#founded())
    const progress = JSON.stringify(waiting)
    if (progress === this.#progress) return
    this.#progress = progress
    this.#options.progress?.(waiting)
  }

  #founded(): Founded {
    const members: Member[] = this.#list.map(({ id, address }) => {
      const incarnation = this.#view.get(id)!
      return { key: memberKey(id, incarnation), id, incarnation, address }
    })
    const voters = members.map(member => member.key)
    const membership = { voters, outgoing: null, learners: [], members }
    return { membership, clusterId: clusterIdOf(membership) }
  }

  #finish(error: Error | null, founded: Founded | null): void {
    const done = this.#done
    this.#done = null
    done?.(error, founded as Founded)
  }
}

function byId(a: { readonly id: NodeId }, b: { readonly id: NodeId }): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0
}

function idOf(key: MemberKey): NodeId {
  return key.slice(0, key.indexOf('.'))
}

/** One sentence on how two cluster lists differ, null where they do not. */
function differenceOf(id: NodeId, list: Tell['list'], otherId: NodeId, other: Tell['list']): string | null {
  const mine = new Map(list.map(node => [node.id, node.address]))
  const theirs = new Map(other.map(node => [node.id, node.address]))
  for (const node of new Set([...mine.keys(), ...theirs.keys()])) {
    const here = mine.get(node) ?? 'nothing'
    const there = theirs.get(node) ?? 'nothing'
    if (here !== there) return `the cluster lists differ: ${node} is ${here} at ${id} and ${there} at ${otherId}`
  }
  return null
}
