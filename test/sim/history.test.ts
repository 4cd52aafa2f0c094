// Recording what clients were told, and histories as files: read back as they were written, and told where they are wrong.
import { deepStrictEqual } from 'node:assert'
import fc from 'fast-check'
import { t } from 'tap'
import { AssertionError } from '../../lib/base/assert.ts'
import { Random } from '../../lib/base/random.ts'
import { History } from '../../lib/sim/history/history.ts'
import {
  HistoryReader,
  historyLines,
  MalformedHistory,
  type StoreOperation
} from '../../lib/sim/history/history-file.ts'
import { checkLinearizable } from '../../lib/sim/history/linearizable.ts'
import { type StoreInput, type StoreOutput, transactionModel } from '../../lib/sim/history/transaction-model.ts'
import { randomHistory, spoil } from '../help/random-history.ts'

t.test('an operation is unknown until it is answered, and is answered once', async t => {
  const history = new History<StoreInput, StoreOutput>()
  const put = history.invoke('w', { f: 'put', key: 'k', value: 1 }, 10)
  t.match(put, { process: 'w', outcome: 'info', invoked: 0, invokedTime: 10, endedTime: undefined })
  t.equal(put.ended, Number.POSITIVE_INFINITY)
  const get = history.invoke('r', { f: 'get', key: 'k' }, 10)
  history.ok(get, null, 10, 3)
  t.match(get, { outcome: 'ok', invoked: 1, ended: 2, endedTime: 10, output: null, hint: 3 })
  history.info(put, 20)
  t.match(put, { outcome: 'info', endedTime: 20, ended: Number.POSITIVE_INFINITY })
  const cas = history.invoke('w', { f: 'cas', key: 'k', expected: 1, value: 2 }, 30)
  history.fail(cas, 31)
  t.match(cas, { outcome: 'fail', invoked: 3, ended: 4, output: undefined })
  for (const again of [put, get, cas]) t.throws(() => history.fail(again, 40), AssertionError)
  t.strictSame(history.operations, [put, get, cas])
})

t.test('recording costs next to nothing', async t => {
  const history = new History<StoreInput, StoreOutput>()
  const input = { f: 'get', key: 'k' } as const
  const before = process.cpuUsage()
  for (let time = 0; time < 300_000; time++) history.ok(history.invoke(1, input, time), null, time)
  const ms = process.cpuUsage(before).user / 1_000
  t.comment(`${Math.round(ms)} ms for 300,000 operations`)
  t.ok(ms < 3_000)
})

function readLines(lines: Iterable<string>): HistoryReader {
  const reader = new HistoryReader()
  for (const line of lines) reader.read(line)
  return reader
}

function plain(operation: StoreOperation): object {
  const { input, output, outcome, invokedTime, hint } = operation
  return { input, output, outcome, invokedTime, hint }
}

t.test('a history is read as it was written, and judged alike', async t => {
  let invalid = 0
  fc.assert(
    fc.property(fc.integer(), fc.constantFrom(0, 0.4), fc.boolean(), (seed, transactions, spoilt) => {
      const random = new Random(seed)
      const { operations } = randomHistory(random, {
        operations: 20,
        clients: 4,
        keys: ['a', 'b', 7],
        values: 4,
        writes: 0.5,
        cas: 0.2,
        transactions,
        unknown: 0.2,
        hints: false
      })
      if (spoilt) spoil(random, operations)
      const lines = [...historyLines(operations)]
      const read = readLines(lines).operations
      deepStrictEqual(read.map(plain), operations.map(plain))
      deepStrictEqual([...historyLines(read)], lines)
      const { valid } = checkLinearizable(operations, transactionModel)
      if (valid === false) invalid++
      deepStrictEqual(checkLinearizable(read, transactionModel).valid, valid)
    }),
    { numRuns: 100 }
  )
  t.ok(invalid > 0)
})

t.test('a process that has several operations at once is told as several', async t => {
  const history = new History<StoreInput, StoreOutput>()
  const calls = [1, 2, 3].map(value => history.invoke(5, { f: 'put', key: 'k', value }, 0))
  history.ok(calls[1]!, null, 1)
  history.info(calls[0]!, 2)
  history.ok(history.invoke(5, { f: 'get', key: 'k' }, 3), 3, 4)
  history.invoke(5, { f: 'delete', key: 'k' }, 5)
  const reader = readLines(historyLines(history.operations))
  t.strictSame(
    reader.operations.map(({ process }) => process),
    [5, '5/2', '5/3', '5/2', '5/2']
  )
  t.strictSame(
    reader.operations.map(({ outcome }) => outcome),
    ['info', 'ok', 'info', 'ok', 'info']
  )
})

t.test('every kind of line', async t => {
  const reader = readLines([
    '{"process":1,"type":"invoke","f":"put","key":"k","value":"x","time":0}',
    '{"process":1,"type":"ok","f":"put","key":"k","value":"x","time":0}',
    '',
    '{"process":1,"type":"invoke","f":"cas","key":"k","expected":"x","value":1.5,"time":0.5}\r',
    '{"process":"two","type":"invoke","f":"get","key":"k","value":null,"time":1}',
    '{"process":"two","type":"ok","value":1.5,"time":1}',
    '{"process":1,"type":"fail","f":"cas","time":2,"error":"no"}',
    '{"process":1,"type":"invoke","f":"delete","key":-3,"time":2}',
    '{"process":1,"type":"info","time":3}',
    '{"process":2,"type":"invoke","f":"txn","value":[["get","a"],["put","a",true],["delete",4],["get","a",null]],"time":3}',
    '{"process":2,"type":"ok","f":"txn","key":null,"value":[["get","a",null],["put","a",true],["delete",4],["get","a",true]],"time":4}'
  ])
  t.match(reader.operations, [
    { input: { f: 'put', key: 'k', value: 'x' }, outcome: 'ok', output: null },
    { input: { f: 'cas', key: 'k', expected: 'x', value: 1.5 }, outcome: 'fail' },
    { process: 'two', input: { f: 'get', key: 'k' }, outcome: 'ok', output: 1.5 },
    { input: { f: 'delete', key: -3 }, outcome: 'info', endedTime: 3 },
    {
      input: {
        f: 'txn',
        steps: [
          ['get', 'a', null],
          ['put', 'a', true],
          ['delete', 4],
          ['get', 'a', null]
        ]
      }
    }
  ])
  t.strictSame(reader.operations[4]?.output, [
    ['get', 'a', null],
    ['put', 'a', true],
    ['delete', 4],
    ['get', 'a', true]
  ])
  t.strictSame(reader.linesOf(reader.operations[1]!), { invoked: 4, ended: 7 })
})

const invoke = '{"process":1,"type":"invoke","f":"put","key":"k","value":1,"time":5}'
const lost = '{"process":1,"type":"info","time":6}'
const transaction = '{"process":1,"type":"invoke","f":"txn","value":[["get","a"],["put","b",1]],"time":5}'
const get = '{"process":1,"type":"invoke","f":"get","key":"k","time":5}'

const malformed: readonly (readonly [line: string, lines: readonly string[]])[] = [
  ['line 1: not JSON', ['put k 1']],
  ['line 1: not a JSON object', ['[1]']],
  ['line 1: not a JSON object', ['null']],
  ['line 1: process is missing: it has to be a whole number or text', ['{"type":"ok","time":1}']],
  ['line 1: process is 1.5 and has to be a whole number or text', ['{"process":1.5,"type":"ok","time":1}']],
  ['line 1: type is missing: it has to be one of invoke, ok, fail, info', ['{"process":1,"time":1}']],
  ['line 1: type is "done" and has to be one of invoke, ok, fail, info', ['{"process":1,"type":"done","time":1}']],
  ['line 1: time is missing: it has to be a number', ['{"process":1,"type":"ok"}']],
  ['line 1: time is "1" and has to be a number', ['{"process":1,"type":"ok","time":"1"}']],
  ['line 1: f is missing: it has to be one of get, put, delete, cas, txn', ['{"process":1,"type":"invoke","time":1}']],
  [
    'line 1: f is "read" and has to be one of get, put, delete, cas, txn',
    ['{"process":1,"type":"invoke","f":"read","time":1}']
  ],
  ['line 1: key is missing: it has to be text or a whole number', ['{"process":1,"type":"invoke","f":"get","time":1}']],
  [
    'line 1: value is missing: it has to be text, a number, a boolean or null',
    ['{"process":1,"type":"invoke","f":"put","key":"k","time":1}']
  ],
  [
    'line 1: value is null, which stands for what is absent: use a delete',
    ['{"process":1,"type":"invoke","f":"put","key":"k","value":null,"time":1}']
  ],
  [
    'line 1: value is {"a":1} and has to be text, a number, a boolean or null',
    ['{"process":1,"type":"invoke","f":"put","key":"k","value":{"a":1},"time":1}']
  ],
  [
    'line 1: value 9007199254740992 is a number that is not exact: write it as text',
    ['{"process":1,"type":"invoke","f":"put","key":"k","value":9007199254740993,"time":1}']
  ],
  [
    'line 1: expected is missing: it has to be text, a number, a boolean or null',
    ['{"process":1,"type":"invoke","f":"cas","key":"k","value":1,"time":1}']
  ],
  [
    'line 1: a get asks without a value: what it finds stands at its end',
    ['{"process":1,"type":"invoke","f":"get","key":"k","value":3,"time":1}']
  ],
  ['line 1: process 1 has no operation to end', ['{"process":1,"type":"ok","time":1}']],
  ['line 2: process 1 has not ended its operation of line 1', [invoke, invoke]],
  [
    'line 3: process 1 must not be used again: the outcome of its operation of line 1 is unknown',
    [invoke, lost, '{"process":1,"type":"invoke","f":"get","key":"k","time":7}']
  ],
  ['line 3: process 1 has no operation to end', [invoke, lost, '{"process":1,"type":"ok","time":7}']],
  ['line 4: time 4 is before that of an earlier line, 5', [invoke, '', '', '{"process":2,"type":"ok","time":4}']],
  [
    'line 2: f is "get", and the operation of line 1, which this line ends, has "put"',
    [invoke, '{"process":1,"type":"ok","f":"get","time":5}']
  ],
  [
    'line 2: key is "j", and the operation of line 1, which this line ends, has "k"',
    [invoke, '{"process":1,"type":"ok","key":"j","time":5}']
  ],
  [
    'line 2: value is missing: it has to be text, a number, a boolean or null',
    [get, '{"process":1,"type":"ok","time":5}']
  ],
  [
    'line 1: value of a txn is missing: it has to be a list of steps',
    ['{"process":1,"type":"invoke","f":"txn","time":1}']
  ],
  [
    'line 1: step 1 is "get" and has to be a list such as ["put", "k", 1]',
    ['{"process":1,"type":"invoke","f":"txn","value":["get","k"],"time":1}']
  ],
  [
    'line 1: step 2: its name is "r" and has to be one of get, put, delete',
    ['{"process":1,"type":"invoke","f":"txn","value":[["delete","k"],["r","k",null]],"time":1}']
  ],
  [
    'line 1: the key of step 1 is null and has to be text or a whole number',
    ['{"process":1,"type":"invoke","f":"txn","value":[["get",null]],"time":1}']
  ],
  [
    'line 1: step 1: a get asks without a value',
    ['{"process":1,"type":"invoke","f":"txn","value":[["get","k",1]],"time":1}']
  ],
  [
    'line 1: step 1 has more than a name, a key and a value',
    ['{"process":1,"type":"invoke","f":"txn","value":[["put","k",1,2]],"time":1}']
  ],
  [
    'line 2: value has 1 steps, and the transaction was called with 2',
    [transaction, '{"process":1,"type":"ok","value":[["get","a",1]],"time":5}']
  ],
  [
    'line 2: step 2 is another than the transaction was called with',
    [transaction, '{"process":1,"type":"ok","value":[["get","a",1],["put","b",2]],"time":5}']
  ],
  [
    'line 2: the value of step 1 is missing: it has to be text, a number, a boolean or null',
    [transaction, '{"process":1,"type":"ok","value":[["get","a"],["put","b",1]],"time":5}']
  ]
]

t.test('what is no history is told in one line', async t => {
  for (const [line, lines] of malformed) t.throws(() => readLines(lines), { name: 'MalformedHistory', message: line })
  t.throws(() => readLines(['']).read('{'), MalformedHistory)
})

t.test('any line is read or refused in one line', async t => {
  const word = fc.constantFrom(
    'invoke',
    'ok',
    'fail',
    'info',
    'get',
    'put',
    'delete',
    'cas',
    'txn',
    'k',
    null,
    1,
    [],
    {}
  )
  const fields = fc.dictionary(
    fc.constantFrom('process', 'type', 'f', 'key', 'value', 'expected', 'time'),
    fc.oneof(word, fc.jsonValue())
  )
  let read = 0
  fc.assert(
    fc.property(fc.array(fields, { maxLength: 4 }), lines => {
      const whole = lines.map(line =>
        JSON.stringify({ process: 1, type: 'invoke', f: 'get', key: 'k', time: 1, ...line })
      )
      try {
        readLines(whole)
        if (whole.length > 0) read++
      } catch (error) {
        if (!(error instanceof MalformedHistory)) throw error
        if (!/^line \d+: [^\n]+$/.test(error.message))
          throw new Error(`'${error.message}' is not one line`, { cause: error })
      }
    }),
    // One that is whole is among them, whatever chance brings.
    { examples: [[[{}]]] }
  )
  t.ok(read > 0)
})
