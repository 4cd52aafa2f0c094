// The production client over production nodes, in storms: it calls without waiting, and each call is settled with its true
// fate, applied at most once, and never before an earlier call.
import { t } from 'tap'
import type { StrettoError } from '../../lib/base/errors.ts'
import { MachineClient } from '../../lib/client/machine-client.ts'
import type { WriteResult } from '../../lib/node/result.ts'
import { ClientPort, resultFrame } from '../../lib/server/client-port.ts'
import { gentleNetwork, SimCluster } from '../../lib/sim/cluster.ts'
import type { SimNode } from '../../lib/sim/sim-node.ts'
import type { Life } from '../../lib/sim/world.ts'
import { MemoryFabric, MemoryNet } from '../../lib/transport/memory-net.ts'
import { Tally } from '../help/tally.ts'

const seeds = Number(process.env['SIM_SEEDS'] ?? 12)
const firstSeed = Number(process.env['SIM_SEED'] ?? 1)
t.setTimeout(60_000 + seeds * 1000)
const stormMs = 8_000
const hasty = 2_000

/** A cluster whose nodes have doors for clients. */
class Bed {
  readonly fabric = new MemoryFabric()
  readonly cluster: SimCluster
  readonly #ports = new Map<SimNode, ClientPort>()

  constructor(seed: number, nodes: number) {
    const network = { drop: 0.01, delayMsMin: 0.1, delayMsMax: 5 }
    const encode = (result: WriteResult, number: number): Uint8Array => resultFrame(number, result)
    const changed = (): void => {
      for (const port of this.#ports?.values() ?? []) port.news()
    }
    const options = { seed, nodes, network, diskMsMin: 0.1, diskMsMax: 5, machine: () => new Tally(), encode, changed }
    this.cluster = new SimCluster(options)
    this.fabric.delayMs = () => 0.5
    for (const node of this.cluster.nodes) this.#listen(node)
  }

  get endpoints(): string[] {
    return this.cluster.nodes.map(node => addressOf(node))
  }

  client(): MachineClient {
    const life: Life = { over: false, stalledUntil: 0 }
    const env = this.cluster.world.env(life, this.cluster.world.random('client'))
    return new MachineClient({ env, net: new MemoryNet(this.fabric, env, 'client') }, this.endpoints, {
      timeout: hasty
    })
  }

  start(node: SimNode): void {
    this.cluster.start(node)
    this.#listen(node)
  }

  crash(node: SimNode): void {
    this.cluster.crash(node)
    this.#ports.delete(node)
    this.fabric.kill(node.key)
  }

  #listen(node: SimNode): void {
    const env = this.cluster.world.env(node.life!, node.random)
    const welcome = () => ({
      protocol: 1,
      clusterId: node.node === null ? '' : 'c',
      nodeId: idOf(node.key),
      clusterTime: node.node?.clusterTime ?? 0,
      leader: node.node?.raft.status.leader == null ? null : idOf(node.node.raft.status.leader),
      members: this.cluster.nodes.map(member => ({ id: idOf(member.key), address: addressOf(member) })),
      requestBytesMax: 1_000_000
    })
    const life = () => (node.node === null ? null : { node: node.node, machine: node.machine! })
    const port = new ClientPort({ env, life, welcome, found: () => {}, revision: () => 0 })
    this.#ports.set(node, port)
    new MemoryNet(this.fabric, env, node.key).listen(
      `${addressOf(node)}/v1`,
      link => port.accept(link),
      () => {}
    )
  }
}

function idOf(key: string): string {
  return key.slice(0, key.indexOf('.'))
}

function addressOf(node: SimNode): string {
  return `127.0.0.1:700${idOf(node.key).slice(1)}`
}

function misfortune(bed: Bed, kind: number, at: number, ms: number): void {
  const { cluster } = bed
  const node = cluster.nodes[at]!
  const others = cluster.nodes.filter(other => other !== node).map(other => other.key)
  if (kind === 0 && node.node !== null) bed.crash(node)
  else if (kind <= 3 && node.life === null) bed.start(node)
  else if (kind === 4) cluster.network.cut([node.key], others)
  else if (kind === 5) cluster.network.cut(others, [node.key])
  else if (kind === 6) cluster.stall(node, ms)
  else if (kind === 7) bed.fabric.reset('client', node.key)
  else cluster.network.heal()
}

type Fate = 'applied' | 'not-applied' | 'unknown'

async function storm(seed: number): Promise<number> {
  const bed = new Bed(seed, 3)
  const { cluster } = bed
  const { world } = cluster
  const chance = world.random('storm')
  const client = bed.client()
  const fates: (Fate | undefined)[] = []
  let stopped = false
  const call = (): void => {
    if (stopped) return
    world.after(1 + chance.below(8), null, call)
    for (let count = chance.below(3); count >= 0; count--) {
      const number = fates.push(undefined) - 1
      client.propose(Buffer.from(String(number))).then(
        () => (fates[number] = 'applied'),
        (error: StrettoError) => (fates[number] = error.fate)
      )
    }
  }
  call()
  for (let at = 300; at < stormMs; at += 50 + chance.below(400)) {
    world.after(at, null, () => misfortune(bed, chance.below(10), chance.below(3), chance.below(1_500)))
  }
  await run(cluster, stormMs)
  cluster.network.heal()
  cluster.network.faults = gentleNetwork
  for (const node of cluster.nodes) if (node.life === null) bed.start(node)
  await run(cluster, 3_000)
  const before = fates.length
  await run(cluster, 500)
  stopped = true
  await run(cluster, hasty + 1_000)
  judge(await read(cluster), fates)
  const later = fates.slice(before).filter(fate => fate !== 'applied')
  if (later.length > 0) throw new Error(`${later.length} calls after the storm were not applied`)
  return fates.filter(fate => fate === 'applied').length
}

/** In steps, so that promises have their turns. */
async function run(cluster: SimCluster, ms: number): Promise<void> {
  for (let done = 0; done < ms; done += 50) {
    cluster.run(50)
    await new Promise(resolve => setImmediate(resolve))
  }
}

async function read(cluster: SimCluster): Promise<number[]> {
  const { node, machine } = cluster.leader!
  let list: number[] = []
  node!.read({ point: 'linearizable', leastIndex: 0, patienceMs: 0, enough: null }, error => {
    if (error !== null) throw error
    machine!.query(new Uint8Array(0), (_, bytes) => {
      list = (JSON.parse(Buffer.from(bytes).toString()) as string[]).map(Number)
    })
  })
  await run(cluster, 1_000)
  return list
}

function judge(list: readonly number[], fates: readonly (Fate | undefined)[]): void {
  let before = -1
  for (const number of list) {
    if (number === before) throw new Error(`call ${number} was applied twice`)
    if (number < before) throw new Error(`call ${number} was applied after call ${before}`)
    before = number
  }
  const applied = new Set(list)
  for (const [number, fate] of fates.entries()) {
    if (fate === undefined) throw new Error(`call ${number} was never settled`)
    if (fate === 'applied' && !applied.has(number)) throw new Error(`call ${number} was acknowledged and is lost`)
    if (fate === 'not-applied' && applied.has(number))
      throw new Error(`call ${number} was said not to be applied, and is`)
  }
}

t.test(`${seeds} seeds: one client that does not wait`, async t => {
  let applied = 0
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    try {
      applied += await storm(seed)
    } catch (error) {
      t.fail(`SIM_SEED=${seed} SIM_SEEDS=1 npx tsx test/sim/client.test.ts: ${(error as Error).stack}`)
    }
  }
  t.ok(applied > 100 * seeds, `${applied} calls applied`)
})
