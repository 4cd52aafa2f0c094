// The key-value client: the whole store, and what belongs to the client as such.
import { Corner } from './corner.ts'
import { codecOf } from './encoding.ts'
import { KvCluster } from './kv-cluster.ts'
import { KvSession } from './kv-session.ts'
import { type CallOptions, type ClientOptions, checkNames, known } from './options.ts'
import type { ClientParts } from './session-client.ts'
import { Store } from './store.ts'

/**
 * A client of a cluster. It connects with the first call, and again by itself. All calls reject with a `StrettoError`
 * (or with the reason of their signal), whose `fate` says whether a write may have been applied.
 */
export class Client<V> extends Store<V> implements AsyncDisposable {
  /** The members of the cluster, and the past of the store. */
  readonly cluster: KvCluster

  /** Made by `connect`. @throws StrettoError BAD_REQUEST */
  constructor(parts: ClientParts, endpoints: readonly string[], options: ClientOptions<V> = {}) {
    checkNames(options, known.client)
    const corner = new Corner(new Uint8Array(0), codecOf(options.valueEncoding))
    super(new KvSession(parts, endpoints, options), corner)
    this.cluster = new KvCluster(this.session, corner)
  }

  /** The cluster that this client has met, 32 hexadecimal digits; null before. It never speaks to another. */
  get clusterId(): string | null {
    return this.session.clusterId
  }

  /** Resolves once a node of the cluster has answered. */
  ready(options?: CallOptions): Promise<void> {
    return this.session.ready(options)
  }

  /** Takes no more calls, waits for those that were made, each until its own deadline, and closes the links. */
  close(): Promise<void> {
    return this.session.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
