// The commands beyond single keys, against a real node: transactions, range deletes, locks and elections.
/* oxlint-disable unicorn/no-thenable -- the branches of a transaction are named so */
import { join } from 'node:path'
import { t } from 'tap'
import { freePorts } from '../../bin/local-cluster.ts'
import { runCli, type Said } from '../help/run-cli.ts'
import { Running } from '../help/running.ts'

t.setTimeout(120_000)

function jsonOf(said: Said): unknown {
  return JSON.parse(said.out)
}

t.test('transactions, range deletes, locks and elections', async t => {
  const [port] = await freePorts(1)
  const address = `127.0.0.1:${port}`
  const end = ['--endpoints', address]
  const node = new Running(['start', '--listen', address, '--data-dir', join(t.testdir({}), 'n1')])
  t.teardown(() => node.child.kill('SIGKILL'))
  await node.said(/"event":"ready"/)
  const cli = (...args: string[]): Promise<Said> => runCli([args[0]!, ...end, ...args.slice(1)])
  const txn = (input: object | string, ...args: string[]): Promise<Said> => {
    return runCli(['txn', ...args, ...end], { input: typeof input === 'string' ? input : JSON.stringify(input) })
  }

  await t.test('a transaction', async t => {
    const bytes = Buffer.from([0, 255]).toString('base64')
    const first = await txn({
      if: [
        { key: 'a', version: { eq: 0 } },
        { prefix: 'c/', absent: true }
      ],
      then: [
        { put: 'a', value: '1', previous: true },
        { put: 'b', valueBase64: bytes },
        { add: 'n', by: 5 },
        { max: 'm', number: 3 },
        { append: 'l', value: 'x' },
        { get: 'a' },
        { getRange: { prefix: '', limit: 1 } },
        { count: { from: 'b' } },
        { delete: 'zz', previous: true },
        { deleteRange: { prefix: 'c/' } },
        { txn: { if: [{ key: 'n', value: { eq: '4' } }], else: [{ get: 'b' }] } }
      ]
    })
    t.match(first, { code: 0, err: '' })
    const { revision } = jsonOf(first) as { readonly revision: number }
    const a = { key: 'a', value: '1', createRevision: revision, modRevision: revision, version: 1, leaseId: 0 }
    t.match(jsonOf(first), {
      succeeded: true,
      responses: [
        { previous: null },
        {},
        { value: 5 },
        { value: 3 },
        { length: 1 },
        a,
        { entries: [a], more: true },
        4,
        { deleted: 0, previous: null },
        { deleted: 0 },
        { succeeded: false, responses: [{ key: 'b', valueBase64: bytes }] }
      ]
    })
    const again = {
      if: [
        { key: 'a', exists: true },
        { key: 'a', modRevision: { lt: 2 } }
      ],
      else: [{ get: 'a' }]
    }
    t.match(jsonOf(await txn(again)), { succeeded: false, responses: [a], revision })
    t.match(await txn(again, '--fail-on-else'), { code: 4, err: /does not hold/ })
    t.equal((await txn(again, '-o', 'value')).out, 'else\n')
    t.match((await txn(again, '-o', 'table')).out, /^a comparison does not hold; revision \d+\n\{"key":"a",/)
    const file = join(t.testdir({ 'txn.json': JSON.stringify({ then: [{ min: 'n', number: -7 }] }) }), 'txn.json')
    t.match(jsonOf(await cli('txn', file)), { responses: [{ value: -7 }] })
  })

  await t.test('a malformed one is refused with what is wrong, and nothing is applied', async t => {
    const faults: [string | object, RegExp][] = [
      ['{', /no JSON/],
      [[], /is an object/],
      [{ when: [] }, /'when' is no field of a transaction: if, then, else/],
      [{ then: {} }, /'then' is a list/],
      [{ then: [{ put: 'a' }] }, /a value or a valueBase64/],
      [{ then: [{ put: 'a', value: 'x', by: 3 }] }, /'by' is no field of 'put'/],
      [{ then: [{ put: 'a', valueBase64: '?' }] }, /no base64/],
      [{ then: [{ put: 'a', get: 'b', value: '' }] }, /an operation is one of/],
      [{ then: [{ add: 'a', by: 0.5 }] }, /'by' is a whole number/],
      [{ if: [{ key: 'a' }] }, /a comparison names one of/],
      [{ if: [{ key: 'a', version: { eq: 0, ne: 1 } }] }, /one of eq, ne, lt, gt/],
      [{ if: [{ prefix: 'a', exists: true }] }, /a comparison|is an object/],
      [{ then: [{ deleteRange: {} }] }, /names its bounds/]
    ]
    for (const [input, err] of faults) {
      const said = await txn(input)
      t.match(said, { out: '', err }, JSON.stringify(input))
      t.ok(said.code === 2 || said.code === 1, `${said.code}`)
      t.match(said.err, /^stretto txn: [^\n]*\n$/)
    }
    t.match(await txn({ then: [{ put: 'two', value: '' }, { delete: 'two' }] }), { code: 1 })
    t.match(await cli('get', 'two'), { code: 3 })
  })

  await t.test('range deletes', async t => {
    await txn({ then: ['r/1', 'r/2', 'r/3', 's'].map(key => ({ put: key, value: '' })) })
    t.match(jsonOf(await cli('del', 'r/1', '--range-end', 'r/2')), { deleted: 1 })
    t.match(jsonOf(await cli('del', 'r/', '--prefix', '--paged')), { deleted: 2 })
    t.match(await cli('del', 'r/', '--prefix', '-o', 'value'), { code: 0, out: '0\n' })
    t.match(await cli('get', 's'), { code: 0 })
    t.match(await cli('del', 's', '--prefix', '--prev'), { code: 2 })
    t.match(await cli('del', 's', '--paged'), { code: 2 })
  })

  await t.test('a lock: held by one, handed on in order, with the token and the exit code of the command', async t => {
    const script = 'console.log("token", process.env.STRETTO_LOCK_FENCING_TOKEN); process.exitCode = 7'
    const ran = await runCli(['lock', 'l', '--ttl', '2s', '--endpoints', address, '--', process.execPath, '-e', script])
    t.match(ran, { code: 7, out: /^token [1-9]\d*\n$/, err: '' })
    const holder = new Running(['lock', 'l', ...end])
    t.teardown(() => holder.child.kill('SIGKILL'))
    await holder.said(/"fencingToken":\d+/)
    t.match(await cli('lock', 'l', '--no-wait'), { code: 4, out: '' })
    t.match(await cli('lock', 'l', '--wait', '100ms'), { code: 5, out: '' })
    const waiter = new Running(['lock', 'l', '-o', 'value', '--endpoints', address])
    t.teardown(() => waiter.child.kill('SIGKILL'))
    t.equal(await holder.stop('SIGINT'), 130)
    await waiter.said(/^\d+\n$/)
    t.equal(await waiter.stop('SIGTERM'), 130)
    t.match(await cli('lock', 'l', '--no-wait', '--', process.execPath, '-e', ''), { code: 0, out: '', err: '' })
    t.match(await cli('lock', 'l', '--', join(t.testdir({}), 'nothing')), { code: 1, err: /cannot be run/ })
  })

  await t.test('an election', async t => {
    const observer = new Running(['elect', 'e', ...end])
    t.teardown(() => observer.child.kill('SIGKILL'))
    await observer.said(/"leader":null/)
    const first = new Running(['elect', 'e', 'one', ...end])
    t.teardown(() => first.child.kill('SIGKILL'))
    await observer.said(/"leader":"one"/)
    const second = new Running(['elect', 'e', 'two', ...end])
    t.teardown(() => second.child.kill('SIGKILL'))
    t.match(await cli('elect', 'e', 'three', '--no-wait'), { code: 4 })
    await first.stop('SIGINT')
    await observer.said(/"leader":"two"/)
    await second.said(/"leader":"two"/)
    await second.stop('SIGINT')
    await observer.stop('SIGINT')
  })

  await t.test('a lock that cannot be kept is given up in time, and its command stopped', async t => {
    const script = 'setInterval(() => {}, 1000)'
    const words = ['lock', 'l', '--ttl', '1s', '--endpoints', address, '--timeout', '1s', '--']
    const holder = new Running([...words, process.execPath, '-e', `console.log("up"); ${script}`])
    t.teardown(() => holder.child.kill('SIGKILL'))
    await holder.said(/up/)
    await node.stop('SIGKILL')
    t.equal(await holder.ended(), 4)
    t.match(holder.err, /the lock is lost/)
  })
})
