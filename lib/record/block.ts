// A block: consecutive records of one term, cut once by the leader, with a CRC that is chained to the block before it.
//
//    0  u32  length of the whole block
//    4  u16  format, 1
//    6  u16  group
//    8  u32  chain: CRC-32 of bytes 12 to the end, begun with the chain value of the block before
//   12  u32  term
//   16  u64  index of the first record
//   24  u32  number of records
//   28  u32  chain value of the block before
//   32       the records, back to back
import { crc32 } from 'node:zlib'
import { assert } from '../base/assert.ts'
import { readU16, readU32, readU64, writeU16, writeU32, writeU64 } from '../base/bytes.ts'
import type { Block, ChainedId, Membership, Term } from '../raft/types.ts'
import { readMembership } from './membership.ts'
import { blockHeaderBytes, recordAt, recordBytesMax, recordHeaderBytes, recordKind } from './record.ts'

export { blockHeaderBytes } from './record.ts'

export const blockFormat = 1
/** A block is cut at this size; one record may exceed it alone. */
export const blockBytesMax = 262_144
export const blockRecordsMax = 65_536

const blockAt = { length: 0, format: 4, group: 6, chain: 8, term: 12, first: 16, count: 24, previous: 28 } as const

/**
 * Stamps `drafts` (whole records without stamp, in order) with term, index and cluster time, and joins them to a block
 * that follows `previous`. The drafts are copied, so their buffers are free afterwards.
 */
export function cutBlock(
  group: number,
  term: Term,
  previous: ChainedId,
  time: number,
  drafts: readonly Uint8Array[]
): Block {
  let length = blockHeaderBytes
  for (const draft of drafts) length += draft.length
  const bytes = Buffer.allocUnsafeSlow(length)
  const first = previous.index + 1
  let at = blockHeaderBytes
  let index = first
  for (const draft of drafts) {
    bytes.set(draft, at)
    const end = at + draft.length
    writeU16(bytes, at + recordAt.group, group)
    writeU32(bytes, at + recordAt.term, term)
    writeU64(bytes, at + recordAt.index, index)
    writeU64(bytes, at + recordAt.time, time)
    writeU32(bytes, at + recordAt.crc, crc32(bytes.subarray(at + recordAt.term, end)))
    at = end
    index++
  }
  writeU32(bytes, blockAt.length, length)
  writeU16(bytes, blockAt.format, blockFormat)
  writeU16(bytes, blockAt.group, group)
  writeU32(bytes, blockAt.term, term)
  writeU64(bytes, blockAt.first, first)
  writeU32(bytes, blockAt.count, drafts.length)
  writeU32(bytes, blockAt.previous, previous.chain)
  const chain = crc32(bytes.subarray(blockAt.term), previous.chain)
  writeU32(bytes, blockAt.chain, chain)
  const block = {
    group,
    first,
    count: drafts.length,
    term,
    previousChain: previous.chain,
    chain,
    bytes,
    membership: membershipOf(bytes, drafts.length)
  }
  assert(drafts.length > 0 && drafts.length <= blockRecordsMax, 'a block holds at least one record and not too many')
  return block
}

/**
 * Reads a block from `bytes`, which hold it and nothing else; null unless every length, number and check value in it
 * agrees. Record CRCs are covered by the chain and checked only where a record is read alone.
 */
export function readBlock(bytes: Uint8Array): Block | null {
  if (bytes.length < blockHeaderBytes + recordHeaderBytes) return null
  if (readU32(bytes, blockAt.length) !== bytes.length || readU16(bytes, blockAt.format) !== blockFormat) return null
  const previousChain = readU32(bytes, blockAt.previous)
  const chain = readU32(bytes, blockAt.chain)
  if (crc32(bytes.subarray(blockAt.term), previousChain) !== chain) return null
  const first = readU64(bytes, blockAt.first)
  const count = readU32(bytes, blockAt.count)
  const term = readU32(bytes, blockAt.term)
  if (count === 0 || count > blockRecordsMax || first === 0 || !Number.isSafeInteger(first + count)) return null
  if (!recordsFit(bytes, first, count)) return null
  let membership: Membership | null
  try {
    membership = membershipOf(bytes, count)
  } catch {
    return null
  }
  return { group: readU16(bytes, blockAt.group), first, count, term, previousChain, chain, bytes, membership }
}

/** Offsets of the records of a block, in order, and at the end the length of the block. */
export function recordOffsets(block: Block): number[] {
  const offsets = []
  let at = blockHeaderBytes
  for (let number = 0; number < block.count; number++) {
    offsets.push(at)
    at += readU32(block.bytes, at)
  }
  offsets.push(at)
  return offsets
}

/** Records that fill the block exactly, each stamped as the header says; the group, which no CRC covers, among it. */
function recordsFit(bytes: Uint8Array, first: number, count: number): boolean {
  const term = readU32(bytes, blockAt.term)
  const group = readU16(bytes, blockAt.group)
  let at = blockHeaderBytes
  for (let number = 0; number < count; number++) {
    if (at + recordHeaderBytes > bytes.length) return false
    const length = readU32(bytes, at)
    if (length < recordHeaderBytes || length > recordBytesMax || at + length > bytes.length) return false
    if (readU64(bytes, at + recordAt.index) !== first + number) return false
    if (readU32(bytes, at + recordAt.term) !== term || readU16(bytes, at + recordAt.group) !== group) return false
    at += length
  }
  return at === bytes.length
}

function membershipOf(bytes: Uint8Array, count: number): Membership | null {
  if (count !== 1 || bytes[blockHeaderBytes + recordAt.kind] !== recordKind.membership) return null
  return readMembership(bytes.subarray(blockHeaderBytes + recordHeaderBytes))
}
