// A client and a model cluster in virtual time, and a way to wait for promises there.
import { Client } from '../../lib/client/kv-client.ts'
import type { ClientOptions } from '../../lib/client/options.ts'
import type { ClientParts } from '../../lib/client/session-client.ts'
import { MemoryFabric, MemoryNet } from '../../lib/transport/memory-net.ts'
import { ModelCluster, type ModelNode } from './model-cluster.ts'
import { VirtualTime } from './virtual-time.ts'

export class ClientRig {
  readonly time: VirtualTime
  readonly fabric = new MemoryFabric()
  readonly cluster: ModelCluster
  readonly parts: ClientParts

  constructor(nodeCount = 3, seed = 1) {
    this.time = new VirtualTime(seed)
    this.fabric.delayMs = () => 1
    this.cluster = new ModelCluster(() => this.time.now)
    for (let number = 1; number <= nodeCount; number++) {
      const net = new MemoryNet(this.fabric, this.time.env(`n${number}`), `n${number}`)
      this.cluster.add(net, `n${number}`, `127.0.0.1:700${number}`)
    }
    const env = this.time.env('client')
    this.parts = { env, net: new MemoryNet(this.fabric, env, 'client') }
  }

  get endpoints(): string[] {
    return this.cluster.nodes.map(node => node.address)
  }

  node(id: string): ModelNode {
    return this.cluster.nodes.find(node => node.id === id)!
  }

  client<V = string>(options?: ClientOptions<V>, endpoints = this.endpoints): Client<V> {
    return new Client<V>(this.parts, endpoints, options)
  }

  /** A client whose link to the leader is up, and a second one beside it. */
  async readyClient<V = string>(options?: ClientOptions<V>): Promise<Client<V>> {
    const client = this.client<V>(options)
    await this.settled(client.ready())
    this.time.run(100)
    return client
  }

  /** Lets virtual time go on, event by event, until the promise is settled. */
  async settled<T>(promise: Promise<T>, ms = 60_000): Promise<T> {
    const wait = { pending: true }
    const end = this.time.now + ms
    const watched = promise.finally(() => {
      wait.pending = false
    })
    watched.catch(() => {})
    await microtasks()
    while (wait.pending && this.time.now < end) {
      this.step(end)
      await microtasks()
    }
    if (wait.pending) throw new Error(`not settled within ${ms} ms of virtual time`)
    return watched
  }

  /** The reason why the promise was rejected. */
  async rejection(promise: Promise<unknown>, ms?: number): Promise<unknown> {
    try {
      await this.settled(promise, ms)
    } catch (error) {
      return error
    }
    throw new Error('a promise that should have been rejected was not')
  }

  /** One event, or on to `end` where there is none. */
  step(end: number): void {
    let events = 0
    this.time.until(() => events++ > 0, end - this.time.now)
  }
}

/** What waits for promises that are settled by now has its turn. */
export function microtasks(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
