// The public door of the client: `connect`, in a real process.

import { WsNet } from '../transport/ws-net.ts'
import { clientMessageBytesMax, clientSubprotocol } from '../wire/client.ts'
import type { Codec } from './encoding.ts'
import { Client } from './kv-client.ts'
import type { ClientOptions } from './options.ts'
import { realEnv } from './real-env.ts'

export type { MemberStatus, Plan } from '../wire/admin.ts'
export type { AddMemberOptions, Cluster, PlannedChange, ReplaceMemberOptions } from './cluster.ts'
export type { Codec, Key } from './encoding.ts'
export type { AppliedResult, DeleteResult, Entry, IncrementResult, PutResult, Reading, Resolution } from './entry.ts'
export { Client, type Range } from './kv-client.ts'
export type {
  Bounds,
  CallOptions,
  ClientOptions,
  CountOptions,
  DeleteOptions,
  Duration,
  GetOptions,
  PutOptions,
  RangeOptions,
  ReadOptions,
  WriteOptions
} from './options.ts'

/** A node's answers may be as large as a list of the largest values. */
const answerBytesMax = 64 * clientMessageBytesMax

/**
 * A client of the cluster that these nodes belong to; any of its nodes will do, the others are learnt. Returns at once:
 * the first call connects, `ready()` waits for it.
 * @param endpoints `host:port` (ws on loopback, wss elsewhere), `ws://host:port` or `wss://host:port`
 * @throws StrettoError BAD_REQUEST for a malformed endpoint or option
 */
export function connect(
  endpoints: readonly string[],
  options?: ClientOptions<string> & { readonly valueEncoding?: 'utf8' | undefined }
): Client<string>
export function connect(
  endpoints: readonly string[],
  options: ClientOptions<Uint8Array> & { readonly valueEncoding: 'bytes' }
): Client<Uint8Array>
export function connect<V = unknown>(
  endpoints: readonly string[],
  options: ClientOptions<V> & { readonly valueEncoding: 'json' }
): Client<V>
export function connect<V>(
  endpoints: readonly string[],
  options: ClientOptions<V> & { readonly valueEncoding: Codec<V> }
): Client<V>
export function connect<V>(endpoints: readonly string[], options: ClientOptions<V> = {}): Client<V> {
  const env = realEnv()
  const net = new WsNet({ env, messageBytesMax: answerBytesMax, subprotocol: clientSubprotocol })
  return new Client<V>({ env, net }, endpoints, options)
}
