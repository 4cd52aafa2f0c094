// What a leader's hash record says, and who is wrong where states differ: a majority of all voters decides, nobody else.
//
// A hash record brings the votes about the hash record before it: each voter's own value there, as the leader has gathered
// them. All replicas meet the same votes, and each compares with its own value what more than half of all voters have.
// The body of the record, and of the draft in which a voter tells the leader its value:
//
//    0  u16  format, 1
//    2  u16  flags: 1 the running values begin anew after this record; in a draft of a voter: it does not know its own
//    4  u16  number of voters
//    6  u16  number of votes
//    8  u64  index of the hash record that the votes are about, 0 for none
//   16       the votes: u32 value, u8 length of the member key, the member key (ASCII)
import { assert } from '../base/assert.ts'
import { readU16, readU32, readU64, writeU16, writeU32, writeU64 } from '../base/bytes.ts'
import type { Index, MemberKey } from '../raft/types.ts'
import { draftRecord, recordHeaderBytes, recordKind } from '../record/record.ts'

export interface HashRecord {
  /** The running values begin anew after this record: some node does not know its own. */
  readonly begins: boolean
  /** How many could have voted. */
  readonly voters: number
  /** The hash record that the votes are about; 0 for none. */
  readonly of: Index
  readonly votes: readonly Vote[]
}

export interface Vote {
  readonly from: MemberKey
  /** The running hash of its state at `of`. */
  readonly value: number
}

/** What the votes of a hash record show. */
export interface Comparison {
  /** The hash record that they are about. */
  readonly index: Index
  /** The value that more than half of all voters have; null where none is. */
  readonly majority: number | null
  /** Where there is a majority, those who have another value; else all who have voted, when they do not agree. */
  readonly differing: readonly MemberKey[]
}

const hashFormat = 1
const beginsFlag = 1
const headBytes = 16
const keyBytesMax = 255

export function draftHash({ begins, voters, of, votes }: HashRecord): Uint8Array {
  let length = headBytes
  for (const { from } of votes) length += 5 + from.length
  const body = new Uint8Array(length)
  writeU16(body, 0, hashFormat)
  writeU16(body, 2, begins ? beginsFlag : 0)
  writeU16(body, 4, voters)
  writeU16(body, 6, votes.length)
  writeU64(body, 8, of)
  let at = headBytes
  for (const { from, value } of votes) {
    assert(from.length <= keyBytesMax, 'a member key is a short text')
    writeU32(body, at, value)
    body[at + 4] = from.length
    for (let offset = 0; offset < from.length; offset++) body[at + 5 + offset] = from.charCodeAt(offset)
    at += 5 + from.length
  }
  return draftRecord(recordKind.hash, body)
}

/** What the record of `length` bytes at `start` says; null for a form that this program does not know. */
export function readHash(bytes: Uint8Array, start: number, length: number): HashRecord | null {
  const body = bytes.subarray(start + recordHeaderBytes, start + length)
  if (body.length < headBytes || readU16(body, 0) !== hashFormat) return null
  const of = readU64(body, 8)
  if (!Number.isSafeInteger(of)) return null
  const votes: Vote[] = []
  let at = headBytes
  for (let number = readU16(body, 6); number > 0; number--) {
    const end = at + 5 + (body[at + 4] ?? 0)
    if (end > body.length) return null
    votes.push({ from: String.fromCharCode(...body.subarray(at + 5, end)), value: readU32(body, at) })
    at = end
  }
  if (at !== body.length) return null
  return { begins: (readU16(body, 2) & beginsFlag) !== 0, voters: readU16(body, 4), of, votes }
}

/** More than half of all voters, of those too that have said nothing: so a minority never makes a majority stop. */
export function judge({ of, voters, votes }: HashRecord): Comparison {
  const counts = new Map<number, number>()
  for (const { value } of votes) counts.set(value, (counts.get(value) ?? 0) + 1)
  for (const [value, count] of counts) {
    if (2 * count <= voters) continue
    return { index: of, majority: value, differing: votes.filter(vote => vote.value !== value).map(({ from }) => from) }
  }
  return { index: of, majority: null, differing: counts.size > 1 ? votes.map(({ from }) => from) : [] }
}
