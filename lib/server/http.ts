// Plain HTTP on the node's port: health, status, metrics, the status page, and the keys under /v1/kv/.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type BackupDoor, createBackupHttp } from './backup-http.ts'
import { type CallerRules, refuseCaller } from './callers.ts'
import { createKvHttp, type HttpKv, kvPath } from './kv-http.ts'
import type { NodeStatus, Readiness } from './status.ts'
import { statusPage, statusPagePolicy } from './status-page.ts'

/** What plain HTTP shows of a node. */
export interface HttpView {
  status(): NodeStatus
  readiness(): Readiness
  /** Prometheus text, version 0.0.4. */
  metrics(): Promise<string>
  /** What serves the keys; null while the node is still starting. */
  kv(): HttpKv | null
  /** Begins a backup; null while the node is still starting. */
  readonly backup: BackupDoor
  readonly callers: CallerRules
}

/** Of all kinds together, those that became WebSockets included. */
const connectionsMax = 16_384

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/**
 * A server for `handleHttp` that gives up slow and oversized requests. It does not listen yet; whoever routes upgrades
 * adds the listener, and asks `refuseCaller` first.
 */
export function createHttpServer(view: HttpView): Server {
  const server = createServer(
    {
      headersTimeout: 5_000,
      requestTimeout: 15_000,
      keepAliveTimeout: 5_000,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: 16_384,
      noDelay: true
    },
    handleHttp(view)
  )
  server.maxHeadersCount = 64
  server.maxConnections = connectionsMax
  return server
}

/** Answers requests; never throws and never leaves one without an answer. */
export function handleHttp(view: HttpView): Handler {
  const kv = createKvHttp(() => view.kv())
  const backup = createBackupHttp(() => view.backup(), sendJson)
  const pages: Readonly<Record<string, Handler>> = {
    '/livez': (_, response) => sendJson(response, 200, { live: true }),
    '/readyz': (_, response) => {
      const { ready, reasons } = view.readiness()
      sendJson(response, ready ? 200 : 503, { ready, reasons })
    },
    '/status': (_, response) => sendJson(response, 200, view.status()),
    '/v1': needsUpgrade,
    '/peer': needsUpgrade,
    '/metrics': (_, response) => sendMetrics(view, response),
    '/': (_, response) => {
      response.setHeader('content-security-policy', statusPagePolicy)
      send(response, 200, 'text/html; charset=utf-8', statusPage)
    }
  }
  return (request, response) => {
    response.setHeader('cache-control', 'no-store')
    response.setHeader('x-content-type-options', 'nosniff')
    try {
      const refusal = refuseCaller(request, view.callers)
      if (refusal !== null) return sendFault(request, response, 403, refusal)
      const path = pathOf(request)
      if (path.startsWith(kvPath)) return kv(request, response)
      if (path === '/snapshot') return void backup(request, response)
      const page = Object.hasOwn(pages, path) ? pages[path] : undefined
      if (page === undefined) return sendFault(request, response, 404, 'there is nothing at this path')
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.setHeader('allow', 'GET, HEAD')
        return sendFault(request, response, 405, 'only GET and HEAD are served here')
      }
      page(request, response)
    } catch (error) {
      sendError(response, error)
    }
  }
}

/** A WebSocket path that was asked for as a page: the upgrade itself never comes here. */
function needsUpgrade(_: IncomingMessage, response: ServerResponse): void {
  response.setHeader('upgrade', 'websocket')
  sendJson(response, 426, { error: 'this path speaks WebSocket' })
}

function pathOf(request: IncomingMessage): string {
  const url = request.url ?? '/'
  const query = url.indexOf('?')
  return query === -1 ? url : url.slice(0, query)
}

function sendMetrics(view: HttpView, response: ServerResponse): void {
  view.metrics().then(
    text => send(response, 200, 'text/plain; version=0.0.4; charset=utf-8', text),
    (error: unknown) => sendError(response, error)
  )
}

function sendFault(request: IncomingMessage, response: ServerResponse, status: number, text: string): void {
  // What is left of a refused body is not worth reading.
  if (!request.complete && request.method !== 'GET' && request.method !== 'HEAD')
    response.setHeader('connection', 'close')
  sendJson(response, status, { error: text })
}

/** A fault of the program: told without its text, which may hold what others must not see. */
function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) response.destroy(error instanceof Error ? error : undefined)
  else sendJson(response, 500, { error: 'this node could not answer' })
}

export function sendJson(response: ServerResponse, status: number, body: object): void {
  send(response, status, 'application/json; charset=utf-8', `${JSON.stringify(body)}\n`)
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.statusCode = status
  response.setHeader('content-type', type)
  response.setHeader('content-length', Buffer.byteLength(body))
  response.end(body)
}
