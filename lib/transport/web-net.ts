// Net on the WebSocket of a web page: dials only. Silence is noticed above it, by the client's own pings.
import type { Done, Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { Closed, Link, LinkHandler, Listener, Net } from './net.ts'

/** What is needed of the page's WebSocket. */
export interface PageSocket {
  binaryType: string
  readonly bufferedAmount: number
  addEventListener(event: 'open' | 'error', listener: () => void): void
  addEventListener(event: 'message', listener: (event: { readonly data: unknown }) => void): void
  addEventListener(event: 'close', listener: (event: { readonly code: number; readonly reason: string }) => void): void
  send(bytes: Uint8Array): void
  close(code?: number): void
}

export type PageSocketClass = new (url: string, subprotocol: string) => PageSocket

export interface WebNetOptions {
  readonly env: Env
  readonly subprotocol: string
  readonly socketClass: PageSocketClass
}

export class WebNet implements Net {
  readonly #options: WebNetOptions

  constructor(options: WebNetOptions) {
    this.#options = options
  }

  dial(address: string, handler: LinkHandler): Link {
    const { env, subprotocol, socketClass } = this.#options
    const url = address.includes('://') ? address : `ws://${address}`
    try {
      return new WebLink(env, new socketClass(url, subprotocol), handler)
    } catch (error) {
      // A malformed address, or plaintext out of a page that came encrypted.
      const link = new WebLink(env, null, handler)
      link.fail(String(error))
      return link
    }
  }

  /** A page cannot be dialled: always UNAVAILABLE. */
  listen(_address: string, _accept: (link: Link) => LinkHandler, done: Done<Listener>): void {
    const error = new StrettoError('UNAVAILABLE', 'a web page cannot listen')
    this.#options.env.soon(() => done(error, noListener))
  }
}

const normalClosure = 1000
const nothing = (): void => {}
const noListener: Listener = { port: 0, close: done => done(null) }

class WebLink implements Link {
  readonly #env: Env
  readonly #socket: PageSocket | null
  readonly #handler: LinkHandler
  #open = false
  #ended = false

  /** `socket` null: a link that never was, whose end is to be told by `fail`. */
  constructor(env: Env, socket: PageSocket | null, handler: LinkHandler) {
    this.#env = env
    this.#socket = socket
    this.#handler = handler
    if (socket === null) return
    socket.binaryType = 'arraybuffer'
    socket.addEventListener('open', () => {
      if (this.#ended) return
      this.#open = true
      handler.open(this)
    })
    socket.addEventListener('message', ({ data }) => {
      if (this.#ended) return
      if (data instanceof ArrayBuffer) handler.message(new Uint8Array(data))
      else this.#refuse('a message that is no bytes')
    })
    // Says nothing; the close that follows it does.
    socket.addEventListener('error', nothing)
    socket.addEventListener('close', ({ code, reason }) => {
      this.#end('them', `closed with code ${code} ${reason}`.trim())
    })
  }

  /** Tells the end of a link that could not even be dialled. */
  fail(reason: string): void {
    this.#env.soon(() => this.#end('us', reason))
  }

  get buffered(): number {
    return this.#socket?.bufferedAmount ?? 0
  }

  send(bytes: Uint8Array): void {
    if (this.#open && !this.#ended) this.#socket!.send(bytes)
  }

  /** A page cannot stop reading: what bounds its memory is the credit it gives to scans and watches. */
  pause(): void {}

  resume(): void {}

  close(): void {
    this.#closeSocket()
    this.#env.soon(() => this.#end('us', 'closed by this side'))
  }

  #refuse(reason: string): void {
    this.#closeSocket()
    this.#end('us', reason)
  }

  #closeSocket(): void {
    if (!this.#ended) this.#socket?.close(normalClosure)
  }

  #end(by: Closed['by'], reason: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#handler.closed({ by, reason })
  }
}
