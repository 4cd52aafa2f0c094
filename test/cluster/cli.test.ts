// The command line against real nodes: processes, ports, disks and signals.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { t } from 'tap'
import { freePorts } from '../../bin/local-cluster.ts'
import { runCli, type Said } from '../help/run-cli.ts'
import { Running } from '../help/running.ts'

function jsonOf(said: Said): unknown {
  return JSON.parse(said.out)
}

t.setTimeout(240_000)

t.test('one node: every command, its exit codes, and its data after a restart', async t => {
  const directory = t.testdir({})
  const [port] = await freePorts(1)
  const address = `127.0.0.1:${port}`
  const args = ['start', '--listen', address, '--data-dir', join(directory, 'n1')]
  const cli = (...more: string[]) => runCli([...more, '--endpoints', address])
  let node = new Running(args)
  t.teardown(() => node.child.kill('SIGKILL'))
  await node.said(/"event":"ready"/)
  const ready: unknown = JSON.parse(node.out.split('\n').find(line => line.includes('"ready"'))!)
  t.match(ready, { level: 'info', event: 'ready', id: 'n1', address })

  t.match(await cli('get', 'a'), { code: 3, out: '', err: "stretto get: there is no key 'a'\n" })
  const put = await cli('put', 'a', 'one')
  t.equal(put.code, 0, put.err)
  const revision = Number(/"revision":(\d+)/.exec(put.out)?.[1])
  t.match(jsonOf(await cli('get', 'a')), { key: 'a', value: 'one', modRevision: revision, version: 1 })
  t.equal((await cli('get', 'a', '-o', 'value')).out, 'one\n')
  t.match(await cli('put', 'a', 'two', '--if-revision', String(revision + 7)), { code: 4, out: '' })
  t.match(await cli('put', 'a', 'two', '--if-absent'), { code: 4 })
  t.match(jsonOf(await cli('put', 'a', 'two', '--prev')), { previous: { value: 'one' } })
  const bytes = Buffer.from([0, 255, 10])
  t.equal((await runCli(['put', 'a/bytes', '-', '--endpoints', address], { input: bytes })).code, 0)
  const [content, keys, count, range, first, none, table] = await Promise.all([
    cli('get', 'a/bytes'),
    cli('get', 'a', '--prefix', '--keys-only', '-o', 'value'),
    cli('get', 'a', '--prefix', '--count-only', '-o', 'value'),
    cli('get', 'a', '--range-end', 'a/', '-o', 'value'),
    cli('get', 'a', '--prefix', '--limit', '1', '--keys-only', '-o', 'value'),
    cli('get', 'zzz', '--prefix'),
    cli('get', 'a', '-o', 'table')
  ])
  t.match(jsonOf(content), { valueBase64: bytes.toString('base64') })
  t.equal(keys.out, 'a\na/bytes\n')
  t.equal(count.out, '2\n')
  t.equal(range.out, 'two\n')
  t.equal(first.out, 'a\n')
  t.match(none, { code: 0, out: '' })
  t.match(table, { code: 0, out: /│ a +│ two/ })
  t.equal((await cli('incr', 'n', '--by', '5', '-o', 'value')).out, '5\n')
  t.match(jsonOf(await cli('incr', 'n', '--by', '-2')), { key: 'n', value: 3 })
  t.match(await cli('incr', 'a'), { code: 1, out: '' })
  t.match(jsonOf(await cli('del', 'a/bytes', '--prev')), {
    deleted: 1,
    previous: { valueBase64: bytes.toString('base64') }
  })
  t.match(await cli('del', 'a/bytes'), { code: 3 })
  t.match(jsonOf(await cli('status', '-o', 'json')), {
    id: 'n1',
    role: 'leader',
    leader: 'n1',
    ready: true,
    endpoint: address
  })

  const taken = await runCli([...args.slice(0, -1), join(directory, 'other')])
  t.match(taken, { code: 2, err: /^stretto start: .* is in use by another process: .*\n$/ })
  const locked = await runCli([
    'start',
    '--listen',
    '127.0.0.1:0',
    '--advertise',
    address,
    '--data-dir',
    join(directory, 'n1')
  ])
  t.equal(locked.code, 2, 'a data directory in use')
  t.match(locked.err, /^stretto start: [^\n]*\n$/)
  t.equal(await node.stop(), 0, 'SIGTERM is a clean end')

  node = new Running(args)
  await node.said(/"event":"ready"/)
  t.equal((await cli('get', 'a', '-o', 'value')).out, 'two\n', 'after a restart')
  t.equal((await cli('get', 'n', '-o', 'value')).out, '3\n')
  await node.stop('SIGKILL')
  const gone = await cli('get', 'a', '--timeout', '500ms')
  t.equal(gone.code, 5)
  t.match(gone.err, /^stretto get: [^\n]*\n$/)
  t.equal((await cli('put', 'a', 'x', '--timeout', '500ms')).code, 5, 'never sent, so not applied')
})

t.test('a cluster: serves, reports and restarts a node that was killed, stops, and finds its data again', async t => {
  const directory = t.testdir({})
  const [port] = await freePorts(1)
  const args = ['cluster', '--base-port', String(port), '--data-dir', join(directory, 'data'), '--restart']
  let cluster = new Running(args)
  t.teardown(() => cluster.child.kill('SIGTERM'))
  const endpoints = (await cluster.said(/endpoints +(\S+)/))[1]!
  t.equal(endpoints.split(',').length, 3)
  t.match(cluster.out, new RegExp(`status page +http://127\\.0\\.0\\.1:${port}/`))
  t.equal((await runCli(['put', 'k', 'v', '--endpoints', endpoints])).code, 0)
  for (const endpoint of endpoints.split(',')) {
    t.equal((await runCli(['get', 'k', '-o', 'value', '--endpoints', endpoint])).out, 'v\n', `read at ${endpoint}`)
  }
  const [, pid] = await cluster.said(/n2 \| .*n2 serves at \S+, process (\d+)/)
  process.kill(Number(pid), 'SIGKILL')
  await cluster.said(/n2 \| was ended by SIGKILL; 2 of 3 nodes are left: the cluster goes on/)
  await cluster.said(/n2 \| starting again[\s\S]*n2 \| [^\n]*n2 serves at/)
  t.equal(await cluster.stop('SIGINT'), 0)

  cluster = new Running(['cluster', '--data-dir', join(directory, 'data')])
  t.equal((await cluster.said(/endpoints +(\S+)/))[1], endpoints, 'at the same ports')
  t.equal((await runCli(['get', 'k', '-o', 'value', '--endpoints', endpoints])).out, 'v\n')
  t.equal(await cluster.stop(), 0)
})

t.test('the demo tells its story to the end, and the benchmark measures', async t => {
  const demo = await runCli(['demo'])
  t.equal(demo.code, 0, demo.err)
  t.match(demo.out, /Now (n\d) is ended by SIGKILL/)
  t.match(demo.out, /The longest pause between two acknowledgements was \d+ ms/)
  const [, acknowledged] = /^(\d+) writes acknowledged/m.exec(demo.out) ?? []
  t.match(demo.out, `all ${acknowledged} acknowledged writes are there`)
  const html = join(t.testdir({}), 'report.html')
  const wishes = ['--workloads', 'put,get,range100', '--in-flight', '64', '--connections', '1', '--duration', '200ms']
  const bench = await runCli(['bench', '--json', ...wishes, '--html', html])
  t.equal(bench.code, 0, bench.err)
  const said = /"workload":"(\w+)","inFlight":(\d+),"connections":(\d),"offeredPerSecond":null,"opsPerSecond":([\d.]+)/g
  const runs = [...bench.out.matchAll(said)]
  const names = runs.map(([, workload, inFlight, connections]) => `${workload} ${inFlight} ${connections}`)
  t.strictSame(names, ['put 64 1', 'get 64 1', 'range100 64 1'])
  for (const [, , , , opsPerSecond] of runs) t.ok(Number(opsPerSecond) > 0)
  t.match(readFileSync(html, 'utf8'), /<title>stretto benchmark/)
  const wrong = {
    '--rate 0': ['--rate', '0'],
    '--quick with --rate': ['--quick', '--rate', '5'],
    unknown: ['--workloads', 'push']
  }
  for (const [name, args] of Object.entries(wrong)) t.equal((await runCli(['bench', ...args])).code, 2, name)
  const times = { p50Ms: Number, p99Ms: Number, p999Ms: Number, serverCpuUsPerOp: Number, clientCpuUsPerOp: Number }
  t.match(jsonOf(bench), {
    machine: { cpus: Number, node: process.version, platform: String, fsyncMs: Number },
    runs: names.map(() => ({ system: 'stretto', errors: 0, ...times })),
    ratios: [],
    ceiling: { inFlight: 64, puts: Number, gets: Number, share: { puts: Number, gets: Number } }
  })
})
