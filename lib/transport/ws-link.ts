// One WebSocket as a link: tells who ended it, and notices when the other side has fallen silent.
import type { Socket } from 'node:net'
import type { Cancel, Env } from '../base/env.ts'
import type { Closed, Link, LinkHandler } from './net.ts'

export interface WsLinkOptions {
  readonly env: Env
  readonly pingMs: number
  readonly silenceMs: number
  /** What a handler throws ends up here instead of in the socket's event. */
  readonly guard: (error: unknown) => void
  /** The link is over. */
  readonly gone: (link: WsLink) => void
}

/** What a link needs of a WebSocket. */
export interface WebSocketLike {
  readonly bufferedAmount: number
  on(event: 'open', listener: () => void): unknown
  on(event: 'upgrade', listener: (response: { readonly socket: Socket }) => void): unknown
  on(event: 'message', listener: (data: Buffer, isBinary: boolean) => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'close', listener: (code: number, reason: Buffer) => void): unknown
  send(bytes: Uint8Array): void
  ping(): void
  pause(): void
  resume(): void
  close(code: number): void
  terminate(): void
}

const normalClosure = 1000
const binaryOnly = 1003

export class WsLink implements Link {
  readonly #options: WsLinkOptions
  readonly #socket: WebSocketLike | null
  #raw: Socket | null = null
  #handler: LinkHandler | null = null
  #state: 'dialling' | 'open' | 'ended' = 'dialling'
  #dialTimer: Cancel | null = null
  #paused = false
  /** Bytes the raw socket had read at the last look, and since when they have been no more. */
  #heardBytes = 0
  #pingedAt: number | null = null

  /** `socket` null: a link that never was, whose end is to be told by `fail`. */
  constructor(options: WsLinkOptions, socket: WebSocketLike | null) {
    this.#options = options
    this.#socket = socket
    if (socket === null) return
    socket.on('error', error => this.#failed(error))
    socket.on('close', (code, reason) => this.#end('them', `closed with code ${code} ${reason.toString()}`.trim()))
    socket.on('message', (data, isBinary) => this.#message(data, isBinary))
  }

  /** Of a socket that is being dialled. */
  dialling(handler: LinkHandler, handshakeMs: number): void {
    const socket = this.#socket!
    this.#handler = handler
    socket.on('upgrade', response => {
      this.#raw = response.socket
    })
    socket.on('open', () => {
      this.#dialTimer?.()
      if (this.#state !== 'dialling') return
      this.#state = 'open'
      this.#guarded(() => handler.open(this))
    })
    this.#dialTimer = this.#options.env.after(handshakeMs, () => {
      this.#terminate('silence', `no answer to the dial within ${handshakeMs} ms`)
    })
  }

  /** Of a socket that was accepted and is open. */
  accepted(raw: Socket): void {
    this.#raw = raw
    this.#state = 'open'
  }

  handledBy(handler: LinkHandler): void {
    this.#handler = handler
  }

  /** Tells the end of a link that could not even be dialled. */
  fail(handler: LinkHandler, reason: string): void {
    this.#handler = handler
    this.#endLater('us', reason)
  }

  get buffered(): number {
    return this.#socket?.bufferedAmount ?? 0
  }

  send(bytes: Uint8Array): void {
    if (this.#state === 'open') this.#socket!.send(bytes)
  }

  pause(): void {
    this.#paused = true
    this.#socket?.pause()
  }

  resume(): void {
    this.#paused = false
    this.#pingedAt = null
    this.#socket?.resume()
  }

  close(): void {
    if (this.#state === 'ended') return
    if (this.#state === 'open') this.#socket!.close(normalClosure)
    else this.#socket?.terminate()
    this.#endLater('us', 'closed by this side')
  }

  /** Called at intervals: pings after `pingMs` of silence, gives up after `silenceMs`. A look costs no system call. */
  watch(now: number): void {
    if (this.#state !== 'open') return
    const heard = this.#raw!.bytesRead
    if (heard !== this.#heardBytes || this.#paused) {
      this.#heardBytes = heard
      this.#pingedAt = null
      return
    }
    if (this.#pingedAt === null) {
      this.#pingedAt = now
      this.#socket!.ping()
      return
    }
    const { env, pingMs, silenceMs } = this.#options
    if (now - this.#pingedAt < silenceMs - pingMs) return
    // When it was this process that stalled, what the other side has said waits in the socket: read it first.
    env.soon(() => {
      if (this.#raw!.bytesRead === heard) this.#terminate('silence', `nothing heard for ${silenceMs} ms`)
    })
  }

  #message(bytes: Buffer, isBinary: boolean): void {
    if (this.#state !== 'open') return
    if (isBinary) return this.#guarded(() => this.#handler!.message(bytes))
    this.#socket!.close(binaryOnly)
    this.#end('us', 'a text message, where only binary ones are spoken')
  }

  /** A breach of the WebSocket protocol or its limits is refused by this side; all else happened to it. */
  #failed(error: Error & { readonly code?: string }): void {
    this.#end(error.code?.startsWith('WS_ERR_') === true ? 'us' : 'them', error.message || (error.code ?? 'failed'))
  }

  #terminate(by: Closed['by'], reason: string): void {
    if (this.#state === 'ended') return
    this.#end(by, reason)
    this.#socket!.terminate()
  }

  #end(by: Closed['by'], reason: string): void {
    if (!this.#ended()) return
    this.#guarded(() => this.#handler?.closed({ by, reason }))
  }

  #endLater(by: Closed['by'], reason: string): void {
    if (!this.#ended()) return
    this.#options.env.soon(() => this.#guarded(() => this.#handler?.closed({ by, reason })))
  }

  #ended(): boolean {
    if (this.#state === 'ended') return false
    this.#state = 'ended'
    this.#dialTimer?.()
    this.#options.gone(this)
    return true
  }

  #guarded(call: () => void): void {
    try {
      call()
    } catch (error) {
      this.#options.guard(error)
    }
  }
}
