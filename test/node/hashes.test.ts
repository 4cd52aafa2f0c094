// When a leader has states compared, what it asks and gathers for that, and what a node says and does that finds a difference.
import { t } from 'tap'
import { draftHash, type HashRecord, readHash } from '../../lib/machine/divergence.ts'
import { StateHash } from '../../lib/machine/state-hash.ts'
import { newCounters } from '../../lib/node/counters.ts'
import { Hashes } from '../../lib/node/hashes.ts'
import type { LogId, Role } from '../../lib/raft/types.ts'
import { keyOf, membershipOf } from '../help/core-cluster.ts'
import { draft, FakeRaft, FakeTransport } from '../help/node-parts.ts'

const rising = (a: number, b: number): number => a - b

/** A leader of term 3 among three voters and a learner, whose own record is applied. */
class Bed {
  readonly raft = new FakeRaft()
  readonly transport = new FakeTransport()
  readonly counters = newCounters()
  readonly machine: { applied: LogId; hash: StateHash } = { applied: { term: 3, index: 7 }, hash: new StateHash() }
  readonly lines: string[] = []
  readonly ends: Error[] = []
  readonly hashes: Hashes
  #index = 7

  constructor() {
    const { raft, transport, machine, counters } = this
    raft.status.membership = membershipOf([1, 2, 3], null, [4])
    this.hashes = new Hashes({
      raft,
      machine,
      transport,
      counters,
      limits: { hashRecords: 10, hashBytes: 1_000, hashAfterMs: 100 },
      found: line => this.lines.push(line),
      diverged: error => this.ends.push(error)
    })
  }

  /** Records of clients are applied. */
  work(records = 1, bytes = 1): this {
    for (let number = 0; number < records; number++) this.machine.hash.count(bytes)
    return this
  }

  /** The record that is proposed now. */
  ordered(now: number): HashRecord | null {
    const draft = this.hashes.order(now)
    return draft === null ? null : readHash(draft, 0, draft.length)
  }

  /** A hash record is applied. */
  mark(record: Partial<HashRecord> = {}): number {
    this.machine.hash.mark(++this.#index, { begins: false, voters: 3, of: 0, votes: [], ...record }, 0)
    return this.#index
  }

  /** A member tells its value at the last hash record. */
  tell(number: number, value: number | null, of = this.machine.hash.markIndex): this {
    const votes = value === null ? [] : [{ from: keyOf(number), value }]
    t.ok(this.hashes.told(keyOf(number), draftHash({ begins: value === null, voters: 0, of, votes })))
    return this
  }

  get own(): number {
    return this.machine.hash.markValue!
  }
}

t.test('after so many records, so many bytes, or so long after the first of them', async t => {
  t.equal(new Bed().ordered(1_000_000), null, 'where nothing has happened there is nothing to compare')
  t.ok(new Bed().work(10).ordered(0))
  t.equal(new Bed().work(9).ordered(0), null)
  t.ok(new Bed().work(1, 1_000).ordered(0))
  const bed = new Bed()
  t.equal(bed.ordered(5_000), null)
  bed.work()
  t.equal(bed.ordered(5_000), null, 'time counts from the first record')
  t.equal(bed.ordered(5_099), null)
  t.match(bed.ordered(5_100), { begins: false, voters: 3, of: 0 })
  t.equal(bed.counters.hashRecords, 1)
})

t.test('one at a time, and a last one when all is at rest, which compares what the one before covers', async t => {
  const bed = new Bed().work(10)
  t.ok(bed.ordered(0))
  bed.work(20)
  t.equal(bed.ordered(1_000), null, 'while one is under way')
  bed.mark()
  t.equal(bed.ordered(1_000), null)
  t.ok(bed.ordered(1_100))
  bed.mark()
  t.equal(bed.ordered(9_000), null, 'now it is at rest')
  bed.raft.status.term = 4
  bed.machine.applied = { term: 4, index: 11 }
  bed.work(10)
  t.ok(bed.ordered(9_000))
  bed.raft.status.term = 5
  bed.machine.applied = { term: 5, index: 12 }
  t.ok(bed.ordered(9_000), 'one that was lost with its term is proposed again')
})

t.test('only by a leader that has applied a record of its own term, and does not hand over; not alone', async t => {
  const bed = new Bed().work(10)
  bed.machine.applied = { term: 2, index: 7 }
  t.equal(bed.ordered(0), null, 'a hash record of a leader before may stand in the log')
  bed.machine.applied = { term: 3, index: 8 }
  bed.raft.status.accepts = false
  t.equal(bed.ordered(0), null)
  bed.raft.status.accepts = true
  bed.raft.status.membership = membershipOf([1])
  t.equal(bed.ordered(0), null)
  bed.raft.status.membership = membershipOf([1], null, [4])
  t.ok(bed.ordered(0), 'a learner compares itself too')
})

t.test('it brings what the voters have told of the last hash record, and its own value', async t => {
  const bed = new Bed()
  const of = bed.work(10).mark()
  bed
    .tell(2, 22)
    .tell(3, 33, of - 1)
    .tell(4, 44)
    .tell(9, 99)
  const votes = [
    { from: keyOf(2), value: 22 },
    { from: keyOf(1), value: bed.own }
  ]
  t.same(bed.ordered(0), null)
  t.same(bed.ordered(100), { begins: false, voters: 3, of, votes }, 'of voters alone, and of this record alone')
  bed.mark()
  bed.work(10).tell(3, 33).tell(2, 23).tell(2, 24)
  const next = bed.ordered(200)!
  t.same(
    next.votes.map(({ value }) => value).toSorted(rising),
    [24, 33, bed.own].toSorted(rising),
    'the last word of each'
  )
  bed.mark()
  bed.raft.status.membership = membershipOf([1, 2, 3], [3, 4, 5])
  bed.work(10).tell(5, 55)
  t.match(bed.ordered(300), { voters: 5, votes: [{ value: bed.own }, { value: 55 }] }, 'both halves of a joint one')
})

t.test('all begin anew where one does not know its value, unless that would forget a difference', async t => {
  const bed = new Bed()
  bed.work(10).mark()
  bed.tell(2, null).tell(3, bed.own)
  t.match(bed.ordered(0) ?? bed.ordered(100), { begins: true, votes: [{ from: keyOf(3) }, { from: keyOf(1) }] })
  bed.mark()
  bed.work(10).tell(2, null).tell(3, 7)
  t.match(bed.ordered(200), { begins: false })
  bed.machine.hash.restore({ running: 0, known: false, markIndex: 20, markValue: null, divergedAt: 0 })
  bed.work(10)
  t.match(bed.ordered(300), { begins: true, votes: [] }, 'the leader itself may be the one')
  bed.mark({ begins: true })
  bed.work(10)
  t.match(bed.ordered(400), { begins: false, votes: [] }, 'once is enough, though there is no value yet to compare')
  bed.mark()
  bed.work(10)
  t.match(bed.ordered(500), { begins: false, votes: [{ from: keyOf(1), value: bed.own }] })
})

t.test('a voter tells each leader its value at the last hash record, once', async t => {
  const bed = new Bed()
  const { status } = bed.raft
  status.role = 'follower'
  status.leader = keyOf(2)
  bed.hashes.look()
  t.same(bed.transport.forwards, [], 'there is none yet')
  const of = bed.work().mark()
  for (let turn = 0; turn < 2; turn++) bed.hashes.look()
  t.equal(bed.transport.forwards.length, 1)
  const { to, request } = bed.transport.forwards[0]!
  t.equal(to, keyOf(2))
  t.match(readHash(request, 0, request.length), { begins: false, of, votes: [{ from: keyOf(1), value: bed.own }] })
  status.leader = null
  status.term = 4
  bed.hashes.look()
  t.equal(bed.transport.forwards.length, 1)
  status.leader = keyOf(3)
  bed.hashes.look()
  t.equal(bed.transport.forwards.length, 2, 'the next leader has not heard it')
  bed.machine.hash.restore({ running: 0, known: false, markIndex: 20, markValue: null, divergedAt: 0 })
  bed.hashes.look()
  const unknown = bed.transport.forwards[2]!.request
  t.match(readHash(unknown, 0, unknown.length), { begins: true, of: 20, votes: [] }, 'also that it does not know it')
  for (const role of ['learner', 'leader'] satisfies Role[]) {
    status.role = role
    status.membership = role === 'learner' ? membershipOf([2, 3], null, [1]) : membershipOf([1, 2, 3])
    bed.mark()
    bed.hashes.look()
    t.equal(bed.transport.forwards.length, 3, role)
  }
})

t.test('what a client forwards is no value, and noise changes nothing', async t => {
  const bed = new Bed()
  t.notOk(bed.hashes.told(keyOf(2), draft()))
  t.notOk(bed.hashes.told(keyOf(2), new Uint8Array(3)))
  bed.work(10).mark()
  const noise = draftHash({ begins: false, voters: 0, of: 8, votes: [{ from: keyOf(2), value: 5 }] }).subarray(0, -1)
  t.ok(bed.hashes.told(keyOf(2), noise))
  bed.ordered(0)
  t.equal(bed.ordered(100)?.votes.length, 1)
})

t.test('a difference is told once, by whoever sees it; who is wrong is told so', async t => {
  const bed = new Bed()
  const votes = (values: readonly (number | null)[]) =>
    values.map((value, at) => ({ from: keyOf(at + 1), value: value ?? bed.own }))
  const compare = (values: readonly (number | null)[]): boolean => {
    bed.mark({ of: bed.machine.hash.markIndex, votes: votes(values) })
    return bed.hashes.look()
  }
  const of = bed.work().mark()
  t.notOk(compare([null, null, null]))
  t.same(bed.lines, [])
  t.notOk(compare([null, 5]))
  t.notOk(compare([null, 5]))
  t.same(bed.lines, [`the states of n1, n2 differ since before index ${of + 1}, and no majority tells who is right`])
  t.notOk(compare([null, 5, null]))
  t.equal(bed.lines[1], `the state of n2 differs from all others since before index ${of + 3}`)
  t.notOk(compare([null, null, null]))
  t.notOk(compare([null, 5, null]))
  t.equal(bed.lines.length, 3, 'once more after it was mended')
  t.same(bed.ends, [])
  t.ok(compare([null, 5, 5]))
  t.match(bed.ends, [{ code: 'CORRUPT', message: /^the state differs from that of a majority since before/ }])
  t.equal(bed.counters.divergences, 1)
  t.equal(bed.lines.length, 3, 'of itself a node says it by its end')
})
