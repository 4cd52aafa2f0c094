// Frames between client and node, and the language of the key-value machine: round trips, hostile bytes, golden bytes.
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { t } from 'tap'
import { errorCodes, StrettoError } from '../../lib/base/errors.ts'
import { pack } from '../../lib/record/pack.ts'
import * as client from '../../lib/wire/client.ts'
import * as commands from '../../lib/wire/kv/commands.ts'
import { keyBytesMax, valueBytesMax } from '../../lib/wire/kv/fields.ts'
import * as kv from '../../lib/wire/kv/questions.ts'
import { readCommands } from '../../lib/wire/kv/read-commands.ts'

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const count = fc.maxSafeNat()
const bytes = fc.uint8Array({ maxLength: 40 })
const text = fc.string({ unit: 'grapheme', maxLength: 20 })
const consistency = fc.constantFrom(...client.consistencies)
const verdict = fc.record(
  { status: fc.nat(30), revision: count, answer: fc.option(bytes), gone: fc.constant<true>(true) },
  { requiredKeys: ['status', 'revision', 'answer'] }
)

/** Byte strings come back as views of another kind: compared by their content. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: [...value] }
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]))
}

interface Kind<T> {
  readonly value: fc.Arbitrary<T>
  readonly write: (value: T) => Uint8Array
  readonly read: (bytes: Uint8Array) => unknown
}

const kind = <T>(
  value: fc.Arbitrary<T>,
  write: (value: T) => Uint8Array,
  read: (bytes: Uint8Array) => unknown
): Kind<never> => ({
  value: value as fc.Arbitrary<never>,
  write,
  read
})

const frames: Readonly<Record<string, Kind<never>>> = {
  hello: kind(
    fc.record({ protocolMin: u32, protocolMax: u32, name: text, token: fc.option(text) }),
    client.writeHello,
    client.readHello
  ),
  question: kind(
    fc
      .record({
        scan: fc.boolean(),
        number: u32,
        consistency,
        patienceMs: u32,
        leastIndex: count,
        leastRevision: count,
        maxAgeMs: count,
        body: bytes
      })
      // The two share a place: what a stale read asks for is an age.
      .map(one => (one.consistency === 'stale' ? { ...one, leastIndex: 0 } : { ...one, maxAgeMs: 0 })),
    client.writeQuestion,
    client.readQuestion
  ),
  small: kind(
    fc.record({ number: u32, amount: u32 }),
    ({ number, amount }) => client.writeSmall(client.frameKind.credit, number, amount),
    client.readSmall
  ),
  welcome: kind(
    fc.record({
      protocol: u32,
      clusterId: text,
      nodeId: text,
      clusterTime: count,
      leader: fc.option(text),
      members: fc.array(fc.record({ id: text, address: text }), { maxLength: 4 }),
      requestBytesMax: u32
    }),
    client.writeWelcome,
    client.readWelcome
  ),
  applied: kind(
    fc.record({
      number: u32,
      term: u32,
      index: count,
      revision: count,
      each: fc.option(fc.array(fc.option(verdict), { maxLength: 5 }))
    }),
    client.writeApplied,
    client.readApplied
  ),
  refused: kind(
    fc.record({
      number: u32,
      code: fc.constantFrom(...errorCodes),
      fate: fc.constantFrom('not-applied' as const, 'unknown' as const),
      text,
      retryAfterMs: fc.option(u32)
    }),
    client.writeRefused,
    client.readRefused
  ),
  answered: kind(
    fc.record({ number: u32, consistency, term: u32, index: count, ageMs: count, body: bytes }),
    client.writeAnswered,
    client.readAnswered
  ),
  page: kind(fc.record({ number: u32, last: fc.boolean(), body: bytes }), client.writePage, client.readPage)
}

for (const [name, { value, write, read }] of Object.entries(frames)) {
  t.test(`a ${name} frame comes back as it was, alone and among others`, async t => {
    fc.assert(
      fc.property(value, value, (one, other) => {
        const message = Buffer.concat([write(one), write(other)])
        const split = client.framesOf(message)!
        t.equal(split.length, 2)
        t.same(plain(read(split[0]!)), plain(one))
        t.same(plain(read(split[1]!)), plain(other))
      }),
      { numRuns: 60 }
    )
  })

  t.test(`hostile bytes in place of a ${name} frame give a frame or a clean refusal`, async t => {
    const spoiled = fc.tuple(value, fc.nat(), fc.nat(255)).map(([one, at, byte]) => {
      const frame = Uint8Array.from(write(one))
      frame[8 + (at % Math.max(1, frame.length - 8))] = byte
      return frame
    })
    const noise = fc.uint8Array({ minLength: 8, maxLength: 60 })
    fc.assert(
      fc.property(fc.oneof(spoiled, noise), frame => {
        try {
          read(frame)
          return true
        } catch (error) {
          return error instanceof StrettoError && error.code === 'BAD_REQUEST'
        }
      }),
      { numRuns: 300 }
    )
    t.pass('nothing else was thrown')
  })
}

t.test('a message whose lengths do not add up has no frames', async t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), message => {
      const split = client.framesOf(message)
      return split === null || split.reduce((sum, frame) => sum + frame.length, 0) === message.length
    })
  )
  t.equal(client.framesOf(Uint8Array.of(0, 0, 0, 7, 0, 0, 0)), null, 'shorter than a header')
  t.equal(client.framesOf(Uint8Array.of(0, 0, 0, 9, 64, 0, 0, 0)), null, 'longer than the message')
  t.same(client.framesOf(new Uint8Array(0)), [])
})

const key = fc.uint8Array({ minLength: 1, maxLength: 20 })
const bounds = fc
  .tuple(bytes, fc.option(bytes))
  .map(([a, b]) => (b !== null && Buffer.compare(a, b) > 0 ? { from: b, to: a } : { from: a, to: b }))

t.test('requests, scans and entries come back as they were', async t => {
  const request: fc.Arbitrary<kv.Request> = fc.oneof(
    fc.record({ op: fc.constant('get' as const), key, atRevision: count }),
    fc.tuple(bounds, count).map(([each, atRevision]) => ({ op: 'count' as const, ...each, atRevision }))
  )
  const terms = fc.record({ limit: count, reverse: fc.boolean(), keysOnly: fc.boolean(), atRevision: count })
  const scan = fc.tuple(bounds, terms).map(([where, rest]) => ({ ...where, ...rest }))
  const entry = fc.record({
    key,
    value: fc.option(bytes),
    createRevision: count,
    modRevision: count,
    version: count,
    leaseId: count
  })
  fc.assert(
    fc.property(fc.array(request), scan, entry, (asked, page, one) => {
      t.same(plain(kv.readRequests(pack(asked.map(kv.packRequest)))), plain(asked))
      t.same(plain(kv.readScan(kv.packScan(page))), plain(page))
      t.same(plain(kv.readEntry(kv.packEntry(one))), plain(one))
    }),
    { numRuns: 100 }
  )
})

t.test('commands that are none are refused, whatever they are', async t => {
  const wrong = {
    'no array': pack(7),
    'another count': pack([]),
    'an unknown command': pack([[99, Uint8Array.of(1)]]),
    'no key': pack([[1]]),
    'an empty key': pack([[1, new Uint8Array(0), new Uint8Array(0)]]),
    'a key that is text': pack([[1, 'a', new Uint8Array(0)]]),
    'a value that is text': pack([[1, Uint8Array.of(1), 'a']]),
    'a revision below 0': pack([[1, Uint8Array.of(1), Uint8Array.of(1), -1]]),
    'unknown flags': pack([[1, Uint8Array.of(1), Uint8Array.of(1), null, 2]]),
    'fields of a later version': pack([[1, Uint8Array.of(1), Uint8Array.of(1), null, 0, 0, 0, null, 0, 7]]),
    'an increment by a fraction': pack([[4, Uint8Array.of(1), 0.5]])
  }
  for (const [name, list] of Object.entries(wrong)) {
    t.throws(() => readCommands(list, 1), { code: 'BAD_REQUEST', fate: 'not-applied' }, name)
  }
  const long = new Uint8Array(keyBytesMax + 1)
  t.throws(() => readCommands(pack([[1, long, long]]), 1), { code: 'TOO_LARGE' }, 'a long key')
  const large = new Uint8Array(valueBytesMax + 1)
  t.throws(() => readCommands(pack([[1, Uint8Array.of(1), large]]), 1), { code: 'TOO_LARGE' }, 'a large value')
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(3), (noise, count) => {
      try {
        return readCommands(noise, count).length === count
      } catch (error) {
        return error instanceof StrettoError
      }
    })
  )
})

t.test('the bytes of protocol 1 are what they always were', async t => {
  const each = [
    null,
    { status: 0, revision: 9, answer: Uint8Array.of(1, 2) },
    { status: 6, revision: 0, answer: null, gone: true as const }
  ]
  const member = { id: 'n1', address: '127.0.0.1:7001' }
  const golden = [
    client.writeHello({ protocolMin: 1, protocolMax: 1, name: 'golden', token: null }),
    client.writeQuestion({
      scan: false,
      number: 5,
      consistency: 'session',
      patienceMs: 5000,
      leastIndex: 7,
      leastRevision: 8,
      maxAgeMs: 0,
      body: pack([kv.packRequest({ op: 'get', key: Uint8Array.of(97), atRevision: 0 })])
    }),
    client.writeSmall(client.frameKind.credit, 5, 1_048_576),
    client.writeWelcome({
      protocol: 1,
      clusterId: '0'.repeat(32),
      nodeId: 'n1',
      clusterTime: 123_456,
      leader: 'n1',
      members: [member],
      requestBytesMax: 1_638_400
    }),
    client.writeApplied({ number: 5, term: 2, index: 70, revision: 9, each }),
    client.writeRefused({ number: 5, code: 'OVERLOADED', fate: 'not-applied', text: 'full', retryAfterMs: 100 }),
    client.writeAnswered({ number: 5, consistency: 'stale', term: 2, index: 70, ageMs: 3, body: Uint8Array.of(1) }),
    client.writePage({ number: 5, last: true, body: Uint8Array.of(1) }),
    pack([
      commands.packCommand({
        op: 'put',
        key: Uint8Array.of(97),
        value: Uint8Array.of(98),
        ifRevision: null,
        previous: false
      }),
      commands.packCommand({
        op: 'put',
        key: Uint8Array.of(97),
        value: Uint8Array.of(98),
        ifRevision: 0,
        previous: true
      }),
      commands.packCommand({ op: 'delete', key: Uint8Array.of(97), ifRevision: 4, previous: false }),
      commands.packCommand({ op: 'increment', key: Uint8Array.of(97), by: -3 })
    ]),
    kv.packScan({ from: Uint8Array.of(97), to: null, limit: 10, reverse: true, keysOnly: true, atRevision: 4 })
  ]
  const digests = golden.map(frame => createHash('sha256').update(frame).digest('hex').slice(0, 12))
  t.same(digests, goldenDigests)
})

const goldenDigests = [
  '83b81bea1c74',
  'a196d1decd93',
  '8397471d6e71',
  'e0dfeab67cba',
  '5744fde02f5d',
  '176832e2fb27',
  '7cc27ef81b20',
  '7f33cd96328e',
  '66d06815fe22',
  '66bfa6ffffb8'
]
