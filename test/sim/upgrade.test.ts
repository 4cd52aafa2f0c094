// A rolling upgrade: nodes of two programs under load, the switch that waits for the last of them, and an older one put back.

import { t } from 'tap'
import { blockHeaderBytes, recordAt, recordKind } from '../../lib/record/record.ts'
import type { Readiness } from '../../lib/server/status.ts'
import { readinessOf } from '../../lib/server/status-of.ts'
import { type Depth, SimCluster } from '../../lib/sim/cluster.ts'
import { keyValueMachines } from '../../lib/sim/ghost/machines.ts'
import { KvWorkload } from '../../lib/sim/kv-workload.ts'
import { DeepNode } from '../../lib/sim/node/deep-node.ts'
import type { SimNode } from '../../lib/sim/node/sim-node.ts'
import { linesFound } from '../help/lines-found.ts'
import { blocksOf } from '../help/scene.ts'

/** Three nodes of the old program, and clients who write and read all the time. */
class Bed {
  readonly cluster: SimCluster
  readonly workload: KvWorkload
  /** Calls that did not end well. */
  readonly failed: string[] = []
  readonly lines: string[] = []

  constructor(depth: Depth, seed: number) {
    const spectator = linesFound((node: SimNode, line: string) => void this.lines.push(`${node.id}: ${line}`))
    const options = { seed, nodes: 3, machine: keyValueMachines, versionMax: 1, syncMsMax: 2 }
    this.cluster = new SimCluster({ ...options, depth, spectator })
    const listener = (_process: number, text: string) => (outcome: string, answer: string) => {
      if (outcome !== 'ok') this.failed.push(`${text}: ${answer}`)
    }
    const kinds = ['put', 'get', 'increment', 'count', 'get-pair', 'put-pair', 'session-get', 'put-thrice'] as const
    this.workload = new KvWorkload({ cluster: this.cluster, clients: 6, listener }, { kinds, holders: 0 })
  }

  async until(text: string, condition: () => boolean, ms = 20_000): Promise<void> {
    if (!condition() && !(await this.cluster.play(ms, condition))) throw new Error(`not so after ${ms} ms: ${text}`)
  }

  /** All are up, and level with a leader. */
  async level(nodes: readonly SimNode[] = this.cluster.nodes): Promise<void> {
    await this.until('all are level', () => {
      const commit = this.cluster.leader?.node?.raft.status.commit ?? Number.POSITIVE_INFINITY
      return nodes.every(({ node }) => node !== null && node.applied + 16 >= commit)
    })
  }

  /** The process of a node ends, and one of another program begins over its directory. */
  async restart(node: SimNode, versionMax: number): Promise<void> {
    node.crash('killed')
    node.versionMax = versionMax
    await this.cluster.play(300)
    node.start()
    await this.until(`${node.id} has opened its directory`, () => node.node !== null)
  }

  get versions(): (number | undefined)[] {
    return this.cluster.nodes.map(({ replicated }) => replicated?.version)
  }

  /** Calls ended within so many milliseconds. */
  async calls(ms: number): Promise<number> {
    const before = this.workload.operations
    await this.cluster.play(ms)
    return this.workload.operations - before
  }
}

/** What an operator would be told by a node of a deep simulation. */
function readiness({ opened: life }: DeepNode): Readiness {
  return readinessOf({ life, reasons: [] })
}

/** The orders of a version in the log of a shallow node: index of each. */
function orders(node: SimNode): number[] {
  const kindAt = blockHeaderBytes + recordAt.kind
  return blocksOf(node).flatMap(({ first, bytes }) => (bytes[kindAt] === recordKind.version ? [first] : []))
}

t.setTimeout(120_000)

for (const [depth, seeds] of [
  ['shallow', 4],
  ['deep', 2]
] as const) {
  t.test(`${depth}: the version rises once the last node is upgraded, not before, and no call fails`, async t => {
    for (let seed = 0; seed < seeds; seed++) {
      const bed = new Bed(depth, 400 + seed)
      const { cluster, workload } = bed
      await bed.until('a leader', () => cluster.leader !== null && cluster.running.length === 3)
      workload.start()
      for (const [at, node] of cluster.nodes.entries()) {
        await bed.level()
        t.ok((await bed.calls(1_000)) > 100, 'there is load')
        t.same(bed.versions, [1, 1, 1], `with ${at} of three upgraded`)
        await bed.restart(node, 2)
      }
      await bed.until('the version has risen everywhere', () => bed.versions.every(version => version === 2))
      t.ok((await bed.calls(1_000)) > 100)
      if (depth === 'shallow') {
        for (const node of cluster.nodes) t.equal(orders(node).length, 1, 'by one record')
        t.same(orders(cluster.nodes[0]!), orders(cluster.nodes[1]!))
      }
      t.same(bed.failed, [])
      workload.stop()
      await bed.until('all calls have ended', () => workload.pending === 0)
      workload.judge()
    }
  })

  t.test(
    `${depth}: an older program put back holds the log and votes, and neither applies, leads nor is read`,
    async t => {
      for (let seed = 0; seed < seeds; seed++) {
        const bed = new Bed(depth, 500 + seed)
        const { cluster } = bed
        for (const node of cluster.nodes) node.versionMax = 2
        for (const node of cluster.nodes) await bed.until('it is up', () => node.node !== null)
        for (const node of cluster.nodes) await bed.restart(node, 2)
        await bed.until('the version has risen everywhere', () => bed.versions.every(version => version === 2))
        // Before or after its state was flushed beyond the order: the log asks for the version, or the state itself.
        if (seed % 2 === 1) await cluster.play(30_000)
        const old = cluster.nodes.find(node => node !== cluster.leader)!
        await bed.restart(old, 1)
        await bed.until('it knows', () => old.node?.raft.status.leader !== null && bed.lines.length > 0)
        t.match(bed.lines, [new RegExp(`^${old.id}: machine version 2 is asked for, and this program runs up to 1`)])
        // It knows as soon as it meets the order; what stands before that is still being applied.
        await cluster.play(100)
        const { applied } = old.node!
        bed.workload.start()
        t.ok((await bed.calls(2_000)) > 100)
        t.equal(old.node!.applied, applied, 'it applies nothing more')
        t.equal(old.replicated!.unable, 2)
        const { status } = old.node!.raft
        t.equal(status.durable, status.last.index)
        t.ok(status.commit > applied + 50, 'and holds the log')
        const reads: (Error | null)[] = []
        for (const point of ['local', 'linearizable'] as const) {
          old.node!.read({ point, leastIndex: 0, patienceMs: 1_000, enough: null }, error => reads.push(error))
        }
        t.match(reads, [{ code: 'UNAVAILABLE' }, { code: 'UNAVAILABLE' }])
        if (old instanceof DeepNode)
          t.match(readiness(old), { ready: false, reasons: [/^machine version 2 is in force/] })
        t.same(bed.failed, [], 'no client notices')

        // Two are left, and one of them is needed as a voter.
        const leader = cluster.leader!
        leader.crash('killed')
        const other = cluster.nodes.find(node => node !== leader && node !== old)!
        await bed.until('the other one leads by its vote', () => other.node!.raft.status.role === 'leader')
        other.crash('killed')
        const { term } = old.node!.raft.status
        await cluster.play(10_000)
        t.match(old.node!.raft.status, { role: 'follower', term }, 'alone it does not even campaign')
        for (const node of [leader, other]) node.start()
        await bed.restart(old, 2)
        await bed.level()
        t.equal(old.replicated!.unable, null)
        if (old instanceof DeepNode) t.match(readiness(old), { ready: true, reasons: [] })
        t.equal(bed.lines.length, 1)
      }
    }
  )
}
