// The questions that the key-value machine answers, and its entries, as msgpack arrays. Shared by client and machine; the
// commands stand beside them.
//
// A question: [request, ...], all answered from one revision
//   get        [1, key, at revision | 0]
//   count      [2, from, to | null, at revision | 0]
//   and those about leases (`lease-questions.ts`)
// The answer: [revision, answer, ...]; of get: entry | null; of count: number.
// A scan: [from, to | null, limit | 0, flags, at revision | 0]; flags: 1 = reverse, 2 = keys only. `to` null: no end.
// A page: [revision, entry, ...].
// An entry: [key, value | null, create revision, mod revision, version, lease id]; value null where only keys were asked for.
import { type Packed, pack, unpack } from '../../record/pack.ts'
import { malformed, readBounds, readKey, readNumber } from './fields.ts'
import { type LeaseRequest, leaseQuestionOp, packLeaseRequest, readLeaseRequest } from './lease-questions.ts'

export const questionOp = { get: 1, count: 2, ...leaseQuestionOp } as const
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

export type Request =
  | LeaseRequest
  | { readonly op: 'get'; readonly key: Uint8Array; readonly atRevision: number }
  | {
      readonly op: 'count'
      readonly from: Uint8Array
      readonly to: Uint8Array | null
      /** 0 or absent for the present. */
      readonly atRevision?: number
    }

export function packRequest(request: Request): Packed {
  if (request.op === 'lease' || request.op === 'leases') return packLeaseRequest(request)
  const { atRevision = 0 } = request
  if (request.op === 'count') {
    const fields = [questionOp.count, request.from, request.to]
    return atRevision === 0 ? fields : [...fields, atRevision]
  }
  return atRevision === 0 ? [questionOp.get, request.key] : [questionOp.get, request.key, atRevision]
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
    return { op: 'get', key: readKey(fields[1]), atRevision: revisionOf(fields[2]) }
  }
  if (fields[0] === questionOp.count) {
    return { op: 'count', ...readBounds(fields[1], fields[2]), atRevision: revisionOf(fields[3]) }
  }
  const request = readLeaseRequest(fields)
  if (request !== null) return request
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
    limit: readNumber(limit ?? 0, 'a limit', 0),
    reverse: (flags & scanFlag.reverse) !== 0,
    keysOnly: (flags & scanFlag.keysOnly) !== 0,
    atRevision: revisionOf(atRevision)
  }
}

/** 0 where none is named. */
function revisionOf(value: Packed | undefined): number {
  return value === undefined || value === null ? 0 : readNumber(value, 'a revision', 0)
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
