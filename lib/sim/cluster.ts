// A cluster of production nodes in virtual time, in one of two depths; started, crashed and restarted, and judged throughout.

import { foundingBase } from '../log/found-log.ts'
import { LogImage } from '../log/memory-log.ts'
import type { RaftConfig } from '../raft/config.ts'
import type { Envelope } from '../raft/message.ts'
import { hasQuorum } from '../raft/quorum.ts'
import { type Index, type MemberKey, type Membership, memberKey, type Term } from '../raft/types.ts'
import { MemoryFabric } from '../transport/memory-net.ts'
import { Checks } from './checks/checks.ts'
import { Eavesdropper } from './checks/eavesdropper.ts'
import { SimDisk } from './disk/disk.ts'
import type { FaultCounts } from './faults.ts'
import type { MakeMachine } from './ghost/machines.ts'
import type { Watcher } from './ghost/watcher.ts'
import { DeepNode } from './node/deep-node.ts'
import { ShallowNode } from './node/shallow-node.ts'
import type { SimNode, SimNodeParts } from './node/sim-node.ts'
import { Network } from './world/network.ts'
import { Wires } from './world/wires.ts'
import { World } from './world/world.ts'

/** `shallow`: transport and log are replaced. `deep`: net, databases, slots and directories are. */
export type Depth = 'shallow' | 'deep'

export interface SimOptions {
  readonly seed: number
  readonly nodes: number
  readonly depth: Depth
  readonly machine: MakeMachine
  /** Of a message on its way, milliseconds. */
  readonly delayMsMin?: number
  readonly delayMsMax?: number
  /** Of a synced write, milliseconds. */
  readonly syncMsMin?: number
  readonly syncMsMax?: number
  /** The highest machine version that the programs of the first lives can run, where it is not that of the machine. */
  readonly versionMax?: number
  /** Of shallow nodes. */
  readonly config?: RaftConfig
  /** Looks on beside the checks. */
  readonly spectator?: Spectator | null
}

/** Sees more of a node than what passes between them. */
export interface Spectator extends Watcher {
  /** An event has happened in which this node may have changed. */
  looked(node: SimNode): void
  began(node: SimNode): void
  /** A life of the node is over; the process too where it has none any more. */
  ended(node: SimNode): void
  /** What an operator would read. */
  found(node: SimNode, line: string): void
}

const firstPort = 7000

export class SimCluster {
  readonly world: World
  readonly wires: Wires
  readonly fabric = new MemoryFabric()
  readonly network: Network
  readonly nodes: readonly SimNode[]
  readonly checks: Checks
  /** Whose state was ever found to differ from that of a majority. */
  readonly diverged = new Set<SimNode>()
  /** How often each class of fault has struck. */
  readonly struck: FaultCounts = {}
  readonly #options: SimOptions
  readonly #spectator: Spectator | null
  readonly #byName = new Map<string, SimNode>()
  #broken: Error | null = null

  constructor(options: SimOptions) {
    const { seed, nodes, depth, delayMsMin = 0.1, delayMsMax = 1 } = options
    this.#options = options
    this.#spectator = options.spectator ?? null
    this.world = new World(seed)
    this.wires = new Wires(this.world, delayMsMin, delayMsMax, this.struck)
    this.checks = new Checks(() => this.world.now)
    const watcher = this.#watcher()
    this.network = new Network(this.world, this.wires, watcher)
    this.#layWires(watcher)
    const ids = Array.from({ length: nodes }, (_, at) => `n${at + 1}`)
    const cluster = new Map(ids.map((id, at) => [id, `127.0.0.1:${firstPort + at + 1}`]))
    this.nodes = depth === 'shallow' ? this.#shallow(cluster, watcher) : this.#deep(cluster, watcher)
    for (const node of this.nodes) this.#byName.set(node.id, node)
    for (const node of this.nodes) node.start()
  }

  get running(): readonly SimNode[] {
    return this.nodes.filter(node => node.node !== null)
  }

  get endpoints(): readonly string[] {
    return this.nodes.map(node => node.parts.address)
  }

  /** The node that leads the highest term and knows it; null when there is none. */
  get leader(): SimNode | null {
    let leader: SimNode | null = null
    for (const node of this.nodes) {
      const status = node.node?.raft.status
      if (status?.role !== 'leader') continue
      if (leader === null || leader.node!.raft.status.term < status.term) leader = node
    }
    return leader
  }

  /** Runs for so many virtual milliseconds, or until `until` holds; every event is followed by the checks. */
  run(ms: number, until: () => boolean = never): boolean {
    let met = false
    this.world.run(this.world.now + ms, () => {
      this.#look()
      met = until()
      return met
    })
    return met
  }

  /** The same for nodes and clients that use promises. */
  async play(ms: number, until: () => boolean = never): Promise<boolean> {
    let met = false
    await this.world.play(this.world.now + ms, () => {
      this.#look()
      met = until()
      return met
    })
    return met
  }

  /** Links to and from a host are closed by something between, those of clients too. */
  reset(node: SimNode): void {
    this.network.reset(node.key)
    const ends = Array.from(this.fabric.ends).filter(end => end.host === node.id)
    for (const end of ends) end.reset()
  }

  /** Something that may not be passed over was found outside of the checks: the run ends with it. */
  fail(error: Error): void {
    this.#broken ??= error
  }

  /**
   * Without these nodes there are still so many whose disks hold what they promised that they make a majority of each half
   * of every configuration that may be in force somewhere.
   */
  canSpare(gone: readonly SimNode[]): boolean {
    const whole = new Set(this.nodes.filter(node => !node.lost && !node.damaged && !gone.includes(node)))
    const keys = new Set([...whole].map(node => node.key))
    return (
      2 * whole.size > this.nodes.length &&
      this.checks.configurations.possible.every(membership => hasQuorum(membership, key => keys.has(key)))
    )
  }

  /** Nothing but what a node itself does disturbs it any more. */
  healDisks(): void {
    for (const { disk } of this.nodes) {
      const well = { slowFactor: 1, hungUntil: 0, ioErrorChance: 0, syncErrorChance: 0, full: false, space: 'ample' }
      Object.assign(disk.knobs, well)
    }
  }

  #look(): void {
    if (this.#broken !== null) throw this.#broken
    const { touched } = this.world
    if (touched === null) return
    const node = this.#byName.get(touched.name)
    if (node === undefined) return
    this.checks.look(node)
    if (node.replicated !== null && node.replicated.diverged !== null) this.diverged.add(node)
    if (node.node !== null) this.#spectator?.looked(node)
  }

  #watcher(): Watcher {
    const { checks } = this
    const watcher = this.#spectator
    if (watcher === null) return checks
    return {
      sent: (envelope: Envelope) => {
        // First it is told, so that a message that breaks a rule is to be seen.
        watcher.sent(envelope)
        checks.sent(envelope)
      },
      delivered: (envelope: Envelope) => watcher.delivered(envelope),
      dropped: (envelope: Envelope, why: string) => watcher.dropped(envelope, why),
      answered: (key: MemberKey, term: Term, index: Index) => checks.answered(key, term, index)
    }
  }

  /** Clients, and in a deep simulation nodes, speak through links in memory. */
  #layWires(watcher: Watcher): void {
    const { fabric, wires } = this
    fabric.delayMs = (from, to, bytes) => wires.fate(from, to, bytes, true).delayMs
    fabric.onlooker = new Eavesdropper(this.#byName, watcher)
    wires.watchCuts((from, to, cut) => {
      if (cut) fabric.cut(from, to)
      else fabric.heal(from, to)
    })
  }

  #parts(id: string, address: string, watcher: Watcher): SimNodeParts {
    const { machine, versionMax = null, syncMsMin = 0.1, syncMsMax = 1 } = this.#options
    const { world, fabric, checks } = this
    const spectator = this.#spectator
    const disk: SimDisk = new SimDisk({
      random: part => world.random(`disk ${id} ${part}`),
      now: () => world.now,
      knobs: { syncMsMin, syncMsMax },
      issued: () => {
        const node = this.#byName.get(id)
        if (node?.life != null) node.effect(node.life)
      }
    })
    return {
      id,
      address,
      world,
      fabric,
      disk,
      machine,
      versionMax,
      watcher,
      onlooker: node => checks.onlooker(node),
      began: (node, base, ends) => {
        spectator?.began(node)
        checks.began(node, base, ends)
      },
      ended: node => {
        spectator?.ended(node)
        checks.ended(node)
      },
      found: (node, line) => spectator?.found(node, line),
      broken: error => this.fail(error)
    }
  }

  #shallow(cluster: ReadonlyMap<string, string>, watcher: Watcher): ShallowNode[] {
    const { config } = this.#options
    const members = [...cluster].map(([id, address], at) => {
      const incarnation = String(at + 1).padStart(16, '0')
      return { key: memberKey(id, incarnation), id, incarnation, address }
    })
    const voters = members.map(member => member.key)
    const membership: Membership = { voters, outgoing: null, learners: [], members }
    return members.map(({ id, key, address }) => {
      const image = new LogImage(foundingBase({ clusterId: '0'.repeat(32), membership }))
      const parts = this.#parts(id, address, watcher)
      return new ShallowNode({ ...parts, key, image, network: this.network, ...(config && { config }) })
    })
  }

  #deep(cluster: ReadonlyMap<string, string>, watcher: Watcher): DeepNode[] {
    const secret = new TextEncoder().encode('a secret of simulated peers')
    const nodes: DeepNode[] = []
    const clusterId = (): string => nodes.find(({ opened }) => opened !== null)?.opened?.memory.memory.clusterId ?? ''
    for (const [id, address] of cluster) {
      nodes.push(new DeepNode({ ...this.#parts(id, address, watcher), cluster, secret, clusterId }))
    }
    return nodes
  }
}

function never(): boolean {
  return false
}
