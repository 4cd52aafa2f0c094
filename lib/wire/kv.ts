// The language of the key-value machine: commands, questions and answers, as msgpack arrays. Shared by client and machine.
//
// A command, one element of the array in a command record. Fields at the end may be left out when they hold their default.
//   put        [1, key, value, if revision | null, flags, lease id, ttl ms, fencing key | null, fencing token]
//   delete     [2, key, if revision | null, flags, fencing key | null, fencing token]
//   increment  [4, key, by]
//   Numbers 3 (delete range), 5 to 8 (minimum, maximum, append, transaction) and 16 to 18 (leases) are reserved.
//   `if revision` 0 means: only if absent. flags: 1 = answer with the previous entry.
// The answer of a command (`Outcome.answer`)
//   put with flag 1        [entry | null]
//   delete                 [number deleted, entry | null]
//   increment              [value]
//   CONDITION_FAILED       [current entry | null]
// A question: [request, ...], all answered from one revision
//   get        [1, key, at revision | 0]
//   count      [2, from, to | null]
// The answer: [revision, answer, ...]; of get: entry | null; of count: number.
// A scan: [from, to | null, limit | 0, flags, at revision | 0]; flags: 1 = reverse, 2 = keys only. `to` null: no end.
// A page: [revision, entry, ...].
// An entry: [key, value | null, create revision, mod revision, version, lease id]; value null where only keys were asked for.
import { StrettoError } from '../base/errors.ts'
import { type Packed, pack, unpack } from '../record/pack.ts'

export const keyBytesMax = 8192
export const valueBytesMax = 1_048_576

export const commandOp = { put: 1, delete: 2, deleteRange: 3, increment: 4 } as const
export const questionOp = { get: 1, count: 2 } as const
export const wantsPrevious = 1
export const scanFlag = { reverse: 1, keysOnly: 2 } as const

export interface Entry {
  readonly key: Uint8Array
  /** Null where only keys were asked for. */
  readonly value: Uint8Array | null
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
  readonly leaseId: number
}

export type Command = PutCommand | DeleteCommand | IncrementCommand

export interface PutCommand {
  readonly op: 'put'
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly ifRevision: number | null
  readonly previous: boolean
}

export interface DeleteCommand {
  readonly op: 'delete'
  readonly key: Uint8Array
  readonly ifRevision: number | null
  readonly previous: boolean
}

export interface IncrementCommand {
  readonly op: 'increment'
  readonly key: Uint8Array
  readonly by: number
}

/** The shape of a command for `pack`. */
export function packCommand(command: Command): Packed {
  switch (command.op) {
    case 'put': {
      const { key, value, ifRevision, previous } = command
      if (ifRevision === null && !previous) return [commandOp.put, key, value]
      return [commandOp.put, key, value, ifRevision, previous ? wantsPrevious : 0]
    }
    case 'delete':
      return [commandOp.delete, command.key, command.ifRevision, command.previous ? wantsPrevious : 0]
    case 'increment':
      return [commandOp.increment, command.key, command.by]
  }
}

/**
 * The commands of a record; the same function judges them before they are proposed and when they are applied. Keys and
 * values are views into `bytes`.
 * @throws StrettoError BAD_REQUEST or TOO_LARGE for anything but `count` well-formed commands
 */
export function readCommands(bytes: Uint8Array, count: number): Command[] {
  const list = unpack(bytes)
  if (!Array.isArray(list) || list.length !== count) throw malformed('a list of commands of another length')
  return (list as Packed[]).map(readCommand)
}

function readCommand(value: Packed): Command {
  if (!Array.isArray(value)) throw malformed('a command that is no array')
  const fields = value as Packed[]
  const key = readKey(fields[1])
  switch (fields[0]) {
    case commandOp.put: {
      if (fields.length > 5) throw malformed('a put with fields that this version does not know')
      const content = fields[2]
      if (!(content instanceof Uint8Array)) throw malformed('a value that is no bytes')
      if (content.length > valueBytesMax) throw new StrettoError('TOO_LARGE', `a value above ${valueBytesMax} bytes`)
      return { op: 'put', key, value: content, ifRevision: readCondition(fields[3]), previous: readFlags(fields[4]) }
    }
    case commandOp.delete:
      if (fields.length > 4) throw malformed('a delete with fields that this version does not know')
      return { op: 'delete', key, ifRevision: readCondition(fields[2]), previous: readFlags(fields[3]) }
    case commandOp.increment: {
      const by = fields[2]
      if (fields.length !== 3 || typeof by !== 'number' || !Number.isSafeInteger(by)) {
        throw malformed('an increment by something else than a safe integer')
      }
      return { op: 'increment', key, by }
    }
    default:
      throw malformed('a command that this version does not know')
  }
}

function readKey(value: Packed | undefined): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length === 0) throw malformed('a key that is no bytes, or empty')
  if (value.length > keyBytesMax) throw new StrettoError('TOO_LARGE', `a key above ${keyBytesMax} bytes`)
  return value
}

function readCondition(value: Packed | undefined): number | null {
  if (value === undefined || value === null) return null
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw malformed('a revision that is none')
  return value
}

function readFlags(value: Packed | undefined): boolean {
  if (value === undefined || value === 0) return false
  if (value !== wantsPrevious) throw malformed('flags that this version does not know')
  return true
}

export type Request =
  | { readonly op: 'get'; readonly key: Uint8Array; readonly atRevision: number }
  | { readonly op: 'count'; readonly from: Uint8Array; readonly to: Uint8Array | null }

export function packRequest(request: Request): Packed {
  if (request.op === 'count') return [questionOp.count, request.from, request.to]
  return request.atRevision === 0 ? [questionOp.get, request.key] : [questionOp.get, request.key, request.atRevision]
}

/** @throws StrettoError BAD_REQUEST */
export function readRequests(bytes: Uint8Array): Request[] {
  const list = unpack(bytes)
  if (!Array.isArray(list)) throw malformed('a question that is no array')
  return (list as Packed[]).map(readRequest)
}

function readRequest(value: Packed): Request {
  if (!Array.isArray(value)) throw malformed('a request that is no array')
  const fields = value as Packed[]
  if (fields[0] === questionOp.get) {
    return { op: 'get', key: readKey(fields[1]), atRevision: readCondition(fields[2]) ?? 0 }
  }
  if (fields[0] === questionOp.count) return { op: 'count', ...readBounds(fields[1], fields[2]) }
  throw malformed('a request that this version does not know')
}

export interface Scan {
  readonly from: Uint8Array
  /** Exclusive; null for no end. */
  readonly to: Uint8Array | null
  /** 0 for none. */
  readonly limit: number
  readonly reverse: boolean
  readonly keysOnly: boolean
  /** 0 for the present. */
  readonly atRevision: number
}

export function packScan(scan: Scan): Uint8Array {
  const flags = (scan.reverse ? scanFlag.reverse : 0) | (scan.keysOnly ? scanFlag.keysOnly : 0)
  return pack([scan.from, scan.to, scan.limit, flags, scan.atRevision])
}

/** @throws StrettoError BAD_REQUEST */
export function readScan(bytes: Uint8Array): Scan {
  const value = unpack(bytes)
  if (!Array.isArray(value)) throw malformed('a scan that is no array')
  const [from, to, limit, flags, atRevision] = value as Packed[]
  if (typeof flags !== 'number' || (flags & ~3) !== 0) throw malformed('flags that this version does not know')
  return {
    ...readBounds(from, to),
    limit: readCondition(limit) ?? 0,
    reverse: (flags & scanFlag.reverse) !== 0,
    keysOnly: (flags & scanFlag.keysOnly) !== 0,
    atRevision: readCondition(atRevision) ?? 0
  }
}

function readBounds(from: Packed | undefined, to: Packed | undefined) {
  if (!(from instanceof Uint8Array) || from.length > keyBytesMax) throw malformed('a bound that is no bytes')
  if (to !== null && !(to instanceof Uint8Array && to.length <= keyBytesMax))
    throw malformed('a bound that is no bytes')
  return { from, to }
}

export function packEntry(entry: Entry): Packed {
  return [entry.key, entry.value, entry.createRevision, entry.modRevision, entry.version, entry.leaseId]
}

/** @throws StrettoError BAD_REQUEST */
export function readEntry(value: Packed | undefined): Entry {
  if (!Array.isArray(value)) throw malformed('an entry that is no array')
  const [key, content, createRevision, modRevision, version, leaseId] = value as Packed[]
  if (!(key instanceof Uint8Array) || !(content === null || content instanceof Uint8Array)) throw malformed('an entry')
  if (typeof createRevision !== 'number' || typeof modRevision !== 'number') throw malformed('an entry')
  if (typeof version !== 'number' || typeof leaseId !== 'number') throw malformed('an entry')
  return { key, value: content, createRevision, modRevision, version, leaseId }
}

function malformed(what: string): StrettoError {
  return new StrettoError('BAD_REQUEST', what)
}
