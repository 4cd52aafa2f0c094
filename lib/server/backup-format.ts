// A backup as a file, format 1: a header that says of what, the snapshot as the machine gave it, and a check value at the end.
//
//    0  8 B  the text STRETTOB
//    8  u16  format, 1          (text, format, length and CRC keep their places in every later format)
//   10  u16  zero
//   12  u32  length of the header, to the end of the membership
//   16  u32  CRC-32 of the header from byte 20 on
//   20  u64  when it was made, milliseconds since 1970
//   28  u64  index and
//   36  u32  term of the last record contained
//   40  u32  machine version
//   44  u64  length of the snapshot and
//   52  u32  CRC-32 of it
//   56  16 B cluster id
//   72       membership, as in its record
//
// Then the snapshot, and a u32 CRC-32 of all bytes before.
import { crc32 } from 'node:zlib'
import { concatBytes, fromHex, readU16, readU32, readU64, toHex, writeU16, writeU32, writeU64 } from '../base/bytes.ts'
import { StrettoError } from '../base/errors.ts'
import type { LogId, Membership } from '../raft/types.ts'
import { readMembership, writeMembership } from '../record/membership.ts'

const format = 1
const mark = 'STRETTOB'
const at = {
  format: 8,
  length: 12,
  crc: 16,
  made: 20,
  index: 28,
  term: 36,
  version: 40,
  size: 44,
  hash: 52,
  cluster: 56,
  membership: 72
} as const
/** What has to be there to tell how long the header is. */
export const backupPrefixBytes: number = at.made
export const backupTrailerBytes = 4
const headerBytesMax = 1_048_576

export interface BackupHeader {
  /** 32 hexadecimal digits. */
  readonly clusterId: string
  readonly last: LogId
  readonly membership: Membership
  readonly machineVersion: number
  /** Of the snapshot, in bytes. */
  readonly size: number
  /** CRC-32 of the snapshot. */
  readonly hash: number
  /** Wall clock, milliseconds since 1970: for people, decides nothing. */
  readonly madeAt: number
}

export function writeBackupHeader(header: BackupHeader): Uint8Array {
  const head = new Uint8Array(at.membership)
  for (let offset = 0; offset < mark.length; offset++) head[offset] = mark.charCodeAt(offset)
  writeU16(head, at.format, format)
  writeU64(head, at.made, header.madeAt)
  writeU64(head, at.index, header.last.index)
  writeU32(head, at.term, header.last.term)
  writeU32(head, at.version, header.machineVersion)
  writeU64(head, at.size, header.size)
  writeU32(head, at.hash, header.hash)
  head.set(fromHex(header.clusterId)!, at.cluster)
  const bytes = concatBytes([head, writeMembership(header.membership)])
  writeU32(bytes, at.length, bytes.length)
  writeU32(bytes, at.crc, crc32(bytes.subarray(at.made)))
  return bytes
}

/**
 * How long the header is that begins with these bytes, `backupPrefixBytes` of them.
 * @throws StrettoError CORRUPT where it is none, BAD_REQUEST where a newer version has written it
 */
export function backupHeaderLength(bytes: Uint8Array): number {
  const begin = String.fromCharCode(...bytes.subarray(0, mark.length))
  if (bytes.length < at.made || begin !== mark) throw new StrettoError('CORRUPT', 'this is no backup of stretto')
  if (readU16(bytes, at.format) !== format) {
    throw new StrettoError('BAD_REQUEST', 'the backup was written by a newer version of stretto: use that')
  }
  const length = readU32(bytes, at.length)
  if (length <= at.membership || length > headerBytesMax) throw damaged()
  return length
}

/** @throws StrettoError CORRUPT */
export function readBackupHeader(bytes: Uint8Array): BackupHeader {
  if (crc32(bytes.subarray(at.made)) !== readU32(bytes, at.crc)) throw damaged()
  let membership: Membership
  try {
    membership = readMembership(bytes.subarray(at.membership))
  } catch {
    throw damaged()
  }
  return {
    clusterId: toHex(bytes.subarray(at.cluster, at.membership)),
    last: { index: readU64(bytes, at.index), term: readU32(bytes, at.term) },
    membership,
    machineVersion: readU32(bytes, at.version),
    size: readU64(bytes, at.size),
    hash: readU32(bytes, at.hash),
    madeAt: readU64(bytes, at.made)
  }
}

function damaged(): StrettoError {
  return new StrettoError('CORRUPT', 'the header of the backup is damaged')
}
