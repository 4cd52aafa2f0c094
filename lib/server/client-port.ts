// Client links to a node: frames in, answers out, one message per link and turn, and no more memory than is allowed.

import { concatBytes, readU32 } from '../base/bytes.ts'
import type { Cancel, Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { StateMachine } from '../machine/machine.ts'
import type { Node } from '../node/node.ts'
import { refusal, type WriteResult } from '../node/result.ts'
import { recordAt } from '../record/record.ts'
import type { Closed, Link, LinkHandler } from '../transport/net.ts'
import { type AdminFrame, readAdmin, writeSettled } from '../wire/admin.ts'
import {
  clientProtocol,
  frameKind,
  framesOf,
  type Question,
  readHello,
  readQuestion,
  readSmall,
  type Welcome,
  writeAnswered,
  writeApplied,
  writeRefused,
  writeSmall,
  writeWelcome
} from '../wire/client.ts'
import { Admin } from './admin.ts'
import { Scans } from './scans.ts'
import { type WatchedLink, Watches } from './watches.ts'

/** What a link speaks to: the present life of the node. */
export interface PortParts {
  readonly env: Env
  /** Null between two lives, and before founding. */
  readonly life: () => { readonly node: Node; readonly machine: StateMachine } | null
  readonly welcome: () => Welcome
  /** Something that an operator should know: an answer that could not be given because of damage. */
  readonly found: (fault: StrettoError) => void
  /** The revision of the store, for reads that name a least one. */
  readonly revision: () => number
}

export interface PortLimits {
  /** A link that has more unsent than this is not read from. */
  readonly pauseBytes: number
  /** A link that has more unsent than this is closed. */
  readonly closeBytes: number
  readonly helloMs: number
  readonly scansMax: number
  readonly pageBytesMax: number
  /** As in `watches.ts`. */
  readonly watchesMax: number
  readonly watchBytesMax: number
  readonly outOfTouchMs: number
}

export const portLimits: PortLimits = {
  pauseBytes: 4_194_304,
  closeBytes: 67_108_864,
  helloMs: 5_000,
  scansMax: 64,
  pageBytesMax: 262_144,
  watchesMax: 4096,
  watchBytesMax: 1_048_576,
  outOfTouchMs: 2_000
}

export class ClientPort {
  readonly #parts: PortParts
  readonly #limits: PortLimits
  readonly #links = new Set<ClientLink>()
  readonly #admin: Admin

  constructor(parts: PortParts, limits: PortLimits = portLimits) {
    this.#parts = parts
    this.#limits = limits
    const { env, life } = parts
    this.#admin = new Admin({ env, life, clusterId: () => parts.welcome().clusterId })
  }

  get count(): number {
    return this.#links.size
  }

  accept(link: Link): LinkHandler {
    const client = new ClientLink(link, this.#parts, this.#limits, this.#admin, () => this.#links.delete(client))
    this.#links.add(client)
    return client
  }

  /** Tells every client that leader or members have changed. */
  news(): void {
    for (const client of this.#links) client.news()
  }

  close(): void {
    for (const client of this.#links) client.close()
  }
}

class ClientLink implements LinkHandler {
  readonly #link: Link
  readonly #parts: PortParts
  readonly #limits: PortLimits
  readonly #admin: Admin
  readonly #gone: () => void
  readonly #scans: Scans
  readonly #watches: Watches
  #greeted = false
  #closed = false
  #paused = false
  #outbox: Uint8Array[] = []
  #outboxBytes = 0
  #flushAsked = false
  #timer: Cancel | null

  constructor(link: Link, parts: PortParts, limits: PortLimits, admin: Admin, gone: () => void) {
    this.#link = link
    this.#parts = parts
    this.#limits = limits
    this.#admin = admin
    this.#gone = gone
    const door: WatchedLink = {
      unsent: () => this.#outboxBytes + link.buffered,
      send: frame => this.#send(frame),
      refuse: (number, error) => this.#refuse(number, error)
    }
    this.#scans = new Scans(limits, door)
    this.#watches = new Watches(parts, limits, door)
    this.#timer = parts.env.after(limits.helloMs, () => this.#refuseLink('no hello within its time'))
  }

  open(): void {}

  message(bytes: Uint8Array): void {
    const frames = framesOf(bytes)
    if (frames === null) {
      this.#refuseLink('frames whose lengths do not add up')
      return
    }
    try {
      for (const frame of frames) this.#handle(frame)
    } catch (error) {
      if (!(error instanceof StrettoError)) throw error
      this.#refuseLink(error.message)
    }
  }

  closed(_by: Closed): void {
    this.#closed = true
    this.#timer?.()
    this.#scans.close()
    this.#watches.close()
    this.#gone()
  }

  news(): void {
    if (this.#greeted) this.#send(writeWelcome(this.#parts.welcome()))
  }

  close(): void {
    this.#flush()
    this.#link.close()
  }

  #handle(frame: Uint8Array): void {
    const kind = frame[4]
    if (!this.#greeted && kind !== frameKind.hello) throw new StrettoError('BAD_REQUEST', 'a frame before the hello')
    switch (kind) {
      case frameKind.command:
      case frameKind.resolve:
        this.#write(frame)
        break
      case frameKind.read:
      case frameKind.scan:
        this.#read(readQuestion(frame))
        break
      case frameKind.watch:
        this.#watches.begin(frame)
        break
      case frameKind.credit:
        this.#credit(readSmall(frame))
        break
      case frameKind.cancel:
        this.#cancel(readSmall(frame).number)
        break
      case frameKind.ping:
        this.#send(writeSmall(frameKind.pong, readSmall(frame).number))
        break
      case frameKind.admin:
        this.#ask(readAdmin(frame))
        break
      case frameKind.hello:
        this.#hello(frame)
        break
      default:
        throw new StrettoError('BAD_REQUEST', 'a frame of an unknown kind')
    }
  }

  #hello(frame: Uint8Array): void {
    const hello = readHello(frame)
    if (this.#greeted) throw new StrettoError('BAD_REQUEST', 'a second hello')
    if (hello.protocolMin > clientProtocol.max || hello.protocolMax < clientProtocol.min) {
      throw new StrettoError('BAD_REQUEST', `this node speaks protocol ${clientProtocol.min} to ${clientProtocol.max}`)
    }
    this.#greeted = true
    this.#timer?.()
    this.#timer = null
    // Without a life this node knows neither its cluster nor the cluster's time: the welcome comes with the first news.
    if (this.#parts.life() !== null) this.#send(writeWelcome(this.#parts.welcome()))
  }

  #write(frame: Uint8Array): void {
    const life = this.#parts.life()
    if (frame.length < recordAt.body) throw new StrettoError('BAD_REQUEST', 'a record shorter than its header')
    const number = readU32(frame, recordAt.term)
    if (life === null) {
      this.#send(resultFrame(number, refusal('UNAVAILABLE', 'not-applied', 'this node is not serving yet', 100)))
      return
    }
    life.node.write(frame, result => this.#send(resultFrame(number, result)))
  }

  #read(question: Question): void {
    const life = this.#parts.life()
    if (life === null) {
      this.#refuse(
        question.number,
        new StrettoError('UNAVAILABLE', 'this node is not serving yet', { retryAfterMs: 100 })
      )
      return
    }
    const scan = question.scan ? this.#scans.begin(question.number) : null
    if (question.scan && scan === null) return
    const { node, machine } = life
    const least = question.leastRevision
    const linearizable = question.consistency === 'linearizable' || question.consistency === 'lease'
    node.read(
      {
        point: linearizable ? 'linearizable' : 'local',
        leastIndex: question.leastIndex,
        patienceMs: question.patienceMs,
        enough: least === 0 ? null : () => this.#parts.revision() >= least,
        bytes: question.body.length
      },
      error => {
        if (this.#closed) return
        const refused = error ?? tooOld(question, node)
        if (scan !== null) this.#scans.read(question, scan, machine, refused)
        else if (refused !== null) this.#refuse(question.number, refused)
        else this.#answer(question, node, machine)
      }
    )
  }

  #answer(question: Question, node: Node, machine: StateMachine): void {
    const { number, consistency } = question
    const ageMs = consistency === 'stale' ? Math.ceil(node.ageMs) : 0
    const answered = (error: Error | null, body: Uint8Array): void => {
      if (this.#closed) return
      if (error !== null) this.#refuse(number, error)
      else
        this.#send(
          writeAnswered({ number, consistency, term: node.raft.status.term, index: node.applied, ageMs, body })
        )
    }
    machine.query(question.body, answered, node.clusterTime)
  }

  #ask(frame: AdminFrame): void {
    const { number } = frame
    this.#admin.take(frame, (error, result) => {
      if (this.#closed) return
      if (error !== null) this.#refuse(number, error)
      else this.#send(writeSettled(number, result))
    })
  }

  #credit({ number, amount }: { readonly number: number; readonly amount: number }): void {
    if (!this.#scans.credit(number, amount)) this.#watches.credit(number, amount)
  }

  #cancel(number: number): void {
    if (!this.#watches.end(number)) this.#scans.end(number)
  }

  #refuse(number: number, error: Error): void {
    const known =
      error instanceof StrettoError ? error : new StrettoError('UNAVAILABLE', 'the node failed', { cause: error })
    const { code, fate, message: text, retryAfterMs = null } = known
    if (code === 'CORRUPT') this.#parts.found(known)
    this.#send(writeRefused({ number, code, fate, text, retryAfterMs }))
  }

  #refuseLink(reason: string): void {
    this.#send(writeRefused({ number: 0, code: 'BAD_REQUEST', fate: 'unknown', text: reason, retryAfterMs: null }))
    this.close()
  }

  #send(frame: Uint8Array): void {
    if (this.#closed) return
    this.#outbox.push(frame)
    this.#outboxBytes += frame.length
    if (this.#flushAsked) return
    this.#flushAsked = true
    this.#parts.env.soon(() => this.#flush())
  }

  /** One message for all answers of a turn; and no reading from a client that does not read its answers. */
  #flush(): void {
    this.#flushAsked = false
    if (this.#closed || this.#outbox.length === 0) return
    this.#link.send(this.#outbox.length === 1 ? this.#outbox[0]! : concatBytes(this.#outbox))
    this.#outbox = []
    this.#outboxBytes = 0
    const { buffered } = this.#link
    if (buffered > this.#limits.closeBytes) this.#link.close()
    else if (buffered > this.#limits.pauseBytes && !this.#paused) this.#pause()
  }

  #pause(): void {
    this.#paused = true
    this.#link.pause()
    const look = (): void => {
      if (this.#closed) return
      if (this.#link.buffered > this.#limits.pauseBytes / 2) {
        this.#timer = this.#parts.env.after(10, look)
        return
      }
      this.#paused = false
      this.#link.resume()
    }
    this.#timer = this.#parts.env.after(10, look)
  }
}

/** A node out of touch for longer than the reader puts up with: another one may do. */
function tooOld({ maxAgeMs }: Question, { ageMs }: Node): StrettoError | null {
  if (maxAgeMs === 0 || ageMs <= maxAgeMs) return null
  const text = `the state of this node may be ${Math.ceil(ageMs)} ms old: ${maxAgeMs} ms at most were asked for`
  return new StrettoError('UNAVAILABLE', text, { retryAfterMs: 50 })
}

/** The frame that tells a client what became of its record. */
export function resultFrame(number: number, result: WriteResult): Uint8Array {
  if (result.kind === 'relayed') return result.bytes
  if (result.kind === 'refused') return writeRefused({ number, ...result })
  const { term, index, revision, each, refused } = result.answer
  if (refused !== null) return writeRefused({ number, ...refused, retryAfterMs: null })
  return writeApplied({ number, term, index, revision, each })
}
