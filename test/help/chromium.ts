// A real browser without a window, and the pages that it opens.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** Where a Chromium is installed; null where none is. */
export const chromiumFile: string | null = places.find(place => existsSync(place)) ?? null

/** Serves one page with one script, and hears what the script tells by `POST /told` with a JSON value. */
export class PageServer {
  readonly #server: http.Server
  readonly #heard: unknown[] = []
  readonly #waiting: ((told: unknown) => void)[] = []
  #script = ''

  private constructor(server: http.Server) {
    this.#server = server
    server.on('request', (request, response) => void this.#answer(request, response))
  }

  /** Ends with the test. */
  static async start(t: Test): Promise<PageServer> {
    const server = http.createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => {
      server.closeAllConnections()
      server.close()
    })
    return new PageServer(server)
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** What the page runs, as an ES module. */
  serve(script: string): void {
    this.#script = script
  }

  /** The next thing that the page tells. */
  told(): Promise<unknown> {
    if (this.#heard.length > 0) return Promise.resolve(this.#heard.shift())
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  async #answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    if (request.url === '/script.js') {
      response.setHeader('content-type', 'text/javascript')
      response.end(this.#script)
      return
    }
    if (request.url === '/told') {
      const told: unknown = JSON.parse((await request.setEncoding('utf8').toArray()).join(''))
      const waiting = this.#waiting.shift()
      if (waiting === undefined) this.#heard.push(told)
      else waiting(told)
      response.end()
      return
    }
    response.setHeader('content-type', 'text/html')
    response.end('<!doctype html><title>stretto</title><script type="module" src="/script.js"></script>')
  }
}

/** Opens the page in a browser that ends with the test. Without the network that a browser looks for by itself. */
export function openPage(t: Test, file: string, url: string): void {
  const profile = t.testdir({})
  const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run']
  const args = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', ...quiet, `--user-data-dir=${profile}`]
  // A group of its own: the browser is many processes.
  const child: ChildProcess = spawn(file, [...args, url], { stdio: 'ignore', detached: true })
  const kill = (): void => {
    try {
      process.kill(-child.pid!, 'SIGKILL')
    } catch {
      // It has ended by itself.
    }
  }
  process.once('exit', kill)
  t.teardown(async () => {
    process.off('exit', kill)
    const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null
    kill()
    await ended
  })
}
