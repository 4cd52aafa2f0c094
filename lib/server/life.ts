// One life of a node: from opening what the disk holds to the first fault or the end. After a fault another one begins.
import { readU32, readU64, toHex } from '../base/bytes.ts'
import type { Done, Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import { nameOfState } from '../log/base-record.ts'
import { corrupt, OpenError, openFault, refuse } from '../log/faults.ts'
import { foundLog } from '../log/found-log.ts'
import { settle } from '../log/level.ts'
import { LevelLog } from '../log/level-log.ts'
import type { Opened } from '../log/log.ts'
import { type MemoryKeeper, openMemory } from '../log/memory-keeper.ts'
import type { StateMachine } from '../machine/machine.ts'
import { ReplicatedMachine, replicatedMachineDefaults } from '../machine/replicated-machine.ts'
import type { NodeLimits } from '../node/limits.ts'
import { Node } from '../node/node.ts'
import type { Space } from '../node/room.ts'
import type { SparePlace } from '../node/snapshot-receiver.ts'
import { defaultPriority } from '../node/succession.ts'
import { defaultConfig } from '../raft/config.ts'
import { Core } from '../raft/core.ts'
import { type Base, type Index, type LogId, lastOf, logOrigin, type Membership, memberKey } from '../raft/types.ts'
import { blockHeaderBytes, recordAt } from '../record/record.ts'
import { type Founded, Founding, type Waiting } from '../transport/founding.ts'
import type { Net } from '../transport/net.ts'
import { Peers } from '../transport/peers.ts'
import { resultFrame } from './client-port.ts'
import type { Disk } from './disk.ts'
import type { EarlyEnd } from './early-end.ts'
import { foreignCluster } from './foreign-cluster.ts'
import type { ServerOptions } from './options.ts'
import { promised } from './promised.ts'
import { Scrubbing } from './scrubbing.ts'

export interface LifeParts {
  readonly env: Env
  /** For links between nodes. */
  readonly net: Net
  readonly options: Pick<ServerOptions, 'id' | 'cluster' | 'advertise' | 'peerSecret'> &
    Partial<Pick<ServerOptions, 'priority'>>
  readonly disk: Disk
  /** Looks after the state where the life before may have been ended by it; absent where nothing outside can end one. */
  readonly early?: EarlyEnd
  /**
   * Makes the state machine, not yet open, over the state directory of this name, which the disk holds. `use`: whether it
   * is to serve, or only takes a snapshot in.
   */
  readonly machine: (state: string, use: 'serve' | 'restore') => StateMachine
  /** Asks a cluster that runs to let this incarnation in; absent for a node that founds one. */
  readonly join?: (incarnation: string) => Promise<Founded>
  /** For whom the founding waits; empty once it is over. */
  readonly founding: (waiting: readonly Waiting[]) => void
  /** Role, term, leader or membership have changed. */
  readonly changed: () => void
  readonly failed: (error: Error) => void
  /** This life is over, since a snapshot has been put in the place of its state: the next one may begin. */
  readonly renewed: () => void
  readonly say: (line: string) => void
  /** As they are when a node looks at them, so that they may be changed while it runs. */
  readonly limits?: NodeLimits
  /** How much room the disk has; absent: always enough. */
  readonly space?: () => Space
  /** The highest machine version that this program can run, where it is not that of the machine. */
  readonly versionMax?: number
  /** The founding, which may wait for ever, is given up when it is aborted. */
  readonly halt: AbortSignal
}

/** What the directory of a node holds, locked for this process. */
interface Directory {
  readonly memory: MemoryKeeper
  readonly opened: Opened
  readonly log: LevelLog
  readonly machine: StateMachine
  readonly replicated: ReplicatedMachine
}

/** So many records are applied within a few turns: under load a node is never quite level. */
const nearlyAll = 16

export class Life {
  readonly node: Node
  readonly machine: StateMachine
  readonly replicated: ReplicatedMachine
  readonly log: LevelLog
  readonly memory: MemoryKeeper
  readonly #peers: Peers
  readonly #scrubbing: Scrubbing
  readonly #early: EarlyEnd | null
  readonly #begunAt: Index
  #hasCaughtUp = false

  constructor(directory: Directory, peers: Peers, node: Node, scrubbing: Scrubbing, early: EarlyEnd | null) {
    this.node = node
    this.machine = directory.machine
    this.replicated = directory.replicated
    this.log = directory.log
    this.memory = directory.memory
    this.#peers = peers
    this.#scrubbing = scrubbing
    this.#early = early
    this.#begunAt = directory.opened.restored.commit
  }

  /** True from the moment at which what was known to be committed has been applied: until then reads would wait. */
  get hasCaughtUp(): boolean {
    const { commit, last, leader } = this.node.raft.status
    // What the state contained at the start says nothing of what was committed since.
    const isTold = leader !== null && (commit > this.#begunAt || commit === last.index)
    this.#hasCaughtUp ||= isTold && commit > 0 && this.node.applied + nearlyAll >= commit
    return this.#hasCaughtUp
  }

  /** Ends it: callers are answered, links closed, LevelDB closed. Errors of closing are of no more use to anybody. */
  async close(): Promise<void> {
    this.node.stop()
    this.#scrubbing.stop()
    const ends = [
      promised(done => this.node.release(done)),
      promised(done => this.#peers.close(done)),
      promised(done => this.replicated.close(done)),
      promised(done => this.log.close(done))
    ]
    await Promise.allSettled(ends)
    await this.#early?.end()
  }
}

/**
 * Opens the data directory, founds the cluster where it is new, and starts the node.
 * @throws OpenError, StrettoError
 */
export async function openLife(parts: LifeParts): Promise<Life> {
  const { env, net, options, say } = parts
  const directory = await openDirectory(parts)
  const { memory, opened, log, replicated } = directory
  for (const finding of opened.findings) say(finding)
  const { id, incarnation, clusterId, boot } = memory.memory
  const self = memberKey(id, incarnation)
  const { priority = defaultPriority } = options
  try {
    const peers = new Peers({
      env,
      net,
      listen: options.advertise,
      self,
      clusterId: clusterId!,
      boot,
      machine: [1, replicated.versionMax],
      priority,
      secret: options.peerSecret ?? noSecret,
      founding: foundedWith(opened.base),
      log: say
    })
    const seed = env.random(0x1_0000_0000)
    const raft = new Core({ self, restored: opened.restored, config: defaultConfig, seed, now: env.now() })
    const { changed, failed, renewed } = parts
    const node = new Node({
      env,
      raft,
      log,
      machine: replicated,
      transport: peers,
      lastStamp: await lastStamp(log, opened),
      encode: (result, draft) => resultFrame(readU32(draft, recordAt.term), result),
      changed,
      found: say,
      place: (state, done) => placeFor(parts, state, done),
      renewed,
      failed,
      priority,
      ...(parts.limits && { limits: parts.limits }),
      ...(parts.space && { space: parts.space })
    })
    await promised(done => peers.listen(error => done(error)))
    node.start()
    const scrubbing = new Scrubbing({ env, node, log, machine: replicated, say })
    scrubbing.start()
    return new Life(directory, peers, node, scrubbing, parts.early ?? null)
  } catch (error) {
    await Promise.allSettled([promised(done => replicated.close(done)), promised(done => log.close(done))])
    await parts.early?.end()
    throw error
  }
}

/** The log's database is opened first: its lock keeps a second process away from everything else in the directory. */
async function openDirectory(parts: LifeParts): Promise<Directory> {
  const { env, disk, early, options, machine: makeMachine } = parts
  const { directory } = disk
  await promised(done => disk.prepare(done))
  const level = disk.log()
  await promised(done => settle(level.open(), done)).catch((error: Error) => {
    throw openFault('the data directory', error)
  })
  let memory: MemoryKeeper | null = null
  let machine: StateMachine | null = null
  let replicated: ReplicatedMachine | null = null
  try {
    const identity = { id: options.id, incarnation: drawIncarnation(env) }
    memory = await promised<MemoryKeeper>(done => openMemory(disk.slots(), env, identity, done))
    if (memory.memory.clusterId === null) {
      const settled = memory
      const keep = (founded: Founded): Promise<void> =>
        promised(done => foundLog({ level: () => level, memory: settled, directory }, founded, done))
      if (parts.join === undefined) await found(parts, memory, keep)
      else await keep(await parts.join(memory.memory.incarnation))
    }
    const wasEndedEarly = (await early?.begin()) ?? false
    let damage: Error | null = null
    const stateOf = (base: Base, done: (error: Error | null, state: LogId) => void): void => {
      const open = (state: number, opened: typeof done): void => {
        machine = makeMachine(nameOfState(state), 'serve')
        replicated = new ReplicatedMachine(machine, { ...replicatedMachineDefaults, ...versionMaxOf(parts) })
        replicated.open((error, { durable }) => opened(error, durable))
      }
      const openEmpty = (why: Error): void => {
        damage = why
        emptyState(parts, base.state + 1, fault => (fault ? done(fault, logOrigin) : open(base.state + 1, done)))
      }
      const openIt = (): void =>
        open(base.state, (error, durable) => {
          if (isDamage(error)) machine!.close(() => openEmpty(error))
          else done(error, durable)
        })
      if (!wasEndedEarly) return openIt()
      void damageOf(parts, base).then(why => (why === null ? openIt() : openEmpty(why)))
    }
    const log = new LevelLog({ level: () => level, memory, directory, env, stateOf })
    const opened = await promised<Opened>(done => log.open(done))
    if (damage !== null) await replaceState(parts, log, opened, damage)
    const foreign = foreignCluster(options, opened.restored.memberships.at(-1)!.membership)
    if (foreign !== null) throw new OpenError('foreign-cluster', foreign)
    return { memory, opened, log, machine: machine!, replicated: replicated! }
  } catch (error) {
    await Promise.allSettled([
      level.close(),
      memory === null ? null : promised(done => memory!.close(done)),
      replicated === null ? null : promised(done => replicated!.close(done))
    ])
    await early?.end()
    throw error
  }
}

/** Never drawn twice by anybody: 64 bits of chance. */
function drawIncarnation(env: Env): string {
  return toHex(Uint8Array.from({ length: 8 }, () => env.random(256)))
}

/**
 * Hears every other node of the list before anybody votes; alone in the list, a node founds at once. What was agreed is
 * made durable while this node still answers the others, so that none of them can come to another view.
 */
async function found(parts: LifeParts, memory: MemoryKeeper, keep: (founded: Founded) => Promise<void>): Promise<void> {
  const { env, net, options, halt } = parts
  const { incarnation, boot } = memory.memory
  const founding = new Founding({
    env,
    net,
    listen: options.advertise,
    id: options.id,
    incarnation,
    cluster: options.cluster,
    boot,
    machine: [1, parts.versionMax ?? 1],
    secret: options.peerSecret ?? noSecret,
    progress: parts.founding
  })
  try {
    await keep(
      await new Promise<Founded>((resolve, reject) => {
        founding.start((error, founded) => (error === null ? resolve(founded) : reject(error)))
        halt.addEventListener('abort', () => reject(halt.reason))
        halt.throwIfAborted()
      })
    )
  } finally {
    parts.founding([])
    await promised(done => founding.close(done))
  }
}

/** What the cluster was founded with, where the log still begins with that; one that joined has never known. */
function foundedWith({ index, membership }: Base): Membership | null {
  return index === 0 && membership.members.length > 0 ? membership : null
}

function isDamage(error: Error | null): error is StrettoError {
  return error instanceof StrettoError && error.code === 'CORRUPT'
}

/** What may have ended the life before, found in the state that is in force; null where that has to be used as it is. */
async function damageOf({ early, options, say }: LifeParts, base: Base): Promise<StrettoError | null> {
  const found = (await early?.damageOf(nameOfState(base.state))) ?? null
  if (found === null) return null
  if (isRefilled(options, base, base.membership)) return corrupt(found)
  say(`the state is damaged, and used as it is since nobody could bring it again: ${found}`)
  return null
}

/** Somebody brings what is missing in an empty state: the own log, or another member. */
function isRefilled({ id }: LifeParts['options'], base: Base, { voters }: Membership): boolean {
  return base.index === 0 || voters.some(key => !key.startsWith(`${id}.`))
}

/** Makes the directory of this state, with nothing in it. */
function emptyState({ disk: { directory } }: LifeParts, state: number, done: Done): void {
  directory.remove(nameOfState(state), error =>
    error === null ? directory.create(nameOfState(state), done) : done(error)
  )
}

/**
 * The state in force is damaged, and an empty one stands beside it: puts that into force. It is filled from the own log
 * where that goes back to the beginning, and else by a leader.
 * @throws OpenError where there is nobody who could bring it
 */
async function replaceState(parts: LifeParts, log: LevelLog, { base, restored }: Opened, damage: Error): Promise<void> {
  const { membership } = restored.memberships.at(-1)!
  if (!isRefilled(parts.options, base, membership)) throw openFault('the state', damage)
  parts.say(`the state is damaged, and made anew: ${damage.message}`)
  await promised(done => log.rebase({ ...base, state: base.state + 1 }, done))
}

/** An empty state directory beside the one in force, and a machine over it that takes a snapshot in. */
function placeFor(parts: LifeParts, state: number, done: Done<SparePlace>): void {
  const { disk, machine: makeMachine } = parts
  const name = nameOfState(state)
  emptyState(parts, state, error => {
    if (error !== null) return refuse(done, error)
    const machine = makeMachine(name, 'restore')
    done(null, {
      sink: machine.restore(),
      keep: kept => machine.close(kept),
      discard: gone => machine.close(() => disk.directory.remove(name, gone))
    })
  })
}

/** Cluster time of the last record in the log, milliseconds; 0 where there is none. */
async function lastStamp(log: LevelLog, { tail, base }: Opened): Promise<number> {
  if (tail.index === base.index) return 0
  const found = log.hot(tail.index, 1) ?? (await promised(done => log.cold(tail.index, 1, done)))
  const last = found?.find(block => lastOf(block) === tail.index)
  if (last === undefined) throw new OpenError('corrupt', 'the last block of the log cannot be read')
  return readU64(last.bytes, blockHeaderBytes + recordAt.time)
}

function versionMaxOf({ versionMax }: LifeParts): Pick<LifeParts, 'versionMax'> {
  return versionMax === undefined ? {} : { versionMax }
}

const noSecret = new Uint8Array(0)
