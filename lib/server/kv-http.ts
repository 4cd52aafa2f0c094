// The keys over plain HTTP, for curl and other languages: GET, PUT and DELETE of /v1/kv/KEY.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type ErrorCode, StrettoError } from '../base/errors.ts'
import { type Consistency, consistencies } from '../wire/client.ts'
import { valueBytesMax } from '../wire/kv/fields.ts'
import { isEntry, jsonOfEntry, type PlainEntry } from './json-entry.ts'
import { nearestName } from './nearest.ts'

export const kvPath = '/v1/kv/'
const inProgressMax = 1_024

/** The part of the client that plain HTTP needs, with values as bytes. */
export interface HttpKv {
  get(key: string, options: { readonly consistency?: Consistency }): Promise<PlainEntry | null>
  put(key: string, value: Uint8Array, options: WriteCondition): Promise<{ readonly revision: number }>
  delete(key: string, options: WriteCondition): Promise<{ readonly revision: number; readonly deleted: number }>
}

export interface WriteCondition {
  readonly ifRevision?: number
}

interface Asked {
  readonly method: 'GET' | 'PUT' | 'DELETE'
  readonly key: string
  readonly consistency: Consistency | undefined
  readonly condition: WriteCondition
}

interface Answer {
  readonly status: number
  readonly body: object
}

const statusOfCode: Readonly<Partial<Record<ErrorCode, number>>> = {
  BAD_REQUEST: 400,
  COMPACTED: 400,
  FUTURE_REVISION: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  LEASE_NOT_FOUND: 404,
  CONDITION_FAILED: 409,
  FENCED: 409,
  TOO_LARGE: 413,
  TIMED_OUT: 504
}

const methods = 'GET, HEAD, PUT, DELETE'

/** Answers requests below `kvPath`; `kv` gives null while nothing can serve them yet. */
export function createKvHttp(kv: () => HttpKv | null): (request: IncomingMessage, response: ServerResponse) => void {
  let inProgress = 0
  return (request, response) => {
    inProgress++
    const answered =
      inProgress > inProgressMax
        ? Promise.reject(new StrettoError('OVERLOADED', 'too many HTTP requests at once', { retryAfterMs: 1_000 }))
        : answer(request, kv())
    answered
      .catch(answerOfError)
      .then(({ status, body }) => reply(request, response, status, body))
      .catch(() => response.destroy())
      .finally(() => inProgress--)
  }
}

async function answer(request: IncomingMessage, kv: HttpKv | null): Promise<Answer> {
  const method = request.method === 'HEAD' ? 'GET' : request.method
  if (method !== 'GET' && method !== 'PUT' && method !== 'DELETE') {
    return { status: 405, body: { error: `this path serves ${methods}` } }
  }
  const asked = readAsked(method, request.url ?? '')
  if (kv === null) throw new StrettoError('UNAVAILABLE', 'this node is still starting', { retryAfterMs: 1_000 })
  if (asked.method === 'GET') return answerGet(asked, kv)
  if (asked.method === 'PUT') {
    const value = await readBody(request)
    const { revision } = await kv.put(asked.key, value, asked.condition)
    return { status: 200, body: { key: asked.key, revision } }
  }
  const { revision, deleted } = await kv.delete(asked.key, asked.condition)
  return { status: deleted === 0 ? 404 : 200, body: { key: asked.key, revision, deleted } }
}

async function answerGet({ key, consistency }: Asked, kv: HttpKv): Promise<Answer> {
  const entry = await kv.get(key, consistency === undefined ? {} : { consistency })
  if (entry === null) return { status: 404, body: { key, error: 'there is no such key' } }
  return { status: 200, body: { ...jsonOfEntry(entry), revision: entry.modRevision } }
}

function readAsked(method: Asked['method'], url: string): Asked {
  const query = url.indexOf('?')
  const key = decodeKey(url.slice(kvPath.length, query === -1 ? undefined : query))
  if (key === '') throw new StrettoError('BAD_REQUEST', `the key is missing: ${kvPath}KEY`)
  const parameters = new URLSearchParams(query === -1 ? '' : url.slice(query + 1))
  const known = method === 'GET' ? ['consistency'] : ['if-revision']
  for (const name of parameters.keys()) {
    if (known.includes(name)) continue
    const near = nearestName(name, known)
    const hint = near === null ? `${method} knows ${known.join(', ')}` : `did you mean ${near}?`
    throw new StrettoError('BAD_REQUEST', `an unknown parameter in the query: ${hint}`)
  }
  const consistency = parameters.get('consistency') ?? undefined
  if (consistency !== undefined && !isConsistency(consistency)) {
    throw new StrettoError('BAD_REQUEST', `consistency is none of ${consistencies.join(', ')}`)
  }
  return { method, key, consistency, condition: readCondition(parameters.get('if-revision')) }
}

function decodeKey(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new StrettoError('BAD_REQUEST', 'the key in the path is no percent-encoded UTF-8')
  }
}

function readCondition(text: string | null): WriteCondition {
  if (text === null) return {}
  const ifRevision = Number(text)
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(ifRevision)) {
    throw new StrettoError('BAD_REQUEST', 'if-revision is no revision; 0 means: only if the key is absent')
  }
  return { ifRevision }
}

function isConsistency(text: string): text is Consistency {
  return (consistencies as readonly string[]).includes(text)
}

function readBody(request: IncomingMessage): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const tooLarge = () => reject(new StrettoError('TOO_LARGE', `a value above ${valueBytesMax} bytes`))
    if (Number(request.headers['content-length'] ?? 0) > valueBytesMax) return tooLarge()
    const parts: Buffer[] = []
    let length = 0
    request.on('data', (part: Buffer) => {
      length += part.length
      if (length <= valueBytesMax) parts.push(part)
      else {
        request.pause()
        tooLarge()
      }
    })
    request.on('end', () => resolve(new Uint8Array(Buffer.concat(parts))))
    request.on('error', reject)
    request.on('close', () => reject(new StrettoError('BAD_REQUEST', 'the body ended before it was whole')))
  })
}

function answerOfError(error: unknown): Answer {
  if (!(error instanceof StrettoError))
    return { status: 500, body: { error: 'this node could not answer', fate: 'unknown' } }
  const { code, fate, message, operationId, retryAfterMs, current } = error
  const body: Record<string, unknown> = { error: message, code, fate }
  if (operationId !== undefined) body['operationId'] = operationId
  if (retryAfterMs !== undefined) body['retryAfterMs'] = retryAfterMs
  if (current !== undefined) body['current'] = isEntry(current) ? jsonOfEntry(current) : null
  return { status: statusOfCode[code] ?? 503, body }
}

function reply(request: IncomingMessage, response: ServerResponse, status: number, body: object): void {
  if (response.destroyed) return
  if (status === 405) response.setHeader('allow', methods)
  if ('retryAfterMs' in body) response.setHeader('retry-after', Math.ceil(Number(body.retryAfterMs) / 1_000))
  // The rest of a body that was not wanted would stand before the next request on this connection.
  if (!request.complete) response.setHeader('connection', 'close')
  const text = Buffer.from(`${JSON.stringify(body)}\n`)
  response.statusCode = status
  response.setHeader('content-type', 'application/json; charset=utf-8')
  response.setHeader('content-length', text.length)
  response.end(text)
}
