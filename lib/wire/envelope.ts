// An envelope as bytes: a packed header, then the blocks of an append exactly as they are on disk.
//
//    0  u8   frame kind
//    1  u8   0
//    2  u16  group, 0
//    4  u32  length of the header
//    8       header: [from, to, term, kind, fields of the kind ...]
//            blocks, back to back, each beginning with its own length
//
//   kind  fields
//   1 vote              pre, force, round, last.term, last.index
//   2 vote-reply        pre, round, granted, reason (0 none, 1 self, 2 log, 3 leader, 4 voted)
//   3 append            prev.term, prev.index, commit, round, time, number of blocks
//   4 append-reply      match, round, leaseMs, null or [probed index, hint.term, hint.index]
//   5 timeout-now
//   6 read-index        number
//   7 read-index-reply  number, index or null
//   8 snapshot          last.term, last.index, last.chain, membership (bytes), machine version, size, hash
//   9 snapshot-reply    installed

import { assert, unreachable } from '../base/assert.ts'
import { readU16, readU32, writeU32 } from '../base/bytes.ts'
import { appendBlocksMax, type Envelope, type Message, type Reject } from '../raft/message.ts'
import type { Block, SnapshotMeta } from '../raft/types.ts'
import { blockHeaderBytes, readBlock } from '../record/block.ts'
import { readMembership, writeMembership } from '../record/membership.ts'
import { type Packed, pack } from '../record/pack.ts'
import { Fields, fault } from './fields.ts'
import { versionMax } from './version.ts'

const prefixBytes = 8
const membershipBytesMax = 65_536

const reasons = [null, 'self', 'log', 'leader', 'voted'] as const
const noBlocks: readonly Block[] = []
const u32Max = 0xffff_ffff

/** The frame of an envelope; `frameKind` becomes its first byte. Blocks are copied into it, nothing is encoded again. */
export function writeEnvelope(frameKind: number, envelope: Envelope): Uint8Array {
  const { from, to, term, message } = envelope
  const head = pack([from, to, term, ...fieldsOf(message)], prefixBytes)
  head.fill(0, 0, prefixBytes)
  head[0] = frameKind
  writeU32(head, 4, head.length - prefixBytes)
  if (message.kind !== 'append' || message.blocks.length === 0) return head
  let length = head.length
  for (const block of message.blocks) length += block.bytes.length
  const frame = Buffer.allocUnsafeSlow(length)
  frame.set(head)
  let at = head.length
  for (const block of message.blocks) {
    frame.set(block.bytes, at)
    at += block.bytes.length
  }
  return frame
}

/**
 * The envelope in a frame. Blocks are copied out of `frame` together, all else is small values, so nothing pins it.
 * @throws StrettoError BAD_REQUEST for bytes that are no envelope, whatever they are
 */
export function readEnvelope(frame: Uint8Array): Envelope {
  if (frame.length < prefixBytes || frame[1] !== 0 || readU16(frame, 2) !== 0) throw fault('a malformed envelope')
  const headEnd = prefixBytes + readU32(frame, 4)
  if (headEnd > frame.length) throw fault('an envelope shorter than its header')
  const fields = Fields.of(frame.subarray(prefixBytes, headEnd))
  const from = fields.memberKey()
  const to = fields.memberKey()
  const term = fields.term()
  const message = readMessage(fields, frame.subarray(headEnd))
  fields.end()
  if (message.kind !== 'append' && headEnd !== frame.length) throw fault('bytes after a message')
  return { from, to, term, message }
}

function fieldsOf(message: Message): Packed[] {
  switch (message.kind) {
    case 'vote':
      return [1, message.pre, message.force, message.round, message.last.term, message.last.index]
    case 'vote-reply':
      return [2, message.pre, message.round, message.granted, reasons.indexOf(message.reason)]
    case 'append': {
      const { prev, commit, round, time, blocks } = message
      assert(blocks.length <= appendBlocksMax, 'an append holds no more blocks than its receiver takes')
      return [3, prev.term, prev.index, commit, round, time, blocks.length]
    }
    case 'append-reply': {
      const { reject } = message
      const packed = reject === null ? null : [reject.index, reject.hint.term, reject.hint.index]
      return [4, message.match, message.round, message.leaseMs, packed]
    }
    case 'timeout-now':
      return [5]
    case 'read-index':
      return [6, message.number]
    case 'read-index-reply':
      return [7, message.number, message.index]
    case 'snapshot': {
      const { last, membership, machineVersion, size, hash } = message.meta
      return [8, last.term, last.index, last.chain, writeMembership(membership), machineVersion, size, hash]
    }
    case 'snapshot-reply':
      return [9, message.installed]
    default:
      return unreachable(message)
  }
}

function readMessage(fields: Fields, blocks: Uint8Array): Message {
  switch (fields.integer()) {
    case 1: {
      const pre = fields.boolean()
      const force = fields.boolean()
      return { kind: 'vote', pre, force, round: fields.integer(), last: fields.logId() }
    }
    case 2: {
      const pre = fields.boolean()
      const round = fields.integer()
      const granted = fields.boolean()
      return { kind: 'vote-reply', pre, round, granted, reason: reasons[fields.integer(reasons.length - 1)]! }
    }
    case 3: {
      const prev = fields.logId()
      const commit = fields.integer()
      const round = fields.integer()
      const time = fields.integer()
      return { kind: 'append', prev, blocks: readBlocks(blocks, fields.integer(appendBlocksMax)), commit, round, time }
    }
    case 4: {
      const match = fields.integer()
      const round = fields.integer()
      const leaseMs = fields.integer(u32Max)
      return { kind: 'append-reply', match, reject: readReject(fields.next()), round, leaseMs }
    }
    case 5:
      return { kind: 'timeout-now' }
    case 6:
      return { kind: 'read-index', number: fields.integer() }
    case 7:
      return { kind: 'read-index-reply', number: fields.integer(), index: fields.nullOr(() => fields.integer()) }
    case 8:
      return { kind: 'snapshot', meta: readMeta(fields) }
    case 9:
      return { kind: 'snapshot-reply', installed: fields.integer() }
    default:
      throw fault('a message of unknown kind')
  }
}

function readReject(value: Packed | undefined): Reject | null {
  if (value === null) return null
  const fields = new Fields(value)
  const reject = { index: fields.integer(), hint: fields.logId() }
  fields.end()
  return reject
}

function readMeta(fields: Fields): SnapshotMeta {
  return {
    last: { ...fields.logId(), chain: fields.integer(u32Max) },
    membership: readMembership(fields.bytes(1, membershipBytesMax)),
    machineVersion: fields.integer(versionMax),
    size: fields.integer(),
    hash: fields.integer(u32Max)
  }
}

/** One copy for all of them: the blocks of a message live and are let go of together. */
function readBlocks(received: Uint8Array, count: number): readonly Block[] {
  if (count === 0) {
    if (received.length !== 0) throw fault('bytes after a message')
    return noBlocks
  }
  const own = Buffer.allocUnsafeSlow(received.length)
  own.set(received)
  const blocks: Block[] = []
  let at = 0
  for (let number = 0; number < count; number++) {
    if (own.length - at < blockHeaderBytes) throw fault('an append shorter than its blocks')
    const end = at + readU32(own, at)
    const block = end > own.length ? null : readBlock(own.subarray(at, end))
    if (block === null || block.group !== 0) throw fault('a malformed block')
    blocks.push(block)
    at = end
  }
  if (at !== own.length) throw fault('bytes after the last block')
  return blocks
}
