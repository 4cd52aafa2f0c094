// One production node in virtual time whose peers, disk and callers are played by the test.
import type { Env } from '../../lib/base/env.ts'
import { foundingBase } from '../../lib/log/found-log.ts'
import { LogImage, MemoryLog } from '../../lib/log/memory-log.ts'
import { fromMemoryMachine } from '../../lib/machine/memory-machine.ts'
import { ReplicatedMachine, replicatedMachineDefaults } from '../../lib/machine/replicated-machine.ts'
import { MemoryVault } from '../../lib/machine/vault.ts'
import type { NodeLimits } from '../../lib/node/limits.ts'
import { Node } from '../../lib/node/node.ts'
import type { ReadTerms } from '../../lib/node/parts.ts'
import type { WriteResult } from '../../lib/node/result.ts'
import { defaultConfig, type RaftConfig } from '../../lib/raft/config.ts'
import { Core } from '../../lib/raft/core.ts'
import type { Due, Input, Persist, Raft, Ready, Status } from '../../lib/raft/doors.ts'
import type { Append, AppendReply, Envelope, Message } from '../../lib/raft/message.ts'
import {
  type Block,
  type Index,
  lastOf,
  type MemberKey,
  type Membership,
  type SnapshotMeta,
  type Term
} from '../../lib/raft/types.ts'
import { keyOf } from './core-cluster.ts'
import { FakeTransport, membershipWith, quickLimits } from './node-parts.ts'
import { Tally } from './tally.ts'
import { VirtualTime } from './virtual-time.ts'

/** A core that writes down when it is called, and throws when it is told to. */
class WatchedRaft implements Raft {
  readonly #core: Core
  readonly #trace: string[]
  breaks: Error | null = null

  constructor(core: Core, trace: string[]) {
    this.#core = core
    this.#trace = trace
  }

  get status(): Status {
    return this.#core.status
  }

  step(input: Input, now: number): void {
    this.#trace.push(input.kind === 'receive' ? input.envelope.message.kind : input.kind)
    if (this.breaks !== null) throw this.breaks
    this.#core.step(input, now)
  }

  ready(): Ready | null {
    this.#trace.push('ready')
    return this.#core.ready()
  }

  due(peer: MemberKey, now: number): Due | null {
    return this.#core.due(peer, now)
  }

  append(peer: MemberKey, blocks: readonly Block[], now: number, time: number): Envelope {
    return this.#core.append(peer, blocks, now, time)
  }

  announce(peer: MemberKey, meta: SnapshotMeta): Envelope {
    return this.#core.announce(peer, meta)
  }

  membershipAt(index: Index): Membership {
    return this.#core.membershipAt(index)
  }

  wakeAt(): number {
    return this.#core.wakeAt()
  }
}

/** Writes down what is written and sent, in one list with the calls of the core. */
class WatchedLog extends MemoryLog {
  trace: string[] = []

  override write(persist: Persist, done: (error: Error | null) => void): void {
    this.trace.push('write')
    super.write(persist, done)
  }
}

export interface PlayOptions {
  /** Voters: this node, and peers who are played. */
  readonly count?: number
  readonly limits?: Partial<NodeLimits>
  readonly config?: Partial<RaftConfig>
  /** What the peers answer by themselves; `none` by default, with one voter there is nobody. */
  readonly peers?: 'none' | 'votes' | 'all'
  readonly diskMs?: number
  /** The highest machine version that its program can run. */
  readonly versionMax?: number
}

export class PlayedNode {
  readonly time = new VirtualTime()
  readonly env: Env = this.time.env('n1')
  readonly transport = new FakeTransport()
  readonly trace: string[] = []
  readonly failures: Error[] = []
  readonly findings: string[] = []
  readonly tally = new Tally()
  peers: 'none' | 'votes' | 'all'
  changes = 0
  /** Called in place of counting: what the owner does when role, term or leader change. */
  onChange: () => void = () => {}
  diskMs: number
  readonly log: WatchedLog
  readonly raft: WatchedRaft
  readonly node: Node

  constructor(options: PlayOptions = {}) {
    const { count = 1, peers = 'none', diskMs = 0 } = options
    this.peers = peers
    this.diskMs = diskMs
    const membership = membershipWith(count)
    const base = foundingBase({ clusterId: '0'.repeat(32), membership })
    this.log = new WatchedLog({ image: new LogImage(base), env: this.env, delayMs: () => this.diskMs })
    this.log.trace = this.trace
    const { env, log, transport } = this
    let raft: WatchedRaft | null = null
    log.open((_error, { restored }) => {
      const config = { ...defaultConfig, ...options.config }
      raft = new WatchedRaft(new Core({ self: keyOf(1), restored, config, seed: 1, now: env.now() }), this.trace)
    })
    this.time.until(() => raft !== null)
    this.raft = raft!
    const { versionMax = 1 } = options
    const machine = new ReplicatedMachine(fromMemoryMachine(this.tally, new MemoryVault(env), env), {
      ...replicatedMachineDefaults,
      versionMax
    })
    this.#playPeers()
    this.node = new Node({
      env,
      raft: this.raft,
      log,
      machine,
      transport,
      limits: { ...quickLimits, ...options.limits },
      lastStamp: 0,
      encode: result => Buffer.from(JSON.stringify(result)),
      changed: () => {
        this.changes++
        this.onChange()
      },
      found: line => this.findings.push(line),
      place: () => {
        throw new Error('nobody has a snapshot')
      },
      renewed: () => {},
      failed: error => this.failures.push(error)
    })
    this.node.start()
  }

  get status(): Status {
    return this.raft.status
  }

  /** Runs until the node leads and its no-op is applied. */
  lead(): this {
    const leads = (): boolean => this.status.role === 'leader' && !this.status.owesNoop
    if (!this.time.until(leads)) throw new Error('it does not lead')
    if (this.peers === 'all' || this.transport.connected[0]!.length === 1) {
      if (!this.time.until(() => this.node.applied > 0)) throw new Error('its no-op is not applied')
    }
    return this
  }

  /** A message of a peer arrives. */
  hear(from: number, term: Term, message: Message): void {
    this.transport.handler!.message({ from: keyOf(from), to: keyOf(1), term, message })
  }

  /** An append of a leader that is played. */
  append(from: number, term: Term, options: Partial<Append> = {}): void {
    const empty = { kind: 'append', prev: { term: 0, index: 0 }, blocks: [], commit: 0, round: 0, time: 0 } as const
    this.hear(from, term, { ...empty, ...options })
  }

  reply(from: number, match: Index, options: Partial<AppendReply> = {}): void {
    const message = { kind: 'append-reply', match, reject: null, round: 0, leaseMs: 0 } as const
    this.hear(from, this.status.term, { ...message, ...options })
  }

  write(draft: Uint8Array): WriteResult[] {
    const results: WriteResult[] = []
    this.node.write(draft, result => results.push(result))
    return results
  }

  read(terms: Partial<ReadTerms> = {}): (Error | null)[] {
    const ends: (Error | null)[] = []
    const all = { point: 'linearizable', leastIndex: 0, patienceMs: 0, enough: null, ...terms } as const
    this.node.read(all, error => ends.push(error))
    return ends
  }

  /** Lets everything happen that needs no time. */
  settle(): void {
    this.time.run(0)
  }

  /** Messages of one kind that were sent. */
  sent(kind: Message['kind']): Envelope[] {
    return this.transport.sent.filter(({ message }) => message.kind === kind)
  }

  #playPeers(): void {
    const send = this.transport.send.bind(this.transport)
    this.transport.send = envelope => {
      this.trace.push(`send ${envelope.message.kind}`)
      if (!send(envelope)) return false
      this.env.soon(() => this.#answer(envelope))
      return true
    }
  }

  #answer({ to, term, message }: Envelope): void {
    const answer = (reply: Message): void => {
      this.transport.handler!.message({ from: to, to: keyOf(1), term, message: reply })
    }
    if (message.kind === 'vote' && this.peers !== 'none') {
      answer({ kind: 'vote-reply', pre: message.pre, round: message.round, granted: true, reason: null })
    } else if (message.kind === 'append' && this.peers === 'all') {
      const last = message.blocks.at(-1)
      const match = last === undefined ? message.prev.index : lastOf(last)
      answer({ kind: 'append-reply', match, reject: null, round: message.round, leaseMs: 0 })
    }
  }
}
