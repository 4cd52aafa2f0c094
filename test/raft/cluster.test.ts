// Whole clusters of cores under random schedules: safety after every event, and progress once the faults have ended.
import fc from 'fast-check'
import { t } from 'tap'
import { Random } from '../../lib/base/random.ts'
import { describeStatus } from '../../lib/raft/describe.ts'
import { lastOf, type MemberKey } from '../../lib/raft/types.ts'
import { CoreCluster, type Member, membershipOf } from '../help/core-cluster.ts'

const runs = Number(process.env['FC_RUNS'] ?? 600)
const networkMax = 80
t.setTimeout(60_000 + runs * 20)

/** One event, drawn from `random`; the numbers are cumulative weights in a thousand. */
function act(cluster: CoreCluster, random: Random, changes: boolean): void {
  const kind = random.below(1000)
  const [a, b] = [random.below(1000), random.below(1000)]
  const members = [...cluster.members.values()]
  const member = members[a % members.length]!
  const other = members[b % members.length]!
  const { network } = cluster
  if (kind < 500) cluster.deliver(b % 8 === 0 ? a % Math.max(1, network.length) : 0)
  else if (kind < 515) cluster.deliver(a % Math.max(1, network.length), true)
  else if (kind < 530) network.splice(a % Math.max(1, network.length), 1)
  else if (kind < 780) flushOne(cluster, member)
  else if (kind < 850) cluster.put(cluster.leader ?? member, 1 + (b % 3))
  else if (kind < 900) wake(cluster, b % 8 === 0)
  else if (kind < 906) crash(cluster, member, b)
  else if (kind < 930) restartOne(cluster, a)
  else if (kind < 960) cluster.read(member)
  else if (kind < 963) cluster.step(member, { kind: 'link-closed', peer: other.key })
  else if (kind < 966) cluster.step(member, { kind: 'unreachable', peer: other.key })
  else if (kind < 969) cluster.step(member, { kind: 'transfer', to: b % 2 === 0 ? null : other.key })
  else if (kind < 972) isolate(cluster, member)
  else if (kind < 980) compact(cluster, member, b)
  else if (changes) change(cluster, b)
  while (network.length > networkMax) network.shift()
}

/** All that is on its way to or from a member is lost, and then time passes: it misses an election. */
function isolate(cluster: CoreCluster, member: Member): void {
  cluster.network = cluster.network.filter(({ from, to }) => from !== member.key && to !== member.key)
  for (const other of cluster.members.values()) if (other !== member && other.up) cluster.step(other, { kind: 'time' })
}

function flushOne(cluster: CoreCluster, member: Member): void {
  const busy = member.writes.length > 0 ? member : [...cluster.members.values()].find(({ writes }) => writes.length > 0)
  if (busy !== undefined && busy.up) cluster.flush(busy, 1)
}

/** Time goes on to the next timer, or past all of them. */
function wake(cluster: CoreCluster, all: boolean): void {
  const awake = [...cluster.members.values()].filter(({ up, core }) => up && Number.isFinite(core.wakeAt()))
  const times = awake.map(({ core }) => core.wakeAt())
  if (times.length === 0) return
  cluster.now = Math.max(cluster.now, all ? Math.max(...times) : Math.min(...times))
  for (const member of awake) if (member.core.wakeAt() <= cluster.now) cluster.step(member, { kind: 'time' })
}

function crash(cluster: CoreCluster, member: Member, chance: number): void {
  if (member.up) cluster.crash(member, chance % (member.writes.length + 1), chance % 2)
}

function restartOne(cluster: CoreCluster, chance: number): void {
  const down = [...cluster.members.values()].filter(member => !member.up)
  if (down.length > 0) cluster.restart(down[chance % down.length]!)
}

/** Compaction up to a record that is committed and durable here; who lacks it is brought a snapshot. */
function compact(cluster: CoreCluster, member: Member, chance: number): void {
  if (!member.up || member.writes.length > 0) return
  const commit = Math.min(member.core.status.commit, member.core.status.durable)
  const blocks = member.disk.blocks.filter(block => lastOf(block) <= commit)
  const block = blocks[chance % Math.max(1, blocks.length)]
  if (block !== undefined) cluster.compact(member, lastOf(block))
}

/** A leader is asked for another configuration, any: what cannot be, it refuses. */
function change(cluster: CoreCluster, chance: number): void {
  const member = cluster.leader
  if (member === undefined) return
  const numbers = [1, 2, 3, 4, 5].filter(number => ((chance >> number) & 1) === 1)
  const learners = [1, 2, 3, 4, 5].filter(number => !numbers.includes(number) && chance % number !== 1)
  cluster.change(member, membershipOf(numbers, null, learners))
}

/** The faults end: a leader is there, and what it proposes is committed by all who count. */
function heal(cluster: CoreCluster): void {
  cluster.autoFlush = true
  cluster.network = []
  for (const member of cluster.members.values()) {
    if (member.up) cluster.flush(member)
    else cluster.restart(member)
  }
  for (const member of cluster.members.values()) {
    for (const peer of cluster.members.keys()) cluster.step(member, { kind: 'unreachable', peer })
  }
  cluster.run(12_000)
  const leader = cluster.leader
  if (leader === undefined) throw new Error(`no leader: ${describeAll(cluster)}`)
  if (!cluster.put(leader)) throw new Error('the leader does not accept')
  const tickets = [cluster.read(leader), cluster.read(cluster.member(1))]
  cluster.run(2_000)
  const { membership, last } = leader.core.status
  const voters: readonly MemberKey[] = [...membership.voters, ...(membership.outgoing ?? []), ...membership.learners]
  for (const key of voters) {
    const { status } = cluster.members.get(key)!.core
    if (status.commit !== last.index || status.durable !== last.index) {
      throw new Error(`${key} lags behind: ${describeAll(cluster)}`)
    }
  }
  if (!leader.reads.some(({ ticket }) => ticket === tickets[0])) throw new Error('a read of the leader is not answered')
}

function describeAll(cluster: CoreCluster): string {
  return [...cluster.members.values()].map(({ core }) => describeStatus(core.status)).join(' | ')
}

for (const [count, changes] of [
  [3, false],
  [5, false],
  [5, true]
] as const) {
  t.test(
    `${count} members${changes ? ' that come and go' : ''}: safe at every step, and they go on when healed`,
    async t => {
      const seen = { leaders: 0, commits: 0, reads: 0 }
      fc.assert(
        // Of a schedule that fails, a shorter beginning is sought.
        fc.property(fc.noBias(fc.nat()), fc.noBias(fc.integer({ min: 1, max: 1000 * count })), (seed, events) => {
          const cluster = new CoreCluster({ count, seed })
          const random = new Random(seed, 'schedule')
          // Every other schedule begins with a leader at work.
          if (seed % 2 === 0) cluster.run(2000)
          cluster.autoFlush = false
          for (let at = 0; at < events; at++) act(cluster, random, changes)
          seen.leaders += cluster.judge.leaders.size
          seen.commits += cluster.judge.commit
          seen.reads += cluster.judge.reads
          heal(cluster)
        }),
        { numRuns: Math.ceil(runs / 3) }
      )
      t.comment(JSON.stringify(seen))
      t.ok(seen.commits > runs && seen.leaders > runs / 3, 'the schedules were worth their time')
    }
  )
}

t.test('the same seed gives the same conversation', async t => {
  const talk = (): string => {
    const cluster = new CoreCluster({ count: 5, seed: 77 })
    const random = new Random(5)
    const lines: string[] = []
    cluster.onSend = envelope =>
      lines.push(JSON.stringify(envelope, (name, value) => (name === 'bytes' ? null : value)))
    for (let at = 0; at < 1000; at++) act(cluster, random, false)
    return lines.join('\n')
  }
  const first = talk()
  t.ok(first.length > 1000)
  t.equal(first, talk())
})
