// A proven link to another member, and the lanes that share it: consensus, forwarded requests, pieces of snapshots.
//
// One socket carries all lanes. What keeps a heartbeat from waiting behind the rest is not a second socket, which would
// compete for the same line anyway, but how much of the rest may be on its way: forwarded requests may fill half of the
// queue; pieces of snapshots (64 KiB each) are answered one by one, so that only a few are ever under way, those in the
// buffers of the two kernels included, and none is added while more than 256 KiB wait to be sent.
import { assert } from '../base/assert.ts'
import type { Done, Env } from '../base/env.ts'
import { type ErrorCode, StrettoError } from '../base/errors.ts'
import type { Envelope } from '../raft/message.ts'
import type { MemberKey } from '../raft/types.ts'
import {
  type Chunk,
  chunkBytesMax,
  type Hello,
  type PeerFrame,
  peerMessageBytesMax,
  type Refusal,
  readPeerFrame,
  writePeerFrame
} from '../wire/peer.ts'
import type { Closed, Link, LinkHandler } from './net.ts'
import type { ChunkAnswer } from './transport.ts'

export interface PeerLinkOwner {
  message(envelope: Envelope): void
  forwarded(from: MemberKey, request: Uint8Array, answer: (answer: Uint8Array) => void): void
  chunk(from: MemberKey, chunk: Chunk, answer: ChunkAnswer): void
  /** `hint`: the other side ended it without a word. */
  ended(link: PeerLink, hint: boolean, reason: string): void
  /** The other side has said why it closes next. */
  refused(link: PeerLink, refusal: Refusal): void
}

export interface PeerLinkOptions {
  readonly env: Env
  readonly self: MemberKey
  /** Bytes waiting to be sent beyond which `send` refuses. */
  readonly queueBytesMax: number
  /** Forwarded requests waiting for an answer, in each direction. */
  readonly requestsMax: number
}

/** A duplicate link stays so long for the answers that are still on their way. */
const lingerMs = 1000
/** Bytes waiting to be sent beyond which no piece of a snapshot is added: a heartbeat never waits behind more of them. */
const bulkBytesMax = 262_144
/** Pieces without an answer, in each direction: more than any sender of ours has under way, who keeps to `chunksMax`. */
const piecesMax = 8
const numberMax = 0xffff_ffff
const requestHeadBytes = 8
const nothing = undefined as unknown as Uint8Array

export class PeerLink implements LinkHandler {
  readonly peer: MemberKey
  readonly hello: Hello
  /** Who dialled it. */
  readonly dialler: MemberKey
  /** When it was proven, by the clock of Env. */
  readonly upAt: number
  readonly #options: PeerLinkOptions
  readonly #owner: PeerLinkOwner
  readonly #link: Link
  readonly #waiting = new Map<number, Done<Uint8Array>>()
  /** Of pieces; their numbers are drawn with those of the requests, since answers name nothing else. */
  readonly #pieces = new Map<number, Done<Uint8Array>>()
  #number = 0
  #answering = 0
  #taking = 0
  #ended = false
  #goodbye = false

  constructor(options: PeerLinkOptions, owner: PeerLinkOwner, link: Link, hello: Hello, dialler: MemberKey) {
    this.#options = options
    this.#owner = owner
    this.#link = link
    this.peer = hello.from
    this.hello = hello
    this.dialler = dialler
    this.upAt = options.env.now()
  }

  open(): void {
    assert(false, 'a proven link has been open before')
  }

  /** False when too much is waiting to be sent. */
  send(envelope: Envelope): boolean {
    if (this.#ended || this.#link.buffered > this.#options.queueBytesMax) return false
    const frame = writePeerFrame({ kind: 'envelope', envelope })
    assert(frame.length <= peerMessageBytesMax, 'an envelope fits into a message')
    this.#link.send(frame)
    return true
  }

  /** As `Transport.forward`. */
  forward(request: Uint8Array, done: Done<Uint8Array>): void {
    const { env, queueBytesMax, requestsMax } = this.#options
    const full = this.#waiting.size >= requestsMax || this.#link.buffered > queueBytesMax / 2
    if (full || this.#ended || request.length > peerMessageBytesMax - requestHeadBytes) {
      const error = full
        ? new StrettoError('OVERLOADED', `too many requests wait for ${this.peer}`)
        : new StrettoError(this.#ended ? 'UNAVAILABLE' : 'TOO_LARGE', 'the request cannot be forwarded')
      env.soon(() => done(error, nothing))
      return
    }
    const number = this.#nextNumber()
    this.#waiting.set(number, done)
    this.#link.send(writePeerFrame({ kind: 'request', number, bytes: request }))
  }

  /** As `Transport.sendChunk`. */
  sendChunk(chunk: Omit<Chunk, 'number'>, done: Done<Uint8Array>): void {
    assert(chunk.bytes.length <= chunkBytesMax, 'a piece of a snapshot fits into its frame')
    const full = this.#pieces.size >= piecesMax || this.#link.buffered > bulkBytesMax
    if (full || this.#ended) {
      const error = this.#ended
        ? new StrettoError('UNAVAILABLE', `the link to ${this.peer} has ended`)
        : new StrettoError('OVERLOADED', `too much waits to be sent to ${this.peer}`)
      this.#options.env.soon(() => done(error, nothing))
      return
    }
    const number = this.#nextNumber()
    this.#pieces.set(number, done)
    this.#link.send(writePeerFrame({ kind: 'chunk', chunk: { ...chunk, number } }))
  }

  message(bytes: Uint8Array): void {
    if (this.#ended) return
    let frame: PeerFrame
    try {
      frame = readPeerFrame(bytes)
    } catch (error) {
      if (!(error instanceof StrettoError)) throw error
      return this.refuse({ code: 'bad-frame', text: error.message })
    }
    this.#take(frame)
  }

  closed(by: Closed): void {
    this.#end(by.by === 'them' && !this.#goodbye, by.reason)
  }

  /** Closes with a word to the other side, so that it takes it for no death. */
  refuse(refusal: Refusal): void {
    if (this.#ended) return
    this.#link.send(writePeerFrame({ kind: 'refusal', refusal }))
    this.close(refusal.text)
  }

  close(reason: string): void {
    this.#link.close()
    this.#end(false, reason)
  }

  /** Another link to the same member has taken over: closes once what is on its way has had time to arrive. */
  retire(): void {
    this.#options.env.after(lingerMs, () => this.refuse({ code: 'duplicate', text: 'another link took over' }))
  }

  #take(frame: PeerFrame): void {
    switch (frame.kind) {
      case 'envelope': {
        const { envelope } = frame
        if (envelope.from === this.peer && envelope.to === this.#options.self) return this.#owner.message(envelope)
        return this.refuse({ code: 'bad-frame', text: 'an envelope from or to another member than those of the link' })
      }
      case 'request':
        return this.#request(frame.number, frame.bytes)
      case 'answer':
        return this.#answered(frame.number, frame.error, frame.bytes)
      case 'refusal':
        this.#goodbye = true
        return this.#owner.refused(this, frame.refusal)
      case 'chunk':
        return this.#chunk(frame.chunk)
      case 'hello':
      case 'proof':
      case 'tell':
      case 'founded':
        return this.refuse({ code: 'bad-frame', text: 'a frame of the greeting, long after it' })
    }
  }

  #nextNumber(): number {
    do this.#number = this.#number === numberMax ? 1 : this.#number + 1
    while (this.#waiting.has(this.#number) || this.#pieces.has(this.#number))
    return this.#number
  }

  #answered(number: number, code: ErrorCode | null, bytes: Uint8Array): void {
    const done = this.#waiting.get(number) ?? this.#pieces.get(number)
    if (done === undefined) return this.refuse({ code: 'bad-frame', text: 'an answer to no question' })
    this.#waiting.delete(number)
    this.#pieces.delete(number)
    if (code === null) return done(null, bytes)
    return done(new StrettoError(code, new TextDecoder().decode(bytes)), nothing)
  }

  #chunk(chunk: Chunk): void {
    const { number } = chunk
    if (this.#taking >= piecesMax) return this.#decline(number, 'too many pieces of a snapshot at once')
    this.#taking++
    let answered = false
    this.#owner.chunk(this.peer, chunk, (error, answer) => {
      assert(!answered, 'a piece of a snapshot is answered once')
      answered = true
      this.#taking--
      if (this.#ended) return
      const bytes = error === null ? answer : new TextEncoder().encode(error.message)
      this.#link.send(writePeerFrame({ kind: 'answer', number, error: error?.code ?? null, bytes }))
    })
  }

  #request(number: number, request: Uint8Array): void {
    if (this.#answering >= this.#options.requestsMax) return this.#decline(number, 'too many requests at once')
    this.#answering++
    let answered = false
    this.#owner.forwarded(this.peer, request, answer => {
      assert(!answered, 'a request is answered once')
      answered = true
      this.#answering--
      if (!this.#ended) this.#link.send(writePeerFrame({ kind: 'answer', number, error: null, bytes: answer }))
    })
  }

  /** Tells the other side that nothing was done. */
  #decline(number: number, text: string): void {
    const bytes = new TextEncoder().encode(text)
    this.#link.send(writePeerFrame({ kind: 'answer', number, error: 'OVERLOADED', bytes }))
  }

  #end(hint: boolean, reason: string): void {
    if (this.#ended) return
    this.#ended = true
    const waiting = [...this.#waiting.values(), ...this.#pieces.values()]
    this.#waiting.clear()
    this.#pieces.clear()
    const error = new StrettoError('UNAVAILABLE', `the link to ${this.peer} ended: ${reason}`, { fate: 'unknown' })
    this.#options.env.soon(() => {
      for (const done of waiting) done(error, nothing)
    })
    this.#owner.ended(this, hint, reason)
  }
}
