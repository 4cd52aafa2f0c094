// A simulated cluster and its client beside a model of the store: what both are told to do, and whether they agree.
import { type ErrorCode, StrettoError } from '../../lib/base/errors.ts'
import { Client } from '../../lib/client/kv-client.ts'
import { SimCluster } from '../../lib/sim/cluster.ts'
import { keyValueMachines } from '../../lib/sim/ghost/machines.ts'
import type { SimNode } from '../../lib/sim/node/sim-node.ts'
import { Life } from '../../lib/sim/world/world.ts'
import { MemoryNet } from '../../lib/transport/memory-net.ts'
import type { Plain } from '../kv/bed.ts'
import { Model } from '../kv/model.ts'
import { macrotask } from './arrivals.ts'

/** Longer than any crash or election takes: no call may fail but by its own fault. */
const patientMs = 30_000

/** The store as it must be, and as it was at every revision. */
export class Believed {
  readonly store = new Model()
  readonly past = new Map<number, ReadonlyMap<string, Plain>>([[1, new Map()]])
  /** A node that is down. */
  down: number | null = null

  remember(): void {
    this.past.set(this.store.revision, new Map(this.store.entries))
  }

  /** What stood at a revision that is no longer the present one. */
  at(revision: number, key: string): Plain | null {
    return this.past.get(revision)?.get(key) ?? null
  }
}

/** How a call ended: with a result, or with an error of the store. */
export type End<T> = { readonly result: T } | { readonly code: ErrorCode; readonly current: unknown }

export class Bench {
  readonly cluster: SimCluster
  readonly client: Client<Uint8Array>
  readonly flushesOf = new Map<object, number>()

  constructor(seed: number, nodes: number) {
    this.cluster = new SimCluster({ seed, nodes, depth: 'deep', machine: keyValueMachines })
    const { world, fabric, endpoints } = this.cluster
    const env = world.env(new Life('c1', true), world.random('client'))
    const net = new MemoryNet(fabric, env, 'c1')
    this.client = new Client({ env, net }, endpoints, { valueEncoding: 'bytes', timeout: patientMs })
  }

  get flushes(): number {
    let flushes = 0
    for (const count of this.flushesOf.values()) flushes += count
    return flushes
  }

  /** Lets virtual time go on until the call has ended. */
  async end<T>(promise: Promise<T>): Promise<End<T>> {
    let end: End<T> | null = null
    promise.then(
      result => {
        end = { result }
      },
      (error: unknown) => {
        if (!(error instanceof StrettoError)) throw error
        if (error.fate !== 'not-applied') throw new Error('a call of unknown fate', { cause: error })
        end = { code: error.code, current: error.current }
      }
    )
    await macrotask()
    if (end === null) await this.cluster.play(2 * patientMs, () => end !== null)
    if (end === null) throw new Error('a call never ends')
    return end
  }

  /** The cluster is founded when all of its nodes have heard of each other. */
  async found(): Promise<void> {
    const isFounded = (): boolean => this.cluster.nodes.every(({ node }) => node !== null)
    if (!(await this.cluster.play(patientMs, isFounded))) throw new Error('the cluster is not founded')
    // All that the machine knows comes into force while all nodes are there.
    await this.end(this.client.txn().commit())
  }

  async rest(ms: number): Promise<void> {
    await this.cluster.play(ms)
    for (const { node } of this.cluster.nodes) if (node !== null) this.flushesOf.set(node, node.counters.flushes)
  }

  /** A node by its number; -1 for the leader, or where there is none the first. */
  node(at: number): SimNode {
    const { nodes, leader } = this.cluster
    return at < 0 ? (leader ?? nodes[0]!) : nodes[at % nodes.length]!
  }
}
