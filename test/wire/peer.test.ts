// Frames between nodes: what is written is read again, the bytes never change, and hostile bytes are refused cleanly.
import { readFileSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { t } from 'tap'
import { toHex, writeU32 } from '../../lib/base/bytes.ts'
import { StrettoError } from '../../lib/base/errors.ts'
import { appendBlocksMax } from '../../lib/raft/message.ts'
import { type Packed, pack } from '../../lib/record/pack.ts'
import {
  chunkBytesMax,
  frameKind,
  type PeerFrame,
  peerMessageBytesMax,
  readHelloVersions,
  readPeerFrame,
  refusalCodes,
  writePeerFrame
} from '../../lib/wire/peer.ts'
import { protocolRange, sharedVersion } from '../../lib/wire/version.ts'
import { blocksOf, envelope, frameArb, frameExamples, keyA, keyB } from '../help/peer-frames.ts'

const numRuns = Number(process.env['FC_RUNS'] ?? 300)
const golden = new URL('golden/peer.v1.txt', import.meta.url)

/** With all bytes as hexadecimal text, so that two frames compare whatever kind of array holds them. */
function plain(frame: PeerFrame): string {
  return JSON.stringify(frame, (_key, value: unknown) => {
    const bytes = value as { type?: string; data?: number[] } | Uint8Array | null
    if (bytes instanceof Uint8Array) return toHex(bytes)
    return bytes?.type === 'Buffer' ? toHex(Uint8Array.from(bytes.data!)) : value
  })
}

function refused(bytes: Uint8Array): boolean {
  try {
    readPeerFrame(bytes)
    return false
  } catch (error) {
    if (!(error instanceof StrettoError) || error.code !== 'BAD_REQUEST') throw error
    return true
  }
}

t.test('the bytes of every frame are those of the golden file', async t => {
  const lines = Object.entries(frameExamples).map(([name, frame]) => `${name} ${toHex(writePeerFrame(frame))}`)
  const text = `${lines.join('\n')}\n`
  if (process.env['UPDATE'] !== undefined) writeFileSync(golden, text)
  t.equal(readFileSync(golden, 'utf8'), text)
})

t.test('the golden bytes are read as the frames they were', async t => {
  for (const line of readFileSync(golden, 'utf8').trim().split('\n')) {
    const [name, hex] = line.split(' ') as [string, string]
    t.equal(plain(readPeerFrame(Buffer.from(hex, 'hex'))), plain(frameExamples[name]!), name)
  }
})

t.test('every frame is read as it was written', async () => {
  fc.assert(
    fc.property(frameArb, frame => plain(readPeerFrame(writePeerFrame(frame))) === plain(frame)),
    { numRuns }
  )
})

t.test('what is read keeps no view of the bytes it was read from', async () => {
  fc.assert(
    fc.property(frameArb, frame => {
      const bytes = new Uint8Array(writePeerFrame(frame))
      const read = readPeerFrame(bytes)
      bytes.fill(0xdd)
      return plain(read) === plain(frame)
    }),
    { numRuns }
  )
})

t.test('the blocks of an append are the bytes of the leader, in one copy', async t => {
  const blocks = blocksOf(3, 1, [1000, 0, 50_000])
  const message = { kind: 'append', prev: { term: 0, index: 0 }, blocks, commit: 0, round: 0, time: 0 } as const
  const read = readPeerFrame(writePeerFrame({ kind: 'envelope', envelope: envelope(message) }))
  if (read.kind !== 'envelope' || read.envelope.message.kind !== 'append') return t.fail('no append')
  const got = read.envelope.message.blocks
  for (const [at, block] of blocks.entries()) t.ok(Buffer.from(block.bytes).equals(got[at]!.bytes))
  t.equal(new Set(got.map(block => block.bytes.buffer)).size, 1)
  t.equal(
    got[0]!.bytes.buffer.byteLength,
    blocks.reduce((sum, block) => sum + block.bytes.length, 0)
  )
  t.same(got[1]!.membership, blocks[1]!.membership)
})

t.test('noise is refused, or read as a frame that can be said', async () => {
  const noise = fc.tuple(fc.nat({ max: 12 }), fc.uint8Array({ maxLength: 300 }))
  fc.assert(
    fc.property(noise, ([kind, tail]) => {
      const bytes = Uint8Array.from([kind, ...tail])
      return (
        refused(bytes) || plain(readPeerFrame(writePeerFrame(readPeerFrame(bytes)))) === plain(readPeerFrame(bytes))
      )
    }),
    { numRuns: numRuns * 5 }
  )
})

t.test(
  'frames with a few bytes changed, cut off or added are refused, or read as a frame that can be said',
  async () => {
    const change = fc.tuple(fc.nat(), fc.nat({ max: 255 }))
    const cut = fc.option(fc.nat())
    fc.assert(
      fc.property(frameArb, fc.array(change, { maxLength: 4 }), cut, bytesAfter, (frame, changes, end, after) => {
        const whole = Uint8Array.from([...writePeerFrame(frame), ...after])
        const bytes = end === null ? whole : whole.slice(0, end % (whole.length + 1))
        for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value
        return (
          refused(bytes) || plain(readPeerFrame(writePeerFrame(readPeerFrame(bytes)))) === plain(readPeerFrame(bytes))
        )
      }),
      { numRuns: numRuns * 5 }
    )
  }
)

const bytesAfter = fc.uint8Array({ maxLength: 3 })

/** An envelope frame around any header. */
function framed(header: Packed, blocks: Uint8Array = new Uint8Array(0)): Uint8Array {
  const head = pack(header)
  const prefix = Uint8Array.of(frameKind.envelope, 0, 0, 0, 0, 0, 0, 0)
  writeU32(prefix, 4, head.length)
  return Buffer.concat([prefix, head, blocks])
}

t.test('headers of the right form but impossible content are refused', async t => {
  const from = keyA
  const to = keyB
  const vote = [from, to, 1, 1, true, false, 2, 1, 1]
  t.notOk(refused(framed(vote)))
  const wrong: Record<string, Packed> = {
    'no array': 5,
    'another name': ['N1.0123456789abcdef', ...vote.slice(1)],
    'no incarnation': ['n1', ...vote.slice(1)],
    'a key with a line break': [`${from}\n`, ...vote.slice(1)],
    'a negative term': [from, to, -1, ...vote.slice(3)],
    'a term above 32 bits': [from, to, 2 ** 32, ...vote.slice(3)],
    'half a term': [from, to, 1.5, ...vote.slice(3)],
    'a term that is no number': [from, to, 'x', ...vote.slice(3)],
    'not a number': [from, to, Number.NaN, ...vote.slice(3)],
    'an unknown kind': [from, to, 1, 10],
    'kind nought': [from, to, 1, 0],
    'a number for a truth value': [from, to, 1, 1, 1, false, 2, 1, 1],
    'an index beyond the exact range': [from, to, 1, 1, true, false, 2, 1, 2 ** 53],
    infinity: [from, to, 1, 1, true, false, 2, 1, Number.POSITIVE_INFINITY],
    'too few fields': vote.slice(0, -1),
    'too many fields': [...vote, 1],
    'an unknown reason': [from, to, 1, 2, true, 1, false, 5],
    'a reject with too many fields': [from, to, 1, 4, 1, 1, 0, [1, 1, 1, 1]],
    'a reject that is a number': [from, to, 1, 4, 1, 1, 0, 7],
    'blocks that are not there': [from, to, 1, 3, 1, 1, 1, 1, 1, 1],
    'more blocks than allowed': [from, to, 1, 3, 1, 1, 1, 1, 1, appendBlocksMax + 1],
    'a snapshot without members': [from, to, 1, 8, 1, 1, 1, pack([1, [from], null, [], []]), 1, 1, 1],
    'a snapshot whose membership is text': [from, to, 1, 8, 1, 1, 1, 'x', 1, 1, 1]
  }
  for (const [name, header] of Object.entries(wrong)) t.ok(refused(framed(header)), name)
  t.ok(refused(framed(vote, Uint8Array.of(0))), 'bytes after a vote')
  t.ok(refused(framed([from, to, 1, 3, 1, 1, 1, 1, 1, 0], Uint8Array.of(0))), 'bytes after an empty append')
})

t.test('a negative zero is a zero', async t => {
  const read = readPeerFrame(framed([keyA, keyB, 1, 6, -0]))
  t.ok(
    read.kind === 'envelope' &&
      read.envelope.message.kind === 'read-index' &&
      Object.is(read.envelope.message.number, 0)
  )
})

t.test('blocks are refused when damaged, missing, of another group or too many', async t => {
  const blocks = blocksOf(3, 1, [10, 20])
  const header = (count: number) => [keyA, keyB, 3, 3, 0, 0, 0, 0, 0, count]
  const bytes = Buffer.concat(blocks.map(block => block.bytes))
  t.notOk(refused(framed(header(2), bytes)))
  t.ok(refused(framed(header(1), bytes)))
  t.ok(refused(framed(header(3), bytes)))
  t.ok(refused(framed(header(2), bytes.subarray(0, -1))))
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Buffer.from(bytes)
    damaged[at]! ^= 1
    if (!refused(framed(header(2), damaged))) t.fail(`a flipped bit at ${at} went unnoticed`)
  }
  const group = Buffer.concat([Uint8Array.of(frameKind.envelope, 0, 0, 1), framed(header(2), bytes).subarray(4)])
  t.ok(refused(group), 'another group')
})

t.test('frames above the limits are refused', async t => {
  const chunk = (length: number) => {
    const bytes = new Uint8Array(length)
    return writePeerFrame({
      kind: 'chunk',
      chunk: { number: 1, last: { term: 1, index: 1 }, offset: 0, end: false, bytes }
    })
  }
  t.notOk(refused(chunk(chunkBytesMax)))
  t.ok(refused(chunk(chunkBytesMax + 1)))
  const request = (length: number) => {
    const bytes = new Uint8Array(length + 5)
    bytes[0] = frameKind.request
    return bytes
  }
  t.notOk(refused(request(peerMessageBytesMax - 5)))
  t.ok(refused(request(peerMessageBytesMax - 4)))
  t.ok(refused(new Uint8Array(0)))
})

t.test('a later version may say more in its hello, and its versions can be read whatever it says', async t => {
  const { hello } = frameExamples['hello'] as Extract<PeerFrame, { kind: 'hello' }>
  const { clusterId, from, to, boot, machine, nonce } = hello
  const longer = pack([1, 4, clusterId, from, to, boot, ...machine, nonce, 7, 'more', [1]])
  const read = readPeerFrame(Buffer.concat([Uint8Array.of(frameKind.hello), longer]))
  t.ok(read.kind === 'hello' && read.hello.protocol[1] === 4 && read.hello.boot === 7 && read.hello.priority === 7)
  t.same(readHelloVersions(Buffer.concat([Uint8Array.of(frameKind.hello), pack([7, 9, 'all', 'else', 'new'])])), [7, 9])
  t.ok(refused(Buffer.concat([Uint8Array.of(frameKind.hello), pack([9, 7, clusterId, from, to, boot, 1, 1, nonce])])))
})

t.test(
  'a refusal of a kind that a later version adds is still a refusal, and its text is one printable line',
  async t => {
    const bytes = (code: number, text: string) => Buffer.concat([Uint8Array.of(frameKind.refusal), pack([code, text])])
    t.same(readPeerFrame(bytes(refusalCodes.length + 3, 'why')), {
      kind: 'refusal',
      refusal: { code: 'refused', text: 'why' }
    })
    t.ok(refused(bytes(1, 'two\nlines')))
    t.ok(refused(bytes(1, 'x'.repeat(301))))
    const refusal = { code: 'refused', text: `a\n\u001b[31mb${'x'.repeat(400)}` } as const
    const read = readPeerFrame(writePeerFrame({ kind: 'refusal', refusal }))
    t.match(read.kind === 'refusal' && read.refusal.text, /^a\?\?\[31mbx+$/)
  }
)

t.test('two sides speak the highest version both know', async t => {
  t.equal(sharedVersion(protocolRange, [1, 1]), 1)
  t.equal(sharedVersion([1, 3], [2, 5]), 3)
  t.equal(sharedVersion([2, 5], [1, 3]), 3)
  t.equal(sharedVersion([1, 2], [3, 4]), null)
  t.equal(sharedVersion([3, 4], [1, 2]), null)
})
