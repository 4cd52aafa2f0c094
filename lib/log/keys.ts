// Keys of the log database. The key of a block tells what it is without reading it, so that open reads few blocks.
//
//    0  u8   kind: 1 base record, 2 block
//    1  u16  group, 0 today
//
// and for a block, in the order of the log:
//
//    3  u64  index of the first record
//   11  u32  number of records
//   15  u32  term
//   19  u32  chain value at its end
//   23  u32  length of the block in bytes
//   27  u8   flags; 1: it brings a membership
import { readU16, readU32, readU64, writeU16, writeU32, writeU64 } from '../base/bytes.ts'
import type { Block, Index, Term } from '../raft/types.ts'
import { blockRecordsMax } from '../record/block.ts'

const group = 0
const kind = { base: 1, block: 2 } as const
const at = { kind: 0, group: 1, first: 3, count: 11, term: 15, chain: 19, length: 23, flags: 27 } as const
const blockKeyBytes = 28

/** What the key of a block says about it. */
export interface Card {
  readonly first: Index
  readonly count: number
  readonly term: Term
  readonly chain: number
  readonly length: number
  readonly membership: boolean
}

export function cardOf(block: Block): Card {
  return {
    first: block.first,
    count: block.count,
    term: block.term,
    chain: block.chain,
    length: block.bytes.length,
    membership: block.membership !== null
  }
}

export function baseKey(): Uint8Array {
  const key = new Uint8Array(at.first)
  key[at.kind] = kind.base
  writeU16(key, at.group, group)
  return key
}

export function blockKey(card: Card): Uint8Array {
  const key = Buffer.allocUnsafe(blockKeyBytes)
  key[at.kind] = kind.block
  writeU16(key, at.group, group)
  writeU64(key, at.first, card.first)
  writeU32(key, at.count, card.count)
  writeU32(key, at.term, card.term)
  writeU32(key, at.chain, card.chain)
  writeU32(key, at.length, card.length)
  key[at.flags] = card.membership ? 1 : 0
  return key
}

/** At or below the key of every block that begins at `first` or later, and above that of every earlier one. */
export function blockBound(first: Index): Uint8Array {
  const key = new Uint8Array(at.count)
  key[at.kind] = kind.block
  writeU16(key, at.group, group)
  writeU64(key, at.first, first)
  return key
}

/** Above the keys of all blocks. */
export function blocksEnd(): Uint8Array {
  const key = new Uint8Array(at.first)
  key[at.kind] = kind.block
  writeU16(key, at.group, group + 1)
  return key
}

/** Null for a key that no block can have: damaged. */
export function readBlockKey(key: Uint8Array): Card | null {
  if (key.length !== blockKeyBytes || key[at.kind] !== kind.block || readU16(key, at.group) !== group) return null
  const first = readU64(key, at.first)
  const count = readU32(key, at.count)
  if (first === 0 || count === 0 || count > blockRecordsMax || !Number.isSafeInteger(first + count)) return null
  const flags = key[at.flags]!
  if (flags > 1) return null
  return {
    first,
    count,
    term: readU32(key, at.term),
    chain: readU32(key, at.chain),
    length: readU32(key, at.length),
    membership: flags === 1
  }
}
