// The public door of the client: `connect`, in a real process.

import { WsNet } from '../transport/ws-net.ts'
import { clientMessageBytesMax, clientSubprotocol } from '../wire/client.ts'
import { type Connect, connectOver } from './connect.ts'

export { type ErrorCode, type Fate, StrettoError } from '../base/errors.ts'
export type { MachineVersions, MemberStatus, Plan } from '../wire/admin.ts'
export type { AddMemberOptions, Cluster, PlannedChange, ReplaceMemberOptions } from './cluster.ts'
export { type Comparison, cmp } from './compares.ts'
export type { DeleteRangeResult } from './delete-range.ts'
export type { Election, Leader } from './election.ts'
export type { Codec, Key } from './encoding.ts'
export type {
  AppendResult,
  AppliedResult,
  DeleteResult,
  Entry,
  IncrementResult,
  PutResult,
  Reading,
  Resolution
} from './entry.ts'
export type { AcquireOptions, Held } from './held.ts'
export { Client } from './kv-client.ts'
export type { Lease } from './lease.ts'
export type { GrantOptions, LeaseInfo, LeaseOfOptions, Leases } from './leases.ts'
export type { Lock } from './lock.ts'
export type { Mirror, MirrorListener } from './mirror.ts'
export { type Op, op, type Responses } from './operations.ts'
export type {
  Bounds,
  CallOptions,
  ClientOptions,
  CountOptions,
  DeleteOptions,
  DeleteRangeOptions,
  Duration,
  FencingRef,
  GetOptions,
  LeaseRef,
  PutOptions,
  RangeOptions,
  ReadOptions,
  WriteOptions
} from './options.ts'
export type { Range } from './ranges.ts'
export type { StandardSchema } from './schema.ts'
export type { Semaphore } from './semaphore.ts'
export { Store } from './store.ts'
export type { Transaction } from './transact.ts'
export type { Txn, TxnResult } from './txn.ts'
export type { UpdateResult } from './update.ts'
export type { Watch } from './watch.ts'
export type { Batch, Change, DeleteChange, PutChange, WatchOptions } from './watch-options.ts'

/** A node's answers may be as large as a list of the largest values. */
const answerBytesMax = 64 * clientMessageBytesMax

export const connect: Connect = connectOver(
  env => new WsNet({ env, messageBytesMax: answerBytesMax, subprotocol: clientSubprotocol })
)
