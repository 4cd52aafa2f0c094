// One run from one seed: a storm over a cluster with clients, then quiet for a majority of it, then judgement.
import { AssertionError } from '../base/assert.ts'
import type { Random } from '../base/random.ts'
import { type Depth, SimCluster } from './cluster.ts'
import { dealFaults, type FaultClass, type FaultCounts, type FaultEvent } from './faults.ts'
import { keyValueMachines, type MakeMachine } from './ghost/machines.ts'
import { hold, Violation } from './ghost/violation.ts'
import { KvWorkload } from './kv-workload.ts'
import { Nemesis } from './nemesis.ts'
import type { SimNode } from './node/sim-node.ts'
import { Telling } from './telling.ts'
import type { TraceSink } from './trace/trace.ts'
import type { CallListener, Workload, WorkloadParts } from './workload.ts'

export interface RunOptions {
  readonly seed: number
  readonly nodes: number
  /** Processes that call at the same time. */
  readonly clients: number
  readonly depth: Depth
  /** Classes of faults that chance may deal. */
  readonly faults: readonly FaultClass[]
  /** How long the storm lasts, virtual milliseconds. */
  readonly durationMs: number
  /** Instead of what chance would deal. */
  readonly schedule?: readonly FaultEvent[]
  /** The key-value machine when left out. */
  readonly machine?: MakeMachine
  /** The clients of the key-value machine when left out. */
  readonly workload?: (parts: WorkloadParts) => Workload
  readonly trace?: TraceSink | null
}

export interface RunReport {
  readonly seed: number
  /** Of all that has happened: the same for the same options. 8 hexadecimal digits. */
  readonly digest: string
  readonly events: number
  /** Calls of clients. */
  readonly operations: number
  readonly virtualMs: number
  /** Times that a node took up a snapshot of its leader. */
  readonly snapshots: number
  /** How often each class of fault has struck. */
  readonly faults: FaultCounts
  readonly violation: { readonly invariant: string; readonly message: string } | null
  readonly schedule: readonly FaultEvent[]
}

/** The longest election timeout, ten times: by then a healed majority has a leader that commits. */
const electionMsMax = 12_000
const levelMsMax = 15_000
const quietMs = 3_000
/** By then a node that goes on again has found out that it was held up. */
const noticeMs = 200
/** By then it is fit again. */
const fitMsMax = 8_000
const settleMsMax = 5_000

export async function runSeed(options: RunOptions): Promise<RunReport> {
  const run = new Run(options)
  let violation: RunReport['violation'] = null
  try {
    await run.all()
  } catch (error) {
    violation = violationOf(error as Error)
    options.trace?.violation(run.cluster.world.now, violation.invariant, violation.message)
  }
  return run.report(violation)
}

/** A broken invariant; whatever else is thrown is a crash. */
function violationOf(error: Error): { readonly invariant: string; readonly message: string } {
  if (error instanceof Violation)
    return { invariant: error.invariant, message: error.message.slice(error.invariant.length + 2) }
  const text = error instanceof AssertionError ? error.message : (error.stack ?? error.message)
  return { invariant: 'IX1', message: text }
}

class Run {
  readonly cluster: SimCluster
  readonly #options: RunOptions
  readonly #schedule: readonly FaultEvent[]
  readonly #nemesis: Nemesis
  readonly #workload: Workload
  readonly #chance: Random

  constructor(options: RunOptions) {
    const { seed, nodes, depth, clients, durationMs, machine = keyValueMachines, trace = null } = options
    this.#options = options
    const telling = trace === null ? null : new Telling(trace, () => this.cluster)
    this.cluster = new SimCluster({ seed, nodes, depth, machine, delayMsMax: 4, syncMsMax: 4, spectator: telling })
    const { world } = this.cluster
    this.#chance = world.random('healing')
    const dealt = (): FaultEvent[] => dealFaults(name => world.random(name), options.faults, nodes, durationMs)
    this.#schedule = options.schedule ?? dealt()
    const listener: CallListener | null = telling?.call ?? null
    const makeWorkload = options.workload ?? ((parts: WorkloadParts) => new KvWorkload(parts))
    this.#workload = makeWorkload({ cluster: this.cluster, clients, listener })
    this.#nemesis = new Nemesis(this.cluster, this.#workload.hosts, telling)
  }

  async all(): Promise<void> {
    const { cluster } = this
    await this.#begin()
    this.#nemesis.follow(this.#schedule)
    this.#workload.start()
    await cluster.play(this.#options.durationMs)
    const core = this.#heal()
    await this.#wakeUp(core)
    await this.#elect(core)
    this.#workload.stop()
    await this.#settle()
    await this.#level(core)
    await this.#quiet(core)
    await this.#finish(this.#workload.look())
    await this.#loseMinority()
    this.#workload.judge()
    this.#judgeStates(core)
  }

  report(violation: RunReport['violation']): RunReport {
    const { world, struck, nodes } = this.cluster
    const faults: FaultCounts = { ...struck }
    for (const { disk } of nodes) {
      for (const [kind, count] of Object.entries(disk.fired) as [FaultClass, number][]) {
        if (count > 0 && kind !== 'wiped-disk') faults[kind] = (faults[kind] ?? 0) + count
      }
    }
    return {
      seed: this.#options.seed,
      digest: (world.digest >>> 0).toString(16).padStart(8, '0'),
      events: world.events,
      operations: this.#workload.operations,
      virtualMs: Math.round(world.now),
      snapshots: nodes.reduce((sum, node) => sum + node.snapshots, 0),
      faults,
      violation,
      schedule: this.#schedule
    }
  }

  async #begin(): Promise<void> {
    const met = await this.cluster.play(electionMsMax, () => this.cluster.leader !== null)
    hold(met, 'IL1', () => `no leader within ${electionMsMax} ms of the founding`)
  }

  /** Lifts everything from a majority that chance picks; the others may stay broken. Gives that majority. */
  #heal(): readonly SimNode[] {
    const { cluster } = this
    this.#nemesis.end()
    const sound = cluster.nodes.filter(node => !node.lost)
    const majority = Math.floor(cluster.nodes.length / 2) + 1
    const spare = this.#chance.below(2) === 0 ? 0 : this.#chance.below(sound.length - majority + 1)
    const core = [...sound]
    for (let out = 0; out < spare; out++) {
      // A disk that is not whole again may hold what nobody else of the majority has: it stays in.
      const candidates = core.filter(node => !node.damaged)
      const node = candidates[this.#chance.below(candidates.length)]
      if (node === undefined || core.some(each => each.damaged) || !this.#decides(core, node)) break
      core.splice(core.indexOf(node), 1)
      if (this.#chance.below(2) === 0) node.crash('killed')
      else {
        const others = cluster.nodes.filter(other => other !== node).map(other => other.id)
        cluster.wires.cut([node.id], others)
        cluster.wires.cut(others, [node.id])
      }
    }
    for (const node of core) {
      if (node.life !== null) node.life.costMs = 0
      node.start()
    }
    return core
  }

  /** Without this node the rest of the core is still a majority, whatever configuration is in force. */
  #decides(core: readonly SimNode[], without: SimNode): boolean {
    const { cluster } = this
    return cluster.canSpare(cluster.nodes.filter(node => node === without || !core.includes(node)))
  }

  /** Whoever is still held up goes on: until then what waits for it waits. */
  async #wakeUp(core: readonly SimNode[]): Promise<void> {
    const { world } = this.cluster
    const until = Math.max(world.now, ...core.map(({ life }) => life?.stalledUntil ?? 0))
    await this.cluster.play(until - world.now)
  }

  /** From the moment at which a majority is whole, somebody leads and commits before long. */
  async #elect(core: readonly SimNode[]): Promise<void> {
    const { cluster } = this
    const before = cluster.checks.commit
    const met = await cluster.play(electionMsMax, () => {
      const { leader } = cluster
      if (leader === null || !core.includes(leader)) return false
      if (cluster.checks.commit > before) return true
      const { commit, last, term } = leader.node!.raft.status
      return this.#workload.mayRest === true && commit === last.index && last.term === term
    })
    hold(
      met,
      'IL1',
      () => `no leader that commits within ${electionMsMax} ms of the healing: ${describe(cluster.nodes)}`
    )
  }

  async #settle(): Promise<void> {
    const met = await this.cluster.play(settleMsMax, () => this.#workload.pending === 0)
    hold(met, 'IL5', () => `${this.#workload.pending} calls have no answer ${settleMsMax} ms after the last was made`)
  }

  /** All whole nodes come to the same end, without anybody asking for anything. */
  async #level(core: readonly SimNode[]): Promise<void> {
    const met = await this.cluster.play(levelMsMax, () => areLevel(core))
    hold(met, 'IL3', () => `the nodes are not level ${levelMsMax} ms after the last call: ${describe(core)}`)
  }

  /**
   * Where nothing is wrong, no term ends. A leader that was held up finds itself unfit only once it goes on, and gives way:
   * nothing is wrong when all have noticed and are fit again.
   */
  async #quiet(core: readonly SimNode[]): Promise<void> {
    await this.cluster.play(noticeMs)
    await this.cluster.play(fitMsMax, () => core.every(({ node }) => node?.health.unfit === null))
    const terms = core.map(node => node.node?.raft.status.term)
    await this.cluster.play(quietMs)
    const after = core.map(node => node.node?.raft.status.term)
    hold(
      terms.join() === after.join(),
      'IL2',
      () => `terms went from ${terms.join()} to ${after.join()} while all was well`
    )
  }

  /** All lose power; any minority loses its disks as well; the rest still has all that was acknowledged. */
  async #loseMinority(): Promise<void> {
    const { cluster } = this
    if (cluster.nodes.some(node => node.damaged)) return
    cluster.wires.heal()
    for (const node of cluster.nodes) node.crash('power')
    for (;;) {
      const spare = cluster.nodes.filter(node => !node.lost && cluster.canSpare([node]))
      if (spare.length === 0) break
      spare[this.#chance.below(spare.length)]!.lost = true
    }
    for (const node of cluster.nodes) node.start()
    const met = await cluster.play(electionMsMax, () => cluster.leader !== null)
    hold(
      met,
      'IL1',
      () => `no leader within ${electionMsMax} ms of the return of a majority: ${describe(cluster.nodes)}`
    )
    await this.#finish(this.#workload.look())
  }

  async #finish(looking: Promise<void>): Promise<void> {
    let over = false
    let fault: Error | null = null
    looking.then(
      () => (over = true),
      (error: Error) => {
        fault = error
        over = true
      }
    )
    const met = await this.cluster.play(60_000, () => over)
    if (fault !== null) throw fault
    hold(met, 'IL5', () => 'the last look at everything has no end')
  }

  #judgeStates(core: readonly SimNode[]): void {
    const names = [...this.cluster.diverged].map(({ id }) => id).join(', ')
    hold(names === '', 'IA6', () => `${names}: another state than a majority's, by the running hash`)
    for (const { id, node } of core) {
      if (node === null) continue
      hold(node.waitingReads === 0, 'IL5', () => `${node.waitingReads} reads wait at ${id} when nobody asks any more`)
      hold(node.pendingBytes === 0, 'IL5', () => `${node.pendingBytes} bytes wait at ${id} when nobody asks any more`)
    }
  }
}

function areLevel(nodes: readonly SimNode[]): boolean {
  const first = nodes[0]!.node
  if (first === null) return false
  const { last } = first.raft.status
  return nodes.every(({ node }) => {
    if (node === null) return false
    const { status } = node.raft
    const level = status.last.index === last.index && status.commit === last.index && node.applied === last.index
    return level && status.durable === last.index && status.trusted && node.pendingBytes === 0
  })
}

function describe(nodes: readonly SimNode[]): string {
  return nodes
    .map(({ id, node, lost, life, damaged }) => {
      if (node === null) return `${id} ${lost ? 'lost' : life === null ? 'down' : 'opening'}`
      const { role, term, last, commit, trusted } = node.raft.status
      const end = `${last.index}@${last.term}`
      return `${id} ${role} of ${term} ends ${end} commit ${commit} applied ${node.applied}${trusted ? '' : ' untrusted'}${damaged ? ' damaged' : ''}`
    })
    .join('; ')
}
