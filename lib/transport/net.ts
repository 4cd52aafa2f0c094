// Links that carry whole messages: the lowest network seam. Real on WebSockets, simulated in virtual time.
import type { Done } from '../base/env.ts'

export interface Net {
  /**
   * Begins to connect. The handler hears `open` once or `closed` without it; never inside this call. `address`:
   * host:port/path.
   */
  dial(address: string, handler: LinkHandler): Link
  /**
   * Accepts links at `address`; `accept` gives each new, already open link its handler, which hears no `open`. `done` tells
   * when it listens.
   */
  listen(address: string, accept: (link: Link) => LinkHandler, done: Done<Listener>): void
}

export interface Link {
  /** Takes the message over: the bytes are not touched afterwards. Silently nothing once closed. */
  send(bytes: Uint8Array): void
  /** Bytes given to `send` which the system has not yet taken. */
  readonly buffered: number
  /** Stops and resumes reading from the other side: back-pressure. */
  pause(): void
  resume(): void
  /** Closes from this side. `closed` follows unless the handler has heard it. */
  close(): void
}

export interface LinkHandler {
  open(link: Link): void
  /** One whole message. The bytes never change afterwards, but may be a view into a larger buffer: copy what is kept long. */
  message(bytes: Uint8Array): void
  /** Once, last. */
  closed(by: Closed): void
}

export interface Closed {
  /**
   * `them`: the other side, or its death, ended it (a hint). `us`: this side did. `silence`: nothing was heard for too long.
   */
  readonly by: 'us' | 'them' | 'silence'
  readonly reason: string
}

export interface Listener {
  /** The port listened on, also where 0 was asked for. */
  readonly port: number
  close(done: Done): void
}
