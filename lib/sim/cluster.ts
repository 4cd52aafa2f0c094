// A cluster of production nodes in virtual time: shallow, with Transport and Log replaced; started, crashed and restarted.

import { readU32, readU64 } from '../base/bytes.ts'
import type { Done } from '../base/env.ts'
import { MemoryLog } from '../log/memory-log.ts'
import { fromMemoryMachine, type MemoryMachine } from '../machine/memory-machine.ts'
import { ReplicatedMachine } from '../machine/replicated-machine.ts'
import { Node } from '../node/node.ts'
import type { WriteResult } from '../node/result.ts'
import { defaultConfig, type RaftConfig } from '../raft/config.ts'
import { Core } from '../raft/core.ts'
import { type Membership, memberKey } from '../raft/types.ts'
import { blockHeaderBytes, recordAt } from '../record/record.ts'
import { Checks } from './checks.ts'
import { Network, type NetworkFaults } from './network.ts'
import { SimNode } from './sim-node.ts'
import { type Life, World } from './world.ts'

export interface SimOptions {
  readonly seed: number
  readonly nodes: number
  readonly network: NetworkFaults
  /** How long a write of the log takes, milliseconds. */
  readonly diskMsMin: number
  readonly diskMsMax: number
  readonly machine: () => MemoryMachine
  readonly config?: RaftConfig
  /** A result as bytes, for the node that forwarded the request. */
  readonly encode: (result: WriteResult, number: number) => Uint8Array
  /** Role, term, leader or membership of some node have changed. */
  readonly changed?: () => void
}

export const gentleNetwork: NetworkFaults = { drop: 0, delayMsMin: 0.1, delayMsMax: 1 }

export class SimCluster {
  readonly world: World
  readonly network: Network
  readonly nodes: readonly SimNode[]
  readonly checks: Checks
  readonly #options: SimOptions

  constructor(options: SimOptions) {
    this.#options = options
    this.world = new World(options.seed)
    this.network = new Network(this.world, options.network)
    const members = Array.from({ length: options.nodes }, (_, at) => {
      const id = `n${at + 1}`
      const incarnation = String(at + 1).padStart(16, '0')
      return { key: memberKey(id, incarnation), id, incarnation, address: `${id}:1` }
    })
    const voters = members.map(member => member.key)
    const membership: Membership = { voters, outgoing: null, learners: [], members }
    this.nodes = voters.map(key => new SimNode(key, membership, this.world))
    this.checks = new Checks(this.nodes)
    for (const node of this.nodes) this.start(node)
  }

  get running(): readonly SimNode[] {
    return this.nodes.filter(node => node.node !== null)
  }

  /** The node that leads the highest term and knows it; null when there is none. */
  get leader(): SimNode | null {
    let leader: SimNode | null = null
    for (const node of this.running) {
      const status = node.node!.raft.status
      if (status.role !== 'leader' || (leader !== null && leader.node!.raft.status.term > status.term)) continue
      leader = node
    }
    return leader
  }

  /** Begins a life from what the disk of `node` holds. */
  start(node: SimNode): void {
    const {
      machine: makeMachine,
      diskMsMin,
      diskMsMax,
      config = defaultConfig,
      encode,
      changed = nothing
    } = this.#options
    const life: Life = { over: false, stalledUntil: 0 }
    node.life = life
    const env = this.world.env(life, node.random)
    const inner = fromMemoryMachine(makeMachine(), node.vault, env)
    const machine = new ReplicatedMachine(inner)
    const delayMs = (): number => diskMsMin + (node.random.next() / 0x1_0000_0000) * (diskMsMax - diskMsMin)
    const stateOf = (_base: unknown, done: Done<{ readonly term: number; readonly index: number }>): void =>
      machine.open((error, { durable }) => done(error, durable))
    const log = new MemoryLog({ image: node.image, env, delayMs, stateOf })
    node.log = log
    log.open((error, opened) => {
      if (error !== null) throw error
      const seed = node.random.next()
      const raft = new Core({ self: node.key, restored: opened.restored, config, seed, now: env.now() })
      const last = node.image.blocks.at(-1)
      node.machine = inner
      node.node = new Node({
        env,
        raft,
        log,
        machine,
        transport: this.network.transport(node.key, life, node.image.boot),
        lastStamp: last === undefined ? 0 : readU64(last.bytes, blockHeaderBytes + recordAt.time),
        encode: (result, draft) => encode(result, readU32(draft, recordAt.term)),
        changed,
        found: () => {},
        failed: fault => {
          throw fault
        }
      })
      node.node.start()
    })
  }

  /** The process dies: what was not durable may be lost, as chance has it. */
  crash(node: SimNode): void {
    if (node.life === null) return
    node.log?.crash(below => node.random.below(below))
    node.life.over = true
    node.life = null
    node.node = null
    node.machine = null
    node.log = null
    this.checks.crashed(node)
    this.network.down(node.key)
  }

  /** The process is held up: its timers and its messages wait, and come together afterwards. */
  stall(node: SimNode, ms: number): void {
    if (node.life !== null) node.life.stalledUntil = this.world.now + ms
  }

  /** Runs for so many virtual milliseconds, or until `until` holds; every event is followed by the checks. */
  run(ms: number, until: () => boolean = () => false): boolean {
    let met = false
    this.world.run(this.world.now + ms, () => {
      this.checks.afterEvent()
      met = until()
      return met
    })
    return met
  }
}

function nothing(): void {}
