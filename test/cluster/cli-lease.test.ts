// Leases on the command line, against a real node: what is said, exit codes, and keys that go by themselves over a restart.
import { join } from 'node:path'
import { t } from 'tap'
import { freePorts } from '../../bin/local-cluster.ts'
import { runCli, type Said } from '../help/run-cli.ts'
import { Running } from '../help/running.ts'

function jsonOf({ out, err }: Said): Record<string, unknown> {
  if (out === '') throw new Error(err)
  return JSON.parse(out) as Record<string, unknown>
}

t.setTimeout(120_000)

t.test('leases by hand, and puts that end with one', async t => {
  const [port] = await freePorts(1)
  const address = `127.0.0.1:${port}`
  const args = ['start', '--listen', address, '--data-dir', join(t.testdir({}), 'n1')]
  const cli = (...more: string[]) => runCli([...more, '--endpoints', address, '--timeout', '20s'])
  let node = new Running(args)
  t.teardown(() => node.child.kill('SIGKILL'))
  await node.said(/"event":"ready"/)

  const { id } = jsonOf(await cli('lease', 'grant', '10m')) as { id: number }
  const [put, own, both, unknown] = await Promise.all([
    cli('put', 'k', 'v', '--lease', String(id)),
    cli('put', 'own', 'v', '--ttl', '1h'),
    cli('put', 'k', 'v', '--ttl', '1h', '--lease', '7'),
    cli('put', 'other', 'v', '--lease', '7')
  ])
  t.equal(put.code, 0, put.err)
  const { leaseId } = jsonOf(own)
  t.match(both, { code: 2, err: /exclude each other/ })
  t.match(unknown, { code: 3, out: '', err: /no such lease/ })

  // What it holds is on its disk.
  await node.stop()
  node = new Running(args)
  await node.said(/"event":"ready"/)

  const [ttl, list, renewed, table, gone] = await Promise.all([
    cli('lease', 'ttl', String(id), '--keys'),
    cli('lease', 'list', '-o', 'value'),
    cli('lease', 'renew', String(id)),
    cli('lease', '-o', 'table'),
    cli('lease', 'ttl', '7')
  ])
  const told = jsonOf(ttl)
  t.match(told, { id, ttl: 600_000, keyCount: 1, keys: [{ key: 'k' }] })
  t.ok(Number(told['remaining']) > 500_000 && Number(told['remaining']) <= 600_000)
  t.equal(list.out, `${id}\n${String(leaseId)}\n`)
  t.match(jsonOf(renewed), { id, ttl: 600_000 })
  t.match(table.out, /lease .*ttl .*left .*keys/)
  t.match(gone, { code: 3, out: '', err: 'stretto lease: there is no lease 7\n' })

  t.match(jsonOf(await cli('lease', 'revoke', String(id))), { id, deleted: 1 })
  const ends = await Promise.all([
    cli('get', 'k'),
    cli('lease', 'revoke', String(id)),
    cli('lease', 'renew', String(id)),
    cli('lease', 'grant'),
    cli('lease', 'grant', '10ms'),
    cli('lease', 'list', '7')
  ])
  t.same(
    ends.map(({ code }) => code),
    [3, 3, 3, 2, 1, 2]
  )

  t.equal((await cli('put', 'soon', 'v', '--ttl', '1s')).code, 0)
  for (;;) {
    const { code } = await cli('get', 'soon')
    if (code === 3) break
    t.equal(code, 0)
  }
  t.match(await cli('get', 'own'), { code: 0 })
})
