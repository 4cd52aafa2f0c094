// The options of a node: what each source gives, which one wins, and the line that each fault gets.
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { t } from 'tap'
import { formatAddress, isLoopback, parseAddress } from '../../lib/server/address.ts'
import { formatDuration, parseDuration } from '../../lib/server/durations.ts'
import { nearestName } from '../../lib/server/nearest.ts'
import { readServerOptions, variableOf } from '../../lib/server/options.ts'
import { makePeerSecret, readPeerSecret } from '../../lib/server/peer-secret.ts'
import { formatSize, parseSize } from '../../lib/server/sizes.ts'
import { UsageError } from '../../lib/server/usage-error.ts'

const directory = t.testdir({})
const three = 'n1=127.0.0.1:7001,n2=127.0.0.1:7002,n3=127.0.0.1:7003'

type Given = Readonly<Record<string, string | boolean>>

function read(flags: Given, env: Readonly<Record<string, string>> = {}) {
  return readServerOptions({ flags, env, directory })
}

function faultOf(error: Error): string {
  return error.message
}

function file(name: string, text: string): string {
  const path = join(directory, name)
  writeFileSync(path, text, { mode: 0o600 })
  return path
}

t.test('nothing given: a single node on loopback, its data below the working directory', async t => {
  const options = await read({})
  t.strictSame(options, {
    id: 'n1',
    listen: { host: '127.0.0.1', port: 7001 },
    advertise: '127.0.0.1:7001',
    dataDir: join(directory, 'stretto-data/n1'),
    cluster: new Map([['n1', '127.0.0.1:7001']]),
    join: [],
    learner: false,
    peerSecret: null,
    insecure: false,
    memoryBytes: 268_435_456,
    logBytesMax: 1_073_741_824,
    history: null,
    ballastBytes: null,
    priority: 100,
    hosts: [],
    origins: [],
    logLevel: 'info'
  })
})

t.test('a ballast may be of any size, or none', async t => {
  t.equal((await read({ ballast: '16MiB' })).ballastBytes, 16_777_216)
  t.equal((await read({ ballast: '0' })).ballastBytes, 0)
})

t.test('an id of a cluster listens where the list says', async t => {
  const options = await read({ id: 'n2', cluster: three })
  t.strictSame(options.listen, { host: '127.0.0.1', port: 7002 })
  t.equal(options.advertise, '127.0.0.1:7002')
  t.strictSame([...options.cluster.keys()], ['n1', 'n2', 'n3'])
  t.equal(options.dataDir, join(directory, 'stretto-data/n2'))
})

t.test('a node that joins founds nothing: it is in no list', async t => {
  const flags = { id: 'n4', listen: '127.0.0.1:7004', join: '127.0.0.1:7004, 127.0.0.1:7001,[::1]:7002', learner: true }
  const options = await read(flags)
  t.strictSame(options.join, ['127.0.0.1:7001', '[::1]:7002'])
  t.equal(options.learner, true)
  t.equal(options.cluster.size, 0)
  t.equal(options.advertise, '127.0.0.1:7004')
  const listed = await read({ id: 'n2', cluster: three, join: '127.0.0.1:7001' })
  t.equal(listed.advertise, '127.0.0.1:7002', 'a list may say where it is')
  t.equal(listed.cluster.size, 3)
})

t.test('flags beat the environment, which beats the file', async t => {
  const config = file('order.yaml', 'id: from-file\nmemory: 64MiB\nlog-level: warn\n')
  const env = { STRETTO_ID: 'from-env', STRETTO_LOG_LEVEL: 'error', STRETTO_CONFIG: config }
  const options = await read({ id: 'from-flag' }, env)
  t.equal(options.id, 'from-flag')
  t.equal(options.logLevel, 'error')
  t.equal(options.memoryBytes, 67_108_864)
  t.equal((await read({}, env)).id, 'from-env')
  t.equal((await read({ config })).id, 'from-file')
  t.equal((await read({ config }, { STRETTO_ID: '' })).id, 'from-file', 'an empty variable says nothing')
  t.equal(variableOf('peer-secret-file'), 'STRETTO_PEER_SECRET_FILE')
})

t.test('the file may be YAML or JSON, and the cluster in it a map', async t => {
  const yaml = file(
    'map.yaml',
    'id: n1\ncluster:\n  n1: 127.0.0.1:7001\n  n2: "[::1]:7002"\nallow-host: [a.example, b.example]\n'
  )
  const options = await read({ config: yaml })
  t.strictSame(
    [...options.cluster],
    [
      ['n1', '127.0.0.1:7001'],
      ['n2', '[::1]:7002']
    ]
  )
  t.strictSame(options.hosts, ['a.example', 'b.example'])
  const json = file('map.json', JSON.stringify({ id: 'n1', insecure: true, listen: '10.0.0.1:7001' }))
  t.equal((await read({ config: json })).insecure, true)
  t.equal((await read({ config: file('empty.yaml', '') })).id, 'n1')
})

const faults: readonly (readonly [what: string, flags: Given, line: RegExp])[] = [
  ['an id with odd characters', { id: '../n1' }, /"\.\.\/n1" is not a node id: use 1 to 63/],
  ['an id in capitals', { id: 'N1' }, /is not a node id/],
  ['an id that is too long', { id: 'a'.repeat(64) }, /is not a node id/],
  ['an id that begins with a hyphen', { id: '-a' }, /is not a node id/],
  ['an id with a line feed', { id: 'a\nb' }, /"a\\nb" is not a node id/],
  [
    'an id that is not in the cluster',
    { id: 'n4', cluster: three },
    /'n4' is not in --cluster, which names n1, n2, n3 \(did you mean 'n1'\?\)/
  ],
  ['a cluster without an id', { cluster: three }, /add --id n1/],
  ['an empty cluster', { id: 'n1', cluster: ' , ' }, /--cluster is empty/],
  ['a cluster without addresses', { id: 'n1', cluster: 'n1,n2' }, /'n1' in --cluster is not of the form id=host:port/],
  ['a cluster with an id twice', { id: 'n1', cluster: 'n1=127.0.0.1:1,n1=127.0.0.1:2' }, /names 'n1' twice/],
  ['a cluster with an address twice', { id: 'n1', cluster: 'n1=127.0.0.1:1,n2=127.0.0.1:1' }, /to two nodes/],
  ['a cluster with port 0', { id: 'n1', cluster: 'n1=127.0.0.1:0' }, /needs a port other than 0/],
  [
    'a cluster with a wildcard',
    { id: 'n1', cluster: 'n1=0.0.0.0:7001', insecure: true },
    /names no place that others could dial/
  ],
  ['an address without a port', { listen: '127.0.0.1' }, /'127\.0\.0\.1' is not an address: write host:port/],
  ['an IPv6 address without brackets', { listen: '::1' }, /write an IPv6 address as \[::1\]:7001/],
  ['a port that is too high', { listen: '127.0.0.1:70000' }, /ports end at 65535/],
  ['an IPv4 address with too large a part', { listen: '127.0.0.256:7001' }, /no valid host/],
  ['no IPv6 between brackets', { listen: '[n1]:7001' }, /no IPv6 address between its brackets/],
  ['a wildcard without advertise', { listen: '0.0.0.0:7001', insecure: true }, /--advertise host:port/],
  ['an advertised wildcard', { advertise: '[::]:7001', insecure: true }, /names no place/],
  [
    'an address that differs from the list',
    { id: 'n1', cluster: three, advertise: '127.0.0.1:9' },
    /--cluster says 127\.0\.0\.1:7001/
  ],
  [
    'plaintext off loopback',
    { listen: '10.0.0.1:7001' },
    /10\.0\.0\.1:7001 can be reached from other machines.*--insecure/
  ],
  ['plaintext in the list', { id: 'n1', cluster: 'n1=127.0.0.1:1,n2=db.example:1' }, /db\.example:1 can be reached/],
  ['a size without a unit', { memory: '256' }, /'256' is not a size/],
  ['too little memory', { memory: '1KiB' }, /at least 16MiB/],
  ['a log level that there is not', { 'log-level': 'loud' }, /'loud' is none of debug, info/],
  ['an origin with a path', { 'allow-origin': 'https://a.example/x' }, /is no origin/],
  ['a host name with a slash', { 'allow-host': 'a/b' }, /no valid host|is not an address/],
  ['a secret that is not there', { 'peer-secret-file': 'nowhere' }, /the peer secret cannot be read: ENOENT/],
  ['a file that is not there', { config: 'nowhere.yaml' }, /nowhere\.yaml cannot be read as YAML or JSON: ENOENT/],
  ['a join without an id', { join: '127.0.0.1:7001' }, /--join is given, but not as which node: add --id/],
  ['a join of nobody', { id: 'n4', join: ' , ' }, /--join is empty/],
  ['a join of no address', { id: 'n4', join: 'n1' }, /'n1' is not an address: write host:port/],
  ['a join at no port', { id: 'n4', join: '127.0.0.1:0' }, /names no place that could be dialled/],
  [
    'a join of itself',
    { id: 'n4', listen: '127.0.0.1:7004', join: '127.0.0.1:7004' },
    /--join names this node itself, 127\.0\.0\.1:7004/
  ],
  ['a join far away', { id: 'n4', join: '10.0.0.1:7001' }, /10\.0\.0\.1:7001 can be reached from other machines/],
  ['a learner that does not join', { id: 'n4', learner: true }, /--learner says nothing without --join/],
  ['a ballast without a unit', { ballast: '16' }, /'16' is not a size/],
  ['no priority', { priority: 'high' }, /'high' for --priority is no whole number from 0 to 1000/],
  ['too high a priority', { priority: '1001' }, /'1001' for --priority/],
  [
    'a history of nothing',
    { history: ',' },
    /--history ',' is neither an age, a size nor one of each, such as 1h, 1GiB/
  ],
  ['a history of two ages', { history: '1h,2h' }, /--history '1h,2h' is neither/],
  ['a history of a bare number', { history: '1' }, /'1' is not a size/],
  ['an option of later', { 'tls-cert': 'x' }, /--tls-cert is kept for a later version/]
]

void t.test('the past is bounded by an age, a size, or both in any order', async t => {
  t.same((await read({ history: '1h' })).history, { ageMs: 3_600_000, bytes: null })
  t.same((await read({ history: '64MiB' })).history, { ageMs: null, bytes: 67_108_864 })
  t.same((await read({ history: '1GiB, 90s' })).history, { ageMs: 90_000, bytes: 1_073_741_824 })
})

t.test('each fault is one line that says how to mend it', async t => {
  for (const [what, flags, line] of faults) {
    await t.rejects(read(flags), { name: 'UsageError', message: line }, what)
    t.notMatch(await read(flags).then(() => '', faultOf), /\n/, `${what}: one line`)
  }
})

t.test('faults of the file', async t => {
  const cases: readonly (readonly [text: string, line: RegExp])[] = [
    ['dataDir: x', /unknown key 'dataDir': did you mean 'data-dir'\?/],
    ['clustre: x', /unknown key 'clustre': did you mean 'cluster'\?/],
    ['entirely-else: x', /unknown key 'entirely-else': known are id, listen/],
    ['config: x', /unknown key 'config'/],
    ['tls-cert: x', /'tls-cert' in .* is kept for a later version/],
    ['- id', /must hold keys and values/],
    ['id: [1, {}]', /a value for 'id' that is no text/],
    ['a: b: c', /cannot be read as YAML or JSON/],
    ['id: n1\nid: n2', /cannot be read as YAML or JSON/],
    ['insecure: perhaps', /'perhaps' for insecure is neither true nor false/]
  ]
  for (const [text, line] of cases) {
    await t.rejects(read({ config: file('fault.yaml', text) }), { name: 'UsageError', message: line }, text)
  }
})

t.test('--insecure opens what is else refused, and false in the environment does not', async t => {
  t.equal((await read({ listen: '10.0.0.1:7001', insecure: true })).advertise, '10.0.0.1:7001')
  const options = await read({ listen: '0.0.0.0:7001', advertise: 'db.example:7001' }, { STRETTO_INSECURE: 'true' })
  t.equal(options.advertise, 'db.example:7001')
  await t.rejects(read({ listen: '10.0.0.1:7001' }, { STRETTO_INSECURE: 'false' }), { name: 'UsageError' })
})

t.test('the peer secret: made once, for its owner alone, long enough', async t => {
  const path = join(directory, 'secrets', 'peer-secret')
  makePeerSecret(path)
  const secret = readPeerSecret(path)
  t.equal(secret.length, 64)
  t.equal(statSync(path).mode & 0o777, 0o600)
  makePeerSecret(path)
  t.strictSame(readPeerSecret(path), secret, 'one that is there stays')
  t.strictSame((await read({ 'peer-secret-file': path })).peerSecret, secret)
  chmodSync(path, 0o644)
  t.throws(() => readPeerSecret(path), { name: 'UsageError', message: /everybody on this machine can read.*chmod 600/ })
  t.throws(() => readPeerSecret(file('short', 'too short\n')), { message: /shorter than 16 bytes/ })
  t.throws(() => readPeerSecret(file('long', 'x'.repeat(5_000))), { message: /larger than 4096 bytes/ })
  mkdirSync(join(directory, 'folder'), { mode: 0o700 })
  t.throws(() => readPeerSecret(join(directory, 'folder')), { name: 'UsageError' })
})

t.test('durations', async t => {
  const good: Readonly<Record<string, number>> = {
    '150ms': 150,
    '5s': 5_000,
    '2m': 120_000,
    '1.5h': 5_400_000,
    '0s': 0,
    '24d': 2_073_600_000,
    ' 1s ': 1_000
  }
  for (const [text, ms] of Object.entries(good)) t.equal(parseDuration(text), ms, text)
  for (const text of [
    '',
    '5',
    's',
    '-1s',
    '5 s',
    '1e3s',
    '5S',
    '1.s',
    '.5s',
    'Infinitys',
    '25d',
    '99999999h',
    '1s2s',
    '٣s'
  ]) {
    t.throws(() => parseDuration(text), UsageError, `'${text}' is no duration`)
  }
  t.strictSame([0.42, 250, 1_500, 200_000, 3_700_000, 90_000_000].map(formatDuration), [
    '0.42ms',
    '250ms',
    '1.5s',
    '3m 20s',
    '1h 1m',
    '1d 1h'
  ])
})

t.test('sizes', async t => {
  const good: Readonly<Record<string, number>> = {
    '0B': 0,
    '512B': 512,
    '64KiB': 65_536,
    '1.5MiB': 1_572_864,
    '1gib': 1_073_741_824,
    '1kB': 1_000,
    '2GB': 2e9
  }
  for (const [text, bytes] of Object.entries(good)) t.equal(parseSize(text), bytes, text)
  for (const text of ['', '5', 'KiB', '-1KiB', '1 KiB', '1K', '1e3B', '999999999TiB']) {
    t.throws(() => parseSize(text), UsageError, `'${text}' is no size`)
  }
  t.strictSame([0, 812, 65_536, 1_572_864, 5 * 1024 ** 5].map(formatSize), [
    '0 B',
    '812 B',
    '64 KiB',
    '1.5 MiB',
    '5120 TiB'
  ])
})

t.test('any whole number of any unit is read as it is written, and any text at all is read or refused', async () => {
  const units = { ms: 1, s: 1_000, m: 60_000 }
  fc.assert(
    fc.property(
      fc.nat(35_000),
      fc.constantFrom('ms', 's', 'm'),
      (count, unit) => parseDuration(`${count}${unit}`) === count * units[unit]
    )
  )
  fc.assert(
    fc.property(fc.string(), text => {
      try {
        return Number.isSafeInteger(parseSize(text)) && Number.isSafeInteger(parseDuration(text))
      } catch (error) {
        return error instanceof UsageError
      }
    })
  )
})

t.test('addresses', async t => {
  t.strictSame(parseAddress('[::1]:7001'), { host: '::1', port: 7001 })
  t.strictSame(parseAddress('db-1.example.:80'), { host: 'db-1.example.', port: 80 })
  t.equal(formatAddress(parseAddress('[fe80::1]:1')), '[fe80::1]:1')
  for (const text of [
    'a:b',
    ':1',
    'a:',
    'a:1:2',
    '[::1]',
    '[::1]7001',
    'a b:1',
    '-a:1',
    'a..b:1',
    'http://a:1',
    'a:-1',
    `${'a'.repeat(300)}:1`,
    '1.2.3:1'
  ]) {
    t.throws(() => parseAddress(text), UsageError, `'${text}' is no address`)
  }
  for (const host of [
    '127.0.0.1',
    '127.9.9.9',
    '::1',
    '0:0:0:0:0:0:0:1',
    'localhost',
    'LOCALHOST.',
    'x.localhost',
    '::ffff:127.0.0.1'
  ]) {
    t.ok(isLoopback(host), `${host} is loopback`)
  }
  for (const host of [
    '0.0.0.0',
    '::',
    '10.0.0.1',
    '127.evil.example',
    'localhost.evil.example',
    '::2',
    '::ffff:10.0.0.1'
  ]) {
    t.notOk(isLoopback(host), `${host} is not loopback`)
  }
})

t.test('the nearest name', async t => {
  const known = ['data-dir', 'listen', 'cluster']
  t.equal(nearestName('datadir', known), 'data-dir')
  t.equal(nearestName('lsiten', known), 'listen', 'two letters swapped')
  t.equal(nearestName('zzzzzzzz', known), null)
  t.equal(nearestName('x', []), null)
})
