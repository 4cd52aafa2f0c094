// Net on WebSockets: the only file that meets the ws library. Listens on a port of its own or on a given HTTP server.
import http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { type ClientOptions, type ServerOptions, WebSocket, WebSocketServer } from 'ws'
import type { Done, Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { Link, LinkHandler, Listener, Net } from './net.ts'
import { Upgrades } from './upgrades.ts'
import { WsLink, type WsLinkOptions } from './ws-link.ts'

export interface WsNetOptions {
  readonly env: Env
  /** Largest message accepted, bytes; a larger one ends its link. */
  readonly messageBytesMax: number
  /** Asked for when dialling and named when accepting; a dial fails where the other side does not speak it. */
  readonly subprotocol: string
  /** Listen on this server, which its owner starts and stops; else each `listen` starts one of its own. */
  readonly server?: http.Server
  /** Accepted links at one time; more are refused with 503. */
  readonly linksMax?: number
  /** Origins of web pages that may connect; none by default. */
  readonly origins?: readonly string[]
  /** Asked about each upgrade request besides; false refuses it with 403. */
  readonly admits?: (request: http.IncomingMessage) => boolean
  /** A ping after so long a silence, and the end of the link (`silence`) after so long a one. */
  readonly pingMs?: number
  readonly silenceMs?: number
  /** A dial that is not open by then has failed. */
  readonly handshakeMs?: number
  /**
   * Frames of the dialling side must be masked. `zero`, the default, masks with zeros: legal, and free. `random` is for
   * links through intermediaries that could be led astray by chosen bytes.
   */
  readonly mask?: 'zero' | 'random'
  /** Receives what a handler throws; by default it is thrown on and ends the process. */
  readonly guard?: (error: unknown) => void
}

/** How long a closing handshake may take before the socket is destroyed. */
const closeMs = 1000
/** No sender of ours ever splits a message; browsers may. */
const fragmentsMax = 64
/** A message may arrive in pieces as small as this on average. */
const chunkBytesMin = 512

export class WsNet implements Net {
  readonly #options: WsNetOptions
  readonly #link: WsLinkOptions
  readonly #limits: ServerOptions & ClientOptions & { readonly closeTimeout: number }
  readonly #links = new Set<WsLink>()
  #watching = false

  constructor(options: WsNetOptions) {
    this.#options = options
    this.#link = {
      env: options.env,
      pingMs: options.pingMs ?? 1000,
      silenceMs: options.silenceMs ?? 3000,
      guard: options.guard ?? throwOn,
      gone: link => this.#links.delete(link)
    }
    this.#limits = {
      maxPayload: options.messageBytesMax,
      perMessageDeflate: false,
      closeTimeout: closeMs,
      maxFragments: fragmentsMax,
      maxBufferedChunks: Math.max(1024, Math.ceil(options.messageBytesMax / chunkBytesMin))
    }
  }

  dial(address: string, handler: LinkHandler): Link {
    const options: ClientOptions = { ...this.#limits, followRedirects: false }
    if (this.#options.mask !== 'random') options.generateMask = zeroMask
    let socket: WebSocket
    try {
      const url = address.includes('://') ? address : `ws://${address}`
      socket = new WebSocket(url, [this.#options.subprotocol], options)
    } catch (error) {
      const link = new WsLink(this.#link, null)
      link.fail(handler, String(error))
      return link
    }
    const link = this.#add(socket)
    link.dialling(handler, this.#options.handshakeMs ?? 5000)
    return link
  }

  /** With a server of the owner's only the path of `address` counts. */
  listen(address: string, accept: (link: Link) => LinkHandler, done: Done<Listener>): void {
    const { env } = this.#options
    const at = address.indexOf('/')
    const path = at === -1 ? '/' : address.slice(at)
    const server = this.#options.server ?? createServer()
    const accepted = new Set<WsLink>()
    if (!this.#route(server, path, accepted, accept)) {
      const error = new StrettoError('BAD_REQUEST', `${path} is listened on already`)
      env.soon(() => done(error, nothing))
      return
    }
    const close = (closed: Done) => {
      Upgrades.of(server).remove(path)
      for (const link of accepted) link.close()
      if (server === this.#options.server) env.soon(() => closed(null))
      else server.close(() => closed(null))
    }
    const listening = () => done(null, { port: (server.address() as AddressInfo).port, close })
    if (server.listening) {
      env.soon(listening)
    } else if (server === this.#options.server) {
      server.once('listening', listening)
    } else {
      server.once('error', error => done(error, nothing))
      server.listen(Number(portOf(address)), hostOf(address), listening)
    }
  }

  #route(server: http.Server, path: string, accepted: Set<WsLink>, accept: (link: Link) => LinkHandler): boolean {
    const { subprotocol, linksMax = 1024, origins = [], admits = anybody } = this.#options
    const sockets = new WebSocketServer({
      ...this.#limits,
      noServer: true,
      clientTracking: false,
      handleProtocols: offered => (offered.has(subprotocol) ? subprotocol : false)
    })
    return Upgrades.of(server).add(path, {
      origins,
      admits,
      full: () => accepted.size >= linksMax,
      take: (request, raw, head) => {
        sockets.handleUpgrade(request, raw, head, socket => {
          const link = this.#add(socket)
          accepted.add(link)
          socket.once('close', () => accepted.delete(link))
          link.accepted(raw as Socket)
          link.handledBy(accept(link))
        })
      }
    })
  }

  #add(socket: WebSocket): WsLink {
    const link = new WsLink(this.#link, socket)
    this.#links.add(link)
    if (!this.#watching) this.#watchLater()
    return link
  }

  /** One timer for all links, at half the ping interval. */
  #watchLater(): void {
    const { env, pingMs } = this.#link
    this.#watching = true
    env.after(pingMs / 2, () => {
      const now = env.now()
      for (const link of this.#links) link.watch(now)
      this.#watching = false
      if (this.#links.size > 0) this.#watchLater()
    })
  }
}

const nothing = undefined as unknown as Listener

function anybody(): boolean {
  return true
}

function createServer(): http.Server {
  return http.createServer((_request, response) => {
    response.writeHead(426, { Connection: 'close' })
    response.end()
  })
}

/** `host:port/path`, the host in brackets where it holds colons. */
function hostOf(address: string): string {
  const end = address.lastIndexOf(':')
  return address.slice(0, end).replace(/^\[(.*)\]$/, '$1')
}

function portOf(address: string): string {
  return address.slice(address.lastIndexOf(':') + 1).replace(/\/.*$/, '')
}

function zeroMask(mask: Buffer): void {
  mask.fill(0)
}

function throwOn(error: unknown): never {
  throw error
}
