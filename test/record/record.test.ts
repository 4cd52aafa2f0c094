// Records, blocks, memberships and packed values: round trips, hostile bytes, golden bytes.
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { t } from 'tap'
import { StrettoError } from '../../lib/base/errors.ts'
import type { Membership } from '../../lib/raft/types.ts'
import { blockHeaderBytes, cutBlock, readBlock } from '../../lib/record/block.ts'
import { readMembership, writeMembership } from '../../lib/record/membership.ts'
import { depthMax, type Packed, pack, unpack } from '../../lib/record/pack.ts'
import {
  commandHeadBytes,
  draftFault,
  draftRecord,
  recordKind,
  viewRecord,
  writeCommandHead
} from '../../lib/record/record.ts'

const packed = fc.letrec<{ value: Packed }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.maxSafeInteger(),
    fc.double({ noNaN: true }).filter(value => !Object.is(value, -0)),
    fc.string({ unit: 'grapheme' }),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array(),
    fc.array(tie('value'), { maxLength: 5 })
  )
})).value

/** Byte strings come back as views of Node's Buffer: compared as plain arrays. */
function plain(value: Packed): unknown {
  if (value instanceof Uint8Array) return { bytes: [...value] }
  return Array.isArray(value) ? (value as Packed[]).map(plain) : value
}

t.test('a packed value comes back as it was', async t => {
  fc.assert(fc.property(packed, value => t.same(plain(unpack(pack(value))), plain(value)) && true))
  const reserved = pack([1, 'two'], 76)
  t.same(plain(unpack(reserved.subarray(76))), [1, 'two'])
  for (const value of [2 ** 31, 2 ** 32, 2 ** 53 - 1, -(2 ** 53 - 1)]) t.equal(unpack(pack(value)), value)
})

t.test('bytes that were not packed here give a value of the allowed kinds or a clean refusal', async t => {
  const noise = fc.uint8Array({ maxLength: 64 })
  const spoiled = fc.tuple(packed, fc.nat(), fc.nat(255)).map(([value, at, byte]) => {
    const bytes = Uint8Array.from(pack(value))
    bytes[at % bytes.length] = byte
    return bytes
  })
  const allowed = (value: unknown): boolean =>
    value === null ||
    ['number', 'string', 'boolean'].includes(typeof value) ||
    value instanceof Uint8Array ||
    (Array.isArray(value) && value.every(allowed))
  fc.assert(
    fc.property(fc.oneof(noise, spoiled), bytes => {
      try {
        return allowed(unpack(bytes))
      } catch (error) {
        return error instanceof StrettoError && error.code === 'BAD_REQUEST'
      }
    }),
    { numRuns: 2000 }
  )
  const refused = {
    map: [0x81, 0xa1, 0x61, 0x01],
    'map of property __proto__': [0x81, 0xa9, ...Buffer.from('__proto__'), 0x90],
    extension: [0xd4, 0x72, 0x40],
    'claim of 2^32 - 1 items': [0xdd, 0xff, 0xff, 0xff, 0xff],
    'claim of 4 GiB of bytes': [0xc6, 0xff, 0xff, 0xff, 0xff, 0],
    empty: [],
    'two values': [1, 1],
    'too deep': [...new Array<number>(depthMax + 1).fill(0x91), 0xc0]
  }
  for (const [name, bytes] of Object.entries(refused)) {
    t.throws(() => unpack(Uint8Array.from(bytes)), { code: 'BAD_REQUEST' }, name)
  }
})

const session = new Uint8Array(18).fill(7, 2)

function draftCommand(body: Uint8Array, serial = 1): Uint8Array {
  const draft = new Uint8Array(commandHeadBytes + body.length)
  draft.set(body, commandHeadBytes)
  writeCommandHead(draft, recordKind.command, { session, count: 1, serial, floor: 0, notAfter: 0 }, 5_000)
  return draft
}

const origin = { term: 0, index: 0, chain: 12_345 }

t.test('a block holds its drafts, stamped, and reads back', async t => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 100 }), { minLength: 1, maxLength: 20 }),
      fc.integer({ min: 1, max: 2 ** 32 - 1 }),
      fc.nat(2 ** 40),
      (bodies, term, time) => {
        const block = cutBlock(
          0,
          term,
          { ...origin, index: 41 },
          time,
          bodies.map(body => draftCommand(body))
        )
        const read = readBlock(block.bytes)
        t.same({ ...read, bytes: null }, { ...block, bytes: null })
        let at = blockHeaderBytes
        for (const [number, body] of bodies.entries()) {
          const record = viewRecord(block.bytes, at)
          t.match(record, { term, time, index: 42 + number, length: commandHeadBytes + body.length })
          at += record.length
        }
        t.equal(at, block.bytes.length)
      }
    ),
    { numRuns: 50 }
  )
})

t.test('any one bit that flips in a block is noticed', async t => {
  const block = cutBlock(0, 3, origin, 99, [draftCommand(Buffer.from('hello')), draftCommand(Buffer.from('world'), 2)])
  for (let bit = 0; bit < block.bytes.length * 8; bit++) {
    const spoiled = Uint8Array.from(block.bytes)
    spoiled[bit >> 3]! ^= 1 << (bit & 7)
    if (readBlock(spoiled) !== null) t.fail(`bit ${bit}`)
  }
  for (let length = 0; length < block.bytes.length; length++) {
    if (readBlock(block.bytes.subarray(0, length)) !== null) t.fail(`length ${length}`)
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), bytes => readBlock(bytes) === null))
})

t.test('blocks chain: the same records after another past have another chain value', async t => {
  const drafts = [draftCommand(Buffer.from('x'))]
  const one = cutBlock(0, 1, origin, 5, drafts)
  const other = cutBlock(0, 1, { ...origin, chain: 1 }, 5, drafts)
  t.not(one.chain, other.chain)
  const next = cutBlock(0, 1, { term: 1, index: 1, chain: one.chain }, 5, drafts)
  t.equal(next.previousChain, one.chain)
})

t.test('drafts are judged before they are stamped', async t => {
  t.equal(draftFault(draftCommand(Buffer.from('x'))), null)
  const spoil = (change: (draft: Uint8Array) => void): string | null => {
    const draft = draftCommand(Buffer.from('x'))
    change(draft)
    return draftFault(draft)
  }
  t.match(draftFault(new Uint8Array(10)), /shorter/)
  t.match(draftFault(new Uint8Array(2_000_000)), /above/)
  t.match(
    spoil(draft => (draft[3]! += 1)),
    /length/
  )
  t.match(
    spoil(draft => (draft[4] = recordKind.membership)),
    /kind/
  )
  t.match(
    spoil(draft => (draft[51] = 0)),
    /no commands/
  )
  t.match(
    spoil(draft => (draft[4] = recordKind.resolve)),
    /wrong length/
  )
  t.match(
    spoil(draft => (draft[52] = 255)),
    /exact/
  )
})

const membership: Membership = {
  voters: ['n1.0000000000000001', 'n2.0000000000000002'],
  outgoing: ['n1.0000000000000001'],
  learners: ['n3.0000000000000003'],
  members: [1, 2, 3].map(number => ({
    key: `n${number}.000000000000000${number}`,
    id: `n${number}`,
    incarnation: `000000000000000${number}`,
    address: `127.0.0.1:700${number}`
  }))
}

t.test('a membership comes back, alone and in its block; a malformed one is refused', async t => {
  t.same(readMembership(writeMembership(membership)), membership)
  const block = cutBlock(0, 1, origin, 0, [draftRecord(recordKind.membership, writeMembership(membership))])
  t.same(readBlock(block.bytes)?.membership, membership)
  const key = 'n1.0000000000000001'
  const member = ['n1', '0000000000000001', 'a:1']
  const malformed: Packed[] = [
    7,
    [2, [], null, [], []],
    [1, ['n9.0000000000000009'], null, [], []],
    [1, [key, key], null, [], [member]],
    [1, [key], null, [], [member, member]],
    [1, [key], null, [], [['N1', '0000000000000001', 'a:1']]],
    [1, [key], null, [], [['n1', '1', 'a:1']]],
    [1, [key], null, [], [['n1', '0000000000000001', 7]]]
  ]
  for (const value of malformed) t.throws(() => readMembership(pack(value)), { code: 'BAD_REQUEST' })
})

t.test('the bytes of format 1 are what they always were', async t => {
  const drafts = [draftCommand(Buffer.from('hello')), draftRecord(recordKind.noop, new Uint8Array(0))]
  const block = cutBlock(0, 3, { term: 2, index: 9, chain: 77 }, 1_000_000, drafts)
  const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 16)
  t.equal(digest(block.bytes), '9c44482eca53c580')
  t.equal(digest(writeMembership(membership)), 'ec6746c25a0e5d29')
})
