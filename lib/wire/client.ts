// What clients and nodes say to each other. A WebSocket message holds one or more frames back to back; numbers big-endian.
//
// Every frame begins with  0 u32 length of the whole frame · 4 u8 kind · 5 u8 flags · 6 u16 zero.
//
// From the client
//   1, 2  command and resolve: a draft record as it will stand in the log (`record/record.ts`), with the request number in
//         the place of the term (12 u32) and the client's patience in milliseconds in that of the index (16 u64)
//   64    hello      8: msgpack [protocol min, protocol max, name, token | null]
//   65    read       flags: consistency · 8 u32 number · 12 u32 patience in ms · 16 u64 least index, or of a stale read
//                    the most age in ms, 0 for any · 24 u64 least revision
//                    32: the question, in the machine's language
//   66    scan       as read; the answer comes as pages
//   67    credit     8 u32 number of the scan or watch · 12 u32 bytes that may now be sent
//   68    cancel     8 u32 number of the scan or watch
//   69    ping       8 u32 number
//   70    admin      in `wire/admin.ts`
//   71    watch      in `wire/watch.ts`
// From the node
//   80    welcome    8: msgpack [protocol, cluster id, node id, cluster time, leader | null, [[id, address], ...],
//                    request bytes max]; sent again, as news, whenever leader or members change
//   81    applied    flags: 1 = outcomes follow · 8 u32 number · 12 u32 term · 16 u64 index · 24 u64 first revision
//                    32: msgpack, per command null or [status, revision, answer | null], and 1 at the end where the answer
//                    was too large to be kept for a retry
//   82    refused    8: msgpack [number, code number, 0 not applied | 1 unknown, text, retry after ms | null]
//   83    answered   flags: consistency served · 8 u32 number · 12 u32 term · 16 u64 index it was served at · 24 u64 age in ms
//                    32: the answer, in the machine's language
//   84    page       flags: 1 = last · 8 u32 number of the scan · 12: the page, in the machine's language
//   85    pong       8 u32 number
//   86    settled    in `wire/admin.ts`
//   87    events, 88 entries, 89 progress: in `wire/watch.ts`
import { readU32, readU64, writeU32, writeU64 } from '../base/bytes.ts'
import { codeOfNumber, type ErrorCode, type Fate, numberOfCode, StrettoError } from '../base/errors.ts'
import type { Verdict } from '../machine/answer.ts'
import { type Packed, pack, unpack } from '../record/pack.ts'

export const clientProtocol = { min: 1, max: 1 } as const
export const clientSubprotocol = 'stretto.v1'
export const frameHeaderBytes = 8
export const questionHeadBytes = 32
export const appliedHeadBytes = 32
/** A message from a client: the largest record and a little room for what shares it. */
export const clientMessageBytesMax = 2_097_152

export const frameKind = {
  command: 1,
  resolve: 2,
  hello: 64,
  read: 65,
  scan: 66,
  credit: 67,
  cancel: 68,
  ping: 69,
  admin: 70,
  watch: 71,
  welcome: 80,
  applied: 81,
  refused: 82,
  answered: 83,
  page: 84,
  pong: 85,
  settled: 86,
  events: 87,
  entries: 88,
  progress: 89
} as const

/** In the order of their numbers on the wire. */
export const consistencies = ['linearizable', 'lease', 'session', 'stale'] as const
export type Consistency = (typeof consistencies)[number]

/** Splits a message into its frames; null where the lengths do not add up. */
export function framesOf(message: Uint8Array): Uint8Array[] | null {
  const frames = []
  let at = 0
  while (at < message.length) {
    if (at + frameHeaderBytes > message.length) return null
    const length = readU32(message, at)
    if (length < frameHeaderBytes || at + length > message.length) return null
    frames.push(message.subarray(at, at + length))
    at += length
  }
  return frames
}

export interface Hello {
  readonly protocolMin: number
  readonly protocolMax: number
  readonly name: string
  readonly token: string | null
}

export function writeHello(hello: Hello): Uint8Array {
  return packedFrame(frameKind.hello, [hello.protocolMin, hello.protocolMax, hello.name, hello.token])
}

export function readHello(frame: Uint8Array): Hello {
  const [protocolMin, protocolMax, name, token] = unpackedFrame(frame)
  if (!isCount(protocolMin) || !isCount(protocolMax) || typeof name !== 'string') throw malformed('hello')
  if (token !== null && typeof token !== 'string') throw malformed('hello')
  return { protocolMin, protocolMax, name, token }
}

export interface Question {
  readonly scan: boolean
  readonly number: number
  readonly consistency: Consistency
  readonly patienceMs: number
  /** The node must have applied at least this index, and the machine be at least at this revision. */
  readonly leastIndex: number
  readonly leastRevision: number
  /** Of a stale read, which has no least index: how long ago, in ms, the node may have heard of a leader; 0 for any time. */
  readonly maxAgeMs: number
  readonly body: Uint8Array
}

export function writeQuestion(question: Question): Uint8Array {
  const frame = startFrame(question.scan ? frameKind.scan : frameKind.read, questionHeadBytes + question.body.length)
  frame[5] = consistencies.indexOf(question.consistency)
  writeU32(frame, 8, question.number)
  writeU32(frame, 12, question.patienceMs)
  writeU64(frame, 16, question.consistency === 'stale' ? question.maxAgeMs : question.leastIndex)
  writeU64(frame, 24, question.leastRevision)
  frame.set(question.body, questionHeadBytes)
  return frame
}

export function readQuestion(frame: Uint8Array): Question {
  const consistency = consistencies[frame[5]!]
  if (frame.length < questionHeadBytes || consistency === undefined) throw malformed('read')
  const least = readU64(frame, 16)
  const leastRevision = readU64(frame, 24)
  if (!Number.isSafeInteger(least) || !Number.isSafeInteger(leastRevision)) throw malformed('read')
  return {
    scan: frame[4] === frameKind.scan,
    number: readU32(frame, 8),
    consistency,
    patienceMs: readU32(frame, 12),
    leastIndex: consistency === 'stale' ? 0 : least,
    maxAgeMs: consistency === 'stale' ? least : 0,
    leastRevision,
    body: frame.subarray(questionHeadBytes)
  }
}

/** A credit, cancel, ping or pong: a number, and for credit a second one. */
export function writeSmall(kind: number, number: number, amount = 0): Uint8Array {
  const frame = startFrame(kind, 16)
  writeU32(frame, 8, number)
  writeU32(frame, 12, amount)
  return frame
}

export function readSmall(frame: Uint8Array): { readonly number: number; readonly amount: number } {
  if (frame.length !== 16) throw malformed('small')
  return { number: readU32(frame, 8), amount: readU32(frame, 12) }
}

export interface Welcome {
  readonly protocol: number
  readonly clusterId: string
  readonly nodeId: string
  readonly clusterTime: number
  readonly leader: string | null
  readonly members: readonly { readonly id: string; readonly address: string }[]
  readonly requestBytesMax: number
}

export function writeWelcome(welcome: Welcome): Uint8Array {
  const members = welcome.members.map(member => [member.id, member.address])
  const { protocol, clusterId, nodeId, clusterTime, leader, requestBytesMax } = welcome
  return packedFrame(frameKind.welcome, [protocol, clusterId, nodeId, clusterTime, leader, members, requestBytesMax])
}

export function readWelcome(frame: Uint8Array): Welcome {
  const [protocol, clusterId, nodeId, clusterTime, leader, members, requestBytesMax] = unpackedFrame(frame)
  if (!isCount(protocol) || typeof clusterId !== 'string' || typeof nodeId !== 'string') throw malformed('welcome')
  if (!isCount(clusterTime) || !(leader === null || typeof leader === 'string')) throw malformed('welcome')
  if (!Array.isArray(members) || !isCount(requestBytesMax)) throw malformed('welcome')
  const read = members.map(member => {
    if (!Array.isArray(member)) throw malformed('welcome')
    const [id, address] = member as Packed[]
    if (typeof id !== 'string' || typeof address !== 'string') throw malformed('welcome')
    return { id, address }
  })
  return { protocol, clusterId, nodeId, clusterTime, leader, members: read, requestBytesMax }
}

/** The answer to a command or resolve record that is in the log and applied. */
export interface Applied {
  readonly number: number
  readonly term: number
  readonly index: number
  /** Revision after the first command. */
  readonly revision: number
  /** Null: every command was executed and has nothing to say but its revision, which rises by one each. */
  readonly each: readonly (Verdict | null)[] | null
}

export function writeApplied(applied: Applied): Uint8Array {
  const each = applied.each === null ? null : pack(applied.each.map(packOutcome))
  const frame = startFrame(frameKind.applied, appliedHeadBytes + (each?.length ?? 0))
  frame[5] = each === null ? 0 : 1
  writeU32(frame, 8, applied.number)
  writeU32(frame, 12, applied.term)
  writeU64(frame, 16, applied.index)
  writeU64(frame, 24, applied.revision)
  if (each !== null) frame.set(each, appliedHeadBytes)
  return frame
}

export function readApplied(frame: Uint8Array): Applied {
  if (frame.length < appliedHeadBytes) throw malformed('applied')
  const each = frame[5] === 0 ? null : unpack(frame.subarray(appliedHeadBytes))
  if (each !== null && !Array.isArray(each)) throw malformed('applied')
  return {
    number: readU32(frame, 8),
    term: readU32(frame, 12),
    index: readU64(frame, 16),
    revision: readU64(frame, 24),
    each: each === null ? null : (each as Packed[]).map(readOutcome)
  }
}

function packOutcome(outcome: Verdict | null): Packed {
  if (outcome === null) return null
  const { status, revision, answer } = outcome
  return outcome.gone === true ? [status, revision, answer, 1] : [status, revision, answer]
}

function readOutcome(value: Packed): Verdict | null {
  if (value === null) return null
  if (!Array.isArray(value)) throw malformed('applied')
  const [status, revision, answer, gone] = value as Packed[]
  if (!isCount(status) || !isCount(revision)) throw malformed('applied')
  if (answer !== null && !(answer instanceof Uint8Array)) throw malformed('applied')
  return gone === 1 ? { status, revision, answer, gone: true } : { status, revision, answer }
}

/** A request that was not answered, and what that means for it. */
export interface Refused {
  readonly number: number
  readonly code: ErrorCode
  readonly fate: Fate
  readonly text: string
  readonly retryAfterMs: number | null
}

export function writeRefused(refused: Refused): Uint8Array {
  const { number, code, fate, text, retryAfterMs } = refused
  return packedFrame(frameKind.refused, [number, numberOfCode(code), fate === 'unknown' ? 1 : 0, text, retryAfterMs])
}

export function readRefused(frame: Uint8Array): Refused {
  const [number, code, fate, text, retryAfterMs] = unpackedFrame(frame)
  if (!isCount(number) || !isCount(code) || typeof text !== 'string') throw malformed('refused')
  if (retryAfterMs !== null && !isCount(retryAfterMs)) throw malformed('refused')
  return { number, code: codeOfNumber(code), fate: fate === 0 ? 'not-applied' : 'unknown', text, retryAfterMs }
}

/** The answer to a read, and what it was served from. */
export interface Answered {
  readonly number: number
  readonly consistency: Consistency
  readonly term: number
  readonly index: number
  /** How long ago this node last knew itself level with a leader; 0 for a linearizable read. */
  readonly ageMs: number
  readonly body: Uint8Array
}

export function writeAnswered(answered: Answered): Uint8Array {
  const frame = startFrame(frameKind.answered, questionHeadBytes + answered.body.length)
  frame[5] = consistencies.indexOf(answered.consistency)
  writeU32(frame, 8, answered.number)
  writeU32(frame, 12, answered.term)
  writeU64(frame, 16, answered.index)
  writeU64(frame, 24, answered.ageMs)
  frame.set(answered.body, questionHeadBytes)
  return frame
}

export function readAnswered(frame: Uint8Array): Answered {
  const consistency = consistencies[frame[5]!]
  if (frame.length < questionHeadBytes || consistency === undefined) throw malformed('answered')
  return {
    number: readU32(frame, 8),
    consistency,
    term: readU32(frame, 12),
    index: readU64(frame, 16),
    ageMs: readU64(frame, 24),
    body: frame.subarray(questionHeadBytes)
  }
}

export interface Page {
  readonly number: number
  readonly last: boolean
  readonly body: Uint8Array
}

export function writePage(page: Page): Uint8Array {
  const frame = startFrame(frameKind.page, 12 + page.body.length)
  frame[5] = page.last ? 1 : 0
  writeU32(frame, 8, page.number)
  frame.set(page.body, 12)
  return frame
}

export function readPage(frame: Uint8Array): Page {
  if (frame.length < 12) throw malformed('page')
  return { number: readU32(frame, 8), last: frame[5] === 1, body: frame.subarray(12) }
}

/** A frame of this kind and length, with zeros after its first bytes. */
export function startFrame(kind: number, length: number): Uint8Array {
  const frame = new Uint8Array(length)
  writeU32(frame, 0, length)
  frame[4] = kind
  return frame
}

function packedFrame(kind: number, value: readonly Packed[]): Uint8Array {
  const body = pack(value)
  const frame = startFrame(kind, frameHeaderBytes + body.length)
  frame.set(body, frameHeaderBytes)
  return frame
}

function unpackedFrame(frame: Uint8Array): readonly Packed[] {
  const value = unpack(frame.subarray(frameHeaderBytes))
  if (!Array.isArray(value)) throw malformed('packed')
  return value as Packed[]
}

function isCount(value: Packed | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function malformed(what: string): StrettoError {
  return new StrettoError('BAD_REQUEST', `a malformed ${what} frame`)
}
