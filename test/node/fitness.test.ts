// How a node judges its own disk and event loop, and whom a leader that is not fit, or not preferred, makes way for.
import { t } from 'tap'
import { Fitness } from '../../lib/node/fitness.ts'
import { nodeLimits } from '../../lib/node/limits.ts'
import { Succession } from '../../lib/node/succession.ts'
import type { Input } from '../../lib/raft/doors.ts'
import type { MemberKey } from '../../lib/raft/types.ts'
import { keyOf, membershipOf } from '../help/core-cluster.ts'
import { FakeRaft } from '../help/node-parts.ts'

/** Looks every 50 ms until `to`, as a node does. */
function looks(from: number, to: number, look: (now: number) => void): void {
  for (let now = from; now <= to; now += 50) look(now)
}

t.test(
  'a write of the log that takes longer than a second makes a node unfit, until five good seconds have passed',
  async t => {
    const fitness = new Fitness(nodeLimits)
    t.equal(fitness.judge(0), null)
    fitness.writeBegan(1, 0)
    fitness.writeBegan(2, 900)
    t.equal(fitness.diskStallMs(950), 950)
    t.equal(fitness.judge(1_000), null)
    t.match(fitness.judge(1_001), /log/)
    fitness.writeEnded(1, 1_500)
    t.equal(fitness.diskStallMs(1_500), 600, 'the next one has been under way since')
    t.match(fitness.judge(1_600), /log/)
    fitness.writeEnded(2, 1_700)
    t.equal(fitness.diskStallMs(1_700), 0)
    t.match(fitness.judge(6_499), /log/)
    t.equal(fitness.judge(6_500), null)
  }
)

t.test('a long write that ends between two looks counts too', async t => {
  const fitness = new Fitness(nodeLimits)
  fitness.writeBegan(1, 0)
  fitness.writeEnded(1, 1_040)
  t.match(fitness.judge(1_050), /log/)
})

t.test('an event loop that stands once is held up, twice within ten seconds it does not keep up', async t => {
  const fitness = new Fitness(nodeLimits)
  fitness.late(600, 0)
  fitness.late(5_000, 100)
  t.equal(fitness.judge(100), null)
  fitness.late(601, 10_101)
  t.equal(fitness.judge(10_101), null, 'the first is long ago')
  fitness.late(700, 12_000)
  t.match(fitness.judge(12_000), /event loop/)
  t.match(fitness.judge(20_100), /event loop/, 'both are within the window')
  t.match(fitness.judge(25_000), /event loop/)
  t.equal(fitness.judge(25_100), null)
})

/** The leader of five, whose peers are level; its inputs are gathered. */
class Bed {
  readonly raft = new FakeRaft()
  readonly fitness = new Fitness(nodeLimits)
  readonly inputs: Input[] = []
  readonly lines: string[] = []
  readonly linked = new Set([2, 3, 4, 5].map(keyOf))
  readonly match = new Map<MemberKey, number>([2, 3, 4, 5].map(number => [keyOf(number), 100]))
  readonly heardAt = new Map<MemberKey, number>()
  readonly succession: Succession

  constructor(priority = 100) {
    const { raft, fitness, linked, match } = this
    Object.assign(raft.status, { membership: membershipOf([1, 2, 3, 4, 5]), commit: 100, durable: 90 })
    raft.status.match = key => match.get(key) ?? 0
    raft.status.heardAt = key => this.heardAt.get(key) ?? Number.POSITIVE_INFINITY
    const parts = {
      raft,
      limits: nodeLimits,
      fitness,
      priority,
      room: { lacks: false, has: () => true, offers: () => false },
      runs: (peer: MemberKey) => linked.has(peer),
      step: (input: Input) => void this.inputs.push(input),
      found: (line: string) => void this.lines.push(line)
    }
    this.succession = new Succession(parts)
  }

  /** From `from` on, for so long; gives what was stepped meanwhile. */
  look(from: number, ms: number): Input[] {
    this.inputs.length = 0
    looks(from, from + ms, now => this.succession.look(now))
    return [...this.inputs]
  }

  get best(): MemberKey | null {
    return this.succession.best(1_000)
  }
}

t.test(
  'the best voter is one of those that can take over at once: of the highest priority, then furthest ahead',
  async t => {
    const bed = new Bed()
    bed.match.set(keyOf(4), 101)
    t.equal(bed.best, keyOf(4))
    bed.succession.greeted(keyOf(3), 101)
    t.equal(bed.best, keyOf(3))
    bed.linked.delete(keyOf(3))
    t.equal(bed.best, keyOf(4), 'not linked, or of a program that is too old')
    bed.heardAt.set(keyOf(4), 700)
    t.equal(bed.best, keyOf(2), 'silent')
    bed.raft.status.commit = 1_101
    bed.match.set(keyOf(5), 101)
    t.equal(bed.best, keyOf(5), 'the other lacks more than a thousand records')
    bed.raft.status.mode = () => 'probe'
    t.equal(bed.best, null, 'nobody knows where its log ends')
  }
)

t.test(
  'a leader that is not fit asks one after the other, each once, then steps down, and asks again after a while',
  async t => {
    const bed = new Bed()
    t.same(bed.look(0, 1_000), [])
    bed.fitness.writeBegan(1, 0)
    bed.match.set(keyOf(5), 89)
    const asked = bed.look(1_050, 2_350)
    t.same(asked, [{ kind: 'fit', fit: false }, ...[2, 3, 4].map(number => ({ kind: 'transfer', to: keyOf(number) }))])
    t.same(bed.lines, ['a write of the log does not come to an end: another node is to lead'])
    t.same(bed.look(3_450, 1_950), [{ kind: 'resign' }, { kind: 'resign' }], 'once a second')
    const again = bed.look(5_450, 7_000).flatMap(input => (input.kind === 'transfer' ? [input.to] : []))
    t.same(again, [2, 3, 4].map(keyOf))
    bed.fitness.writeEnded(1, 12_500)
    t.same(bed.look(17_500, 1_000), [{ kind: 'fit', fit: true }])
  }
)

t.test('while one is trying nobody else is asked, and a follower asks nobody', async t => {
  const bed = new Bed()
  bed.fitness.writeBegan(1, 0)
  bed.raft.status.accepts = false
  t.same(bed.look(1_050, 3_000), [{ kind: 'fit', fit: false }])
  bed.raft.status.role = 'follower'
  t.same(bed.look(4_100, 3_000), [])
})

t.test(
  'a voter of a higher priority is made the leader once it has been level for ten seconds, and once a minute',
  async t => {
    const bed = new Bed()
    bed.succession.greeted(keyOf(2), 99)
    bed.succession.greeted(keyOf(3), 100)
    t.same(bed.look(0, 30_000), [], 'nobody is preferred to itself')
    bed.succession.greeted(keyOf(4), 101)
    t.same(bed.look(30_000, 9_950), [])
    bed.linked.delete(keyOf(4))
    t.same(bed.look(40_000, 0), [])
    bed.linked.add(keyOf(4))
    t.same(bed.look(40_050, 9_950), [], 'the time begins anew')
    t.same(bed.look(50_050, 59_950), [{ kind: 'transfer', to: keyOf(4) }])
    t.same(bed.look(110_050, 0), [{ kind: 'transfer', to: keyOf(4) }])
  }
)

t.test('a node of priority 0 makes way for every other', async t => {
  t.same(new Bed(0).look(0, 10_000), [{ kind: 'transfer', to: keyOf(2) }])
})
