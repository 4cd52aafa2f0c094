// A raw TCP proxy between two nodes that can stop forwarding without a word, and reset what it carries.
import net from 'node:net'

export class TcpProxy {
  port = 0
  readonly #sockets = new Set<net.Socket>()
  readonly #server: net.Server
  #frozen = false

  constructor(target: () => number) {
    this.#server = net.createServer(near => {
      const far = net.connect(target(), '127.0.0.1')
      this.#join(near, far)
      this.#join(far, near)
    })
  }

  async listen(): Promise<void> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve))
    this.port = (this.#server.address() as net.AddressInfo).port
  }

  /** Both sides stay connected and hear nothing any more. */
  freeze(): void {
    this.#frozen = true
    for (const socket of this.#sockets) socket.pause()
  }

  thaw(): void {
    this.#frozen = false
    for (const socket of this.#sockets) socket.resume()
  }

  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  async close(): Promise<void> {
    this.reset()
    await new Promise(resolve => this.#server.close(resolve))
  }

  #join(from: net.Socket, to: net.Socket): void {
    this.#sockets.add(from)
    if (this.#frozen) from.pause()
    from.setNoDelay()
    from.on('error', () => to.destroy())
    from.on('data', bytes => {
      if (!to.write(bytes)) from.pause()
    })
    to.on('drain', () => {
      if (!this.#frozen) from.resume()
    })
    from.on('end', () => {
      if (!this.#frozen) to.end()
    })
    from.on('close', () => {
      this.#sockets.delete(from)
      to.destroySoon()
    })
  }
}
