// The commands of the key-value machine, as msgpack arrays. Shared by client and machine.
//
// A command, one element of the array in a command record. Fields at the end may be left out when they hold their default.
//   put           [1, key, value, if revision | null, flags, lease id, ttl ms, fencing key | null, fencing token]
//   delete        [2, key, if revision | null, flags, fencing key | null, fencing token]
//   delete range  [3, from, to | null]
//   increment     [4, key, by]          minimum  [5, key, by]      maximum  [6, key, by]
//   append        [7, key, bytes]
//   transaction   [8, [compare, ...], [operation, ...], [operation, ...]]     the second list where a comparison fails
//   compact       [9, revision]
//   grant         [16, ttl ms]          renew  [17, lease id, ...]             revoke   [18, lease id]
//   `if revision` 0 means: only if absent. flags: 1 = answer with the previous entry. Lease id and ttl 0 mean none, and
//   exclude each other: a ttl grants a lease for this key alone. The fencing key must exist, created at the fencing token.
//   Numbers above 4, 3, and leases and fencing are known from machine version 2 on.
// A comparison: [target, relation, key or from, to, operand]
//   target    1 version · 2 create revision · 3 mod revision · 4 value · 5 lease id. Of an absent key all numbers are 0, and
//             its value equals nothing
//   relation  1 equal · 2 not equal · 3 less · 4 greater
//   to        0: of one key; null or bytes: every key of the range has to hold
// An operation is a put, delete, minimum, ... or transaction without condition and fencing, or
//   get           [32, key]
//   range         [33, from, to | null, limit | 0, flags]      flags: 1 = reverse, 2 = keys only, 4 = count only
// The answer of a command (`Outcome.answer`)
//   put with flag 1        [entry | null]
//   delete                 [number deleted, entry | null]
//   delete range, revoke   [number deleted]
//   increment, minimum, maximum   [value]
//   append                 [bytes that the value has now]
//   transaction            [1 | 0 succeeded, [response, ...]], a response being: of put null or, with flag 1, entry | null; of
//                          delete as above; of get entry | null; of range [1 | 0 there are more, entry, ...] or, counting,
//                          a number; of transaction as this; of all others the number they answer with
//   grant                  [lease id, ttl ms]
//   put with a ttl         [entry | null, lease id]
//   renew                  [ttl ms, ...], -1 for a lease that is not there
//   CONDITION_FAILED       [current entry | null]
import type { Packed } from '../../record/pack.ts'

export const commandOp = {
  put: 1,
  delete: 2,
  deleteRange: 3,
  increment: 4,
  min: 5,
  max: 6,
  append: 7,
  txn: 8,
  compact: 9,
  grant: 16,
  renew: 17,
  revoke: 18
} as const
export const operationOp = { get: 32, range: 33 } as const
export const wantsPrevious = 1
export const rangeFlag = { reverse: 1, keysOnly: 2, countOnly: 4 } as const

/** The machine version from which on all that stands above is understood; version 1 knows put, delete and increment. */
export const kvVersionMax = 2

export const ttlMsMin = 1_000
/** About 285 years: a time that far ahead still is a safe integer. */
export const ttlMsMax = 9_000_000_000_000
/** Comparisons and operations of one transaction, those inside of others included. */
export const txnStepsMax = 10_000
/** Of them those that look at a range. */
export const txnRangesMax = 64
export const txnDepthMax = 8

/** The order of targets and relations on the wire, from 1. */
export const targets = ['version', 'createRevision', 'modRevision', 'value', 'leaseId'] as const
export const relations = ['eq', 'ne', 'lt', 'gt'] as const
export type Target = (typeof targets)[number]
export type Relation = (typeof relations)[number]

export type Command =
  | PutCommand
  | DeleteCommand
  | DeleteRangeCommand
  | NumberCommand
  | AppendCommand
  | TxnCommand
  | CompactCommand
  | GrantCommand
  | RenewCommand
  | RevokeCommand

/** What machine version 1 knows. */
export type FirstCommand = PutCommand | DeleteCommand | (NumberCommand & { readonly op: 'increment' })

/** The entry of `key` has to exist and to have been created at revision `token`. */
export interface Fencing {
  readonly key: Uint8Array
  readonly token: number
}

export interface PutCommand {
  readonly op: 'put'
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly ifRevision: number | null
  readonly previous: boolean
  /** 0 or absent for none. */
  readonly leaseId?: number
  /** Milliseconds; 0 or absent for none. */
  readonly ttlMs?: number
  readonly fencing?: Fencing | null
}

export interface DeleteCommand {
  readonly op: 'delete'
  readonly key: Uint8Array
  readonly ifRevision: number | null
  readonly previous: boolean
  readonly fencing?: Fencing | null
}

export interface DeleteRangeCommand {
  readonly op: 'deleteRange'
  readonly from: Uint8Array
  /** Exclusive; null for no end. */
  readonly to: Uint8Array | null
}

export interface NumberCommand {
  readonly op: 'increment' | 'min' | 'max'
  readonly key: Uint8Array
  readonly by: number
}

export interface AppendCommand {
  readonly op: 'append'
  readonly key: Uint8Array
  readonly value: Uint8Array
}

export interface TxnCommand {
  readonly op: 'txn'
  readonly compares: readonly Compare[]
  readonly onTrue: readonly Operation[]
  readonly onFalse: readonly Operation[]
}

export interface CompactCommand {
  readonly op: 'compact'
  readonly revision: number
}

export interface GrantCommand {
  readonly op: 'grant'
  readonly ttlMs: number
}

export interface RenewCommand {
  readonly op: 'renew'
  readonly leaseIds: readonly number[]
}

export interface RevokeCommand {
  readonly op: 'revoke'
  readonly leaseId: number
}

export interface Compare {
  readonly target: Target
  readonly relation: Relation
  readonly from: Uint8Array
  /** Undefined: of the key `from` alone. Else of all keys from it up to `to`, exclusive; null for no end. */
  readonly to: Uint8Array | null | undefined
  /** Bytes where the target is the value. */
  readonly operand: number | Uint8Array
}

export type Operation =
  | PutCommand
  | DeleteCommand
  | DeleteRangeCommand
  | NumberCommand
  | AppendCommand
  | TxnCommand
  | GetOperation
  | RangeOperation

export interface GetOperation {
  readonly op: 'get'
  readonly key: Uint8Array
}

export interface RangeOperation {
  readonly op: 'range'
  readonly from: Uint8Array
  readonly to: Uint8Array | null
  /** 0 for none. */
  readonly limit: number
  readonly reverse: boolean
  readonly keysOnly: boolean
  readonly countOnly: boolean
}

/** The shape of a command, or of an operation of a transaction, for `pack`. */
export function packCommand(command: Command | Operation): Packed {
  switch (command.op) {
    case 'put':
      return packPut(command)
    case 'delete': {
      const { key, ifRevision, previous, fencing = null } = command
      const fields = [commandOp.delete, key, ifRevision, previous ? wantsPrevious : 0]
      return fencing === null ? fields : [...fields, fencing.key, fencing.token]
    }
    case 'deleteRange':
      return [commandOp.deleteRange, command.from, command.to]
    case 'increment':
    case 'min':
    case 'max':
      return [commandOp[command.op], command.key, command.by]
    case 'append':
      return [commandOp.append, command.key, command.value]
    case 'txn': {
      const { compares, onTrue, onFalse } = command
      return [commandOp.txn, compares.map(packCompare), onTrue.map(packCommand), onFalse.map(packCommand)]
    }
    case 'compact':
      return [commandOp.compact, command.revision]
    case 'grant':
      return [commandOp.grant, command.ttlMs]
    case 'renew':
      return [commandOp.renew, ...command.leaseIds]
    case 'revoke':
      return [commandOp.revoke, command.leaseId]
    case 'get':
      return [operationOp.get, command.key]
    case 'range': {
      const { from, to, limit, reverse, keysOnly, countOnly } = command
      const { reverse: r, keysOnly: k, countOnly: c } = rangeFlag
      return [operationOp.range, from, to, limit, (reverse ? r : 0) | (keysOnly ? k : 0) | (countOnly ? c : 0)]
    }
  }
}

function packPut({ key, value, ifRevision, previous, leaseId = 0, ttlMs = 0, fencing = null }: PutCommand): Packed {
  const flags = previous ? wantsPrevious : 0
  if (fencing !== null)
    return [commandOp.put, key, value, ifRevision, flags, leaseId, ttlMs, fencing.key, fencing.token]
  if (leaseId !== 0 || ttlMs !== 0) return [commandOp.put, key, value, ifRevision, flags, leaseId, ttlMs]
  if (ifRevision === null && !previous) return [commandOp.put, key, value]
  return [commandOp.put, key, value, ifRevision, flags]
}

function packCompare({ target, relation, from, to, operand }: Compare): Packed {
  return [targets.indexOf(target) + 1, relations.indexOf(relation) + 1, from, to === undefined ? 0 : to, operand]
}
