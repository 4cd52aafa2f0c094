// The command line without a cluster: help, versions, what is mistyped, exit codes, and what is printed how.

import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { t } from 'tap'
import { parseCount, readEndpoints } from '../../bin/client-options.ts'
import { commands } from '../../bin/commands.ts'
import { CommandFault, exitCodeOf, faultLine } from '../../bin/faults.ts'
import { readableLine } from '../../bin/log-line.ts'
import { shown, shownBytes, tableText } from '../../bin/print.ts'
import { runProgram } from '../../bin/program.ts'
import { version } from '../../bin/version.ts'
import { type ErrorCode, errorCodes, type Fate, StrettoError } from '../../lib/base/errors.ts'
import { UsageError } from '../../lib/server/usage-error.ts'
import { runCli } from '../help/run-cli.ts'

interface Run {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** In this process: only for command lines that print through the streams given, and do not get to their action. */
async function run(...args: string[]): Promise<Run> {
  let out = ''
  let err = ''
  const streams = {
    out: (text: string) => {
      out += text
    },
    err: (text: string) => {
      err += text
    }
  }
  const code = await runProgram(args, streams)
  return { code, out, err }
}

const visible = commands.filter(command => command.hidden !== true)

t.test('help of the whole and of each command', async t => {
  const whole = await run('--help')
  t.equal(whole.code, 0)
  t.equal(whole.err, '')
  for (const { name, summary } of visible) t.match(whole.out, new RegExp(`^  ${name}.* ${summary}$`, 'm'), name)
  t.notMatch(whole.out, /bench-load/)
  for (const { name, summary } of visible) {
    const each = await run(name, '--help')
    t.equal(each.code, 0, name)
    t.match(each.out, new RegExp(`^Usage: stretto ${name}`))
    t.ok(each.out.includes(summary), `${name} says what it does`)
    t.equal(each.err, '')
  }
  t.match((await run('help', 'put')).out, /Usage: stretto put/)
})

t.test('every option of the contract is there, with its variable', async t => {
  const options: Readonly<Record<string, readonly string[]>> = {
    start: [
      'id',
      'listen',
      'advertise',
      'data-dir',
      'cluster',
      'join',
      'learner',
      'peer-secret-file',
      'memory',
      'config',
      'insecure'
    ],
    members: ['learner', 'address', 'endpoints', 'output', 'timeout'],
    plan: ['learner', 'address', 'endpoints', 'output', 'timeout'],
    'transfer-leader': ['endpoints', 'output', 'timeout'],
    upgrade: ['endpoints', 'force', 'output', 'timeout'],
    cluster: ['nodes', 'base-port', 'data-dir', 'restart'],
    put: ['if-revision', 'if-absent', 'prev', 'not-after', 'endpoints', 'output', 'timeout'],
    get: ['prefix', 'range-end', 'limit', 'keys-only', 'count-only', 'consistency', 'min-revision'],
    del: ['if-revision', 'prev'],
    incr: ['by'],
    status: ['watch', 'endpoints'],
    bench: ['quick', 'json', 'duration', 'endpoints'],
    inspect: ['output'],
    repair: ['dry-run', 'output'],
    recover: ['data-dir', 'id', 'address', 'yes', 'output'],
    snapshot: ['id', 'data-dir', 'cluster', 'endpoints', 'timeout', 'output'],
    sim: ['seeds', 'seed', 'nodes', 'clients', 'duration', 'depth', 'faults', 'schedule', 'trace', 'output']
  }
  for (const [name, names] of Object.entries(options)) {
    const { out } = await run(name, '--help')
    for (const option of names) t.match(out, new RegExp(`--${option}\\b`), `${name} --${option}`)
  }
  t.match((await run('get', '--help')).out, /--data-dir as STRETTO_DATA_DIR/)
})

t.test('nothing asked for: the help, and the exit code of usage', async t => {
  const { code, out, err } = await run()
  t.equal(code, 2)
  t.match(out + err, /Usage: stretto/)
})

t.test('what is mistyped gets one line that names the nearest', async t => {
  const cases: readonly (readonly [args: string[], line: RegExp])[] = [
    [['gte', 'k'], /^stretto: there is no command 'gte': did you mean 'get'\?\n$/],
    [['frobnicate'], /^stretto: there is no command 'frobnicate': 'stretto --help' lists them\n$/],
    [['--endpoints', 'a:1', 'get', 'k'], /^stretto: unknown option '--endpoints'\n$/],
    [['get', 'k', '--prefx'], /^stretto: unknown option '--prefx' \(Did you mean --prefix\?\)\n$/],
    [['get'], /^stretto: missing required argument 'key'\n$/],
    [['get', 'a', 'b'], /^stretto: too many arguments for 'get'\. Expected 1 argument but got 2.*\n$/],
    [['put', 'k'], /^stretto: missing required argument 'value'\n$/],
    [
      ['get', 'k', '-o', 'xml'],
      /^stretto: option '-o, --output <format>' argument 'xml' is invalid\. Allowed choices are table, json, value\.\n$/
    ],
    [['get', 'k', '--consistency', 'eventual'], /Allowed choices are linearizable, lease, session, stale/],
    [['get', 'k', '--timeout', '5'], /^stretto get: '5' is not a duration: .*\n$/],
    [['get', 'k', '--endpoints', 'nowhere'], /^stretto get: 'nowhere' is not an address: write host:port.*\n$/],
    [['get', 'k', '--endpoints', ' , '], /^stretto get: --endpoints is empty.*\n$/],
    [['get', 'k', '--prefix', '--range-end', 'z'], /^stretto get: --prefix and --range-end exclude each other\n$/],
    [['get', 'k', '--limit', '5'], /^stretto get: --limit is for a range.*\n$/],
    [['get', 'k', '--prefix', '--limit', '0'], /^stretto get: --limit '0' is not a whole number of 1 or more\n$/],
    [['get', 'k', '--count-only', '--keys-only'], /^stretto get: --count-only takes neither.*\n$/],
    [['get', 'k', '--min-revision', 'x'], /^stretto get: --min-revision 'x' is not a whole number of 1 or more\n$/],
    [
      ['put', 'k', 'v', '--if-absent', '--if-revision', '1'],
      /^stretto put: --if-revision and --if-absent exclude each other\n$/
    ],
    [
      ['put', 'k', 'v', '--if-revision', '-1'],
      /^stretto put: --if-revision '-1' is not a whole number of 0 or more\n$/
    ],
    [['put', 'k', 'v', '--not-after', 'soon'], /^stretto put: 'soon' is not a duration.*\n$/],
    [['del', 'k', '--if-revision', '1.5'], /^stretto del: --if-revision '1\.5' is not a whole number.*\n$/],
    [['incr', 'k', '--by', '9007199254740993'], /^stretto incr: --by '9007199254740993' is not a whole number\n$/],
    [['bench', '--quick', '--duration', '1s'], /^stretto bench: --quick and --duration exclude each other\n$/],
    [['bench', '--duration', '1ms'], /^stretto bench: --duration '1ms' is too short.*\n$/],
    [['cluster', '--nodes', '0'], /^stretto cluster: --nodes '0' is not a whole number of 1 or more\n$/],
    [['cluster', '--nodes', '50'], /^stretto cluster: --nodes 50 is too many for one machine: at most 9\n$/],
    [['cluster', '--base-port', '65535'], /^stretto cluster: --base-port 65535 leaves too few ports above it\n$/],
    [['start', '--id', 'N 1'], /^stretto start: "N 1" is not a node id: .*\n$/],
    [
      ['start', '--listen', '0.0.0.0:7001', '--advertise', 'a.example:7001'],
      /^stretto start: 0\.0\.0\.0:7001 can be reached from other machines.*--insecure.*\n$/
    ],
    [['start', '--dat-dir', 'x'], /^stretto: unknown option '--dat-dir' \(Did you mean --data-dir\?\)\n$/],
    [['completion', 'tcsh'], /Allowed choices are bash, zsh, fish/]
  ]
  for (const [args, line] of cases) {
    const { code, out, err } = await run(...args)
    t.match(err, line, args.join(' '))
    t.equal(code, 2, args.join(' '))
    t.equal(out, '')
  }
})

t.test('a variable gives an option, a flag beats it, and a switch set to false is off', async t => {
  const before = { ...process.env }
  t.teardown(() => {
    process.env = before
  })
  process.env['STRETTO_TIMEOUT'] = 'never'
  t.match((await run('get', 'k')).err, /'never' is not a duration/)
  t.match((await run('get', 'k', '--timeout', 'once')).err, /'once' is not a duration/)
  process.env['STRETTO_RANGE_END'] = 'z'
  process.env['STRETTO_PREFIX'] = 'false'
  t.match((await run('get', 'k')).err, /'never' is not a duration/, 'not: exclude each other')
  process.env['STRETTO_PREFIX'] = 'true'
  t.match((await run('get', 'k')).err, /exclude each other/)
  process.env['STRETTO_OUTPUT'] = 'xml'
  t.match(await run('get', 'k'), {
    code: 2,
    err: /^stretto get: STRETTO_OUTPUT 'xml' is none of table, json, value\n$/
  })
  t.match(await run('sim', '--seeds', '0'), { code: 2, err: /^stretto sim: STRETTO_OUTPUT 'xml' is none of / })
  process.env['STRETTO_OUTPUT'] = 'value'
  const other = 'a variable for other commands says nothing here'
  t.match(await run('sim', '--seeds', '0'), { code: 2, err: /^stretto sim: --seeds / }, other)
  t.match(await run('check-history', 'no-such-file'), { code: 2, err: /cannot be read/ }, other)
  const flag = await run('check-history', 'no-such-file', '-o', 'value')
  t.match(flag, { code: 2, err: /'value' is invalid/ }, 'a flag speaks to this one')
})

t.test('exit codes tell what became of it', async t => {
  const expected: Readonly<Partial<Record<ErrorCode, number>>> = {
    CONDITION_FAILED: 4,
    FENCED: 4,
    LOCK_LOST: 4,
    LEASE_NOT_FOUND: 3,
    UNAUTHENTICATED: 7,
    PERMISSION_DENIED: 7,
    NOT_LEADER: 5,
    OVERLOADED: 5,
    TIMED_OUT: 5,
    UNAVAILABLE: 5,
    STOPPED: 5
  }
  for (const code of errorCodes) {
    t.equal(exitCodeOf(new StrettoError(code, 'x')), expected[code] ?? 1, code)
    t.equal(exitCodeOf(new StrettoError(code, 'x', { fate: 'unknown' satisfies Fate })), 6, `${code}, fate unknown`)
  }
  t.equal(exitCodeOf(new UsageError('x')), 2)
  t.equal(exitCodeOf(new CommandFault(3, 'x')), 3)
  t.equal(exitCodeOf(new Error('x')), 1)
  t.equal(exitCodeOf('x'), 1)
  t.match(
    faultLine(new StrettoError('TIMED_OUT', 'late', { fate: 'unknown', operationId: 'ab-1' })),
    /late; it is not known whether it was applied \(operation ab-1\)/
  )
  t.equal(faultLine(new Error('one\ntwo')), 'one')
})

t.test('endpoints and counts', async t => {
  t.strictSame(readEndpoints(undefined), ['127.0.0.1:7001', '127.0.0.1:7002', '127.0.0.1:7003'])
  t.strictSame(readEndpoints('a:1, [::1]:2 ,wss://b:3'), ['a:1', '[::1]:2', 'wss://b:3'])
  t.throws(() => readEndpoints('http://a:1'), UsageError)
  t.equal(parseCount('--by', '-5', Number.MIN_SAFE_INTEGER), -5)
  for (const text of ['', ' ', '1e3', '0x10', '1.0', 'NaN'])
    t.throws(() => parseCount('--n', text, 0), UsageError, `'${text}'`)
})

t.test('what comes from elsewhere cannot move the cursor', async t => {
  t.equal(shown('a\u001b[2Jb\r\n\u0007\u009b\u202e'), 'a\\u001b[2Jb\\r\\n\\u0007\\u009b\\u202e')
  t.equal(shownBytes(Uint8Array.of(255, 0)), '(2 bytes)')
  t.equal(shownBytes('é ü'), 'é ü')
  t.match(shownBytes('x'.repeat(100)), /^x{72}\.\.\. \(100 bytes\)$/)
  const table = await tableText(['key'], [['a\u001b[31m'], [7]])
  t.match(table, /a\\u001b\[31m/)
  t.match(table, /7/)
})

t.test('a line of a node log for people', async t => {
  const line = JSON.stringify({ level: 'info', time: '2026-01-02T03:04:05.678Z', event: 'ready', msg: 'n1 serves' })
  t.equal(readableLine(line), '03:04:05 n1 serves')
  t.equal(readableLine('{"level":"warn","event":"x"}'), 'warn: x')
  t.equal(readableLine('{"level":"error","msg":"x"}'), 'error: x')
  for (const text of ['no JSON', '[1]', 'null', '{"level":3}', '{"level":"constructor","msg":"\u0007"}']) {
    t.notOk(readableLine(text).includes('\u0007') || readableLine(text).includes('undefined'), text)
  }
  t.equal(readableLine('no JSON\u001b'), 'no JSON\\u001b')
})

t.test('completion scripts know the commands and their options', async t => {
  const [bash, zsh, fish] = await Promise.all(['bash', 'zsh', 'fish'].map(shell => runCli(['completion', shell])))
  for (const said of [bash!, zsh!, fish!]) {
    t.equal(said.code, 0)
    t.equal(said.err, '')
    for (const { name } of visible) t.match(said.out, new RegExp(`\\b${name}\\b`), name)
    t.match(said.out, /range-end/)
    t.notMatch(said.out, /bench-load/)
  }
  const path = join(t.testdir({ 'stretto.bash': bash!.out }), 'stretto.bash')
  const { execFileSync } = await import('node:child_process')
  const words = 'COMP_WORDS=(stretto get --pre); COMP_CWORD=2; _stretto; echo "${COMPREPLY[@]}"'
  const names = 'COMP_WORDS=(stretto st); COMP_CWORD=1; _stretto; echo "${COMPREPLY[@]}"'
  const probe = `source '${path}'; ${words}; ${names}`
  t.equal(execFileSync('bash', ['-c', probe], { encoding: 'utf8' }), '--prefix\nstart status\n')
})

t.test('the launcher: version, exit code, one line of fault, from any directory', async t => {
  // In a process of its own, because this one may have a parent that it could be talking to.
  const alone = await runCli(['bench-load'])
  t.match(alone.err, /^stretto bench-load: this is a part of 'stretto bench'.*\n$/)
  t.equal(alone.code, 2)
  const cwd = t.testdir({})
  const [known, unknown] = await Promise.all([runCli(['--version'], { cwd }), runCli(['gets'], { cwd })])
  t.equal(known.out, `${version}\n`)
  t.equal(known.code, 0)
  t.match(version, /^\d+\.\d+\.\d+/)
  t.equal(unknown.code, 2)
  t.equal(unknown.err, "stretto: there is no command 'gets': did you mean 'get'?\n")
})

t.test('a port in use and data of another shape are told before anything is started', async t => {
  const busy = createTcpServer()
  busy.listen(0, '127.0.0.1')
  await once(busy, 'listening')
  t.teardown(() => busy.close())
  const address = busy.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const directory = t.testdir({
    single: { n1: {} },
    three: { 'cluster.json': '{"nodes":3,"basePort":7101}' },
    odd: { 'cluster.json': '{' }
  })
  const at = (name: string) => join(directory, name)
  const taken = await run('cluster', '--nodes', '1', '--base-port', String(port), '--data-dir', at('none'))
  t.match(taken, {
    code: 2,
    err: `stretto cluster: port ${port} is in use by another process: stop it, or choose other ports by --base-port\n`
  })
  const single = await run('cluster', '--data-dir', at('single'))
  t.match(single, { code: 2, err: /holds a node that was started by itself/ })
  const three = await run('cluster', '--nodes', '5', '--data-dir', at('three'))
  t.match(three, { code: 2, err: /holds a cluster of 3 nodes from port 7101: leave --nodes and --base-port out/ })
  t.match(await run('cluster', '--data-dir', at('odd')), { code: 2, err: /cluster\.json is damaged/ })
})

t.test('status: a line for each node, whoever answers', async t => {
  const node = (id: string, role: string) =>
    createServer((_, response) => {
      response.end(
        JSON.stringify({
          ...statusBase,
          id,
          role,
          members: [
            { id: 'n1', address: addresses[0] },
            { id: 'n2', address: addresses[1] }
          ]
        })
      )
    })
  const statusBase = {
    clusterId: 'c1',
    leader: 'n1',
    term: 3,
    commitIndex: 5,
    appliedIndex: 5,
    revision: 4,
    logBytes: 10,
    rssBytes: 10,
    uptimeMs: 10,
    ready: true,
    reasons: [],
    trusted: true
  }
  const servers = [node('n1', 'leader'), node('n2', 'follower'), createServer((_, response) => response.end('<html>'))]
  const addresses: string[] = []
  for (const server of servers) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (typeof address === 'object' && address !== null) addresses.push(`127.0.0.1:${address.port}`)
  }
  t.teardown(() => servers.forEach(server => server.close()))
  const [all, table, none] = await Promise.all([
    runCli(['status', '-o', 'json', '--endpoints', `${addresses[0]},${addresses[2]}`]),
    runCli(['status', '-o', 'table'], { env: { STRETTO_ENDPOINTS: addresses[0]! } }),
    runCli(['status', '--endpoints', addresses[2]!])
  ])
  t.equal(all.code, 0)
  const lines: unknown[] = all.out
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  t.match(lines, [
    { id: 'n1', role: 'leader', endpoint: addresses[0] },
    { endpoint: addresses[2], error: `${addresses[2]} does not answer as a stretto node` },
    { id: 'n2', role: 'follower', endpoint: addresses[1] }
  ])
  t.match(table.out, /cluster c1/)
  t.match(table.out, /\bn2\b.*\bfollower\b/)
  t.equal(none.code, 5)
  t.match(none.err, /^stretto status: no node answers at .*: .* does not answer as a stretto node\n$/)
})

t.test('the data directory of a cluster keeps its shape', async t => {
  const directory = join(t.testdir({}), 'data')
  mkdirSync(directory)
  writeFileSync(join(directory, 'cluster.json'), '{"nodes":3,"basePort":7101}\n')
  t.match(await run('cluster', '--data-dir', directory, '--base-port', '7201'), { code: 2 })
  t.equal(
    readFileSync(join(directory, 'cluster.json'), 'utf8'),
    '{"nodes":3,"basePort":7101}\n',
    'and is not overwritten'
  )
})
