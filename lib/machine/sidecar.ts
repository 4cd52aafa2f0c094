// What the core keeps beside the inner machine's state, as bytes: stored with it in one step, equal on all replicas.
//
//    0  u16  format, 2
//    2  u16  zero
//    4  u32  machine version
//    8  u32  term of the last record applied
//   12  u32  number of settings
//   16  u64  index of the last record applied
//   24  u64  cluster time: the largest stamp applied, milliseconds
//   32  u64  horizon: the earliest opening time of a session that may still open
//   40  u64  index of the membership record, 0 for none
//   48  u32  length of the membership, 0 for none
//   52  u32  number of sessions
//   56  u32  running hash of the state (`state-hash.ts`)
//   60  u32  its value at the last hash record
//   64  u64  index of the last hash record, 0 for none
//   72  u64  index of the hash record at which this state was found to differ from that of a majority, 0 for none
//   80  u32  1 the running hash is known, 2 its value at the last hash record is
//   84       the membership, as in its record; the settings; the sessions, the one used longest ago first
//
// Format 1 ends its head at byte 56 and knows no hash; it is read, and never written any more.
//
// A setting, in order of names:  u16 length of the name, u32 length of the value, the name (ASCII), the value.
// A session:  18 B id · u64 used at · u64 floor · u16 number of runs · the runs, rising.
// A run:  u16 first serial less the floor · u16 count · u16 status · u16 length of the answer, or 0xffff for none, or
//         0xfffe for one too large to keep · u64 revision of the first · the answer.
import { readU16, readU32, readU64, writeU16, writeU32, writeU64 } from '../base/bytes.ts'
import type { StrettoError } from '../base/errors.ts'
import type { Index, LogId } from '../raft/types.ts'
import { sessionIdBytes } from '../record/record.ts'
import { newerFormat } from './newer-format.ts'
import { cancelWindow, keptAnswerBytesMax, type Run, Session } from './session.ts'
import { sessionId } from './session-table.ts'
import { type StoredHash, unknownHash } from './state-hash.ts'

export const sidecarFormat = 2

export interface Sidecar {
  readonly applied: LogId
  /** Cluster time, milliseconds. */
  readonly time: number
  readonly machineVersion: number
  readonly membership: StoredMembership | null
  readonly settings: ReadonlyMap<string, Uint8Array>
  readonly horizon: number
  readonly hash: StoredHash
  /** In order of last use. */
  readonly sessions: readonly Session[]
}

/** The last membership record applied: its index and its body (layout: `record/membership.ts`). */
export interface StoredMembership {
  readonly index: Index
  readonly bytes: Uint8Array
}

export const settingNamePattern = /^[a-z][a-zA-Z0-9-]{0,62}$/
const headBytes = 84
const headBytesBefore = 56
const runningKnown = 1
const markKnown = 2
const sessionHeadBytes = sessionIdBytes + 18
const runBytes = 16
const noAnswer = 0xffff
const goneAnswer = 0xfffe

export function encodeSidecar(sidecar: Sidecar): Uint8Array {
  const settings = [...sidecar.settings].toSorted(([a], [b]) => (a < b ? -1 : 1))
  const membership = sidecar.membership?.bytes.length ?? 0
  let length = headBytes + membership
  for (const [name, value] of settings) length += 6 + name.length + value.length
  for (const session of sidecar.sessions) length += sessionBytes(session)
  const bytes = new Uint8Array(length)
  writeU16(bytes, 0, sidecarFormat)
  writeU32(bytes, 4, sidecar.machineVersion)
  writeU32(bytes, 8, sidecar.applied.term)
  writeU32(bytes, 12, settings.length)
  writeU64(bytes, 16, sidecar.applied.index)
  writeU64(bytes, 24, sidecar.time)
  writeU64(bytes, 32, sidecar.horizon)
  writeU64(bytes, 40, sidecar.membership?.index ?? 0)
  writeU32(bytes, 48, membership)
  writeU32(bytes, 52, sidecar.sessions.length)
  writeHash(bytes, sidecar.hash)
  let at = headBytes
  if (sidecar.membership !== null) bytes.set(sidecar.membership.bytes, at)
  at += membership
  for (const [name, value] of settings) {
    writeU16(bytes, at, name.length)
    writeU32(bytes, at + 2, value.length)
    writeAscii(bytes, at + 6, name)
    bytes.set(value, at + 6 + name.length)
    at += 6 + name.length + value.length
  }
  for (const session of sidecar.sessions) at = writeSession(bytes, at, session)
  return bytes
}

/** The error where a newer program has written these bytes, in a form that this one cannot read; else null. */
export function newerSidecar(bytes: Uint8Array): StrettoError | null {
  return newerFormat('the sessions beside the state are', bytes, sidecarFormat)
}

/** What `encodeSidecar` was given, or null where `bytes` are nothing that it could have made. Copies what it keeps. */
export function decodeSidecar(bytes: Uint8Array): Sidecar | null {
  const head = headOf(bytes)
  if (head === null || readU16(bytes, 2) !== 0) return null
  const hash = head === headBytes ? readHash(bytes) : unknownHash
  const index = readU64(bytes, 16)
  const time = readU64(bytes, 24)
  const horizon = readU64(bytes, 32)
  const membershipIndex = readU64(bytes, 40)
  if (hash === null || ![index, time, horizon, membershipIndex].every(Number.isSafeInteger)) return null
  const length = readU32(bytes, 48)
  if ((length === 0) !== (membershipIndex === 0) || membershipIndex > index || head + length > bytes.length) return null
  const cursor = { at: head + length }
  const settings = readSettings(bytes, cursor, readU32(bytes, 12))
  if (settings === null) return null
  const sessions = readSessions(bytes, cursor, readU32(bytes, 52))
  if (sessions === null || cursor.at !== bytes.length) return null
  return {
    applied: { term: readU32(bytes, 8), index },
    time,
    machineVersion: readU32(bytes, 4),
    membership: length === 0 ? null : { index: membershipIndex, bytes: copyOf(bytes, head, length) },
    settings,
    horizon,
    hash,
    sessions
  }
}

/** Length of the head of a format that this program can read; null for any other. */
function headOf(bytes: Uint8Array): number | null {
  if (bytes.length < 2) return null
  const format = readU16(bytes, 0)
  const head = format === sidecarFormat ? headBytes : headBytesBefore
  return (format === 1 || format === sidecarFormat) && bytes.length >= head ? head : null
}

function writeHash(bytes: Uint8Array, hash: StoredHash): void {
  writeU32(bytes, 56, hash.running)
  writeU32(bytes, 60, hash.markValue ?? 0)
  writeU64(bytes, 64, hash.markIndex)
  writeU64(bytes, 72, hash.divergedAt)
  writeU32(bytes, 80, (hash.known ? runningKnown : 0) | (hash.markValue === null ? 0 : markKnown))
}

function readHash(bytes: Uint8Array): StoredHash | null {
  const flags = readU32(bytes, 80)
  const value = readU32(bytes, 60)
  const index = readU64(bytes, 16)
  const markIndex = readU64(bytes, 64)
  const divergedAt = readU64(bytes, 72)
  const known = (flags & markKnown) !== 0
  if (flags > (runningKnown | markKnown) || markIndex > index || divergedAt > markIndex) return null
  if (known ? markIndex === 0 : value !== 0) return null
  return {
    running: readU32(bytes, 56),
    known: (flags & runningKnown) !== 0,
    markIndex,
    markValue: known ? value : null,
    divergedAt
  }
}

/** What a sidecar says to whoever takes a snapshot in: which record it goes up to, and under which rules. */
export interface SidecarDescription {
  readonly applied: LogId
  readonly machineVersion: number
  /** The last membership record contained; null where none was. */
  readonly membership: StoredMembership | null
}

/** Null where `bytes` are no sidecar. All of it is read, so that what is described can be opened. */
export function describeSidecar(bytes: Uint8Array): SidecarDescription | null {
  const sidecar = decodeSidecar(bytes)
  if (sidecar === null) return null
  const { applied, machineVersion, membership } = sidecar
  return { applied, machineVersion, membership }
}

interface Cursor {
  at: number
}

function readSettings(bytes: Uint8Array, cursor: Cursor, count: number): Map<string, Uint8Array> | null {
  const settings = new Map<string, Uint8Array>()
  let previous = ''
  for (let number = 0; number < count; number++) {
    const at = cursor.at
    if (at + 6 > bytes.length) return null
    const nameLength = readU16(bytes, at)
    const valueLength = readU32(bytes, at + 2)
    cursor.at = at + 6 + nameLength + valueLength
    if (cursor.at > bytes.length) return null
    const name = readAscii(bytes, at + 6, nameLength)
    if (!settingNamePattern.test(name) || name <= previous || valueLength === 0) return null
    settings.set(name, copyOf(bytes, at + 6 + nameLength, valueLength))
    previous = name
  }
  return settings
}

function readSessions(bytes: Uint8Array, cursor: Cursor, count: number): Session[] | null {
  const sessions: Session[] = []
  const ids = new Set<string>()
  for (let number = 0; number < count; number++) {
    const session = readSession(bytes, cursor)
    if (session === null || ids.has(session.id)) return null
    ids.add(session.id)
    sessions.push(session)
  }
  return sessions
}

function readSession(bytes: Uint8Array, cursor: Cursor): Session | null {
  const at = cursor.at
  if (at + sessionHeadBytes > bytes.length) return null
  const opened = readU64(bytes, at)
  const usedAt = readU64(bytes, at + sessionIdBytes)
  const floor = readU64(bytes, at + sessionIdBytes + 8)
  const count = readU16(bytes, at + sessionIdBytes + 16)
  if (!Number.isSafeInteger(usedAt) || !Number.isSafeInteger(floor) || opened > usedAt) return null
  const session = new Session(sessionId(bytes, at), opened, usedAt, floor)
  cursor.at += sessionHeadBytes
  let next = 1
  for (let number = 0; number < count; number++) {
    const run = readRun(bytes, cursor, floor)
    if (run === null || run.serial < floor + next) return null
    session.store(run.serial, run.count, run.status, run.revision, run.answer, run.gone)
    next = run.serial + run.count - floor
  }
  // Fewer runs than read: two of them were one, which is not what an encoder writes.
  return next <= cancelWindow + 1 && session.runs.length === count ? session : null
}

function readRun(bytes: Uint8Array, cursor: Cursor, floor: number): Run | null {
  const at = cursor.at
  if (at + runBytes > bytes.length) return null
  const count = readU16(bytes, at + 2)
  const length = readU16(bytes, at + 6)
  const revision = readU64(bytes, at + 8)
  const kept = length < goneAnswer
  cursor.at = at + runBytes + (kept ? length : 0)
  const serial = floor + readU16(bytes, at)
  if (count === 0 || cursor.at > bytes.length) return null
  if (!Number.isSafeInteger(serial + count - 1) || !Number.isSafeInteger(revision + count)) return null
  if (kept && (count !== 1 || length > keptAnswerBytesMax)) return null
  const answer = kept ? copyOf(bytes, at + runBytes, length) : null
  return {
    serial,
    count,
    status: readU16(bytes, at + 4),
    revision,
    answer,
    gone: length === goneAnswer
  }
}

function sessionBytes(session: Session): number {
  let length = sessionHeadBytes + runBytes * session.runs.length
  for (const run of session.runs) if (run.answer !== null) length += run.answer.length
  return length
}

function writeSession(bytes: Uint8Array, start: number, session: Session): number {
  writeAscii(bytes, start, session.id)
  writeU64(bytes, start + sessionIdBytes, session.usedAt)
  writeU64(bytes, start + sessionIdBytes + 8, session.floor)
  writeU16(bytes, start + sessionIdBytes + 16, session.runs.length)
  let at = start + sessionHeadBytes
  for (const run of session.runs) {
    writeU16(bytes, at, run.serial - session.floor)
    writeU16(bytes, at + 2, run.count)
    writeU16(bytes, at + 4, run.status)
    writeU16(bytes, at + 6, run.gone ? goneAnswer : (run.answer?.length ?? noAnswer))
    writeU64(bytes, at + 8, run.revision)
    at += runBytes
    if (run.answer !== null) {
      bytes.set(run.answer, at)
      at += run.answer.length
    }
  }
  return at
}

function writeAscii(bytes: Uint8Array, at: number, text: string): void {
  for (let offset = 0; offset < text.length; offset++) bytes[at + offset] = text.charCodeAt(offset)
}

function readAscii(bytes: Uint8Array, at: number, length: number): string {
  let text = ''
  for (let offset = 0; offset < length; offset++) text += String.fromCharCode(bytes[at + offset]!)
  return text
}

function copyOf(bytes: Uint8Array, at: number, length: number): Uint8Array {
  return new Uint8Array(bytes.subarray(at, at + length))
}
