// One production node with the key-value machine: its disks, its turns and its flushes come when fast-check lets them.
import { readU32, readU64 } from '../../lib/base/bytes.ts'
import type { Env } from '../../lib/base/env.ts'
import { KvMachine, type KvOptions } from '../../lib/kv/kv-machine.ts'
import { foundingBase } from '../../lib/log/found-log.ts'
import { LogImage, MemoryLog } from '../../lib/log/memory-log.ts'
import { ReplicatedMachine, replicatedMachineDefaults } from '../../lib/machine/replicated-machine.ts'
import { sessionLimits } from '../../lib/machine/session-table.ts'
import type { NodeLimits } from '../../lib/node/limits.ts'
import { Node } from '../../lib/node/node.ts'
import type { WriteResult } from '../../lib/node/result.ts'
import { defaultConfig } from '../../lib/raft/config.ts'
import { Core } from '../../lib/raft/core.ts'
import { type Base, type Index, type LogId, lastOf } from '../../lib/raft/types.ts'
import { blockHeaderBytes, recordAt } from '../../lib/record/record.ts'
import { resultFrame } from '../../lib/server/client-port.ts'
import type { Transport } from '../../lib/transport/transport.ts'
import type { Arrivals } from './arrivals.ts'
import { keyOf } from './core-cluster.ts'
import { History, Witness } from './history.ts'
import { type LevelImage, MemoryLevel } from './memory-level.ts'
import { membershipWith, quickLimits } from './node-parts.ts'

export interface ArrivingOptions {
  /** Voters; this one is the first. */
  readonly count?: number
  readonly limits?: Partial<NodeLimits>
  readonly kv?: KvOptions
  readonly hotBytesMax?: number
  /** Tickets for reads that may wait in the core; more are refused, and asked for again. */
  readonly readsWaitingMax?: number
  /** How many client sessions are remembered. */
  readonly sessionsMax?: number
  readonly transport: (boot: number) => Transport
  readonly changed?: () => void
}

/** From opening to the end; after its end nothing of it happens any more. */
export interface ArrivingLife {
  readonly process: Process
  readonly env: Env
  readonly log: MemoryLog
  /** Null until the disks have been read. */
  node: Node | null
  readonly kv: KvMachine
}

interface Process {
  over: boolean
}

export class ArrivingNode {
  readonly arrivals: Arrivals
  readonly image: LogImage
  readonly level: LevelImage = new Map()
  readonly history = new History()
  /** Why a life has ended by itself. */
  readonly failures: Error[] = []
  /** What is wrong with its disk. */
  readonly findings: string[] = []
  life: ArrivingLife | null = null
  /** Of lives that are over. */
  flushes = 0
  readonly #options: ArrivingOptions

  constructor(arrivals: Arrivals, options: ArrivingOptions) {
    this.arrivals = arrivals
    this.#options = options
    this.image = new LogImage(baseOf(options.count ?? 1))
  }

  get node(): Node | null {
    return this.life?.node ?? null
  }

  /** Up to here the disk holds the log. */
  get durable(): Index {
    const last = this.image.blocks.at(-1)
    return last === undefined ? this.image.base.index : lastOf(last)
  }

  start(): void {
    const {
      limits,
      kv,
      hotBytesMax,
      sessionsMax = sessionLimits.countMax,
      readsWaitingMax = defaultConfig.readsWaitingMax,
      transport,
      changed = nothing
    } = this.#options
    const process: Process = { over: false }
    const env = this.#env(process)
    const level = new MemoryLevel(this.level, what => this.#turnOf(process, what))
    const inner = new KvMachine(level, env, kv)
    const machine = new ReplicatedMachine(new Witness(inner, this.history, upTo => this.#flushing(upTo)), {
      ...replicatedMachineDefaults,
      sessions: { ...sessionLimits, countMax: sessionsMax }
    })
    const log = new MemoryLog({
      image: this.image,
      env,
      stateOf: (_base, done) => machine.open((error, { durable }) => done(error, durable)),
      ...(hotBytesMax === undefined ? {} : { hotBytesMax })
    })
    const life: ArrivingLife = { process, env, log, node: null, kv: inner }
    this.life = life
    log.open((error, opened) => {
      if (error !== null) throw error
      this.findings.push(...opened.findings)
      const last = this.image.blocks.at(-1)
      const raft = new Core({
        self: keyOf(1),
        restored: opened.restored,
        config: { ...defaultConfig, readsWaitingMax },
        seed: this.image.boot,
        now: env.now()
      })
      const node = new Node({
        env,
        raft,
        log,
        machine,
        transport: transport(this.image.boot),
        limits: { ...quickLimits, ...limits },
        lastStamp: last === undefined ? 0 : readU64(last.bytes, blockHeaderBytes + recordAt.time),
        encode: (result: WriteResult, draft) => resultFrame(readU32(draft, recordAt.term), result),
        changed,
        found: nothing,
        place: () => {
          throw new Error('nobody has a snapshot')
        },
        renewed: nothing,
        failed: fault => this.failures.push(fault)
      })
      life.node = node
      node.start()
    })
  }

  /** The process dies: of what was not durable, `kept` chooses how much has reached the disk. */
  crash(kept: (below: number) => number): void {
    const { life } = this
    if (life === null) return
    this.#count(life)
    life.log.crash(kept)
    life.process.over = true
    this.life = null
  }

  /** The node is stopped; its log and machine are forgotten, as they are. */
  stop(): void {
    this.life?.node?.stop()
    this.crash(() => 0)
  }

  /** The state on disk must never run ahead of the log there. */
  #flushing({ index }: LogId): void {
    if (index > this.durable)
      this.findings.push(`a flush up to ${index}, while the log ends at ${this.durable} on disk`)
  }

  #count({ node }: ArrivingLife): void {
    this.flushes += node?.counters.flushes ?? 0
  }

  #turnOf(process: Process, what: string): Promise<void> {
    return new Promise(resolve => {
      this.arrivals.add(null, `n1: state ${what}`, () => {
        if (!process.over) resolve()
      })
    })
  }

  #env(process: Process): Env {
    const env = this.arrivals.env('n1')
    const alive =
      (wake: () => void): (() => void) =>
      () => {
        if (!process.over) wake()
      }
    return { ...env, after: (ms, wake) => env.after(ms, alive(wake)), soon: turn => env.soon(alive(turn)) }
  }
}

/** Where the logs of so many voters begin. */
export function baseOf(count: number): Base {
  return foundingBase({ clusterId: '0'.repeat(32), membership: membershipWith(count) })
}

function nothing(): void {}
