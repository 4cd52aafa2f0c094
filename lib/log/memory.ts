// What a node must not forget, as bytes: one slot of the small file beside the log.
//
//    0  u32  CRC-32 of bytes 4 to the end
//    4  u16  format, 1          (CRC, format and length keep their places in every later format)
//    6  u16  length in all, at most 512
//    8  u64  sequence number: the newer of two sound slots counts
//   16  u64  boot number
//   24  u32  term
//   28  u32  mark: term
//   32  u64  mark: index
//   40  u32  mark: chain value
//   44  8 B  incarnation
//   52  u8   1 when founded, else 0
//   53  16 B cluster id, zeros until founded
//   69  u8 and text: node id
//       u8 and text: member voted for, empty for none
import { crc32 } from 'node:zlib'
import { assert } from '../base/assert.ts'
import { fromHex, readU16, readU32, readU64, toHex, writeU16, writeU32, writeU64 } from '../base/bytes.ts'
import type { ChainedId } from '../raft/types.ts'
import type { Memory } from './slots.ts'

/** A sector: what a disk writes whole or not at all. */
export const slotBytesMax = 512

const format = 1
const at = {
  crc: 0,
  format: 4,
  length: 6,
  sequence: 8,
  boot: 16,
  term: 24,
  markTerm: 28,
  markIndex: 32,
  markChain: 40,
  incarnation: 44,
  founded: 52,
  cluster: 53,
  id: 69
} as const

/** A slot as read; `newer`: sound, but written in a format of a later version. */
export type SlotContent = { readonly sequence: number; readonly memory: Memory } | 'newer' | null

/** Fills `slot`, of `slotBytesMax` bytes, with `memory`, and zeros after it. */
export function writeMemory(slot: Uint8Array, memory: Memory, sequence: number): void {
  assert(slot.length === slotBytesMax, 'a slot is one sector')
  slot.fill(0)
  writeU16(slot, at.format, format)
  writeU64(slot, at.boot, memory.boot)
  writeU32(slot, at.term, memory.hard.term)
  slot.set(fromHex(memory.incarnation)!, at.incarnation)
  if (memory.clusterId !== null) {
    slot[at.founded] = 1
    slot.set(fromHex(memory.clusterId)!, at.cluster)
  }
  const length = writeText(slot, writeText(slot, at.id, memory.id), memory.hard.vote ?? '')
  writeU16(slot, at.length, length)
  writeMark(slot, memory.mark, sequence)
}

/** Replaces the mark in a `slot` that has been written before: what each turn does, at a tenth of the cost. */
export function writeMark(slot: Uint8Array, mark: ChainedId, sequence: number): void {
  writeU64(slot, at.sequence, sequence)
  writeU32(slot, at.markTerm, mark.term)
  writeU64(slot, at.markIndex, mark.index)
  writeU32(slot, at.markChain, mark.chain)
  writeU32(slot, at.crc, crc32(slot.subarray(at.format, readU16(slot, at.length))))
}

/** Null for a slot that cannot be read. */
export function readMemory(slot: Uint8Array): SlotContent {
  if (slot.length < at.id + 2) return null
  const length = readU16(slot, at.length)
  if (length < at.id || length > slot.length) return null
  if (crc32(slot.subarray(at.format, length)) !== readU32(slot, at.crc)) return null
  if (readU16(slot, at.format) !== format) return 'newer'
  const id = readText(slot, at.id)
  const vote = readText(slot, at.id + 1 + id.length)
  return {
    sequence: readU64(slot, at.sequence),
    memory: {
      id,
      incarnation: toHex(slot.subarray(at.incarnation, at.founded)),
      clusterId: slot[at.founded] === 1 ? toHex(slot.subarray(at.cluster, at.id)) : null,
      boot: readU64(slot, at.boot),
      hard: { term: readU32(slot, at.term), vote: vote === '' ? null : vote },
      mark: {
        term: readU32(slot, at.markTerm),
        index: readU64(slot, at.markIndex),
        chain: readU32(slot, at.markChain)
      }
    }
  }
}

/** Ids and member keys are ASCII. Returns where the next field begins. */
function writeText(slot: Uint8Array, start: number, text: string): number {
  assert(text.length < 256 && start + 1 + text.length <= slot.length, 'the memory of a node fits its slot')
  slot[start] = text.length
  for (let offset = 0; offset < text.length; offset++) slot[start + 1 + offset] = text.charCodeAt(offset)
  return start + 1 + text.length
}

function readText(slot: Uint8Array, start: number): string {
  return String.fromCharCode(...slot.subarray(start + 1, start + 1 + slot[start]!))
}
