// What `connect` is, whatever carries its links: sockets of a process, or those of a web page.
import type { Env } from '../base/env.ts'
import type { Net } from '../transport/net.ts'
import type { Codec } from './encoding.ts'
import { Client } from './kv-client.ts'
import type { ClientOptions } from './options.ts'
import { realEnv } from './real-env.ts'

/**
 * A client of the cluster that these nodes belong to; any of its nodes will do, the others are learnt. Returns at once:
 * the first call connects, `ready()` waits for it. Endpoints: `host:port` (ws on loopback, wss elsewhere),
 * `ws://host:port` or `wss://host:port`. Throws a StrettoError BAD_REQUEST for a malformed endpoint or option.
 */
export interface Connect {
  (
    endpoints: readonly string[],
    options?: ClientOptions<string> & { readonly valueEncoding?: 'utf8' | undefined }
  ): Client<string>
  (
    endpoints: readonly string[],
    options: ClientOptions<Uint8Array> & { readonly valueEncoding: 'bytes' }
  ): Client<Uint8Array>
  <V = unknown>(endpoints: readonly string[], options: ClientOptions<V> & { readonly valueEncoding: 'json' }): Client<V>
  <V>(endpoints: readonly string[], options: ClientOptions<V> & { readonly valueEncoding: Codec<V> }): Client<V>
}

export function connectOver(netOf: (env: Env) => Net): Connect {
  return <V>(endpoints: readonly string[], options: ClientOptions<V> = {}): Client<V> => {
    const env = realEnv()
    return new Client<V>({ env, net: netOf(env) }, endpoints, options)
  }
}
