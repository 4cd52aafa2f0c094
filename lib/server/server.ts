// The composition root: one process, one port, one node; lives that follow each other, clients, HTTP, and a clean end.
import { EventEmitter } from 'node:events'
import type { Server as HttpServer, IncomingMessage } from 'node:http'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { StrettoError } from '../base/errors.ts'
import { type Client, connect } from '../client/client.ts'
import { realEnv } from '../client/real-env.ts'
import type { StateMachine } from '../machine/machine.ts'
import { type NodeLimits, nodeLimits } from '../node/limits.ts'
import type { Node } from '../node/node.ts'
import { isShort } from '../node/room.ts'
import type { NodeId } from '../raft/types.ts'
import { recordBytesMax } from '../record/record.ts'
import type { Founded } from '../transport/founding.ts'
import { WsNet } from '../transport/ws-net.ts'
import { clientMessageBytesMax, clientProtocol, clientSubprotocol, type Welcome } from '../wire/client.ts'
import { peerMessageBytesMax } from '../wire/peer.ts'
import { peerSubprotocol } from '../wire/version.ts'
import { formatAddress, isWildcard } from './address.ts'
import { type OpenBackup, openBackup } from './backup.ts'
import { ownNames, refuseCaller } from './callers.ts'
import { ClientPort } from './client-port.ts'
import { EarlyEnd } from './early-end.ts'
import { FileDisk } from './file-disk.ts'
import { Findings } from './findings.ts'
import { handOver } from './hand-over.ts'
import { HistoryBound } from './history-bound.ts'
import { createHttpServer, type HttpView } from './http.ts'
import { Joiner } from './join.ts'
import { keyValueMachine } from './key-value.ts'
import type { HttpKv } from './kv-http.ts'
import { type Life, openLife } from './life.ts'
import { type LifeHooks, Lives } from './lives.ts'
import type { MachineInUse } from './machine-in-use.ts'
import { createMetrics } from './metrics.ts'
import type { ServerOptions } from './options.ts'
import { promised } from './promised.ts'
import { type SpaceWatch, watchSpace } from './space.ts'
import type { NodeStatus, Readiness } from './status.ts'
import { leaderId, readinessOf, statusOf } from './status-of.ts'
import { Upkeep } from './upkeep.ts'
import { packageVersion } from './version.ts'

export interface ServerEvents {
  /** Another node leads, or none that is known here. */
  readonly leader: (id: NodeId | null) => void
  /** This node has stopped by itself. */
  readonly ended: (error: Error) => void
}

export interface Server {
  /** `host:port` it listens at. */
  readonly address: string
  status(): NodeStatus
  readiness(): Readiness
  metrics(): Promise<string>
  /** Takes over what may be changed while a node runs. */
  adjust(options: Pick<ServerOptions, 'logBytesMax'>): void
  /** Hands leadership over, answers what was taken in, closes everything. */
  stop(): Promise<void>
  /** Comes when the node has ended by itself, with the reason. */
  readonly ended: Promise<Error>
}

const clientPath = '/v1'
/** What the log is cut to while the disk is nearly full. */
const logBytesScarce = 1_048_576

/**
 * Listens, opens the data directory and comes back when the node runs or waits for its founding.
 * @throws OpenError where the directory cannot be used; errors of the system where the address cannot
 */
export async function startServer(options: ServerOptions, log: Logger): Promise<Server> {
  const server = new NodeServer(options, log, folder => keyValueMachine(folder, options))
  await server.start()
  return server
}

/** One node, whatever its machine. */
export class NodeServer implements Server {
  readonly ended: Promise<Error>
  readonly #end: (error: Error) => void
  readonly #options: ServerOptions
  readonly #log: Logger
  readonly #make: (folder: string) => MachineInUse
  readonly #env = realEnv()
  readonly #events = new EventEmitter()
  readonly #http: HttpServer
  readonly #clients: WsNet
  readonly #peers: WsNet
  readonly #port: ClientPort
  readonly #joiner: Joiner
  readonly #metrics: () => Promise<string>
  readonly #startedAt = this.#env.now()
  /** Of all lives; looked at while they run. */
  readonly #limits: { -readonly [Name in keyof NodeLimits]: NodeLimits[Name] } = { ...nodeLimits }
  #logBytesMax = nodeLimits.logBytesMax
  readonly #space: SpaceWatch
  readonly #upkeep = new Upkeep(this.#env)
  readonly #history: HistoryBound | null
  readonly #lives: Lives
  #machine: MachineInUse | null = null
  readonly #findings: Findings
  #waiting: readonly string[] = []
  #client: Client<Uint8Array> | null = null
  #leader: NodeId | null = null
  readonly #halt = new AbortController()
  #stopped: Promise<void> | null = null

  constructor(options: ServerOptions, log: Logger, make: (folder: string) => MachineInUse) {
    let end: (error: Error) => void = () => {}
    this.ended = new Promise(resolve => {
      end = resolve
    })
    this.#end = error => {
      end(error)
      this.#events.emit('ended', error)
    }
    this.#options = options
    this.#log = log
    this.#findings = new Findings(this.#env, log)
    this.#space = watchSpace(this.#env, options, {
      changed: () => this.#boundLog(),
      reclaim: () => this.#upkeep.reclaim(),
      say: line => this.#findings.tell(line)
    })
    this.adjust(options)
    this.#make = make
    const node = (): Node | null => this.life?.node ?? null
    const { history } = options
    this.#history =
      history === null ? null : new HistoryBound({ env: this.#env, history, node, machine: () => this.#machine })
    this.#history?.start()
    const callers = { hosts: ownNames(options), origins: new Set(options.origins) }
    const view: HttpView = {
      status: () => this.status(),
      readiness: () => this.readiness(),
      metrics: () => this.metrics(),
      kv: () => this.#kv(),
      backup: () => this.#backup(),
      callers
    }
    this.#http = createHttpServer(view)
    const env = this.#env
    const shared = { env, server: this.#http, origins: options.origins }
    const clients = { messageBytesMax: clientMessageBytesMax, subprotocol: clientSubprotocol, linksMax: 4096 }
    // Links between nodes prove a secret instead, and may come by any name.
    const admits = (request: IncomingMessage): boolean => refuseCaller(request, callers) === null
    this.#clients = new WsNet({ ...shared, ...clients, admits })
    this.#peers = new WsNet({
      ...shared,
      messageBytesMax: peerMessageBytesMax,
      subprotocol: peerSubprotocol,
      origins: []
    })
    this.#port = new ClientPort({
      env,
      life: () => this.life,
      welcome: () => this.#welcome(),
      found: fault => {
        this.#findings.tell(fault.message)
        this.life?.node.condemn(fault)
      },
      revision: () => this.#machine?.revision() ?? 0
    })
    this.#joiner = new Joiner({
      env,
      net: new WsNet({ env, messageBytesMax: clientMessageBytesMax, subprotocol: clientSubprotocol }),
      options,
      ownAddress: () => this.ownAddress,
      life: () => this.life,
      waiting: reason => {
        this.#waiting = reason === null ? [] : [reason]
      },
      say: line => this.#findings.tell(line),
      ended: error => this.#end(error)
    })
    this.#lives = new Lives({
      env,
      log,
      halt: this.#halt.signal,
      open: hooks => this.#openLife(hooks),
      opened: () => {
        this.#joiner.tend()
        this.#changed()
      },
      founding: reasons => {
        this.#waiting = reasons
      },
      roomAgain: () => this.#space.roomAgain(),
      ended: error => this.#end(error)
    })
    this.#metrics = createMetrics({
      status: () => this.status(),
      counters: () => (this.life === null ? [] : [this.life.node.counters])
    })
  }

  /** Null between two lives, before founding and after the end. */
  get life(): Life | null {
    return this.#lives.current
  }

  #openLife({ waits, ...hooks }: LifeHooks): Promise<Life> {
    const { join: seeds, dataDir } = this.#options
    const admitted = (incarnation: string): Promise<Founded> => {
      waits()
      return this.#joiner.knock(incarnation)
    }
    return openLife({
      ...(seeds.length > 0 && { join: admitted }),
      ...hooks,
      env: this.#env,
      net: this.#peers,
      options: this.#options,
      disk: new FileDisk(dataDir),
      early: new EarlyEnd(this.#env, dataDir),
      limits: this.#limits,
      space: () => this.#space.space,
      machine: (state, use) => this.#makeMachine(join(dataDir, state), use),
      changed: () => this.#changed(),
      say: line => this.#findings.tell(line),
      halt: this.#halt.signal
    })
  }

  get address(): string {
    return formatAddress({ host: this.#options.listen.host, port: this.#listensAt })
  }

  /** Where this process reaches itself. */
  get ownAddress(): string {
    const { host } = this.#options.listen
    return formatAddress({ host: isWildcard(host) ? '127.0.0.1' : host, port: this.#listensAt })
  }

  get #listensAt(): number {
    const bound = this.#http.address()
    return typeof bound === 'object' && bound !== null ? bound.port : this.#options.listen.port
  }

  status(): NodeStatus {
    return statusOf(this.#statusParts())
  }

  readiness(): Readiness {
    return readinessOf(this.#statusParts())
  }

  metrics(): Promise<string> {
    return this.#metrics()
  }

  /** Takes over what may be changed while a node runs. */
  adjust({ logBytesMax }: Pick<ServerOptions, 'logBytesMax'>): void {
    this.#logBytesMax = logBytesMax
    this.#boundLog()
  }

  /** While the disk is nearly full, nobody is waited for who lags. */
  #boundLog(): void {
    const scarce = isShort(this.#space.level)
    const logBytesMax = scarce ? Math.min(this.#logBytesMax, logBytesScarce) : this.#logBytesMax
    this.#limits.logBytesMax = logBytesMax
    // Only what is flushed may be cut.
    this.#limits.flushLogBytes = Math.min(nodeLimits.flushLogBytes, Math.ceil(logBytesMax / 4))
  }

  async start(): Promise<void> {
    await this.#listen()
    await this.#space.start()
    try {
      await this.#lives.begin()
    } catch (error) {
      await this.#space.stop()
      this.#http.closeAllConnections()
      this.#http.close()
      throw error
    }
    await promised(done =>
      this.#clients.listen(
        this.address + clientPath,
        link => this.#port.accept(link),
        error => done(error)
      )
    )
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    this.#halt.abort(new StrettoError('STOPPED', 'the node has been stopped'))
    const closed = new Promise<void>(resolve => this.#http.close(() => resolve()))
    this.#joiner.close()
    this.#history?.stop()
    await this.#space.stop()
    const life = this.life
    if (life !== null) await handOver(this.#env, life.node)
    // Clients learn from the end of their links that they are to ask elsewhere, before the databases are closed.
    this.#port.close()
    await this.#client?.close()
    await this.#lives.close()
    this.#upkeep.stop()
    this.#port.close()
    this.#http.closeAllConnections()
    await closed
  }

  #listen(): Promise<void> {
    const { host, port } = this.#options.listen
    return new Promise((resolve, reject) => {
      this.#http.once('error', reject)
      this.#http.listen(port, host, () => {
        this.#http.off('error', reject)
        this.#http.on('error', error => this.#log.error({ event: 'http', err: error }, error.message))
        resolve()
      })
    })
  }

  #makeMachine(folder: string, use: 'serve' | 'restore'): StateMachine {
    const inUse = this.#make(folder)
    if (use === 'restore') return inUse.machine
    this.#machine = inUse
    this.#upkeep.use(inUse)
    return inUse.machine
  }

  on<Name extends keyof ServerEvents>(event: Name, listener: ServerEvents[Name]): void {
    this.#events.on(event, listener)
  }

  /** What serves the keys over HTTP: a client of this very node, made when it is first needed. */
  #kv(): HttpKv | null {
    if (this.life === null || this.#machine?.keyValue !== true) return null
    this.#client ??= connect([`ws://${this.ownAddress}`], { valueEncoding: 'bytes', name: 'http' })
    return this.#client
  }

  #backup(): Promise<OpenBackup> | null {
    return this.life === null || this.#machine === null ? null : openBackup(this.#env, this.life, this.#machine)
  }

  #changed(): void {
    const life = this.life
    if (life === null) return
    const { role, term } = life.node.raft.status
    const leader = leaderId(life)
    this.#log.info({ event: 'role', role, term, leader }, `${role} in term ${term}`)
    this.#port.news()
    if (leader === this.#leader) return
    this.#leader = leader
    this.#events.emit('leader', leader)
  }

  #welcome(): Welcome {
    const life = this.life
    const members = life?.node.raft.status.membership.members ?? []
    return {
      protocol: clientProtocol.max,
      clusterId: life?.memory.memory.clusterId ?? '',
      nodeId: this.#options.id,
      clusterTime: life?.node.clusterTime ?? 0,
      leader: life === null ? null : leaderId(life),
      members: members.map(({ id, address }) => ({ id, address })),
      requestBytesMax: recordBytesMax
    }
  }

  #statusParts() {
    return {
      options: this.#options,
      life: this.life,
      reasons: this.#space.reason === null ? this.#waiting : [this.#space.reason],
      space: this.#space,
      revision: this.#machine?.revision() ?? 0,
      compactedRevision: this.#machine?.compacted() ?? 0,
      stateBytes: this.#upkeep.stateBytes,
      uptimeMs: Math.round(this.#env.now() - this.#startedAt),
      version: packageVersion
    }
  }
}
