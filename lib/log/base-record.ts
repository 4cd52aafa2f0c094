// The base record: where the log begins, which state directory holds all before it, and whose log this is.
//
//    0  u32  CRC-32 of bytes 4 to the end
//    4  u16  format, 1          (CRC and format keep their places in every later format)
//    6  u64  index
//   14  u32  term
//   18  u32  chain value at the index
//   22  u32  machine version
//   26  u32  number of the state directory
//   30  16 B cluster id
//   46       membership at the index
import { crc32 } from 'node:zlib'
import { concatBytes, fromHex, readU16, readU32, readU64, toHex, writeU16, writeU32, writeU64 } from '../base/bytes.ts'
import type { Base, Membership } from '../raft/types.ts'
import { readMembership, writeMembership } from '../record/membership.ts'
import { OpenError } from './faults.ts'

const format = 1
const at = {
  crc: 0,
  format: 4,
  index: 6,
  term: 14,
  chain: 18,
  version: 22,
  state: 26,
  cluster: 30,
  membership: 46
} as const

export interface BaseRecord {
  readonly base: Base
  /** 32 hexadecimal digits. */
  readonly clusterId: string
}

export function writeBase({ base, clusterId }: BaseRecord): Uint8Array {
  const head = new Uint8Array(at.membership)
  writeU16(head, at.format, format)
  writeU64(head, at.index, base.index)
  writeU32(head, at.term, base.term)
  writeU32(head, at.chain, base.chain)
  writeU32(head, at.version, base.machineVersion)
  writeU32(head, at.state, base.state)
  head.set(fromHex(clusterId)!, at.cluster)
  const bytes = concatBytes([head, writeMembership(base.membership)])
  writeU32(bytes, at.crc, crc32(bytes.subarray(at.format)))
  return bytes
}

/** An OpenError `corrupt` or `newer-format` where the bytes are no base record of this version. */
export function readBase(bytes: Uint8Array): BaseRecord | OpenError {
  if (bytes.length < at.membership || crc32(bytes.subarray(at.format)) !== readU32(bytes, at.crc)) {
    return new OpenError('corrupt', 'the base record of the log is damaged')
  }
  if (readU16(bytes, at.format) !== format) {
    return new OpenError('newer-format', 'the log was written by a newer version of stretto')
  }
  const membership = membershipIn(bytes.subarray(at.membership))
  if (membership === null) return new OpenError('corrupt', 'the base record of the log names no membership')
  const base = {
    index: readU64(bytes, at.index),
    term: readU32(bytes, at.term),
    chain: readU32(bytes, at.chain),
    machineVersion: readU32(bytes, at.version),
    state: readU32(bytes, at.state),
    membership
  }
  return { base, clusterId: toHex(bytes.subarray(at.cluster, at.membership)) }
}

function membershipIn(bytes: Uint8Array): Membership | null {
  try {
    return readMembership(bytes)
  } catch {
    return null
  }
}

const stateName = /^state-[1-9][0-9]*$/

/** The name of a state directory. */
export function nameOfState(number: number): string {
  return `state-${number}`
}

export function isStateName(name: string): boolean {
  return stateName.test(name)
}
