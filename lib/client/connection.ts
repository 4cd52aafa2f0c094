// One link to one node: hello and welcome, frames out in one message a turn, answers in, and a watch for silence.
import { concatBytes, readU32 } from '../base/bytes.ts'
import type { Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { Closed, Link, LinkHandler, Net } from '../transport/net.ts'
import {
  clientProtocol,
  frameKind,
  framesOf,
  readRefused,
  readWelcome,
  type Welcome,
  writeHello,
  writeSmall
} from '../wire/client.ts'
import type { Endpoint } from './endpoints.ts'
import type { Requests } from './requests.ts'
import { Timed, tickOf, type Wheel } from './wheel.ts'

/** A link without a welcome by then is given up. */
export const greetMs = 3000
const watchMs = 500
/** In looks, each `watchMs` apart: a ping for every so many silent ones, the end after so many. */
const pingLooks = 2
const deadLooks = 6
/** Frames of a turn that together stay below this leave in one message. */
const messageBytesMax = 65_536
const answerKinds: ReadonlySet<number> = new Set([
  frameKind.applied,
  frameKind.answered,
  frameKind.page,
  frameKind.settled,
  frameKind.entries
])

export interface ConnectionOwner {
  /** The first welcome, and each later one, which brings news of leader or members. */
  welcomed(connection: Connection, first: boolean): void
  closed(connection: Connection, reason: string): void
}

export interface ConnectionParts {
  readonly env: Env
  readonly net: Net
  readonly wheel: Wheel
  readonly requests: Requests
  readonly name: string
  readonly token: string | null
}

export class Connection extends Timed implements LinkHandler {
  readonly endpoint: Endpoint
  readonly dialledAt: number
  /** Null until the node has said who it is. */
  welcome: Welcome | null = null
  /** When the last welcome came, in milliseconds of the Env's clock. */
  welcomeAt = 0
  readyAt = 0
  readonly #parts: ConnectionParts
  readonly #owner: ConnectionOwner
  readonly #link: Link
  #outbox: Uint8Array[] = []
  #open = false
  #closed = false
  #heard = false
  #silentLooks = 0

  constructor(parts: ConnectionParts, endpoint: Endpoint, owner: ConnectionOwner) {
    super()
    this.#parts = parts
    this.#owner = owner
    this.endpoint = endpoint
    this.dialledAt = parts.env.now()
    parts.wheel.add(this, tickOf(this.dialledAt + greetMs))
    this.#link = parts.net.dial(endpoint.address, this)
  }

  get ready(): boolean {
    return this.welcome !== null && !this.#closed
  }

  /** The id of the node, once it is ready. */
  get nodeId(): string {
    return this.welcome?.nodeId ?? ''
  }

  /** Cluster time in milliseconds at `now` of the Env's clock, as far as this node has told. */
  clusterTime(now: number): number {
    return this.welcome === null ? 0 : Math.max(0, Math.floor(this.welcome.clusterTime + now - this.welcomeAt))
  }

  /** Puts a frame into the next message. */
  send(frame: Uint8Array): void {
    if (!this.#closed) this.#outbox.push(frame)
  }

  flush(): void {
    if (!this.#open || this.#closed || this.#outbox.length === 0) return
    const frames = this.#outbox
    this.#outbox = []
    let from = 0
    let bytes = 0
    for (let at = 0; at < frames.length; at++) {
      const { length } = frames[at]!
      if (bytes > 0 && bytes + length > messageBytesMax) {
        this.#sendTogether(frames, from, at)
        from = at
        bytes = 0
      }
      bytes += length
    }
    this.#sendTogether(frames, from, frames.length)
  }

  /** Ends the link and tells the owner at once. */
  close(reason: string): void {
    if (this.#closed) return
    this.#link.close()
    this.#end(reason)
  }

  open(link: Link): void {
    if (this.#closed) return
    this.#open = true
    const { name, token } = this.#parts
    link.send(writeHello({ protocolMin: clientProtocol.min, protocolMax: clientProtocol.max, name, token }))
  }

  message(bytes: Uint8Array): void {
    if (this.#closed) return
    this.#heard = true
    const frames = framesOf(bytes)
    try {
      if (frames === null) throw new StrettoError('BAD_REQUEST', 'frames whose lengths do not add up')
      for (const frame of frames) if (!this.#closed) this.#take(frame)
    } catch (error) {
      if (!(error instanceof StrettoError)) throw error
      this.close(`it does not speak the protocol: ${error.message}`)
    }
  }

  closed({ by, reason }: Closed): void {
    this.#end(by === 'silence' ? 'silent for too long' : reason)
  }

  /** Looks now and then whether anything was heard. Counts looks, not time: a stall of this process kills no link. */
  override expire(): void {
    if (this.welcome === null) {
      this.close('no welcome within its time')
      return
    }
    this.#silentLooks = this.#heard ? 0 : this.#silentLooks + 1
    this.#heard = false
    if (this.#silentLooks >= deadLooks) {
      this.close('silent for too long')
      return
    }
    if (this.#silentLooks > 0 && this.#silentLooks % pingLooks === 0) {
      this.#link.send(writeSmall(frameKind.ping, this.#silentLooks))
    }
    this.#watch()
  }

  #take(frame: Uint8Array): void {
    const kind = frame[4]!
    if (kind === frameKind.welcome) {
      this.#greet(readWelcome(frame))
      return
    }
    if (kind === frameKind.pong) return
    if (kind === frameKind.refused) {
      const refused = readRefused(frame)
      if (refused.number === 0) throw new StrettoError('BAD_REQUEST', refused.text)
      this.#parts.requests.waiter(refused.number)?.refused(refused, this)
      return
    }
    if (this.#parts.requests.shared(frame, this)) return
    if (!answerKinds.has(kind)) throw new StrettoError('BAD_REQUEST', 'a frame of an unknown kind')
    if (frame.length < 12) throw new StrettoError('BAD_REQUEST', 'an answer without a number')
    this.#parts.requests.waiter(readU32(frame, 8))?.answered(frame, this)
  }

  #greet(welcome: Welcome): void {
    const { protocol } = welcome
    if (protocol < clientProtocol.min || protocol > clientProtocol.max) {
      throw new StrettoError('BAD_REQUEST', `protocol ${protocol} is not spoken here`)
    }
    const first = this.welcome === null
    this.welcome = welcome
    this.welcomeAt = this.#parts.env.now()
    if (first) {
      this.readyAt = this.welcomeAt
      this.#watch()
    }
    this.#owner.welcomed(this, first)
  }

  #watch(): void {
    const { wheel, env } = this.#parts
    wheel.remove(this)
    wheel.add(this, tickOf(env.now() + watchMs))
  }

  #end(reason: string): void {
    if (this.#closed) return
    this.#closed = true
    this.#outbox = []
    this.#parts.wheel.remove(this)
    this.#owner.closed(this, reason)
  }

  #sendTogether(frames: readonly Uint8Array[], from: number, to: number): void {
    this.#link.send(to - from === 1 ? frames[from]! : concatBytes(frames.slice(from, to)))
  }
}
