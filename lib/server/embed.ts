// Embedding: an application's own machine, replicated in the application's own process.
import { join } from 'node:path'
import type { Logger } from 'pino'
import { StrettoError } from '../base/errors.ts'
import { MachineClient, type Proposed } from '../client/machine-client.ts'
import type { WriteOptions } from '../client/options.ts'
import { realEnv } from '../client/real-env.ts'
import type { StateMachine } from '../machine/machine.ts'
import { fromMemoryMachine, type MemoryMachine } from '../machine/memory-machine.ts'
import { WsNet } from '../transport/ws-net.ts'
import { type Consistency, clientMessageBytesMax, clientSubprotocol } from '../wire/client.ts'
import { FileVault } from './file-vault.ts'
import type { MachineInUse } from './machine-in-use.ts'
import { readServerOptions } from './options.ts'
import { promised } from './promised.ts'
import { NodeServer, type ServerEvents } from './server.ts'
import type { NodeStatus } from './status.ts'

export { StrettoError } from '../base/errors.ts'
export type { Proposed } from '../client/machine-client.ts'
export type {
  Batch,
  Outcome,
  Outcomes,
  SnapshotSink,
  SnapshotSource,
  Source,
  StateMachine
} from '../machine/machine.ts'
export type { CommandContext, MemoryMachine } from '../machine/memory-machine.ts'
export type { NodeStatus } from './status.ts'

export interface NodeOptions {
  /** `^[a-z0-9][a-z0-9-]{0,62}$` */
  readonly id: string
  /** `host:port`; the address of this node in `cluster` when left out. */
  readonly listen?: string
  readonly dataDir: string
  /** Node id -> `host:port`, this node included: the founding nodes. Left out: a cluster of one. */
  readonly cluster?: Readonly<Record<string, string>>
  /** `host:port` of nodes of a running cluster that is to take this one in, where `dataDir` is empty. */
  readonly join?: readonly string[]
  /** With `join`: follow, and never vote. */
  readonly learner?: boolean
  /** A file with the secret that the nodes share; see `stretto cluster`. */
  readonly peerSecretFile?: string
  /** Room that is given up when the disk is full, such as `16MiB`; `0` for none. Up to 64 MiB when left out. */
  readonly ballast?: string
  /** Allows addresses that other machines can reach, in plaintext. */
  readonly insecure?: boolean
  /** Lives in memory and saves itself whole, or keeps its own disk in the folder that it is given at each start. */
  readonly machine: MemoryMachine | ((folder: string) => StateMachine)
  /** Where log lines go; nowhere by default. */
  readonly log?: Logger
}

export interface QueryOptions {
  readonly consistency?: Exclude<Consistency, 'session'>
  /** Milliseconds; 5 s by default. */
  readonly timeoutMs?: number
}

/**
 * Starts a node of a replicated machine. Resolves when its data are open, or while it waits for its founding.
 * @throws UsageError for an option, OpenError for a data directory that cannot be used, errors of the system
 */
export async function startNode(options: NodeOptions): Promise<EmbeddedNode> {
  const { id, listen, dataDir, cluster, join: others, learner, peerSecretFile, ballast, insecure, machine } = options
  const list =
    cluster === undefined ? undefined : Object.entries(cluster).map(([name, address]) => `${name}=${address}`)
  const flags = {
    id,
    listen,
    'data-dir': dataDir,
    cluster: list?.join(','),
    join: others?.join(','),
    learner,
    'peer-secret-file': peerSecretFile,
    ballast,
    insecure
  }
  const serverOptions = await readServerOptions({ flags, env: {}, directory: process.cwd() })
  const log = options.log ?? (await import('pino')).default({ level: 'silent' })
  const env = realEnv()
  const initial = typeof machine === 'function' ? null : machine.save()
  const inUse = (folder: string): MachineInUse => {
    if (typeof machine === 'function')
      return { machine: machine(folder), keyValue: false, revision: () => 0, compacted: () => 0, bytes: async () => 0 }
    // A life after a fault of the disk begins with the machine as it was given: the log brings back the rest.
    if (initial !== null) machine.load(initial)
    const vault = new FileVault(join(folder, 'machine'))
    return {
      machine: fromMemoryMachine(machine, vault, env),
      keyValue: false,
      compacted: () => 0,
      revision: () => 0,
      bytes: () => vault.bytes()
    }
  }
  const server = new NodeServer(serverOptions, log, inUse)
  await server.start()
  return new EmbeddedNode(server)
}

export class EmbeddedNode implements AsyncDisposable {
  readonly #server: NodeServer
  readonly #client: MachineClient

  /** Made by `startNode`. */
  constructor(server: NodeServer) {
    this.#server = server
    const env = realEnv()
    const net = new WsNet({ env, messageBytesMax: clientMessageBytesMax, subprotocol: clientSubprotocol })
    this.#client = new MachineClient({ env, net }, [`ws://${server.ownAddress}`], { name: 'embedded' })
  }

  /** Has the machine execute `command` once, on all nodes; the machine's answer comes back. */
  propose(command: Uint8Array, options?: WriteOptions): Promise<Proposed> {
    return this.#client.propose(command, options)
  }

  /** Asks the machine on this node; by default after all that was acknowledged before the call, anywhere. */
  async query(question: Uint8Array, options: QueryOptions = {}): Promise<Uint8Array> {
    const life = this.#server.life
    if (life === null) throw new StrettoError('UNAVAILABLE', 'this node is not serving', { retryAfterMs: 100 })
    const { consistency = 'linearizable', timeoutMs = 0 } = options
    const point = consistency === 'stale' ? 'local' : 'linearizable'
    await promised(done => life.node.read({ point, leastIndex: 0, patienceMs: timeoutMs, enough: null }, done))
    return promised<Uint8Array>(done => life.machine.query(question, done))
  }

  status(): NodeStatus {
    return this.#server.status()
  }

  /** `leader`: another node leads, or none that is known here. `ended`: this node has stopped by itself. */
  on<Name extends keyof ServerEvents>(event: Name, listener: ServerEvents[Name]): this {
    this.#server.on(event, listener)
    return this
  }

  /** Hands leadership over, answers what was taken in, closes everything. */
  async stop(): Promise<void> {
    await this.#client.close()
    await this.#server.stop()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}
