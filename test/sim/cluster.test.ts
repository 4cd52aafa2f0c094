// Production nodes in virtual time: they elect, replicate, survive what breaks, and every event is judged.
import { t } from 'tap'
import type { WriteResult } from '../../lib/node/result.ts'
import { SimCluster } from '../../lib/sim/cluster.ts'
import { memoryMachines } from '../../lib/sim/ghost/machines.ts'
import type { SimNode } from '../../lib/sim/node/sim-node.ts'
import { draftOf, Tally } from '../help/tally.ts'

function clusterOf(nodes: number, seed: number): SimCluster {
  const machine = memoryMachines(() => new Tally())
  return new SimCluster({ seed, nodes, depth: 'shallow', machine, syncMsMax: 0.5 })
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
  leader.crash('killed')
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
    leader.crash('killed')
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
    follower.stall(600)
    cluster.run(3_000)
    t.equal(cluster.leader!.node!.raft.status.term, term, 'the follower woke up and followed')
    leader.stall(600)
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
  leader.crash('killed')
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
  cluster.wires.cut(
    [leader.id],
    cluster.nodes.map(node => node.id)
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
