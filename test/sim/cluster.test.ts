// Production nodes in virtual time: they elect, replicate, survive what breaks, and every event is judged.
import { t } from 'tap'
import type { WriteResult } from '../../lib/node/result.ts'
import { resultFrame } from '../../lib/server/client-port.ts'
import { gentleNetwork, SimCluster, type SimOptions } from '../../lib/sim/cluster.ts'
import type { SimNode } from '../../lib/sim/sim-node.ts'
import { draftOf, Tally } from '../help/tally.ts'

function clusterOf(nodes: number, seed: number, options: Partial<SimOptions> = {}): SimCluster {
  const encode = (result: WriteResult, number: number): Uint8Array => resultFrame(number, result)
  const base = {
    seed,
    nodes,
    network: gentleNetwork,
    diskMsMin: 0.1,
    diskMsMax: 0.5,
    machine: () => new Tally(),
    encode
  }
  return new SimCluster({ ...base, ...options })
}

/** Runs until some node leads and has committed in its term. */
function elect(cluster: SimCluster): SimNode {
  const ready = (): boolean => {
    const leader = cluster.leader?.node?.raft.status
    return leader !== undefined && !leader.owesNoop && leader.commit > 0
  }
  if (!cluster.run(20_000, ready)) throw new Error('no leader in 20 s')
  return cluster.leader!
}

/** Writes one record and runs until it is answered. */
function write(cluster: SimCluster, node: SimNode, draft: Uint8Array, ms = 10_000): WriteResult {
  let answer: WriteResult | null = null
  node.node!.write(draft, result => {
    answer = result
  })
  cluster.run(ms, () => answer !== null)
  if (answer === null) throw new Error('no answer')
  return answer
}

function read(cluster: SimCluster, node: SimNode): string[] {
  let done: string[] | null = null
  node.node!.read({ point: 'linearizable', leastIndex: 0, patienceMs: 5_000, enough: null }, error => {
    if (error !== null) throw error
    node.machine!.query(new Uint8Array(0), (_, bytes) => {
      done = JSON.parse(Buffer.from(bytes).toString()) as string[]
    })
  })
  cluster.run(10_000, () => done !== null)
  if (done === null) throw new Error('no answer')
  return done
}

t.test('clusters of 1 to 5 elect a leader, apply commands in order, and serve reads on every node', async t => {
  for (const nodes of [1, 2, 3, 5]) {
    const cluster = clusterOf(nodes, 10 + nodes)
    const leader = elect(cluster)
    for (let serial = 1; serial <= 20; serial++) {
      const result = write(cluster, leader, draftOf([`c${serial}`], { session: 1, serial }))
      t.match(result, { kind: 'answer', answer: { revision: 1 + serial } })
    }
    const wanted = Array.from({ length: 20 }, (_, at) => `c${at + 1}`)
    for (const node of cluster.nodes) t.same(read(cluster, node), wanted, `${nodes} nodes, read on ${node.key}`)
  }
})

t.test("a follower forwards what it is asked, and gives the leader's own answer back", async t => {
  const cluster = clusterOf(3, 2)
  const leader = elect(cluster)
  const follower = cluster.nodes.find(node => node !== leader)!
  const result = write(cluster, follower, draftOf(['x'], { session: 1, serial: 1, number: 77 }))
  t.equal(result.kind, 'relayed')
  t.same(read(cluster, leader), ['x'])
})

t.test('without a leader requests are held, and answered by the next one', async t => {
  const cluster = clusterOf(3, 3)
  const leader = elect(cluster)
  cluster.crash(leader)
  const [other] = cluster.running
  cluster.run(1_000, () => other!.node!.raft.status.leader === null)
  const result = write(cluster, other!, draftOf(['kept'], { session: 1, serial: 1 }))
  t.not(result.kind, 'refused')
  t.same(read(cluster, other!), ['kept'])
})

t.test('a killed leader is replaced within milliseconds, because the broken link is a hint', async t => {
  for (let seed = 0; seed < 20; seed++) {
    const cluster = clusterOf(3, 100 + seed)
    const leader = elect(cluster)
    const { now } = cluster.world
    cluster.crash(leader)
    elect(cluster)
    const gap = cluster.world.now - now
    t.ok(gap < 150, `${Math.round(gap)} ms`)
  }
})

t.test('a stall of 600 ms of a follower causes no election; of the leader at most one, and no stale read', async t => {
  for (let seed = 0; seed < 10; seed++) {
    const cluster = clusterOf(3, 200 + seed)
    const leader = elect(cluster)
    const { term } = leader.node!.raft.status
    const follower = cluster.nodes.find(node => node !== leader)!
    cluster.stall(follower, 600)
    cluster.run(3_000)
    t.equal(cluster.leader!.node!.raft.status.term, term, 'the follower woke up and followed')
    cluster.stall(leader, 600)
    cluster.run(3_000)
    const now = elect(cluster)
    t.ok(now.node!.raft.status.term <= term + 1, 'at most one election')
    t.match(write(cluster, now, draftOf(['after'], { session: 1, serial: 1 })), { kind: 'answer' })
    t.same(read(cluster, leader), ['after'], 'the leader of before serves nothing old')
  }
})

t.test('a request that is sent again is answered as it was, and executed once', async t => {
  const cluster = clusterOf(3, 4)
  const leader = elect(cluster)
  const draft = draftOf(['once', 'twice'], { session: 1, serial: 1 })
  const first = write(cluster, leader, draft)
  cluster.crash(leader)
  const next = elect(cluster)
  const again = write(cluster, next, draft)
  t.match(first, { kind: 'answer', answer: { each: [{ revision: 2 }, { revision: 3 }] } })
  t.match(again, { kind: 'answer', answer: { each: [{ revision: 2 }, { revision: 3 }] } })
  t.same(read(cluster, next), ['once', 'twice'])
})

t.test('bad records are refused, not applied, and nothing else is disturbed', async t => {
  const cluster = clusterOf(3, 5)
  const leader = elect(cluster)
  const short = new Uint8Array(20)
  t.match(write(cluster, leader, short), { kind: 'refused', code: 'BAD_REQUEST', fate: 'not-applied' })
  const noCommands = draftOf(['x'], { session: 1, serial: 1 })
  noCommands[noCommands.length - 1] = 0xc1
  noCommands[commandsAt] = 0xc1
  t.match(write(cluster, leader, noCommands), { kind: 'refused', code: 'BAD_REQUEST', fate: 'not-applied' })
  t.match(write(cluster, leader, draftOf(['x'], { session: 1, serial: 1 })), { kind: 'answer' })
})

const commandsAt = 76

t.test('a read of the local state is answered at once, also where nothing is written any more', async t => {
  const cluster = clusterOf(3, 7)
  elect(cluster)
  cluster.run(1_000)
  for (const { node } of cluster.nodes) {
    const { now } = cluster.world
    let fault: Error | null | undefined
    node!.read({ point: 'local', leastIndex: node!.applied, patienceMs: 5_000, enough: null }, error => {
      fault = error
    })
    cluster.run(10_000, () => fault !== undefined)
    t.equal(fault, null)
    t.ok(cluster.world.now - now < 1, `${cluster.world.now - now} ms`)
  }
})

t.test('a stopped node answers everybody', async t => {
  const cluster = clusterOf(3, 6)
  const leader = elect(cluster)
  cluster.network.cut(
    [leader.key],
    cluster.nodes.map(node => node.key)
  )
  const results: WriteResult[] = []
  for (let serial = 1; serial <= 5; serial++) {
    leader.node!.write(draftOf(['x'], { session: 1, serial }), result => results.push(result))
  }
  let refused = 0
  leader.node!.read({ point: 'linearizable', leastIndex: 0, patienceMs: 0, enough: null }, error => {
    if (error !== null) refused++
  })
  cluster.run(5)
  leader.node!.stop()
  t.equal(results.length, 5)
  for (const result of results) t.match(result, { kind: 'refused', code: 'STOPPED', fate: 'unknown' })
  t.equal(refused, 1)
})

const seeds = Number(process.env['SIM_SEEDS'] ?? 60)
const firstSeed = Number(process.env['SIM_SEED'] ?? 1)
t.setTimeout(60_000 + seeds * 100)

t.test(
  `${seeds} seeds: loss, delay, partitions, crashes; every acknowledged command is there once, in order`,
  async t => {
    for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
      try {
        storm(seed)
      } catch (error) {
        t.fail(`SIM_SEED=${seed} SIM_SEEDS=1 npx tsx test/sim/cluster.test.ts: ${(error as Error).stack}`)
      }
    }
    t.pass('all seeds')
  }
)

const stormMs = 10_000

/** Misfortune for ten virtual seconds while four sessions write, then quiet, then judgement. */
function storm(seed: number): void {
  const nodes = 3 + 2 * (seed % 2)
  const cluster = clusterOf(nodes, seed, { network: { drop: 0.03, delayMsMin: 0.1, delayMsMax: 20 }, diskMsMax: 15 })
  const { world } = cluster
  const chance = world.random('storm')
  const acknowledged = new Map<string, number>()
  for (let session = 1; session <= 4; session++) client(cluster, session, acknowledged)
  for (let at = 100; at < stormMs; at += 100 + chance.below(400)) {
    world.after(at, null, () => misfortune(cluster, chance.below(8), chance.below(nodes)))
  }
  cluster.run(stormMs)
  cluster.network.heal()
  cluster.network.faults = gentleNetwork
  for (const node of cluster.nodes) if (node.node === null && node.life === null) cluster.start(node)
  cluster.run(3_000)
  const leader = elect(cluster)
  const list = read(cluster, leader)
  if (new Set(list).size !== list.length) throw new Error('a command was executed twice')
  for (const [name, position] of acknowledged) {
    if (list[position - 1] !== name)
      throw new Error(`${name} was acknowledged at ${position}, where ${list[position - 1]} is`)
  }
  for (const node of cluster.nodes) {
    const held = read(cluster, node)
    if (JSON.stringify(held) !== JSON.stringify(list)) throw new Error(`${node.key} holds another state`)
  }
  if (acknowledged.size === 0) throw new Error(`nothing was acknowledged`)
}

function misfortune(cluster: SimCluster, kind: number, at: number): void {
  const node = cluster.nodes[at]!
  const others = cluster.nodes.filter(other => other !== node).map(other => other.key)
  if (kind === 0 && node.node !== null) cluster.crash(node)
  else if (kind <= 3 && node.life === null) cluster.start(node)
  else if (kind === 4) cluster.network.cut([node.key], others)
  else if (kind === 5) cluster.network.cut(others, [node.key])
  else cluster.network.heal()
}

/** One session that writes serial after serial, asking any node, again until it has an answer. */
function client(cluster: SimCluster, session: number, acknowledged: Map<string, number>): void {
  const chance = cluster.world.random(`client ${session}`)
  let serial = 1
  const ask = (): void => {
    const node = cluster.nodes[chance.below(cluster.nodes.length)]!
    let answered = false
    const next = (applied: number | null): void => {
      if (answered) return
      answered = true
      if (applied !== null) {
        acknowledged.set(`s${session}-${serial}`, applied)
        serial++
      }
      if (cluster.world.now < stormMs) cluster.world.after(1 + chance.below(20), null, ask)
    }
    cluster.world.after(800, null, () => next(null))
    if (node.node === null) return
    const draft = draftOf([`s${session}-${serial}`], { session, serial, floor: serial - 1, patienceMs: 600 })
    node.node.write(draft, result => {
      if (result.kind === 'answer' && result.answer.refused === null) next(result.answer.each![0]!.revision - 1)
      else next(null)
    })
  }
  ask()
}
