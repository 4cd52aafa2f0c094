// A bit of the state flips in the memory of one node: it is found by the next hash records, and only that node makes its state anew.

import { t } from 'tap'
import type { Done, Env } from '../../lib/base/env.ts'
import type { Batch, Outcomes } from '../../lib/machine/machine.ts'
import { type Depth, SimCluster } from '../../lib/sim/cluster.ts'
import { keyValueMachines, type MakeMachine } from '../../lib/sim/ghost/machines.ts'
import { KvWorkload } from '../../lib/sim/kv-workload.ts'
import type { SimNode } from '../../lib/sim/node/sim-node.ts'
import { readCommands } from '../../lib/wire/kv/read-commands.ts'
import { linesFound } from '../help/lines-found.ts'

const intervalMs = 500

/** Clients who write, and key-value machines of which one at a time can be made to go wrong. */
class Bed {
  readonly cluster: SimCluster
  readonly workload: KvWorkload
  readonly lines: string[] = []
  /** The processes whose machines are to go wrong at their next put. */
  readonly flips = new Set<Env>()

  constructor(depth: Depth, seed: number, nodes: number) {
    const spectator = linesFound((node: SimNode, line: string) => void this.lines.push(`${node.id}: ${line}`))
    this.cluster = new SimCluster({ seed, nodes, depth, machine: this.#machines(), spectator })
    for (const { limits } of this.cluster.nodes) Object.assign(limits, { hashRecords: 10_000, hashAfterMs: intervalMs })
    this.workload = new KvWorkload(
      { cluster: this.cluster, clients: 3, listener: null },
      { kinds: ['put', 'put-thrice'], watchers: 0 }
    )
  }

  async start(): Promise<this> {
    await this.until(
      'a leader',
      () => this.cluster.leader !== null && this.cluster.running.length === this.cluster.nodes.length
    )
    this.workload.start()
    await this.cluster.play(3 * intervalMs)
    return this
  }

  async until(text: string, condition: () => boolean, ms = 20_000): Promise<void> {
    if (!condition() && !(await this.cluster.play(ms, condition))) throw new Error(`not so after ${ms} ms: ${text}`)
  }

  get followers(): SimNode[] {
    return this.cluster.nodes.filter(node => node !== this.cluster.leader)
  }

  /** Flips a bit of the next value that this node puts. */
  flip(node: SimNode): void {
    this.flips.add(node.env!)
  }

  /** All who run are level, and have compared equal states at the same record, which lies after `index`. */
  agreeAfter(index: number): boolean {
    const commit = this.cluster.leader?.node?.raft.status.commit ?? Number.POSITIVE_INFINITY
    return this.cluster.nodes.every(({ node, replicated }) => {
      const comparison = replicated?.hash.comparison ?? null
      if (node === null || comparison === null || comparison.index <= index) return false
      const { differing, majority } = comparison
      return differing.length === 0 && majority !== null && node.applied + 64 >= commit
    })
  }

  #machines(): MakeMachine {
    return parts => {
      const made = keyValueMachines(parts)
      const apply = made.machine.apply.bind(made.machine)
      made.machine.apply = (batches: readonly Batch[], done: Done<readonly Outcomes[]>) => {
        apply(this.flips.has(parts.env) ? batches.map(batch => this.#flipped(batch, parts.env)) : batches, done)
      }
      return made
    }
  }

  #flipped(batch: Batch, env: Env): Batch {
    if (batch.kind !== 'command' || !this.flips.has(env)) return batch
    const bytes = new Uint8Array(batch.block.bytes)
    const at = batch.commands.byteOffset - batch.block.bytes.byteOffset
    const commands = bytes.subarray(at, at + batch.commands.length)
    for (const command of readCommands(commands, batch.count)) {
      if (command.op !== 'put' || command.value.length === 0) continue
      command.value[0]! ^= 1
      this.flips.delete(env)
      return { ...batch, commands, block: { ...batch.block, bytes } }
    }
    return batch
  }
}

t.setTimeout(120_000)

const scale = Number(process.env['SIM_SCALE'] ?? 1)

for (const [depth, seeds] of [
  ['shallow', 2 * scale],
  ['deep', scale]
] as const) {
  t.test(
    `${depth}: a follower whose state goes wrong is found within two intervals, and only it begins anew`,
    async t => {
      for (let seed = 0; seed < seeds; seed++) {
        const bed = await new Bed(depth, 700 + seed, 3).start()
        const { cluster } = bed
        const [follower] = bed.followers
        const { leader } = cluster
        const before = bed.workload.operations
        bed.flip(follower!)
        await bed.until('it is found', () => bed.lines.length >= 3, 2 * intervalMs + 500)
        const { id } = follower!
        t.match(
          bed.lines.filter(line => line.startsWith(`${id}:`)),
          [/the state differs from that of a majority since before index \d+, and is made anew$/]
        )
        const others = bed.lines.filter(line => !line.startsWith(`${id}:`))
        t.equal(others.filter(line => line.includes(`the state of ${id} differs from all others`)).length, 2)
        const at = cluster.checks.commit
        await bed.until('all agree again', () => bed.agreeAfter(at))
        t.equal(cluster.leader, leader)
        t.ok(bed.workload.operations > before + 20, 'the others went on')
        for (const node of bed.cluster.nodes) t.equal(node.faults, node === follower ? 1 : 0, node.id)
      }
    }
  )

  t.test(`${depth}: a leader whose state goes wrong is found by the others, who go on without it`, async t => {
    for (let seed = 0; seed < seeds; seed++) {
      const bed = await new Bed(depth, 800 + seed, 3).start()
      const { cluster } = bed
      const leader = cluster.leader!
      bed.flip(leader)
      await bed.until('it leads no more', () => cluster.leader !== null && cluster.leader !== leader, 5_000)
      t.match(
        bed.lines.filter(line => line.includes('is made anew')),
        [new RegExp(`^${leader.id}: `)]
      )
      const at = cluster.checks.commit
      await bed.until('all agree again', () => bed.agreeAfter(at))
      for (const node of bed.cluster.nodes) t.equal(node.faults, node === leader ? 1 : 0, node.id)
    }
  })
}

t.test('with one of three away nobody can tell who is right; when it is back, the one is found', async t => {
  const bed = await new Bed('shallow', 900, 3).start()
  const { cluster } = bed
  const [wrong, away] = bed.followers
  away!.crash('killed')
  bed.flip(wrong!)
  await bed.until('it is told', () => bed.lines.length >= 2, 3 * intervalMs)
  t.match(bed.lines[0], /the states of n\d, n\d differ since before index \d+, and no majority tells who is right$/)
  await cluster.play(5 * intervalMs)
  t.equal(bed.lines.length, 2, 'once by each')
  for (const node of cluster.nodes) t.equal(node.faults, 0)
  away!.start()
  await bed.until('it is found', () => wrong!.faults === 1, 5 * intervalMs)
  const at = cluster.checks.commit
  await bed.until('all agree again', () => bed.agreeAfter(at))
  t.equal(away!.faults, 0)
})

t.test('a state that has gone wrong stays known as such when its node is killed before it has said so', async t => {
  const bed = await new Bed('deep', 910, 3).start()
  const { cluster } = bed
  const [follower] = bed.followers
  for (const { limits } of cluster.nodes) Object.assign(limits, { hashAfterMs: 10 * intervalMs, flushAfterMs: 200 })
  await cluster.play(intervalMs)
  bed.flip(follower!)
  await bed.until('it has happened', () => bed.flips.size === 0)
  const { applied, counters } = follower!.node!
  const { flushes } = counters
  await bed.until('it is flushed', () => counters.flushes > flushes + 1)
  follower!.crash('killed')
  follower!.start()
  await bed.until('it goes on', () => follower!.node !== null)
  t.equal(follower!.faults, 0, 'nobody has compared yet')
  t.ok(follower!.node!.applied > applied, 'it does not execute that again')
  await bed.until('it is found', () => follower!.faults === 1)
  const at = cluster.checks.commit
  await bed.until('all agree again', () => bed.agreeAfter(at))
  t.equal(cluster.nodes.filter(({ faults }) => faults > 0).length, 1)
})

t.test('sound replicas agree at each hash record, and a cluster at rest writes none', async t => {
  for (const depth of ['shallow', 'deep'] as const) {
    const bed = await new Bed(depth, 920, 5).start()
    const { cluster } = bed
    await bed.until('all agree', () => bed.agreeAfter(0))
    const { hashRecords } = cluster.leader!.node!.counters
    t.ok(hashRecords >= 2)
    bed.workload.stop()
    await bed.until('all calls have ended', () => bed.workload.pending === 0)
    await cluster.play(4 * intervalMs)
    const rested = cluster.leader!.node!.raft.status.last.index
    const at = cluster.leader!.replicated!.hash.comparison!.index
    t.ok(bed.agreeAfter(at - 1), 'also what was written last')
    await cluster.play(20 * intervalMs)
    t.equal(cluster.leader!.node!.raft.status.last.index, rested)
    t.same(bed.lines, [])
  }
})
