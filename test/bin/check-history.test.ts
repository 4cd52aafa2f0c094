// `stretto check-history`: what it prints, and how it ends, for sound, broken, undecided and malformed histories.
import { join } from 'node:path'
import { t } from 'tap'
import { Random } from '../../lib/base/random.ts'
import { historyLines } from '../../lib/sim/history/history-file.ts'
import { randomHistory } from '../help/random-history.ts'
import { runCli } from '../help/run-cli.ts'

const sound = [
  { process: 1, type: 'invoke', f: 'put', key: 'k', value: 1, time: 1 },
  { process: 2, type: 'invoke', f: 'get', key: 'k', value: null, time: 2 },
  { process: 2, type: 'ok', f: 'get', key: 'k', value: 1, time: 3 },
  { process: 1, type: 'info', f: 'put', key: 'k', value: 1, time: 4 },
  { process: 3, type: 'invoke', f: 'put', key: 'j', value: 'x', time: 5 }
]
const stale = [...sound, { ...sound[1], process: 4, time: 6 }, { ...sound[2], process: 4, value: null, time: 7 }]

function textOf(lines: readonly object[]): string {
  return lines.map(line => `${JSON.stringify(line)}\n`).join('')
}

function longText(): string {
  const shape = { operations: 300, clients: 8, keys: ['k'], values: 4, writes: 0.5, cas: 0.2 }
  const { operations } = randomHistory(new Random(4), { ...shape, transactions: 0, unknown: 0, hints: false })
  return [...historyLines(operations)].join('\n')
}

t.test('a sound history', async t => {
  const file = join(t.testdir({ 'h.jsonl': textOf(sound) }), 'h.jsonl')
  const [json, table, input, whole] = await Promise.all([
    runCli(['check-history', file]),
    runCli(['check-history', file, '-o', 'table']),
    runCli(['check-history', '-'], { input: textOf(sound).trimEnd() }),
    runCli(['check-history', '-'], { input: longText() })
  ])
  t.strictSame(json, { code: 0, signal: null, out: '{"valid":true,"operations":3,"keys":2}\n', err: '' })
  t.strictSame(table, { code: 0, signal: null, out: 'linearizable: 3 operations on 2 keys\n', err: '' })
  t.strictSame(input, json, 'the same from the standard input, also where its last line has no end')
  t.match(whole, { code: 0, out: '{"valid":true,"operations":300,"keys":1}\n' })
})

t.test('a history with a stale read', async t => {
  const file = join(t.testdir({ 'h.jsonl': textOf(stale) }), 'h.jsonl')
  const [json, table] = await Promise.all([
    runCli(['check-history', file]),
    runCli(['check-history', file], { env: { STRETTO_OUTPUT: 'table' } })
  ])
  const line = 'get "k" = null of process 4 in lines 6 to 7 fits nowhere among 2 others on its key'
  t.match(json, { code: 1, err: `stretto check-history: not linearizable: ${line}\n` })
  const put = { process: 1, type: 'info', f: 'put', key: 'k', value: 1, lines: [1, 4] }
  const get = { process: 2, type: 'ok', f: 'get', key: 'k', value: 1, lines: [2, 3] }
  const stuck = { process: 4, type: 'ok', f: 'get', key: 'k', value: null, lines: [6, 7] }
  t.strictSame(JSON.parse(json.out), {
    valid: false,
    operations: 4,
    keys: 2,
    counterexample: { keys: ['k'], stuck, states: [1], operations: [put, get, stuck] }
  })
  t.equal(json.out.indexOf('\n'), json.out.length - 1, 'one object, one line')
  t.match(table, { code: 1, err: json.err })
  t.match(table.out, /│ 6 +│ 7 +│ get "k" = null of process 4 │ ok, fits nowhere │/)
  t.match(table.out, /│ 1 +│ +│ put "k" 1 of process 1 +│ info +│/)
  t.match(table.out, /what the others may have left: 1\n$/)
})

t.test('a transaction that is torn', async t => {
  const call = {
    process: 1,
    type: 'invoke',
    f: 'txn',
    value: [
      ['put', 'a', 1],
      ['put', '\u001b', 1]
    ],
    time: 1
  }
  const look = {
    process: 2,
    type: 'invoke',
    f: 'txn',
    value: [
      ['get', 'a'],
      ['get', '\u001b']
    ],
    time: 1
  }
  const seen = {
    process: 2,
    type: 'ok',
    value: [
      ['get', 'a', 1],
      ['get', '\u001b', null]
    ],
    time: 2
  }
  const input = textOf([call, look, seen])
  const [json, table] = await Promise.all([
    runCli(['check-history', '-'], { input }),
    runCli(['check-history', '-', '-o', 'table'], { input })
  ])
  t.equal(json.code, 1)
  t.match(JSON.parse(json.out), {
    counterexample: { keys: ['a', '\u001b'], stuck: { f: 'txn', value: seen.value }, states: [{}] }
  })
  t.match(json.err, /txn .* of process 2 in lines 2 to 3 fits nowhere among 1 other on its keys\n$/)
  t.notOk(`${table.out}${table.err}${json.err}`.includes('\u001b'), 'keys cannot move the cursor')
})

t.test('what is not decided is not called sound', async t => {
  const options = { input: longText() }
  const [json, table] = await Promise.all([
    runCli(['check-history', '-', '--configurations', '3'], options),
    runCli(['check-history', '-', '--configurations', '3', '-o', 'table'], options)
  ])
  const err =
    'stretto check-history: undecided after 3 configurations of one key: raise --configurations to search for longer\n'
  t.match(json, { code: 6, out: '{"valid":null,"operations":300,"keys":1}\n', err })
  t.match(table, { code: 6, out: '', err })
})

t.test('what is no history, and no file, is told in one line', async t => {
  const file = join(t.testdir({ 'h.jsonl': `${textOf(sound)}{"process":9}\n` }), 'h.jsonl')
  const cases: readonly (readonly [args: readonly string[], input: string | Uint8Array, line: string | RegExp])[] = [
    [[file], '', `${file}, line 6: type is missing: it has to be one of invoke, ok, fail, info`],
    [['-'], 'hello', 'the standard input, line 1: not JSON'],
    [['-'], Uint8Array.of(123, 255, 125), 'the standard input is not UTF-8'],
    [[`${file}.gz`], '', /^the history cannot be read: ENOENT: no such file or directory, open '.*h\.jsonl\.gz'$/],
    [['-', '--configurations', 'many'], '', "--configurations 'many' is not a whole number of 1 or more"]
  ]
  await Promise.all(
    cases.map(async ([args, input, line]) => {
      const said = await runCli(['check-history', ...args], { input })
      t.match(said, { code: 2, out: '' }, args.join(' '))
      t.match(said.err, /^stretto check-history: [^\n]+\n$/)
      t.match(said.err.slice('stretto check-history: '.length, -1), line)
    })
  )
  t.match(await runCli(['check-history']), { code: 2, err: "stretto: missing required argument 'file'\n" })
})
