// Requests on their way into the log: held within bounds, forwarded once, cut into blocks in order, and always answered.
import fc from 'fast-check'
import { t } from 'tap'
import { concatBytes } from '../../lib/base/bytes.ts'
import { StrettoError } from '../../lib/base/errors.ts'
import type { Answer } from '../../lib/machine/answer.ts'
import { ClusterTime } from '../../lib/machine/cluster-time.ts'
import { draftVersion } from '../../lib/machine/order.ts'
import { newCounters } from '../../lib/node/counters.ts'
import { Intake } from '../../lib/node/intake.ts'
import type { NodeLimits } from '../../lib/node/limits.ts'
import { Held, patienceOf, type Request, Waiting } from '../../lib/node/proposals.ts'
import { refusal, type WriteResult } from '../../lib/node/result.ts'
import { blockBytesMax, blockHeaderBytes, readBlock, recordOffsets } from '../../lib/record/block.ts'
import { draftRecord, recordAt, recordKind } from '../../lib/record/record.ts'
import { keyOf } from '../help/core-cluster.ts'
import { draft, FakeLog, FakeRaft, FakeTransport, HandMachine, quickLimits } from '../help/node-parts.ts'
import { draftOf } from '../help/tally.ts'

const runs = Number(process.env['FC_RUNS'] ?? 100)
const never = Number.POSITIVE_INFINITY

function request(bytes: number, deadline = never, results: WriteResult[] = []): Request {
  return { draft: new Uint8Array(bytes), deadline, forwarded: false, done: result => results.push(result) }
}

/** An intake with neighbours played by hand. */
class Bed {
  readonly raft = new FakeRaft()
  readonly log = new FakeLog()
  readonly transport = new FakeTransport()
  readonly clusterTime = new ClusterTime()
  readonly counters = newCounters()
  readonly machine = new HandMachine().replicated
  readonly intake: Intake

  constructor(limits: Partial<NodeLimits> = {}) {
    const { raft, log, machine, transport, clusterTime, counters } = this
    const all = { ...quickLimits, ...limits }
    this.intake = new Intake({ raft, log, machine, transport, clusterTime, limits: all, counters })
    clusterTime.lead(0, 1_000)
  }

  /** Takes a draft in; the results come into the list that is given back. */
  take(bytes: Uint8Array, now = 0, forwarded = false): WriteResult[] {
    const results: WriteResult[] = []
    this.intake.take(bytes, forwarded, now, result => results.push(result))
    return results
  }

  /** A leader's turn, after which the log has what was proposed. */
  propose(now = 0, order: Uint8Array | null = null): void {
    const before = this.raft.proposed.length
    this.intake.propose(now, order)
    this.log.blocks.push(...this.raft.proposed.slice(before))
  }

  /** A turn in which it has chosen a successor, and one in which that leads. */
  handOver(): void {
    this.raft.status.accepts = false
    this.propose()
    this.raft.status.accepts = true
    this.intake.leadershipLost(0)
  }

  /** The records of all blocks proposed, as the clients had sent them: stamp and CRC taken off. */
  get records(): Uint8Array[] {
    return this.raft.proposed.flatMap(block => {
      const offsets = recordOffsets(block)
      return offsets.slice(1).map((end, at) => unstamped(block.bytes.subarray(offsets[at], end)))
    })
  }
}

function unstamped(record: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(record)
  bytes.fill(0, recordAt.crc, recordAt.body)
  return bytes
}

function answerTo(index: number, term = 3): Answer {
  return { index, term, serial: 1, count: 1, revision: index, each: null, refused: null }
}

t.test('held requests come out in the order they came in, and their bytes stay within the limit', async t => {
  const limits = { ...quickLimits, heldBytesMax: 100 }
  const step = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), bytes: fc.integer({ min: 1, max: 60 }), deadline: fc.nat(20) }),
    fc.record({ kind: fc.constant('take' as const), bytes: fc.nat(120) }),
    fc.record({ kind: fc.constant('expire' as const), now: fc.nat(20) })
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      const held = new Held(limits.heldBytesMax)
      let model: Request[] = []
      const sum = (): number => model.reduce((bytes, { draft }) => bytes + draft.length, 0)
      for (const step of steps) {
        if (step.kind === 'add') {
          const added = request(step.bytes, step.deadline)
          const fits = sum() + step.bytes <= 100
          if (held.add(added) !== fits) return false
          if (fits) model.push(added)
        } else if (step.kind === 'take') {
          const taken = held.take(step.bytes)
          const bytes = taken.reduce((sum, { draft }) => sum + draft.length, 0)
          if (model.length > 0 && taken.length === 0) return false
          if (taken.length > 1 && bytes > step.bytes) return false
          if (taken.some((request, at) => request !== model[at])) return false
          const next = model[taken.length]
          if (next !== undefined && bytes + next.draft.length <= step.bytes) return false
          model = model.slice(taken.length)
        } else {
          const late = model.filter(({ deadline }) => deadline <= step.now)
          if (held.expire(step.now) !== late.length) return false
          model = model.filter(({ deadline }) => deadline > step.now)
        }
        if (held.bytes !== sum() || held.count !== model.length) return false
      }
      return true
    }),
    { numRuns: runs }
  )
  t.pass('for every run')
})

t.test('a request whose time is over is answered once: it was never proposed', async t => {
  const held = new Held(quickLimits.heldBytesMax)
  const results: WriteResult[] = []
  held.add(request(10, 5, results))
  held.add(request(10, 7, results))
  t.equal(held.expire(4), 0)
  t.equal(held.expire(5), 1, 'at its deadline it is late')
  t.match(results, [{ kind: 'refused', code: 'TIMED_OUT', fate: 'not-applied' }])
  held.refuseAll(refusal('STOPPED', 'not-applied', 'over'))
  t.match(results, [{ code: 'TIMED_OUT' }, { code: 'STOPPED' }])
  t.equal(held.count + held.bytes, 0)
})

t.test('patience is what the client asks for, within the limit, or the default', async t => {
  const patience = (patienceMs: number): number => patienceOf(draft(1, { patienceMs }), quickLimits)
  t.equal(patience(0), quickLimits.patienceMsDefault)
  t.equal(patience(7), 7)
  t.equal(patience(2 ** 40), quickLimits.patienceMsMax)
})

t.test('every waiting caller is told of its own record, however many there are', async t => {
  const waiting = new Waiting()
  const gone = refusal('STOPPED', 'unknown', '')
  const told: number[] = []
  // Beyond the number at which the list gives its answered front back, and with some still waiting behind.
  for (let index = 1; index <= 5_000; index++) waiting.add({ term: 2, index }, 10, () => told.push(index))
  for (let index = 1; index <= 4_000; index++) waiting.take(index, 2, gone)!(gone)
  t.same([told.length, told[0], told.at(-1)], [4_000, 1, 4_000])
  t.same([waiting.count, waiting.bytes], [1_000, 10_000])
  t.equal(waiting.take(3_999, 2, gone), null, 'nobody waits for what was answered')
  const results: WriteResult[] = []
  waiting.add({ term: 2, index: 5_001 }, 10, result => results.push(result))
  waiting.refuseAll(refusal('NOT_LEADER', 'unknown', 'lost'))
  t.match(results, [{ code: 'NOT_LEADER', fate: 'unknown' }])
  t.equal(told.length, 5_000)
  t.same([waiting.count, waiting.bytes], [0, 0])
})

t.test('a record that no client may send is refused at the door', async t => {
  const bed = new Bed()
  const spoiled = draft()
  spoiled[recordAt.kind] = recordKind.membership
  for (const bytes of [new Uint8Array(20), spoiled, draft().subarray(1)]) {
    t.match(bed.take(bytes), [{ kind: 'refused', code: 'BAD_REQUEST', fate: 'not-applied' }])
  }
  t.same([bed.counters.refusedInvalid, bed.intake.bytes], [3, 0])
})

t.test('too many bytes, held or uncommitted, are refused with a time to come back', async t => {
  const one = draft(100).length
  const held = new Bed({ heldBytesMax: 2 * one })
  const refused = [{ kind: 'refused', code: 'OVERLOADED', fate: 'not-applied', retryAfterMs: 100 }]
  t.same([held.take(draft(100)), held.take(draft(100))], [[], []])
  t.match(held.take(draft(100)), refused)
  t.equal(held.intake.bytes, 2 * one)

  const uncommitted = new Bed({ uncommittedBytesMax: one })
  const first = uncommitted.take(draft(100))
  uncommitted.take(draft(100))
  uncommitted.propose()
  t.match(uncommitted.take(draft(100)), refused)
  uncommitted.intake.answered([answerTo(1)])
  t.match(first, [{ kind: 'answer' }])
  t.same(uncommitted.take(draft(100)), [], 'what is applied makes room')
  t.equal(uncommitted.counters.refusedOverload, 1)
})

t.test('a leader begins its term with a no-op of its own, then cuts what was asked for', async t => {
  const bed = new Bed()
  bed.raft.status.owesNoop = true
  const bytes = draft()
  bed.take(bytes)
  bed.propose(50)
  const [noop, block] = bed.raft.proposed
  t.same([noop!.first, noop!.count, noop!.bytes[blockHeaderBytes + recordAt.kind]], [1, 1, recordKind.noop])
  t.same([block!.first, block!.count, block!.term, block!.previousChain], [2, 1, 3, noop!.chain])
  t.same(bed.records[1], unstamped(bytes))
  t.equal(new DataView(block!.bytes.buffer).getBigUint64(blockHeaderBytes + recordAt.time), 1_050n)
  bed.propose(60)
  t.equal(bed.raft.proposed.length, 2, 'nothing is cut where nothing is asked for')
})

t.test(
  'an order of the leader itself comes after its no-op and before what was asked for, in a block of its own',
  async t => {
    const bed = new Bed()
    bed.raft.status.owesNoop = true
    bed.take(draft())
    bed.propose(0, draftVersion(2))
    const kinds = bed.raft.proposed.map(({ bytes, count }) => [bytes[blockHeaderBytes + recordAt.kind], count])
    t.same(kinds, [
      [recordKind.noop, 1],
      [recordKind.version, 1],
      [recordKind.command, 1]
    ])
  }
)

t.test('blocks are cut at 256 KiB or one record, follow each other, and keep the order', async t => {
  const size = fc.oneof(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 300_000 }))
  fc.assert(
    fc.property(fc.array(size, { minLength: 1, maxLength: 30 }), sizes => {
      const bed = new Bed()
      const drafts = sizes.map(bytes => draft(bytes))
      const results = drafts.map(bytes => bed.take(bytes))
      let turns = 0
      for (; bed.intake.heldCount > 0; turns++) {
        const before = bed.raft.proposed.length
        bed.propose()
        const cut = bed.raft.proposed.slice(before).reduce((sum, { bytes }) => sum + bytes.length, 0)
        if (cut > quickLimits.turnBytesMax + blockBytesMax + 400_000) return false
      }
      const total = drafts.reduce((sum, { length }) => sum + length, 0)
      if (total > 2 * quickLimits.turnBytesMax && turns === 1) return false
      let chain = 0
      for (const block of bed.raft.proposed) {
        if (block.bytes.length > blockBytesMax && block.count > 1) return false
        if (readBlock(block.bytes) === null || block.previousChain !== chain) return false
        chain = block.chain
      }
      if (Buffer.compare(concatBytes(bed.records), concatBytes(drafts.map(unstamped))) !== 0) return false
      bed.intake.answered(drafts.map((_, at) => answerTo(at + 1)))
      const indexes = results.map(([result]) => (result?.kind === 'answer' ? result.answer.index : 0))
      return indexes.every((index, at) => index === at + 1) && bed.intake.bytes === 0
    }),
    { numRuns: Math.ceil(runs / 2) }
  )
  t.pass('for every run')
})

t.test('a block with its header is no longer than a block may be', async t => {
  const bed = new Bed()
  const headBytes = draft(100_000).length - 100_000
  for (let number = 0; number < 2; number++) {
    const half = draft(blockBytesMax / 2 - headBytes)
    t.equal(half.length, blockBytesMax / 2, 'two of them fit but for the header')
    bed.take(half)
  }
  bed.propose()
  t.same(
    bed.raft.proposed.map(({ count }) => count),
    [1, 1]
  )
})

t.test('one turn proposes about a turn of bytes, and the rest in the next ones', async t => {
  const bed = new Bed({ turnBytesMax: 1_000 })
  for (let number = 0; number < 10; number++) bed.take(draft(150_000))
  bed.propose()
  t.equal(bed.raft.proposed.length, 1, 'the budget is over with the first block')
  t.equal(bed.intake.heldCount, 9)
  for (let turn = 0; turn < 9; turn++) bed.propose()
  t.equal(bed.intake.heldCount, 0)
  t.equal(bed.counters.proposedRecords, 10)
})

t.test('a leader whose own disk lags behind the others takes no more in until it has caught up', async t => {
  const bed = new Bed({ uncommittedBytesMax: 500 })
  bed.take(draft(600))
  bed.propose()
  bed.intake.answered([answerTo(1)])
  const held = bed.take(draft(10))
  bed.propose()
  t.same([bed.raft.proposed.length, bed.intake.mayPropose, held], [1, false, []])
  bed.raft.status.durable = 1
  bed.propose()
  t.same([bed.raft.proposed.length, bed.intake.heldCount], [2, 0])
})

t.test('a leader that hands over takes nothing more into its log', async t => {
  const bed = new Bed()
  const results = bed.take(draft())
  bed.raft.status.accepts = false
  bed.propose()
  t.same([bed.raft.proposed.length, bed.intake.heldCount, results], [0, 1, []])
})

t.test('what is late or malformed is answered instead of proposed, and its neighbours are proposed', async t => {
  const bed = new Bed()
  const late = bed.take(draft(10, { patienceMs: 5 }))
  const bad = bed.take(draftOf(['bad'], { session: 1, serial: 1 }))
  const later = bed.take(draftOf(['later'], { session: 1, serial: 2 }))
  const good = bed.take(draft())
  bed.propose(5)
  t.match(late, [{ kind: 'refused', code: 'TIMED_OUT', fate: 'not-applied' }])
  t.match(bad, [{ kind: 'refused', code: 'BAD_REQUEST', fate: 'not-applied', text: 'a bad command' }])
  t.match(
    later,
    [{ kind: 'refused', code: 'UNAVAILABLE', fate: 'not-applied', retryAfterMs: 50 }],
    'it may be sent again'
  )
  t.equal(bed.raft.proposed.length, 1)
  bed.intake.answered([answerTo(1)])
  t.match(good, [{ kind: 'answer', answer: { index: 1 } }])
  t.same([bed.counters.refusedLate, bed.counters.refusedInvalid], [1, 1])
  t.equal(bed.intake.bytes, 0)
})

t.test('a follower forwards a request once, and gives back what comes', async t => {
  const bed = new Bed()
  const [answered, broken] = [bed.take(draft(1)), bed.take(draft(2))]
  const second = bed.take(draft(3), 0, true)
  const late = bed.take(draft(4, { patienceMs: 1 }))
  bed.intake.forward(keyOf(2), 1)
  t.match(late, [{ code: 'TIMED_OUT', fate: 'not-applied' }])
  t.match(second, [{ code: 'NOT_LEADER', fate: 'not-applied', retryAfterMs: 0 }], 'it has been forwarded before')
  t.same(
    bed.transport.forwards.map(({ to }) => to),
    [keyOf(2), keyOf(2)]
  )
  t.equal(bed.intake.heldCount, 0)
  const bytes = new Uint8Array([1, 2, 3])
  bed.transport.forwards[0]!.done(null, bytes)
  t.same(answered, [{ kind: 'relayed', bytes }])
  bed.transport.forwards[1]!.done(new StrettoError('UNAVAILABLE', 'gone'), bytes)
  t.match(broken, [{ kind: 'refused', code: 'UNAVAILABLE', fate: 'unknown' }])
  bed.intake.forward(keyOf(3), 2)
  t.equal(bed.transport.forwards.length, 2, 'nothing is forwarded twice')
  t.same([bed.counters.forwarded, bed.intake.bytes], [2, 0])
  const full = bed.take(draft(5))
  bed.intake.forward(keyOf(2), 2)
  t.ok(bed.intake.bytes > 0, 'what another node has is not answered yet')
  bed.transport.forwards[2]!.done(new StrettoError('OVERLOADED', 'too many requests'), bytes)
  t.match(full, [{ kind: 'refused', code: 'OVERLOADED', fate: 'unknown', retryAfterMs: 100 }])
})

t.test('with leadership go all who wait for their record: its fate is unknown', async t => {
  const bed = new Bed()
  const [proposed, held] = [bed.take(draft()), bed.take(draft(200_000))]
  bed.intake.propose(0)
  const later = bed.take(draft())
  bed.intake.leadershipLost(0)
  const lost = { kind: 'refused', code: 'NOT_LEADER', fate: 'unknown' }
  t.match([proposed, held], [[lost], [lost]])
  t.same(later, [], 'what is not in the log waits for the next leader')
  bed.intake.answered([answerTo(1), answerTo(2)])
  t.equal(proposed.length, 1, 'nobody is answered twice')
})

t.test(
  'who has handed over answers from what is applied here; what another record has taken the place of is lost',
  async t => {
    const bed = new Bed()
    const callers = [0, 1, 2].map(() => bed.take(draft(1)))
    bed.propose()
    bed.handOver()
    t.same(callers, [[], [], []])
    bed.intake.answered([answerTo(1)])
    t.match(callers[0], [{ kind: 'answer', answer: { index: 1 } }])
    const lost = { kind: 'refused', code: 'NOT_LEADER', fate: 'unknown' }
    bed.intake.answered([{ ...answerTo(2), term: bed.raft.status.term + 1 }])
    t.match(callers[1], [lost])
    bed.intake.expire(999)
    t.same(callers[2], [])
    bed.intake.expire(1_000)
    t.match(callers[2], [lost], 'nobody is kept waiting for a successor that fails')
    t.equal(bed.intake.bytes, 0)
  }
)

t.test('who has handed over and leads again asks nobody to wait for what was proposed before', async t => {
  const bed = new Bed()
  const caller = bed.take(draft(1))
  bed.propose()
  bed.handOver()
  bed.raft.status.owesNoop = true
  bed.propose()
  t.match(caller, [{ kind: 'refused', code: 'NOT_LEADER', fate: 'unknown' }])
  bed.intake.expire(5_000)
  t.equal(caller.length, 1)
})

t.test('the end of a life answers all: those held, those in the log, and those forwarded', async t => {
  const bed = new Bed()
  const forwarded = bed.take(draft())
  bed.intake.forward(keyOf(2), 0)
  const proposed = bed.take(draft())
  bed.propose()
  const held = bed.take(draft())
  bed.intake.end(refusal('STOPPED', 'unknown', 'the node has stopped'))
  t.match(held, [{ code: 'STOPPED', fate: 'not-applied' }])
  t.match(proposed, [{ code: 'STOPPED', fate: 'unknown' }])
  t.match(forwarded, [{ code: 'STOPPED', fate: 'unknown' }])
  bed.transport.forwards[0]!.done(null, new Uint8Array(1))
  t.equal(forwarded.length, 1, 'an answer that comes too late is for nobody')
})

t.test('requests that nobody takes in are answered at their deadline', async t => {
  const bed = new Bed()
  const [early, late] = [bed.take(draft(1, { patienceMs: 10 })), bed.take(draft(1, { patienceMs: 20 }))]
  bed.intake.expire(10)
  t.match(early, [{ code: 'TIMED_OUT', fate: 'not-applied' }])
  t.same([late, bed.intake.heldCount, bed.counters.refusedLate], [[], 1, 1])
})

t.test('a leader whose own disk lags behind takes no more into its log until it has caught up', async t => {
  const bed = new Bed({ uncommittedBytesMax: 1_000 })
  for (let number = 0; number < 3; number++) bed.take(draft(150_000))
  bed.propose()
  t.same([bed.raft.proposed.length, bed.intake.heldCount, bed.intake.mayPropose], [1, 2, false])
  bed.intake.answered([answerTo(1)])
  bed.propose()
  t.equal(bed.raft.proposed.length, 1, 'the others have committed it, and this disk has not written it')
  bed.raft.status.durable = 1
  bed.propose()
  t.same([bed.raft.proposed.length, bed.intake.heldCount], [2, 1])
  bed.intake.leadershipLost(0)
  bed.propose()
  t.equal(bed.intake.heldCount, 0, 'what was cut as leader before is no longer counted')
})

/** A draft that keeps something alive. */
function keep(): Uint8Array {
  return draftOf(['keep'.padEnd(500)], { session: 2, serial: 1, floor: 0, patienceMs: 1_000 })
}

t.test('what keeps something alive goes before all else, and what ends the rest right behind it', async t => {
  const bed = new Bed()
  bed.propose()
  const before = bed.records.length
  const plain = draft(20)
  bed.take(plain)
  bed.take(keep())
  const expiry = draftRecord(recordKind.expiry, new Uint8Array(0))
  const order = draftVersion(2)
  const index = bed.intake.propose(0, order, expiry)
  const kinds = bed.records.slice(before).map(record => record[recordAt.kind])
  t.same(kinds, [recordKind.version, recordKind.command, recordKind.expiry, recordKind.command])
  t.same(bed.records.slice(before)[1], unstamped(keep()))
  t.equal(index, before + 3)
})

t.test('it is taken in when others are refused: where too much waits, and where the log lags behind', async t => {
  const bytes = draft(60).length
  const bed = new Bed({ heldBytesMax: bytes, urgentBytesMax: 3 * keep().length - 1, uncommittedBytesMax: 1 })
  bed.raft.status.accepts = false
  t.same(bed.take(draft(60)), [])
  t.match(bed.take(draft(60)), [{ code: 'OVERLOADED' }])
  t.same(bed.take(keep()), [])
  t.same(bed.take(keep()), [])
  t.match(bed.take(keep()), [{ code: 'OVERLOADED' }], 'its own room is bounded too')
  t.equal(bed.intake.heldCount, 3)
  bed.raft.status.accepts = true
  bed.propose()
  t.equal(bed.intake.heldCount, 1, 'the own disk does not hold yet what stands before')
  t.notOk(bed.intake.mayPropose)
  t.match(bed.take(draft(60)), [{ code: 'OVERLOADED' }])
  t.same(bed.take(keep()), [])
  t.ok(bed.intake.mayPropose)
  bed.propose()
  t.equal(bed.intake.heldCount, 1, 'only the other one waits')
})

t.test('it is forwarded, late and refused as all others', async t => {
  const bed = new Bed()
  const late = bed.take(keep())
  bed.intake.expire(2_000)
  t.match(late, [{ code: 'TIMED_OUT', fate: 'not-applied' }])
  bed.take(draft())
  bed.take(keep())
  bed.intake.forward(keyOf(2), 0)
  t.same(bed.transport.forwards[0]!.request, keep())
  const last = bed.take(keep())
  bed.intake.end(refusal('STOPPED', 'unknown', 'over'))
  t.match(last, [{ code: 'STOPPED', fate: 'not-applied' }])
})
