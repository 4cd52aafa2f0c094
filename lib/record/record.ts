// A record: the unit of the log, numbered by an index; one request frame of one client session, as it arrived.
//
//    0  u32  length of the whole record
//    4  u8   kind
//    5  u8   flags: 1 in a command record, to be executed in order
//    6  u16  group
//    8  u32  CRC-32 of bytes 12 to the end           (written by the leader, as the next three)
//   12  u32  term
//   16  u64  index          in a draft: the client's patience in milliseconds, 0 for none
//   24  u64  cluster time in milliseconds
//   32       body
//
// The body of a command or resolve record:
//
//   32  u64  session: cluster time at its opening    (a session id is these 18 bytes)
//   40  10 B session: random bits
//   50  u16  number of commands
//   52  u64  serial of the first command; each further one has the next
//   60  u64  acknowledgement floor: the client has the answers of all serials at or below it
//   68  u64  not after: a cluster time after whose stamp the record is refused; 0 for never
//   76       the commands as one msgpack array; a resolve record: the serials asked about, u64 each
import { readU16, readU32, readU64, writeU16, writeU32, writeU64 } from '../base/bytes.ts'
import type { Index, Term } from '../raft/types.ts'

/** What stands before the records of a block (`block.ts`). */
export const blockHeaderBytes = 32
/**
 * Flag of a command record: it is executed only when each lower serial of its session has been executed or refused before,
 * or never will be; else it is refused, to be sent again. So no command overtakes an earlier one of its session, whatever
 * ways through the cluster their records take.
 */
export const inOrderFlag = 1

export const recordHeaderBytes = 32
export const commandHeadBytes = 76
export const sessionIdBytes = 18
/** Largest record: request limit of 1.5 MiB and room for its head. */
export const recordBytesMax = 1_638_400
export const commandCountMax = 4096

/** Kinds of records. The list only grows; a node that meets one it does not know stops. */
export const recordKind = {
  noop: 0,
  command: 1,
  resolve: 2,
  membership: 3,
  version: 4,
  expiry: 5,
  setting: 6,
  hash: 7
} as const

export const recordAt = {
  length: 0,
  kind: 4,
  flags: 5,
  group: 6,
  crc: 8,
  term: 12,
  index: 16,
  time: 24,
  body: 32
} as const

export const commandAt = { session: 32, count: 50, serial: 52, floor: 60, notAfter: 68, commands: 76 } as const

/** A record seen in place: offsets into the bytes of the block that holds it, nothing copied. */
export interface RecordView {
  readonly bytes: Uint8Array
  /** Where the record begins in `bytes`, and its length. */
  readonly at: number
  readonly length: number
  readonly kind: number
  readonly term: Term
  readonly index: Index
  /** Cluster time of the stamp, milliseconds. */
  readonly time: number
}

export function viewRecord(bytes: Uint8Array, at: number): RecordView {
  return {
    bytes,
    at,
    length: readU32(bytes, at),
    kind: bytes[at + recordAt.kind]!,
    term: readU32(bytes, at + recordAt.term),
    index: readU64(bytes, at + recordAt.index),
    time: readU64(bytes, at + recordAt.time)
  }
}

export interface CommandHead {
  /** 18 bytes: opening time and random bits. */
  readonly session: Uint8Array
  readonly count: number
  readonly serial: number
  readonly floor: number
  readonly notAfter: number
}

/** Writes the head of a draft command or resolve record whose commands stand from byte 76 to the end of `draft`. */
export function writeCommandHead(draft: Uint8Array, kind: number, head: CommandHead, patienceMs: number): void {
  draft.fill(0, 0, recordHeaderBytes)
  writeU32(draft, recordAt.length, draft.length)
  draft[recordAt.kind] = kind
  writeU64(draft, recordAt.index, patienceMs)
  draft.set(head.session, commandAt.session)
  writeU16(draft, commandAt.count, head.count)
  writeU64(draft, commandAt.serial, head.serial)
  writeU64(draft, commandAt.floor, head.floor)
  writeU64(draft, commandAt.notAfter, head.notAfter)
}

/** What is wrong with a draft record as a client sent it, or null: checked before the leader stamps it. */
export function draftFault(draft: Uint8Array): string | null {
  if (draft.length < commandHeadBytes) return 'a record shorter than its head'
  if (draft.length > recordBytesMax) return 'a record above the limit'
  if (readU32(draft, recordAt.length) !== draft.length) return 'a record whose length is not its own'
  const kind = draft[recordAt.kind]
  if (kind !== recordKind.command && kind !== recordKind.resolve) return 'a record of a kind that clients may not write'
  return commandFault(draft, 0, draft.length)
}

/** What is wrong with the head of the command or resolve record at `at` of `bytes`, or null. */
export function commandFault(bytes: Uint8Array, at: number, length: number): string | null {
  if (length < commandHeadBytes) return 'a record shorter than its head'
  const count = readU16(bytes, at + commandAt.count)
  if (count === 0 || count > commandCountMax) return 'a record with no commands or too many'
  const resolve = bytes[at + recordAt.kind] === recordKind.resolve
  if (resolve && length !== commandHeadBytes + 8 * count) return 'a resolve record of the wrong length'
  const serial = readU64(bytes, at + commandAt.serial)
  if (!Number.isSafeInteger(serial + count)) return 'a serial beyond the exact range'
  const exact =
    Number.isSafeInteger(readU64(bytes, at + commandAt.session)) &&
    Number.isSafeInteger(readU64(bytes, at + commandAt.floor)) &&
    Number.isSafeInteger(readU64(bytes, at + commandAt.notAfter))
  return exact ? null : 'a number beyond the exact range'
}

/** The draft of a record that the leader itself writes: no-op, membership, version, expiry and the like. */
export function draftRecord(kind: number, body: Uint8Array): Uint8Array {
  const draft = new Uint8Array(recordHeaderBytes + body.length)
  writeU32(draft, recordAt.length, draft.length)
  draft[recordAt.kind] = kind
  draft.set(body, recordHeaderBytes)
  return draft
}
