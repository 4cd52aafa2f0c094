// Turns the upgrade requests of an HTTP server over to whoever serves their path, and refuses all others at the door.
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'

export interface Route {
  /** Origins of web pages that may connect. Browsers always name theirs; other programs name none and may pass. */
  readonly origins: readonly string[]
  /** Whether the request may go on for all that its headers say. */
  admits(request: IncomingMessage): boolean
  /** No further connection is taken now. */
  full(): boolean
  take(request: IncomingMessage, socket: Duplex, head: Buffer): void
}

const ofServer = new WeakMap<Server, Upgrades>()

export class Upgrades {
  readonly #routes = new Map<string, Route>()

  constructor(server: Server) {
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
  }

  /** The one of this server, so that several nets can share a port. */
  static of(server: Server): Upgrades {
    const known = ofServer.get(server)
    if (known !== undefined) return known
    const upgrades = new Upgrades(server)
    ofServer.set(server, upgrades)
    return upgrades
  }

  /** False where the path is taken. */
  add(path: string, route: Route): boolean {
    if (this.#routes.has(path)) return false
    this.#routes.set(path, route)
    return true
  }

  remove(path: string): void {
    this.#routes.delete(path)
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // From the first moment on: a socket that fails without a listener would end the process.
    socket.on('error', () => socket.destroy())
    const route = this.#routes.get(pathOf(request.url ?? ''))
    const { origin } = request.headers
    if (route === undefined) return refuse(socket, '404 Not Found')
    if (origin !== undefined && !route.origins.includes(origin)) return refuse(socket, '403 Forbidden')
    if (!route.admits(request)) return refuse(socket, '403 Forbidden')
    if (route.full()) return refuse(socket, '503 Service Unavailable')
    route.take(request, socket, head)
  }
}

function pathOf(url: string): string {
  const end = url.indexOf('?')
  return end === -1 ? url : url.slice(0, end)
}

function refuse(socket: Duplex, status: string): void {
  socket.once('finish', () => socket.destroy())
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}
