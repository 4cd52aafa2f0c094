// Examples of every frame between nodes, and arbitraries that make any of them.
import fc from 'fast-check'
import { errorCodes } from '../../lib/base/errors.ts'
import type { Envelope, Message } from '../../lib/raft/message.ts'
import { type Block, type Member, type Membership, memberKey } from '../../lib/raft/types.ts'
import { cutBlock } from '../../lib/record/block.ts'
import { writeMembership } from '../../lib/record/membership.ts'
import { draftRecord, recordKind } from '../../lib/record/record.ts'
import { type PeerFrame, refusalCodes } from '../../lib/wire/peer.ts'

export const keyA = memberKey('n1', '0123456789abcdef')
export const keyB = memberKey('n2', 'fedcba9876543210')

export function member(id: string, incarnation: string, address: string): Member {
  return { key: memberKey(id, incarnation), id, incarnation, address }
}

export const membership: Membership = {
  voters: [keyA, keyB],
  outgoing: [keyA],
  learners: [],
  members: [member('n1', '0123456789abcdef', '127.0.0.1:7001'), member('n2', 'fedcba9876543210', '127.0.0.1:7002')]
}

/** Blocks that follow each other: no-ops of these sizes, a configuration where the size is 0. */
export function blocksOf(term: number, first: number, sizes: readonly number[]): readonly Block[] {
  const blocks: Block[] = []
  let previous = { term, index: first - 1, chain: 7 }
  for (const size of sizes) {
    const draft =
      size === 0
        ? draftRecord(recordKind.membership, writeMembership(membership))
        : draftRecord(recordKind.noop, new Uint8Array(size).fill(size))
    const block = cutBlock(0, term, previous, 1234, [draft])
    blocks.push(block)
    previous = { term, index: block.first, chain: block.chain }
  }
  return blocks
}

export function envelope(message: Message, term = 5): Envelope {
  return { from: keyA, to: keyB, term, message }
}

const last = { term: 4, index: 9_007_199_254_740_000 }

const messages: Record<string, Message> = {
  vote: { kind: 'vote', pre: true, force: false, round: 3, last },
  'vote-reply-granted': { kind: 'vote-reply', pre: false, round: 3, granted: true, reason: null },
  'vote-reply-refused': { kind: 'vote-reply', pre: true, round: 3, granted: false, reason: 'log' },
  'append-heartbeat': { kind: 'append', prev: { term: 4, index: 10 }, blocks: [], commit: 9, round: 6, time: 123_456 },
  'append-blocks': {
    kind: 'append',
    prev: { term: 4, index: 10 },
    blocks: blocksOf(5, 11, [1, 40, 0]),
    commit: 10,
    round: 7,
    time: 123_457
  },
  'append-reply': { kind: 'append-reply', match: 12, reject: null, round: 7, leaseMs: 400 },
  'append-reply-reject': {
    kind: 'append-reply',
    match: 0,
    reject: { index: 10, hint: { term: 3, index: 8 } },
    round: 7,
    leaseMs: 0
  },
  'timeout-now': { kind: 'timeout-now' },
  'read-index': { kind: 'read-index', number: 17 },
  'read-index-reply': { kind: 'read-index-reply', number: 17, index: 12 },
  'read-index-reply-none': { kind: 'read-index-reply', number: 18, index: null },
  snapshot: {
    kind: 'snapshot',
    meta: { last: { ...last, chain: 0xdead_beef }, membership, machineVersion: 1, size: 1_000_000, hash: 0xcafe_f00d }
  },
  'snapshot-reply': { kind: 'snapshot-reply', installed: 99 }
}

/** One frame of every kind and shape, by name. */
export const frameExamples: Record<string, PeerFrame> = {
  hello: {
    kind: 'hello',
    hello: {
      protocol: [1, 1],
      clusterId: '00112233445566778899aabbccddeeff',
      from: keyA,
      to: keyB,
      boot: 7,
      machine: [1, 2],
      nonce: Uint8Array.from({ length: 16 }, (_, at) => at)
    }
  },
  'hello-priority': {
    kind: 'hello',
    hello: {
      protocol: [1, 1],
      clusterId: '00112233445566778899aabbccddeeff',
      from: keyA,
      to: keyB,
      boot: 7,
      machine: [1, 2],
      nonce: new Uint8Array(16),
      priority: 1000
    }
  },
  'hello-unfounded': {
    kind: 'hello',
    hello: {
      protocol: [1, 1],
      clusterId: '',
      from: keyA,
      to: null,
      boot: 1,
      machine: [1, 1],
      nonce: new Uint8Array(16)
    }
  },
  proof: { kind: 'proof', proof: new Uint8Array(32).fill(0xab) },
  refusal: { kind: 'refusal', refusal: { code: 'wrong-secret', text: 'the peer secrets of the two nodes differ' } },
  ...Object.fromEntries(
    Object.entries(messages).map(([name, message]) => [
      name,
      { kind: 'envelope', envelope: envelope(message) } as const
    ])
  ),
  request: { kind: 'request', number: 0xffff_fffe, bytes: Uint8Array.of(1, 2, 3) },
  answer: { kind: 'answer', number: 2, error: null, bytes: Uint8Array.of(4, 5) },
  'answer-error': { kind: 'answer', number: 3, error: 'OVERLOADED', bytes: Uint8Array.of(0x6e, 0x6f) },
  tell: {
    kind: 'tell',
    tell: {
      list: [
        { id: 'n1', address: '127.0.0.1:7001' },
        { id: 'n2', address: '127.0.0.1:7002' }
      ],
      view: [{ id: 'n1', incarnation: '0123456789abcdef' }]
    }
  },
  founded: { kind: 'founded', membership },
  chunk: { kind: 'chunk', chunk: { number: 4, last, offset: 65_536, end: true, bytes: Uint8Array.of(9, 8, 7) } }
}

const idArb = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,62}$/)
const incarnationArb = fc.stringMatching(/^[0-9a-f]{16}$/)
const keyArb = fc.tuple(idArb, incarnationArb).map(([id, incarnation]) => memberKey(id, incarnation))
const integerArb = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1))
const u32Arb = fc.oneof(fc.nat({ max: 2 ** 32 - 1 }), fc.constantFrom(0, 2 ** 32 - 1))
const versionsArb = fc
  .tuple(fc.nat({ max: 65_535 }), fc.nat({ max: 65_535 }))
  .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const)
const logIdArb = fc.record({ term: u32Arb, index: integerArb })
const addressArb = fc.stringMatching(/^[\x21-\x7e]{1,300}$/)
const bytesArb = fc.uint8Array({ maxLength: 200 })

const membersArb = fc
  .uniqueArray(fc.tuple(idArb, incarnationArb, addressArb), { selector: ([id]) => id, minLength: 1, maxLength: 5 })
  .map(list => list.map(([id, incarnation, address]) => member(id, incarnation, address)))

const membershipArb = membersArb.map(
  (members): Membership => ({
    voters: members.slice(0, 3).map(({ key }) => key),
    outgoing: members.length > 3 ? [members[3]!.key] : null,
    learners: members.slice(4).map(({ key }) => key),
    members
  })
)

const messageArb: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    kind: fc.constant('vote' as const),
    pre: fc.boolean(),
    force: fc.boolean(),
    round: integerArb,
    last: logIdArb
  }),
  fc.record({
    kind: fc.constant('vote-reply' as const),
    pre: fc.boolean(),
    round: integerArb,
    granted: fc.boolean(),
    reason: fc.constantFrom(null, 'self' as const, 'log' as const, 'leader' as const, 'voted' as const)
  }),
  fc.record({
    kind: fc.constant('append' as const),
    prev: logIdArb,
    blocks: fc
      .tuple(u32Arb, fc.integer({ min: 1, max: 2 ** 52 }), fc.array(fc.nat({ max: 300 }), { maxLength: 4 }))
      .map(([term, first, sizes]) => blocksOf(term, first, sizes)),
    commit: integerArb,
    round: integerArb,
    time: integerArb
  }),
  fc.record({
    kind: fc.constant('append-reply' as const),
    match: integerArb,
    reject: fc.option(fc.record({ index: integerArb, hint: logIdArb })),
    round: integerArb,
    leaseMs: u32Arb
  }),
  fc.constant({ kind: 'timeout-now' as const }),
  fc.record({ kind: fc.constant('read-index' as const), number: integerArb }),
  fc.record({ kind: fc.constant('read-index-reply' as const), number: integerArb, index: fc.option(integerArb) }),
  fc.record({
    kind: fc.constant('snapshot' as const),
    meta: fc.record({
      last: fc.record({ term: u32Arb, index: integerArb, chain: u32Arb }),
      membership: membershipArb,
      machineVersion: fc.nat({ max: 65_535 }),
      size: integerArb,
      hash: u32Arb
    })
  }),
  fc.record({ kind: fc.constant('snapshot-reply' as const), installed: integerArb })
)

/** Any frame that can be said. */
export const frameArb: fc.Arbitrary<PeerFrame> = fc.oneof(
  fc.record({
    kind: fc.constant('hello' as const),
    hello: fc.record(
      {
        protocol: versionsArb,
        clusterId: fc.oneof(fc.constant(''), fc.stringMatching(/^[0-9a-f]{32}$/)),
        from: keyArb,
        to: fc.option(keyArb),
        boot: integerArb,
        machine: versionsArb,
        nonce: fc.uint8Array({ minLength: 16, maxLength: 16 }),
        priority: fc.nat({ max: 1000 })
      },
      { requiredKeys: ['protocol', 'clusterId', 'from', 'to', 'boot', 'machine', 'nonce'] }
    )
  }),
  fc.record({ kind: fc.constant('proof' as const), proof: fc.uint8Array({ minLength: 32, maxLength: 32 }) }),
  fc.record({
    kind: fc.constant('refusal' as const),
    refusal: fc.record({ code: fc.constantFrom(...refusalCodes), text: fc.stringMatching(/^[\x20-\x7e]{0,300}$/) })
  }),
  fc.record({
    kind: fc.constant('envelope' as const),
    envelope: fc.record({ from: keyArb, to: keyArb, term: u32Arb, message: messageArb })
  }),
  fc.record({ kind: fc.constant('request' as const), number: u32Arb, bytes: bytesArb }),
  fc.record({
    kind: fc.constant('answer' as const),
    number: u32Arb,
    error: fc.option(fc.constantFrom(...errorCodes)),
    bytes: bytesArb
  }),
  fc.record({
    kind: fc.constant('tell' as const),
    tell: fc.record({
      list: fc.array(fc.record({ id: idArb, address: addressArb }), { maxLength: 5 }),
      view: fc.array(fc.record({ id: idArb, incarnation: incarnationArb }), { maxLength: 5 })
    })
  }),
  fc.record({ kind: fc.constant('founded' as const), membership: membershipArb }),
  fc.record({
    kind: fc.constant('chunk' as const),
    chunk: fc.record({ number: u32Arb, last: logIdArb, offset: integerArb, end: fc.boolean(), bytes: bytesArb })
  })
)
