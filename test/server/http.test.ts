// Plain HTTP of a node, before fakes: pages, keys, who may call, what is refused, and metrics.
import { once } from 'node:events'
import { type IncomingHttpHeaders, request, type Server } from 'node:http'
import { connect } from 'node:net'
import { Script } from 'node:vm'
import { t } from 'tap'
import { StrettoError } from '../../lib/base/errors.ts'
import type { OpenBackup } from '../../lib/server/backup.ts'
import { refuseCaller } from '../../lib/server/callers.ts'
import { createHttpServer, type HttpView } from '../../lib/server/http.ts'
import type { PlainEntry } from '../../lib/server/json-entry.ts'
import type { HttpKv, WriteCondition } from '../../lib/server/kv-http.ts'
import { createMetrics } from '../../lib/server/metrics.ts'
import type { NodeStatus } from '../../lib/server/status.ts'
import { valueBytesMax } from '../../lib/wire/kv/fields.ts'

const status: NodeStatus = {
  clusterId: 'c0ffee',
  id: 'n1',
  incarnation: '0123456789abcdef',
  role: 'leader',
  leader: 'n1',
  term: 7,
  firstIndex: 1,
  lastIndex: 42,
  durableIndex: 41,
  commitIndex: 40,
  appliedIndex: 39,
  revision: 30,
  compactedRevision: 0,
  trusted: true,
  machineVersion: 1,
  differing: [],
  health: { diskStallMs: 0, unfit: null },
  priority: 100,
  ready: true,
  reasons: [],
  members: [
    { id: 'n1', address: '127.0.0.1:7001', role: 'voter', incarnation: '0123456789abcdef' },
    { id: 'n2', address: '127.0.0.1:7002', role: 'learner', incarnation: 'fedcba9876543210' }
  ],
  space: 'ample',
  freeBytes: 1_000_000_000,
  logBytes: 4_096,
  stateBytes: 8_192,
  rssBytes: 50_000_000,
  uptimeMs: 1_234,
  version: '0.1.0',
  insecure: false
}

/** A store of one process with the conditions that plain HTTP can express. */
class FakeKv implements HttpKv {
  readonly entries = new Map<string, PlainEntry>()
  readonly asked: unknown[] = []
  failure: Error | null = null
  revision = 1

  async get(key: string, options: object) {
    this.asked.push(['get', key, options])
    if (this.failure !== null) throw this.failure
    return this.entries.get(key) ?? null
  }

  async put(key: string, value: Uint8Array, { ifRevision }: WriteCondition) {
    this.asked.push(['put', key])
    if (this.failure !== null) throw this.failure
    const before = this.entries.get(key)
    if (ifRevision !== undefined && ifRevision !== (before?.modRevision ?? 0)) throw this.#condition(before)
    const revision = ++this.revision
    const createRevision = before?.createRevision ?? revision
    this.entries.set(key, {
      key,
      value,
      createRevision,
      modRevision: revision,
      version: (before?.version ?? 0) + 1,
      leaseId: 0
    })
    return { revision }
  }

  async delete(key: string, { ifRevision }: WriteCondition) {
    if (this.failure !== null) throw this.failure
    const before = this.entries.get(key)
    if (ifRevision !== undefined && ifRevision !== before?.modRevision) throw this.#condition(before)
    return { deleted: this.entries.delete(key) ? 1 : 0, revision: before ? ++this.revision : this.revision }
  }

  #condition(current: PlainEntry | undefined): StrettoError {
    return new StrettoError('CONDITION_FAILED', 'another revision', { current: current ?? null })
  }
}

const kv = new FakeKv()
let readiness: { ready: boolean; reasons: string[] } = { ready: true, reasons: [] }
let serving: HttpKv | null = kv
let backups: (() => Promise<OpenBackup>) | null = null

const view: HttpView = {
  status: () => status,
  readiness: () => readiness,
  metrics: createMetrics({ status: () => status, counters: () => [{ turns: 5, logWriteMs: 1_500 }] }),
  kv: () => serving,
  backup: () => backups?.() ?? null,
  callers: { hosts: new Set(['db.example']), origins: new Set(['https://app.example']) }
}

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly json: Record<string, unknown>
}

let server: Server
let port = 0

t.before(async () => {
  server = createHttpServer(view)
  server.listen(0, '127.0.0.1')
  server.unref()
  await once(server, 'listening')
  const address = server.address()
  if (address !== null && typeof address === 'object') port = address.port
})
t.beforeEach(() => {
  kv.failure = null
  serving = kv
})

function ask(
  method: string,
  path: string,
  body: Uint8Array | string = '',
  headers: Record<string, string> = {}
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', method, path, headers, agent: false }, response => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('end', () => {
        const text = Buffer.concat(parts).toString()
        const isJson = response.headers['content-type']?.startsWith('application/json') && text !== ''
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: isJson ? JSON.parse(text) : {}
        })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** Sends raw bytes and gives all that comes back until the node closes the connection. */
async function raw(text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.on('data', part => {
    answer += part.toString()
  })
  socket.on('error', () => {})
  socket.write(text)
  await once(socket, 'close')
  return answer
}

t.test('health, status and readiness', async t => {
  t.strictSame((await ask('GET', '/livez')).json, { live: true })
  t.strictSame((await ask('GET', '/status')).json, status)
  t.equal((await ask('GET', '/status?x=1')).status, 200)
  t.strictSame((await ask('GET', '/readyz')).json, { ready: true, reasons: [] })
  readiness = { ready: false, reasons: ['no leader is known'] }
  const answer = await ask('GET', '/readyz')
  t.equal(answer.status, 503)
  t.strictSame(answer.json, { ready: false, reasons: ['no leader is known'] })
  readiness = { ready: true, reasons: [] }
  t.equal(answer.headers['cache-control'], 'no-store')
  const head = await ask('HEAD', '/status')
  t.equal(head.status, 200)
  t.equal(head.text, '')
})

t.test('paths and methods that there are not', async t => {
  for (const path of [
    '/nothing',
    '/v1/',
    '/v1/kv',
    '/status/',
    '/constructor',
    '/__proto__',
    '//status',
    '/../status'
  ]) {
    t.equal((await ask('GET', path)).status, 404, path)
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    const answer = await ask(method, '/status')
    t.equal(answer.status, 405, method)
    t.equal(answer.headers.allow, 'GET, HEAD')
  }
  t.match(await ask('GET', '/v1'), { status: 426, headers: { upgrade: 'websocket' } })
  const post = await ask('POST', '/v1/kv/a', 'x')
  t.equal(post.status, 405)
  t.equal(post.headers.allow, 'GET, HEAD, PUT, DELETE')
})

t.test('the page comes whole, from nowhere else, and its policy admits exactly its own style and script', async t => {
  const { text, headers } = await ask('GET', '/')
  t.match(headers['content-type'], /^text\/html/)
  t.match(text, /<title>stretto<\/title>/)
  t.match(text, /prefers-color-scheme: dark/)
  t.notMatch(text, /(?:src|href)="(?:https?:)?\/\//, 'nothing from elsewhere')
  const policy = String(headers['content-security-policy'])
  t.match(policy, /default-src 'none'/)
  t.match(policy, /frame-ancestors 'none'/)
  const { createHash } = await import('node:crypto')
  for (const tag of ['style', 'script']) {
    const content = new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`).exec(text)?.[1] ?? ''
    t.ok(content.length > 100, `${tag} is there`)
    t.ok(
      policy.includes(`${tag}-src 'sha256-${createHash('sha256').update(content).digest('base64')}'`),
      `${tag} is admitted`
    )
  }
  t.doesNotThrow(() => new Script(/<script>([\s\S]*?)<\/script>/.exec(text)![1]!), 'the script can be parsed')
})

t.test('a key: write, read, replace under a condition, delete', async t => {
  const put = await ask('PUT', '/v1/kv/config/theme', 'dark')
  t.equal(put.status, 200)
  t.strictSame(put.json, { key: 'config/theme', revision: 2 })
  const got = await ask('GET', '/v1/kv/config/theme')
  t.strictSame(got.json, {
    key: 'config/theme',
    value: 'dark',
    createRevision: 2,
    modRevision: 2,
    version: 1,
    leaseId: 0,
    revision: 2
  })
  t.equal((await ask('PUT', '/v1/kv/config/theme?if-revision=2', 'light')).status, 200)
  const refused = await ask('PUT', '/v1/kv/config/theme?if-revision=2', 'blue')
  t.equal(refused.status, 409)
  t.match(refused.json, { code: 'CONDITION_FAILED', fate: 'not-applied', current: { value: 'light', modRevision: 3 } })
  t.equal((await ask('PUT', '/v1/kv/config/theme?if-revision=0', 'x')).status, 409)
  t.strictSame((await ask('DELETE', '/v1/kv/config/theme?if-revision=3')).json, {
    key: 'config/theme',
    revision: 4,
    deleted: 1
  })
  const gone = await ask('DELETE', '/v1/kv/config/theme')
  t.equal(gone.status, 404)
  t.equal(gone.json['deleted'], 0)
  t.equal((await ask('GET', '/v1/kv/config/theme')).status, 404)
  const nothing = await ask('PUT', '/v1/kv/config/theme?if-revision=9', 'x')
  t.equal(nothing.json['current'], null)
})

t.test('keys are percent-encoded, values any bytes', async t => {
  const bytes = Uint8Array.of(0, 255, 254, 10)
  t.equal((await ask('PUT', '/v1/kv/a%20b%2F%C3%A9', bytes)).json['key'], 'a b/é')
  const got = await ask('GET', '/v1/kv/a%20b/%C3%A9')
  t.equal(got.json['valueBase64'], Buffer.from(bytes).toString('base64'))
  t.equal(got.json['value'], undefined)
  t.equal((await ask('PUT', '/v1/kv/__proto__', 'x')).status, 200)
  t.equal((await ask('GET', '/v1/kv/__proto__')).json['value'], 'x')
  t.equal((await ask('PUT', '/v1/kv/empty', '')).status, 200)
  t.equal((await ask('GET', '/v1/kv/empty')).json['value'], '')
})

t.test('consistency is passed on', async t => {
  await ask('GET', '/v1/kv/c?consistency=stale')
  t.strictSame(kv.asked.at(-1), ['get', 'c', { consistency: 'stale' }])
  await ask('GET', '/v1/kv/c')
  t.strictSame(kv.asked.at(-1), ['get', 'c', {}])
})

t.test('what is wrong with a request', async t => {
  const cases: readonly (readonly [method: string, path: string, text: RegExp])[] = [
    ['GET', '/v1/kv/', /the key is missing/],
    ['GET', '/v1/kv/%zz', /no percent-encoded UTF-8/],
    ['GET', '/v1/kv/%ff', /no percent-encoded UTF-8/],
    ['GET', '/v1/kv/a?consistency=eventual', /none of linearizable, lease, session, stale/],
    ['GET', '/v1/kv/a?consistancy=stale', /did you mean consistency/],
    ['GET', '/v1/kv/a?if-revision=1', /unknown parameter/],
    ['PUT', '/v1/kv/a?if-revision=-1', /no revision/],
    ['PUT', '/v1/kv/a?if-revision=1e3', /no revision/],
    ['PUT', '/v1/kv/a?if-revision=9999999999999999', /no revision/],
    ['PUT', '/v1/kv/a?if-revision=', /no revision/]
  ]
  for (const [method, path, text] of cases) {
    const answer = await ask(method, path, method === 'PUT' ? 'x' : '')
    t.equal(answer.status, 400, path)
    t.match(answer.json, { code: 'BAD_REQUEST', fate: 'not-applied', error: text }, path)
  }
})

t.test('a value that is too large is refused, whether it says so or not', async t => {
  const large = new Uint8Array(valueBytesMax + 1)
  const told = await ask('PUT', '/v1/kv/large', large, { 'content-length': String(large.length) })
  t.equal(told.status, 413)
  t.match(told.json, { code: 'TOO_LARGE', fate: 'not-applied' })
  const streamed = await ask('PUT', '/v1/kv/large', large, { 'transfer-encoding': 'chunked' })
  t.equal(streamed.status, 413)
  t.equal(kv.entries.has('large'), false)
  t.equal((await ask('PUT', '/v1/kv/large', large.subarray(1))).status, 200, 'the largest allowed')
})

t.test('a body that breaks off writes nothing', async t => {
  const socket = connect(port, '127.0.0.1')
  socket.write(`PUT /v1/kv/broken HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc`)
  const [seen] = await once(server, 'request')
  socket.destroy()
  await new Promise(resolve => seen.on('close', resolve))
  t.equal((await ask('GET', '/v1/kv/broken')).status, 404)
})

t.test('errors of the store become statuses, with code and fate', async t => {
  const cases = [
    [new StrettoError('UNAVAILABLE', 'no leader', { retryAfterMs: 1_200 }), 503],
    [new StrettoError('OVERLOADED', 'later'), 503],
    [new StrettoError('NO_SPACE', 'full'), 503],
    [new StrettoError('TIMED_OUT', 'late', { fate: 'unknown', operationId: 'op-1' }), 504],
    [new StrettoError('TOO_LARGE', 'large'), 413],
    [new StrettoError('COMPACTED', 'gone'), 400],
    [new StrettoError('PERMISSION_DENIED', 'no'), 403]
  ] as const
  for (const [failure, expected] of cases) {
    kv.failure = failure
    const answer = await ask('PUT', '/v1/kv/a', 'x')
    t.equal(answer.status, expected, failure.code)
    t.match(answer.json, { code: failure.code, fate: failure.fate, error: failure.message })
  }
  kv.failure = cases[0][0]
  const answer = await ask('GET', '/v1/kv/a')
  t.equal(answer.headers['retry-after'], '2')
  t.equal(answer.json['retryAfterMs'], 1_200)
  kv.failure = new Error('a secret of the inside')
  const fault = await ask('PUT', '/v1/kv/a', 'x')
  t.equal(fault.status, 500)
  t.notMatch(fault.text, /secret/)
  t.equal(fault.json['fate'], 'unknown')
  serving = null
  t.match(await ask('GET', '/v1/kv/a'), { status: 503, json: { code: 'UNAVAILABLE', fate: 'not-applied' } })
})

t.test('who may call', async t => {
  const admitted: Record<string, string>[] = [
    { host: `127.0.0.1:${port}` },
    { host: 'localhost' },
    { host: '[::1]:7001' },
    { host: 'db.example:7001' },
    { host: 'DB.Example.' },
    { host: 'localhost', origin: 'https://app.example' }
  ]
  for (const headers of admitted)
    t.equal((await ask('GET', '/livez', '', headers)).status, 200, JSON.stringify(headers))
  const refused: Record<string, string>[] = [
    { host: 'evil.example' },
    { host: 'db.example.evil.example' },
    { host: 'xdb.example' },
    { host: 'localhost.evil.example' },
    { host: '127.0.0.1.evil.example' },
    { host: '10.0.0.1:7001' },
    { host: 'a b' },
    { host: 'localhost', origin: 'null' },
    { host: 'localhost', origin: 'http://localhost' },
    { host: 'localhost', origin: 'https://app.example.evil.example' },
    { host: 'localhost', origin: 'https://app.example:444' },
    { host: 'localhost', origin: 'https://APP.example' },
    { host: 'localhost', origin: '' }
  ]
  for (const headers of refused) {
    for (const [method, path] of [
      ['GET', '/status'],
      ['PUT', '/v1/kv/a'],
      ['GET', '/']
    ] as const) {
      const answer = await ask(method, path, method === 'PUT' ? 'x' : '', headers)
      t.equal(answer.status, 403, `${method} ${path} ${JSON.stringify(headers)}`)
    }
  }
  t.match(await raw('GET /livez HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 403/, 'no Host at all')
})

t.test('a literal address is admitted where it is the one that was dialled', async t => {
  const socket = { localAddress: '::ffff:10.0.0.5' }
  const rules = { hosts: new Set<string>(), origins: new Set<string>() }
  const refusal = (host: string) =>
    refuseCaller(Object.assign(Object.create(null), { headers: { host }, socket }), rules)
  t.equal(refusal('10.0.0.5:7001'), null)
  t.match(refusal('10.0.0.6:7001'), /does not go by the name/)
})

t.test('what is no HTTP, or too much of it, ends the connection and nothing else', async t => {
  t.match(await raw('\u0016\u0003\u0001 hello\r\n\r\n'), /^HTTP\/1\.1 400/)
  t.match(await raw(`GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`), /^HTTP\/1\.1 431/)
  t.equal((await ask('GET', '/livez')).status, 200)
  t.ok(server.headersTimeout <= 10_000 && server.headersTimeout > 0)
  t.ok(server.requestTimeout <= 30_000 && server.requestTimeout > 0)
})

t.test('a backup: whole, refused, or cut off where it cannot be whole', async t => {
  let closed = 0
  const backupOf = (pieces: () => AsyncGenerator<Uint8Array>): (() => Promise<OpenBackup>) => {
    return async () => ({ size: 6, pieces, close: () => closed++ })
  }
  t.match(await ask('GET', '/snapshot'), { status: 503, json: { error: 'this node is still starting' } })
  const whole = async function* () {
    yield Buffer.from('abc')
    yield Buffer.from('def')
  }
  backups = backupOf(whole)
  t.match(await ask('GET', '/snapshot'), { status: 200, text: 'abcdef', headers: { 'content-length': '6' } })
  t.equal(closed, 1)
  t.match(await ask('POST', '/snapshot'), { status: 405, headers: { allow: 'GET' } })
  t.equal((await ask('GET', '/snapshot', '', { origin: 'https://evil.example' })).status, 403)
  t.equal(closed, 1)
  backups = () => Promise.reject(new StrettoError('UNAVAILABLE', 'no leader is known'))
  t.match(await ask('GET', '/snapshot'), { status: 503, json: { error: 'no leader is known', code: 'UNAVAILABLE' } })
  backups = () => Promise.reject(new StrettoError('BAD_REQUEST', 'no backups here'))
  t.equal((await ask('GET', '/snapshot')).status, 400)
  backups = () => Promise.reject(new Error('secret'))
  t.notMatch((await ask('GET', '/snapshot')).text, /secret/)
  backups = backupOf(async function* () {
    yield Buffer.from('abc')
    throw new StrettoError('CORRUPT', 'a row is damaged')
  })
  const cut = await raw('GET /snapshot HTTP/1.1\r\nHost: localhost\r\n\r\n')
  t.notMatch(cut, /def/, 'the connection is closed before the end')
  t.equal(closed, 2)

  let go = () => {}
  const held = new Promise<void>(resolve => {
    go = resolve
  })
  backups = backupOf(async function* () {
    await held
    yield* whole()
  })
  const two = [ask('GET', '/snapshot'), ask('GET', '/snapshot')]
  t.match(await ask('GET', '/snapshot'), { status: 503, json: { error: /being read from this node already/ } })
  go()
  t.strictSame(
    (await Promise.all(two)).map(({ text }) => text),
    ['abcdef', 'abcdef']
  )
  t.equal(closed, 4)
  backups = null
})

t.test('metrics in the text format of Prometheus', async t => {
  const { text, headers } = await ask('GET', '/metrics')
  t.match(headers['content-type'], /^text\/plain; version=0\.0\.4/)
  const lines = text.split('\n')
  for (const line of [
    'stretto_term 7',
    'stretto_commit_index 40',
    'stretto_has_leader 1',
    'stretto_role{role="leader"} 1',
    'stretto_role{role="follower"} 0',
    'stretto_voters 1',
    'stretto_learners 1',
    'stretto_turns_total 5',
    'stretto_log_write_seconds_total 1.5',
    'stretto_info{id="n1",cluster_id="c0ffee",version="0.1.0"} 1',
    '# TYPE stretto_turns_total counter'
  ]) {
    t.ok(lines.includes(line), line)
  }
  t.match(text, /^process_cpu_seconds_total /m)
  t.match(text, /^nodejs_eventloop_lag_seconds /m)
})

t.test('metrics follow the numbers they are made of', async t => {
  const counters = { reads: 1 }
  let now: NodeStatus = status
  const metrics = createMetrics({ status: () => now, counters: () => [counters, { clients: 3 }] })
  t.match(await metrics(), /^stretto_reads_total 1$/m)
  counters.reads = 8
  now = { ...status, role: 'follower', leader: null, clusterId: 'other' }
  const text = await metrics()
  t.match(text, /^stretto_reads_total 8$/m)
  t.match(text, /^stretto_clients_total 3$/m)
  t.match(text, /^stretto_role\{role="follower"\} 1$/m)
  t.match(text, /^stretto_has_leader 0$/m)
  t.notMatch(text, /c0ffee/, 'labels of before are gone')
})
