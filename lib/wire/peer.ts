// Frames between nodes: one WebSocket binary message each, at most 16 MiB. The first byte is the kind.
//
//   1 hello     msgpack [version lowest, version highest, cluster id, from, to or null, boot, machine lowest, machine highest,
//               nonce, priority]. Cluster id: 32 hexadecimal digits, or empty while the cluster is being founded. Nonce: 16 bytes.
//               Priority: 0 to 1000; it may be missing, and is 100 then.
//               A hello may grow at its end; its first two fields never change.
//   2 proof     32 bytes: HMAC-SHA256 over both hellos, see transport/handshake.ts
//   3 refusal   msgpack [code, text]: why the sender closes the link next. Codes: refusalCodes below, counted from 0.
//   4 envelope  layout in wire/envelope.ts
//   5 request   u32 number, then the bytes of a forwarded client request
//   6 answer    u32 number of the request or chunk, u8 status, then the answer. Status 0: done; else an error code of
//               base/errors.ts, and the answer is its text in UTF-8.
//   7 tell      msgpack [list, view]: list [[id, address], ...] as configured, view [[id, incarnation], ...] as heard so far
//   8 founded   msgpack membership of the founding, layout in record/membership.ts
//   9 chunk     u32 number, u32 length of the header, header, then bytes of a snapshot.
//               Header: msgpack [last.term, last.index, offset, whether it is the last]
//
// Only hello, proof and refusal are decoded before both sides have proven that they know the peer secret.
import { unreachable } from '../base/assert.ts'
import { concatBytes, readU32, writeU32 } from '../base/bytes.ts'
import { codeOfNumber, type ErrorCode, numberOfCode } from '../base/errors.ts'
import type { Envelope } from '../raft/message.ts'
import type { LogId, MemberKey, Membership, NodeId } from '../raft/types.ts'
import { incarnationPattern, nodeIdPattern, readMembership, writeMembership } from '../record/membership.ts'
import { pack } from '../record/pack.ts'
import { readEnvelope, writeEnvelope } from './envelope.ts'
import { Fields, fault } from './fields.ts'
import { type VersionRange, versionMax } from './version.ts'

/** Largest message between nodes. */
export const peerMessageBytesMax = 16_777_216
/** Largest frame before both sides have proven themselves. */
export const greetingFrameBytesMax = 1024
export const proofBytes = 32
export const nonceBytes = 16
/** Snapshots travel in pieces of this size, so that a heartbeat never waits behind more than a few of them. */
export const chunkBytesMax = 65_536
export const priorityMax = 1000
/** Nodes that a cluster may be founded with. */
export const foundersMax = 64

export const frameKind = {
  hello: 1,
  proof: 2,
  refusal: 3,
  envelope: 4,
  request: 5,
  answer: 6,
  tell: 7,
  founded: 8,
  chunk: 9
} as const

/** In the order of their numbers; the list only grows at its end. `refused` also stands for what a newer version adds. */
export const refusalCodes = [
  'refused',
  'foreign-cluster',
  'unknown-version',
  'wrong-secret',
  'copied-directory',
  'other-member',
  'not-founded',
  'founded',
  'cluster-differs',
  'bad-frame',
  'duplicate',
  'overloaded'
] as const

export type RefusalCode = (typeof refusalCodes)[number]

export interface Refusal {
  readonly code: RefusalCode
  /** One line for people. */
  readonly text: string
}

export interface Hello {
  readonly protocol: VersionRange
  /** Empty while the cluster is being founded. */
  readonly clusterId: string
  readonly from: MemberKey
  /** Whom the sender believes to talk to; null when it cannot know yet. */
  readonly to: MemberKey | null
  readonly boot: number
  readonly machine: VersionRange
  readonly nonce: Uint8Array
  /** Absent where the hello ends before it. */
  readonly priority?: number
}

/** What a node that is being founded says of what it knows. */
export interface Tell {
  /** The configured cluster, sorted by id. */
  readonly list: readonly { readonly id: NodeId; readonly address: string }[]
  /** The incarnations heard so far, its own among them, sorted by id. */
  readonly view: readonly { readonly id: NodeId; readonly incarnation: string }[]
}

/** A piece of a snapshot. */
export interface Chunk {
  readonly number: number
  /** The last record that the snapshot contains. */
  readonly last: LogId
  readonly offset: number
  /** No further piece follows. */
  readonly end: boolean
  readonly bytes: Uint8Array
}

export type PeerFrame =
  | { readonly kind: 'hello'; readonly hello: Hello }
  | { readonly kind: 'proof'; readonly proof: Uint8Array }
  | { readonly kind: 'refusal'; readonly refusal: Refusal }
  | { readonly kind: 'envelope'; readonly envelope: Envelope }
  | { readonly kind: 'request'; readonly number: number; readonly bytes: Uint8Array }
  /** `error` null: done. */
  | { readonly kind: 'answer'; readonly number: number; readonly error: ErrorCode | null; readonly bytes: Uint8Array }
  | { readonly kind: 'tell'; readonly tell: Tell }
  | { readonly kind: 'founded'; readonly membership: Membership }
  | { readonly kind: 'chunk'; readonly chunk: Chunk }

const clusterIdPattern = /^(?:[0-9a-f]{32})?$/
/** Printable, so that what another side says can be put into a line of a log. */
const linePattern = /^[\x20-\x7e]{0,300}$/
const addressPattern = /^[\x21-\x7e]{1,300}$/
const chunkHeaderBytesMax = 64

export function writePeerFrame(frame: PeerFrame): Uint8Array {
  switch (frame.kind) {
    case 'hello': {
      const { protocol, clusterId, from, to, boot, machine, nonce, priority } = frame.hello
      return packed(frameKind.hello, [
        protocol[0],
        protocol[1],
        clusterId,
        from,
        to,
        boot,
        machine[0],
        machine[1],
        nonce,
        ...(priority === undefined ? [] : [priority])
      ])
    }
    case 'proof':
      return concatBytes([Uint8Array.of(frameKind.proof), frame.proof])
    case 'refusal':
      return packed(frameKind.refusal, [refusalCodes.indexOf(frame.refusal.code), printable(frame.refusal.text)])
    case 'envelope':
      return writeEnvelope(frameKind.envelope, frame.envelope)
    case 'request':
      return numbered(frameKind.request, frame.number, 5, frame.bytes)
    case 'answer': {
      const bytes = numbered(frameKind.answer, frame.number, 6, frame.bytes)
      bytes[5] = frame.error === null ? 0 : numberOfCode(frame.error)
      return bytes
    }
    case 'tell': {
      const list = frame.tell.list.map(node => [node.id, node.address])
      return packed(frameKind.tell, [list, frame.tell.view.map(node => [node.id, node.incarnation])])
    }
    case 'founded':
      return concatBytes([Uint8Array.of(frameKind.founded), writeMembership(frame.membership)])
    case 'chunk': {
      const { number, last, offset, end, bytes } = frame.chunk
      const header = pack([last.term, last.index, offset, end])
      const whole = numbered(frameKind.chunk, number, 9, concatBytes([header, bytes]))
      writeU32(whole, 5, header.length)
      return whole
    }
    default:
      return unreachable(frame)
  }
}

/**
 * The frame in `bytes`, which may be reused afterwards: what is kept of them is copied.
 * @throws StrettoError BAD_REQUEST for bytes that are no frame, whatever they are
 */
export function readPeerFrame(bytes: Uint8Array): PeerFrame {
  if (bytes.length === 0 || bytes.length > peerMessageBytesMax) throw fault('a frame of impossible length')
  const kind: number = bytes[0]!
  switch (kind) {
    case frameKind.hello:
      return { kind: 'hello', hello: readHello(bytes) }
    case frameKind.proof:
      if (bytes.length !== 1 + proofBytes) throw fault('a proof of the wrong length')
      return { kind: 'proof', proof: own(bytes, 1) }
    case frameKind.refusal:
      return { kind: 'refusal', refusal: readRefusal(bytes) }
    case frameKind.envelope:
      return { kind: 'envelope', envelope: readEnvelope(bytes) }
    case frameKind.request:
      if (bytes.length < 5) throw fault('a request without its number')
      return { kind: 'request', number: readU32(bytes, 1), bytes: own(bytes, 5) }
    case frameKind.answer: {
      if (bytes.length < 6) throw fault('an answer without its number')
      const error = bytes[5] === 0 ? null : codeOfNumber(bytes[5]!)
      return { kind: 'answer', number: readU32(bytes, 1), error, bytes: own(bytes, 6) }
    }
    case frameKind.tell:
      return { kind: 'tell', tell: readTell(bytes) }
    case frameKind.founded:
      return { kind: 'founded', membership: readMembership(bytes.subarray(1)) }
    case frameKind.chunk:
      return { kind: 'chunk', chunk: readChunk(bytes) }
    default:
      throw fault('a frame of unknown kind')
  }
}

/**
 * The protocol versions that a hello offers: readable whatever else a later version puts into it.
 * @throws StrettoError BAD_REQUEST
 */
export function readHelloVersions(bytes: Uint8Array): VersionRange {
  return readVersions(Fields.of(bytes.subarray(1)))
}

/** Not exact about the end, so that a later version may add to it. */
function readHello(bytes: Uint8Array): Hello {
  const fields = Fields.of(bytes.subarray(1))
  const protocol = readVersions(fields)
  const clusterId = fields.text(clusterIdPattern)
  const from = fields.memberKey()
  const to = fields.nullOr(() => fields.memberKey())
  const boot = fields.integer()
  const machine = readVersions(fields)
  const nonce = own(fields.bytes(nonceBytes, nonceBytes), 0)
  const hello = { protocol, clusterId, from, to, boot, machine, nonce }
  return fields.left === 0 ? hello : { ...hello, priority: fields.integer(priorityMax) }
}

function readVersions(fields: Fields): VersionRange {
  const lowest = fields.integer(versionMax)
  const highest = fields.integer(versionMax)
  if (lowest > highest) throw fault('a range of versions that is none')
  return [lowest, highest]
}

function readRefusal(bytes: Uint8Array): Refusal {
  const fields = Fields.of(bytes.subarray(1))
  const code = refusalCodes[fields.integer()] ?? 'refused'
  const text = fields.text(linePattern)
  fields.end()
  return { code, text }
}

function readTell(bytes: Uint8Array): Tell {
  const fields = Fields.of(bytes.subarray(1))
  const list = fields.list(foundersMax).map(value => {
    const node = new Fields(value)
    const read = { id: node.text(nodeIdPattern), address: node.text(addressPattern) }
    node.end()
    return read
  })
  const view = fields.list(foundersMax).map(value => {
    const node = new Fields(value)
    const read = { id: node.text(nodeIdPattern), incarnation: node.text(incarnationPattern) }
    node.end()
    return read
  })
  fields.end()
  return { list, view }
}

function readChunk(bytes: Uint8Array): Chunk {
  if (bytes.length < 9) throw fault('a chunk without its number')
  const headerLength = readU32(bytes, 5)
  const at = 9 + headerLength
  if (headerLength > chunkHeaderBytesMax || at > bytes.length) throw fault('a chunk shorter than its header')
  if (bytes.length - at > chunkBytesMax) throw fault('a chunk above the limit')
  const fields = Fields.of(bytes.subarray(9, at))
  const chunk = { last: fields.logId(), offset: fields.integer(), end: fields.boolean() }
  fields.end()
  return { number: readU32(bytes, 1), ...chunk, bytes: own(bytes, at) }
}

function packed(kind: number, value: Parameters<typeof pack>[0]): Uint8Array {
  const bytes = pack(value, 1)
  bytes[0] = kind
  return bytes
}

function numbered(kind: number, number: number, headBytes: number, tail: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(headBytes + tail.length)
  bytes[0] = kind
  writeU32(bytes, 1, number)
  bytes.set(tail, headBytes)
  return bytes
}

function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 300)
}

/** A copy from `at` on that shares memory with nothing. */
function own(bytes: Uint8Array, at: number): Uint8Array {
  const copy = new Uint8Array(bytes.length - at)
  copy.set(bytes.subarray(at))
  return copy
}
