// Several clients of one simulated cluster with real machines, each a process that can be halted or die.
import { Client } from '../../lib/client/kv-client.ts'
import { SimCluster } from '../../lib/sim/cluster.ts'
import { keyValueMachines } from '../../lib/sim/ghost/machines.ts'
import { Life } from '../../lib/sim/world/world.ts'
import { MemoryNet } from '../../lib/transport/memory-net.ts'
import { macrotask } from './arrivals.ts'

export interface SimClient {
  readonly name: string
  readonly life: Life
  readonly db: Client<string>
}

export class SimClients {
  readonly cluster: SimCluster
  #count = 0

  constructor(seed: number, nodes = 3) {
    this.cluster = new SimCluster({ seed, nodes, depth: 'shallow', machine: keyValueMachines })
  }

  get now(): number {
    return this.cluster.world.now
  }

  async found(): Promise<this> {
    const isFounded = (): boolean => this.cluster.nodes.every(({ node }) => node !== null)
    if (!(await this.cluster.play(30_000, isFounded))) throw new Error('the cluster is not founded')
    // The first one waits until all that the machine knows is in force.
    const { db } = this.client()
    await this.end(db.txn().commit())
    await this.end(db.close())
    return this
  }

  /** So many that have a link to the cluster. */
  async clients(count: number): Promise<SimClient[]> {
    const clients = Array.from({ length: count }, () => this.client())
    await this.end(Promise.all(clients.map(({ db }) => db.ready())))
    await this.rest(200)
    return clients
  }

  client(): SimClient {
    const { world, fabric, endpoints } = this.cluster
    const name = `c${++this.#count}`
    const life = new Life(name, true)
    const env = world.env(life, world.random(name))
    const net = new MemoryNet(fabric, env, name)
    return { name, life, db: new Client<string>({ env, net }, endpoints, { timeout: 10_000 }) }
  }

  /** Nothing of it happens for so long. */
  halt({ life }: SimClient, ms: number): void {
    life.stalledUntil = this.now + ms
  }

  die({ life, name }: SimClient): void {
    life.over = true
    this.cluster.fabric.kill(name)
  }

  /** Lets virtual time go on until the call has ended. */
  async end<T>(promise: Promise<T>, ms = 120_000): Promise<T> {
    const wait = { over: false }
    const watched = promise.finally(() => {
      wait.over = true
    })
    watched.catch(() => {})
    await macrotask()
    if (!wait.over) await this.cluster.play(ms, () => wait.over)
    if (!wait.over) throw new Error('a call never ends')
    return await watched
  }

  async rejection(promise: Promise<unknown>): Promise<unknown> {
    try {
      await this.end(promise)
    } catch (error) {
      return error
    }
    throw new Error('a promise that should have been rejected was not')
  }

  async rest(ms: number): Promise<void> {
    await this.cluster.play(ms)
  }
}
