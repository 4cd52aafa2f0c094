// Storms over production nodes: sessions that pipeline, readers, loss, partitions, crashes, stalls and damaged disks. Nothing
// acknowledged is lost or doubled, no command overtakes an earlier one of its session, no linearizable read is stale.
import { t } from 'tap'
import { verdictOf } from '../../lib/machine/answer.ts'
import type { WriteResult } from '../../lib/node/result.ts'
import { inOrderFlag, recordAt } from '../../lib/record/record.ts'
import { resultFrame } from '../../lib/server/client-port.ts'
import { gentleNetwork, SimCluster } from '../../lib/sim/cluster.ts'
import type { SimNode } from '../../lib/sim/sim-node.ts'
import { readApplied, readRefused } from '../../lib/wire/client.ts'
import { draftOf, Tally } from '../help/tally.ts'

const seeds = Number(process.env['SIM_SEEDS'] ?? 25)
const firstSeed = Number(process.env['SIM_SEED'] ?? 1)
t.setTimeout(60_000 + seeds * 500)
const stormMs = 10_000
/** Answered over all seeds: in some of them the storm leaves no time for any. */
let reads = 0
let writes = 0
let damages = 0

function clusterOf(seed: number, nodes: number): SimCluster {
  const network = { drop: 0.03, delayMsMin: 0.1, delayMsMax: 20 }
  const encode = (result: WriteResult, number: number): Uint8Array => resultFrame(number, result)
  return new SimCluster({ seed, nodes, network, diskMsMin: 0.1, diskMsMax: 15, machine: () => new Tally(), encode })
}

function inOrderDraft(session: number, serial: number, floor: number): Uint8Array {
  const draft = draftOf([`s${session}-${serial}`], { session, serial, floor, patienceMs: 600 })
  draft[recordAt.flags] = inOrderFlag
  return draft
}

/** What the client of a record is told: its place in the list, or null when it is to be sent again. */
function placeOf(result: WriteResult, serial: number): number | null {
  if (result.kind === 'refused') return null
  if (result.kind === 'answer') {
    if (result.answer.refused !== null) return null
    const { status, revision } = verdictOf(result.answer, 0)
    return status === 0 ? revision - 1 : fail(`serial ${serial} has status ${status}`)
  }
  if (result.bytes[4] === refusedKind) return readRefused(result.bytes).code === 'BAD_REQUEST' ? fail('refused') : null
  const { each, revision } = readApplied(result.bytes)
  const verdict = each?.[0] ?? null
  if (verdict === null) return revision - 1
  return verdict.status === 0 ? verdict.revision - 1 : fail(`serial ${serial} has status ${verdict.status}`)
}

const refusedKind = resultFrame(0, {
  kind: 'refused',
  code: 'STOPPED',
  fate: 'unknown',
  text: '',
  retryAfterMs: null
})[4]

function fail(text: string): never {
  throw new Error(text)
}

/**
 * Sends a few records at a time without waiting for answers. After a refusal or a silence it sends all that are not
 * answered again, in order, to any node; records of earlier attempts may arrive later all the same.
 */
class Pipeline {
  readonly acknowledged: Map<string, number>
  readonly #cluster: SimCluster
  readonly #session: number
  readonly #chance
  #serial = 1
  #open: number[] = []
  #floor = 0
  #attempt = 0

  constructor(cluster: SimCluster, session: number, acknowledged: Map<string, number>) {
    this.#cluster = cluster
    this.#session = session
    this.acknowledged = acknowledged
    this.#chance = cluster.world.random(`pipeline ${session}`)
  }

  start(): void {
    const { world, nodes } = this.#cluster
    if (world.now >= stormMs) return
    const attempt = ++this.#attempt
    const node = nodes[this.#chance.below(nodes.length)]!
    while (this.#open.length < 5) this.#open.push(this.#serial++)
    for (const [at, serial] of this.#open.entries()) {
      // In call order, and not all in one turn.
      world.after(at * 0.7, null, () => this.#send(node, serial, attempt))
    }
    world.after(400, null, () => this.#again(attempt))
  }

  #send(node: SimNode, serial: number, attempt: number): void {
    if (node.node === null || attempt !== this.#attempt) return
    node.node.write(inOrderDraft(this.#session, serial, this.#floor), result => {
      // Late words on what has been acknowledged meanwhile.
      if (!this.#open.includes(serial)) return
      const place = placeOf(result, serial)
      if (place === null) this.#again(attempt)
      else this.#answered(serial, place, attempt)
    })
  }

  #answered(serial: number, place: number, attempt: number): void {
    this.acknowledged.set(`s${this.#session}-${serial}`, place)
    this.#open = this.#open.filter(open => open !== serial)
    this.#floor = (this.#open[0] ?? this.#serial) - 1
    if (this.#open.length === 0) this.#again(attempt)
  }

  #again(attempt: number): void {
    if (attempt !== this.#attempt) return
    this.#attempt++
    this.#cluster.world.after(1 + this.#chance.below(20), null, () => this.start())
  }
}

/** Reads on any node: all that was acknowledged, and all that was read, before a read began must be in what it gives. */
function reader(cluster: SimCluster, acknowledged: ReadonlyMap<string, number>): void {
  const { world, nodes } = cluster
  const chance = world.random('reader')
  let longest = 0
  const ask = (): void => {
    if (world.now >= stormMs) return
    world.after(5 + chance.below(30), null, ask)
    const { node, machine } = nodes[chance.below(nodes.length)]!
    if (node === null) return
    const [known, least] = [acknowledged.size, longest]
    const names = [...acknowledged.keys()].slice(0, known)
    node.read({ point: 'linearizable', leastIndex: 0, patienceMs: 2_000, enough: null }, error => {
      if (error !== null) return
      machine!.query(new Uint8Array(0), (fault, bytes) => {
        if (fault !== null) throw fault
        const list = JSON.parse(Buffer.from(bytes).toString()) as string[]
        if (list.length < least) throw new Error(`a read gave ${list.length}, and ${least} were read before it began`)
        const held = new Set(list)
        const lost = names.find(name => !held.has(name))
        if (lost !== undefined) throw new Error(`a read gave a state without ${lost}, acknowledged before it began`)
        longest = Math.max(longest, list.length)
        reads++
      })
    })
  }
  ask()
}

function misfortune(cluster: SimCluster, kind: number, at: number, ms: number): void {
  const node = cluster.nodes[at]!
  const others = cluster.nodes.filter(other => other !== node).map(other => other.key)
  if (kind === 0 && node.node !== null) cluster.crash(node)
  else if (kind <= 3 && node.life === null) cluster.start(node)
  else if (kind === 4) cluster.network.cut([node.key], others)
  else if (kind === 5) cluster.network.cut(others, [node.key])
  else if (kind === 6) cluster.stall(node, ms)
  else cluster.network.heal()
}

/**
 * The process dies and its disk has lost the end of the log. One at a time, and only once the one before has everything
 * again: else what was acknowledged could be on no disk any more. Returns the one damaged last.
 */
function damage(cluster: SimCluster, at: number, blocks: number, before: SimNode | null): SimNode | null {
  const node = cluster.nodes[at]!
  const mended = before === null || before.node?.raft.status.trusted === true
  if (!mended || node.node?.raft.status.trusted !== true) return before
  cluster.crash(node)
  node.image.blocks.splice(-blocks)
  damages++
  return node
}

function storm(seed: number): void {
  const nodes = 3 + 2 * (seed % 2)
  const cluster = clusterOf(seed, nodes)
  const { world } = cluster
  const chance = world.random('storm')
  const acknowledged = new Map<string, number>()
  for (let session = 1; session <= 4; session++) new Pipeline(cluster, session, acknowledged).start()
  reader(cluster, acknowledged)
  let damaged: SimNode | null = null
  for (let at = 100; at < stormMs; at += 100 + chance.below(400)) {
    world.after(at, null, () => {
      const [kind, place, ms] = [chance.below(10), chance.below(nodes), chance.below(3_000)]
      if (kind === 9) damaged = damage(cluster, place, 1 + (ms % 40), damaged)
      else misfortune(cluster, kind, place, ms)
    })
  }
  cluster.run(stormMs)
  cluster.network.heal()
  cluster.network.faults = gentleNetwork
  for (const node of cluster.nodes) if (node.node === null && node.life === null) cluster.start(node)
  cluster.run(5_000)
  const lists = cluster.nodes.map(node => read(cluster, node))
  judge(lists, acknowledged)
}

function read(cluster: SimCluster, node: SimNode): string[] {
  let list: string[] | null = null
  node.node!.read({ point: 'linearizable', leastIndex: 0, patienceMs: 5_000, enough: null }, error => {
    if (error !== null) throw error
    node.machine!.query(new Uint8Array(0), (_, bytes) => {
      list = JSON.parse(Buffer.from(bytes).toString()) as string[]
    })
  })
  cluster.run(10_000, () => list !== null)
  return list ?? fail(`${node.key} answers no read after the storm`)
}

function judge(lists: readonly string[][], acknowledged: ReadonlyMap<string, number>): void {
  const list = lists[0]!
  for (const other of lists) if (other.join() !== list.join()) fail('two nodes hold different states')
  if (new Set(list).size !== list.length) fail('a command was executed twice')
  for (const [name, place] of acknowledged) {
    if (list[place - 1] !== name) fail(`${name} was acknowledged at ${place}, where ${list[place - 1]} is`)
  }
  const last = new Map<string, number>()
  for (const name of list) {
    const [session, serial] = name.split('-') as [string, string]
    if ((last.get(session) ?? 0) >= Number(serial)) fail(`${name} came after serial ${last.get(session)}`)
    last.set(session, Number(serial))
  }
  writes += acknowledged.size
}

t.test(`${seeds} seeds: pipelined sessions and readers`, async t => {
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    try {
      storm(seed)
    } catch (error) {
      t.fail(`SIM_SEED=${seed} SIM_SEEDS=1 npx tsx test/sim/storm.test.ts: ${(error as Error).stack}`)
    }
  }
  t.ok(reads > seeds && writes > seeds, `${reads} reads, ${writes} writes, ${damages} damaged disks`)
})
