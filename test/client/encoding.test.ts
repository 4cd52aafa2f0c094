// What users hand over and get back: keys, values, endpoints, durations, options, operation ids.
import fc from 'fast-check'
import { t } from 'tap'
import { StrettoError } from '../../lib/base/errors.ts'
import { codecOf, decodeText, encodeKey, encodeText } from '../../lib/client/encoding.ts'
import { Endpoints, parseEndpoint } from '../../lib/client/endpoints.ts'
import { countOf, msOf } from '../../lib/client/options.ts'
import { realEnv } from '../../lib/client/real-env.ts'
import { operationIdOf, parseOperationId, Session } from '../../lib/client/session.ts'
import { VirtualTime } from '../help/virtual-time.ts'

const runs = { numRuns: Number(process.env['FC_RUNS'] ?? 500) }

/** The code of the StrettoError that `act` throws. */
function codeOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof StrettoError) return error.message.includes('\n') ? 'more than one line' : error.code
    throw error
  }
  return 'none'
}

void t.test('texts of any length and script come back', t => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 900 }), { maxLength: 8 }), texts => {
      const all = texts.map(encodeText)
      return texts.every((text, at) => decodeText(all[at]!) === text && Buffer.from(text).equals(all[at]!))
    }),
    runs
  )
  t.equal(decodeText(encodeText('\ufeffmark')), '\ufeffmark', 'a byte order mark belongs to the value')
  const large = 'ü'.repeat(300_000)
  t.equal(decodeText(encodeText(large)), large)
  t.equal(
    codeOf(() => encodeText('half \ud800 pair')),
    'BAD_REQUEST'
  )
  t.equal(
    codeOf(() => encodeText(`${'x'.repeat(100)}\udfff`)),
    'BAD_REQUEST'
  )
  t.end()
})

void t.test('keys', t => {
  t.same([...encodeKey(new Uint8Array([0, 255]))], [0, 255])
  t.equal(
    codeOf(() => encodeKey('')),
    'BAD_REQUEST'
  )
  t.equal(
    codeOf(() => encodeKey('x'.repeat(8193))),
    'TOO_LARGE'
  )
  t.equal(encodeKey('x'.repeat(8192)).length, 8192)
  const number: unknown = 7
  t.equal(
    codeOf(() => encodeKey(number as string)),
    'BAD_REQUEST'
  )
  const own = new Uint8Array([1, 2, 3])
  const key = encodeKey(own)
  own.fill(9)
  t.same([...key], [1, 2, 3], "the caller's bytes are free after the call")
  t.end()
})

void t.test('value encodings', t => {
  const json = codecOf('json')
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), value => {
      return JSON.stringify(json.decode(json.encode(value))) === JSON.stringify(value)
    }),
    runs
  )
  const bytes = codecOf('bytes')
  const lent = new Uint8Array([1, 2])
  const kept = bytes.decode(lent)
  lent.fill(0)
  t.same(kept, new Uint8Array([1, 2]))
  t.equal(
    codeOf(() => json.encode(undefined)),
    'BAD_REQUEST'
  )
  t.equal(
    codeOf(() => codecOf(undefined).encode(7)),
    'BAD_REQUEST'
  )
  t.equal(
    codeOf(() => bytes.encode('text')),
    'BAD_REQUEST'
  )
  t.equal(
    codeOf(() => codecOf('latin1')),
    'BAD_REQUEST'
  )
  t.equal(
    codeOf(() => codecOf({ encode: () => lent })),
    'BAD_REQUEST'
  )
  t.end()
})

void t.test('endpoints', t => {
  const address = (text: string): string => parseEndpoint(text).address
  t.equal(address('127.0.0.1:7001'), '127.0.0.1:7001/v1')
  t.equal(address('localhost:7001'), 'localhost:7001/v1')
  t.equal(address('[::1]:7001'), '[::1]:7001/v1')
  t.equal(address('db.example.org:7001'), 'wss://db.example.org:7001/v1')
  t.equal(address('ws://db.example.org:7001'), 'db.example.org:7001/v1')
  t.equal(address('wss://127.0.0.1:7001/'), 'wss://127.0.0.1:7001/v1')
  t.equal(address('wss://gate.example.org:443/stretto/v1'), 'wss://gate.example.org:443/stretto/v1')
  for (const text of [
    '',
    'localhost',
    'localhost:0',
    'localhost:65536',
    'http://a:1',
    'a b:1',
    '::1:7001',
    'a:1 x',
    ':7001',
    'a:7001/ä'
  ]) {
    t.equal(
      codeOf(() => parseEndpoint(text)),
      'BAD_REQUEST',
      text
    )
  }
  t.equal(
    codeOf(() => new Endpoints([])),
    'BAD_REQUEST'
  )
  t.equal(new Endpoints(['127.0.0.1:1', 'ws://127.0.0.1:1']).all.length, 1, 'the same place given twice is one')
  t.end()
})

void t.test('durations and counts', t => {
  for (const [text, ms] of [
    ['150ms', 150],
    ['10s', 10_000],
    ['1.5m', 90_000],
    ['2h', 7_200_000],
    [25, 25]
  ] as const) {
    t.equal(msOf(text, 'timeout'), ms)
  }
  for (const wrong of ['10', '5 s', '-1s', 's', '1d', 0, -5, Number.NaN])
    t.equal(
      codeOf(() => msOf(wrong, 'timeout')),
      'BAD_REQUEST',
      String(wrong)
    )
  t.equal(msOf(Number.POSITIVE_INFINITY, 'timeout'), 2_147_483_647)
  t.equal(countOf(0, 'limit', 0), 0)
  t.equal(
    codeOf(() => countOf(0.5, 'limit', 0)),
    'BAD_REQUEST'
  )
  t.end()
})

void t.test('operation ids', t => {
  const session = new Session(1_234_567, new VirtualTime().env('session'))
  const text = operationIdOf(session, 42)
  const parsed = parseOperationId(text)
  t.same([...parsed.session], [...session.id])
  t.equal(parsed.serial, 42)
  for (const wrong of [
    '',
    text.slice(1),
    `${text}x`,
    text.replace('-42', '-0'),
    text.toUpperCase().replace(/\d/g, 'Z')
  ]) {
    t.equal(
      codeOf(() => parseOperationId(wrong)),
      'BAD_REQUEST',
      wrong
    )
  }
  t.not(new Session(1, realEnv()).text, new Session(1, realEnv()).text, 'chance tells two clients apart')
  t.end()
})
