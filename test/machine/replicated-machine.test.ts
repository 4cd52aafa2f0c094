// Exactly once, scenario by scenario: each is a way in which a retried, delayed or forgotten command was once applied
// twice or wrongly denied. Numbers in brackets name the finding of the design review that a scenario comes from.
import { t } from 'tap'
import { AssertionError } from '../../lib/base/assert.ts'
import { writeU16, writeU32, writeU64 } from '../../lib/base/bytes.ts'
import { numberOfCode } from '../../lib/base/errors.ts'
import { type Answer, type Verdict, verdictOf } from '../../lib/machine/answer.ts'
import type { Batch, SnapshotSource, StateMachine } from '../../lib/machine/machine.ts'
import { fromMemoryMachine } from '../../lib/machine/memory-machine.ts'
import { draftSetting, draftVersion } from '../../lib/machine/order.ts'
import { ReplicatedMachine } from '../../lib/machine/replicated-machine.ts'
import { sessionLimits } from '../../lib/machine/session-table.ts'
import { describeSidecar } from '../../lib/machine/sidecar.ts'
import { writeMembership } from '../../lib/record/membership.ts'
import { commandAt, draftRecord, recordAt, recordKind } from '../../lib/record/record.ts'
import {
  commandDraft,
  MachineLog,
  noopDraft,
  Replica,
  resolveDraft,
  sessionOf,
  Tally,
  textBytes
} from '../help/machine-log.ts'
import { HandMachine } from '../help/node-parts.ts'

const hour = sessionLimits.lifetimeMs
const expired = numberOfCode('SESSION_EXPIRED')
const timedOut = numberOfCode('TIMED_OUT')
const s = sessionOf(1000, 1)
const other = sessionOf(1000, 2)

function plain(serial: number, more: { floor?: number; notAfter?: number; session?: Uint8Array } = {}): Uint8Array {
  return commandDraft({ session: s, serial, commands: ['plain'], ...more })
}

/** Status and revision of each command. */
function verdicts(answer: Answer | undefined): [number, number][] | string | undefined {
  if (answer === undefined) return undefined
  if (answer.refused !== null) return answer.refused.code
  return Array.from({ length: answer.count }, (_, at) => verdictOf(answer, at)).map(one => [one.status, one.revision])
}

/** A replica and a log that it applies block by block as it is cut. */
class Bench {
  readonly log = new MachineLog()
  readonly replica: Replica

  constructor(sessions = sessionLimits) {
    this.replica = new Replica({ versionMax: 1, sessions })
  }

  apply(time: number, ...drafts: readonly Uint8Array[]): readonly Answer[] {
    return this.replica.apply(this.log.cut(time, ...drafts))
  }

  /** Verdicts on the one record. */
  one(time: number, draft: Uint8Array): [number, number][] | string | undefined {
    return verdicts(this.apply(time, draft)[0])
  }
}

t.test('plain commands: one small answer for a record', async t => {
  const bench = new Bench()
  bench.log.term(4)
  const draft = commandDraft({ session: s, serial: 1, commands: ['plain', 'plain', 'plain'] })
  t.same(bench.apply(1000, noopDraft(), draft), [
    { index: 2, term: 4, serial: 1, count: 3, revision: 2, each: null, refused: null }
  ])
  t.same(bench.replica.machine.applied, { term: 4, index: 2 })
  t.equal(bench.replica.machine.time, 1000)
})

t.test('a repeated command gives the first answer and has no second effect', async t => {
  const bench = new Bench()
  const draft = commandDraft({ session: s, serial: 1, commands: ['plain', 'say:3', 'refuse', 'plain'] })
  const [first] = bench.apply(1000, draft)
  bench.apply(1001, plain(5))
  const [again] = bench.apply(1002, draft)
  t.same(
    again?.each?.map(one => ({ ...one })),
    first?.each?.map(one => ({ ...one }))
  )
  t.equal(again?.revision, 0, 'nothing was executed now')
  t.equal(bench.replica.tally.order.length, 4)
  const [both] = bench.replica.apply(bench.log.cut(1003, draft, draft))
  t.same(verdicts(both), verdicts(first), 'also within one block')
})

t.test('a record of which a part came before executes the rest', async t => {
  const bench = new Bench()
  bench.apply(1000, plain(2))
  const [answer] = bench.apply(1000, commandDraft({ session: s, serial: 1, commands: ['plain', 'plain', 'plain'] }))
  t.same(verdicts(answer), [
    [0, 3],
    [0, 2],
    [0, 4]
  ])
  t.equal(answer?.revision, 3)
  for (const serial of [1, 2, 3]) t.equal(bench.replica.tally.count(s, serial), 1)
})

t.test('serials may come in any order, and sessions do not meet (H5)', async t => {
  const bench = new Bench()
  for (const serial of [5, 1, 3, 2, 4]) bench.apply(1000, plain(serial))
  bench.apply(1000, plain(1, { session: other }))
  t.same(
    [1, 2, 3, 4, 5].map(serial => bench.one(1001, plain(serial))),
    [[[0, 3]], [[0, 5]], [[0, 4]], [[0, 6]], [[0, 2]]]
  )
  t.same(bench.one(1001, plain(1, { session: other })), [[0, 7]])
})

t.test('an expired session never opens again (1.10)', async t => {
  const bench = new Bench()
  bench.apply(2000, plain(1))
  t.same(bench.one(2000 + hour - 1, plain(1)), [[0, 2]], 'a last moment before it expires')
  const end = 2000 + 2 * hour - 1
  const [answer] = bench.apply(end, plain(1))
  t.match(answer, { refused: { code: 'SESSION_EXPIRED', fate: 'unknown' } })
  t.equal(bench.one(end, plain(2)), 'SESSION_EXPIRED', 'nor for a command that never came')
  t.equal(bench.replica.tally.order.length, 1)
  t.equal(bench.replica.machine.sessionCount, 0)
})

t.test('one opened ahead of its time does not come back either', async t => {
  const bench = new Bench()
  const ahead = sessionOf(61_000, 1)
  t.equal(bench.one(999, plain(1, { session: ahead })), 'SESSION_EXPIRED', 'more than a minute ahead')
  t.same(bench.one(1000, plain(1, { session: ahead })), [[0, 2]])
  for (const time of [1000 + hour, 61_000 + hour - 1]) t.same(bench.one(time, resolveDraft(ahead, [1])), [[0, 2]])
  const late = new Bench()
  late.apply(1000, plain(1, { session: ahead }))
  t.equal(late.one(61_000 + hour, plain(1, { session: ahead })), 'SESSION_EXPIRED')
})

t.test('one that has expired behind one opened ahead is not known any more', async t => {
  const bench = new Bench()
  bench.apply(1000, plain(1, { session: sessionOf(61_000, 1) }))
  bench.apply(1001, plain(1))
  t.equal(bench.one(1001 + hour, plain(1)), 'SESSION_EXPIRED')
  t.equal(bench.replica.machine.sessionCount, 2, 'though it is still in the table')
  bench.apply(61_000 + hour, noopDraft())
  t.equal(bench.replica.machine.sessionCount, 0)
})

t.test('a session dropped for want of room raises the horizon (1.10)', async t => {
  const bench = new Bench({ ...sessionLimits, countMax: 2 })
  const [a, b, c] = [sessionOf(1000, 1), sessionOf(900, 2), sessionOf(1100, 3)]
  bench.apply(1200, plain(1, { session: a }), plain(1, { session: b }))
  bench.apply(1200, plain(1, { session: c }))
  t.equal(bench.one(1200, plain(1, { session: a })), 'SESSION_EXPIRED')
  t.equal(bench.one(1200, plain(1, { session: sessionOf(1000, 9) })), 'SESSION_EXPIRED', 'opened no later than it')
  t.same(bench.one(1200, plain(1, { session: b })), [[0, 3]], 'those in the table stay, whenever they were opened')
  t.same(bench.one(1200, plain(1, { session: sessionOf(1001, 9) })), [[0, 5]])
  t.equal(bench.replica.tally.count(a, 1), 1)
})

t.test('resolve takes back what has not come, for ever (1.11)', async t => {
  const bench = new Bench()
  bench.apply(1000, plain(1))
  t.same(bench.one(1000, resolveDraft(s, [1, 7])), [
    [0, 2],
    [timedOut, 0]
  ])
  t.same(bench.one(1000, plain(7)), [[timedOut, 0]], 'the first attempt, out of a socket that was frozen')
  t.same(bench.one(1000, resolveDraft(s, [7])), [[timedOut, 0]], 'and it stays true')
  t.equal(bench.replica.tally.count(s, 7), 0)
})

t.test('resolve sees what stands before it in the log, though not yet executed (1.11)', async t => {
  const bench = new Bench()
  const answers = bench.apply(1000, plain(7), resolveDraft(s, [7]))
  t.same(answers.map(verdicts), [[[0, 2]], [[0, 2]]])
})

t.test('resolve of a session that never opened opens it, to keep its word (1.11)', async t => {
  const bench = new Bench()
  t.same(bench.one(1000, resolveDraft(s, [1])), [[timedOut, 0]])
  t.same(bench.one(1000, plain(1)), [[timedOut, 0]])
  t.same(bench.one(1000, plain(2)), [[0, 2]])
  t.equal(bench.one(1000 + hour, resolveDraft(sessionOf(1000, 3), [1])), 'SESSION_EXPIRED', 'one it cannot open')
  t.equal(bench.one(1000 + hour, plain(1, { session: sessionOf(1000, 3) })), 'SESSION_EXPIRED')
})

t.test('resolve says expired where the answer is gone', async t => {
  const bench = new Bench()
  bench.apply(1000, plain(1))
  t.same(bench.one(1000, resolveDraft(s, [1, 2, 3], 2)), [
    [expired, 0],
    [expired, 0],
    [timedOut, 0]
  ])
  t.same(
    bench.one(1000, resolveDraft(s, [8194, 8195])),
    [
      [timedOut, 0],
      [expired, 0]
    ],
    'no client is so far ahead'
  )
})

t.test('not-after is judged by the own stamp, and stays judged (1.12)', async t => {
  const bench = new Bench()
  t.same(bench.one(1500, plain(1, { notAfter: 1500 })), [[0, 2]])
  t.same(bench.one(1501, plain(2, { notAfter: 1500 })), [[timedOut, 0]])
  t.same(bench.one(1502, plain(2)), [[timedOut, 0]], 'not even without the condition')
  t.same(bench.one(1502, plain(1, { notAfter: 1500 })), [[0, 2]], 'a late copy of one that was in time')
  // Stamped in time, stuck in a minority, committed an hour later: it counts as of its stamp, on every replica.
  bench.log.cut(1600, plain(3, { notAfter: 1600 }))
  bench.log.cut(1600 + hour, noopDraft())
  t.same(bench.replica.apply(...bench.log.above(bench.replica.machine.applied.index)).map(verdicts), [[[0, 3]]])
})

t.test('a stamp that fell would not be seen (1.13)', async t => {
  const bench = new Bench()
  bench.apply(5000, plain(1))
  bench.apply(4000, plain(2))
  t.equal(bench.replica.machine.time, 5000)
  t.equal(bench.replica.tally.last?.time, 5000)
})

t.test('the floor forgets, and forbids', async t => {
  const bench = new Bench()
  bench.apply(1000, commandDraft({ session: s, serial: 1, commands: ['plain', 'say:9', 'plain', 'plain'] }))
  const before = bench.replica.machine.sessionBytes
  bench.apply(1000, plain(5, { floor: 3 }))
  t.ok(bench.replica.machine.sessionBytes < before)
  t.same(bench.one(1000, plain(3)), [[expired, 0]], 'the client said it had the answer')
  t.same(bench.one(1000, plain(4)), [[0, 5]])
  t.same(bench.one(1000, plain(5, { floor: 1 })), [[0, 6]], 'a floor never falls')
  t.same(bench.one(1000, plain(2)), [[expired, 0]])
  t.equal(bench.replica.tally.order.length, 5)
})

t.test('answers above 256 bytes are not kept (1.29)', async t => {
  const bench = new Bench()
  const draft = commandDraft({ session: s, serial: 1, commands: ['say:256', 'say:257', 'say:300000'] })
  const [first] = bench.apply(1000, draft)
  t.same(
    first?.each?.map(one => one.answer?.length),
    [256, 257, 300_000]
  )
  const [again] = bench.apply(1000, draft)
  const shown = ({ status, revision, answer, gone }: Verdict): unknown => [
    status,
    revision,
    answer?.length ?? null,
    gone
  ]
  t.same(again?.each?.map(shown), [
    [0, 2, 256, undefined],
    [0, 3, null, true],
    [0, 4, null, true]
  ])
  t.ok(bench.replica.machine.sessionBytes < 1000)
})

t.test('a serial beyond the window is refused (1.29)', async t => {
  const bench = new Bench()
  t.equal(bench.one(1000, plain(4097)), 'BAD_REQUEST')
  t.equal(bench.replica.machine.sessionCount, 0)
  t.same(bench.one(1000, plain(4096)), [[0, 2]])
  t.same(bench.one(1000, plain(4097, { floor: 1 })), [[0, 3]])
  t.match(bench.apply(1000, commandDraft({ session: s, serial: 4096, commands: ['plain', 'plain'] })), [
    { refused: { code: 'BAD_REQUEST', fate: 'not-applied' } }
  ])
})

t.test('256 in flight cost a session little, plain or one by one', async t => {
  const bench = new Bench()
  bench.apply(1000, commandDraft({ session: s, serial: 1, commands: Array.from({ length: 256 }, () => 'plain') }))
  t.ok(bench.replica.machine.sessionBytes < 300)
  const mixed = new Bench()
  for (let serial = 1; serial <= 256; serial++) mixed.apply(1000, plain(serial), plain(serial, { session: other }))
  t.ok(mixed.replica.machine.sessionBytes < 2 * 256 * 80)
})

t.test('no bytes that a client sends stop a machine (1.24)', async t => {
  const bench = new Bench()
  const broken: Uint8Array[] = []
  for (const at of [commandAt.session, commandAt.serial, commandAt.floor, commandAt.notAfter]) {
    const draft = plain(1)
    writeU32(draft, at, 0xffff_ffff)
    broken.push(draft)
  }
  for (const count of [0, 4097]) {
    const draft = plain(1)
    writeU16(draft, commandAt.count, count)
    broken.push(draft)
  }
  const resolve = resolveDraft(s, [1, 2])
  writeU16(resolve, commandAt.count, 3)
  broken.push(
    resolve,
    draftRecord(recordKind.command, new Uint8Array(43)),
    draftRecord(recordKind.resolve, new Uint8Array(0))
  )
  for (const draft of broken) {
    t.match(bench.replica.machine.check(draft), { code: 'BAD_REQUEST' }, 'the leader would not have let it in')
    t.equal(bench.one(1000, draft), 'BAD_REQUEST')
  }
  const garbage = plain(1)
  garbage.fill(0xff, commandAt.commands)
  t.match(bench.replica.machine.check(garbage), { code: 'BAD_REQUEST' })
  t.same(bench.one(1000, garbage), [[numberOfCode('BAD_REQUEST'), 1]])
  t.same(bench.one(1000, plain(2)), [[0, 2]])
})

t.test('nor do the largest numbers it can write, now or at the next start', async t => {
  const bench = new Bench()
  const largest = Number.MAX_SAFE_INTEGER
  t.same(bench.one(1000, resolveDraft(s, [largest], largest - 3)), [[timedOut, 0]])
  const beyond = resolveDraft(s, [1])
  writeU32(beyond, commandAt.commands, 0x20_0000)
  writeU32(beyond, commandAt.commands + 4, 0)
  t.same(bench.one(1000, beyond), [[expired, 0]])
  t.same(bench.one(1000, plain(largest - 2, { floor: largest - 3 })), [[0, 2]])
  t.same(bench.one(1000, plain(1, { session: other, floor: largest })), [[expired, 0]])
  bench.replica.flush()
  bench.replica.restart()
  t.same(bench.one(1000, resolveDraft(s, [largest - 2, largest - 1, largest])), [
    [0, 2],
    [timedOut, 0],
    [timedOut, 0]
  ])
})

t.test('what the leader checks before it stamps', async t => {
  const { machine } = new Bench().replica
  t.equal(machine.check(plain(1)), null)
  t.equal(machine.check(resolveDraft(s, [1])), null)
  t.equal(machine.check(plain(4097, { floor: 1 })), null)
  t.match(machine.check(plain(4097)), { code: 'BAD_REQUEST' }, 'beyond the window')
  t.match(machine.check(plain(3, { floor: 3 })), { code: 'BAD_REQUEST' }, 'acknowledged')
  t.match(machine.check(plain(0)), { code: 'BAD_REQUEST' }, 'serials begin at 1')
  t.match(machine.check(noopDraft()), { code: 'BAD_REQUEST' })
})

t.test('an unknown kind of record stops the machine', async t => {
  const bench = new Bench()
  t.throws(() => bench.apply(1000, draftRecord(200, new Uint8Array(0))), AssertionError)
})

t.test('sessions and state come back from the same flush (1.16)', async t => {
  const bench = new Bench()
  bench.apply(1000, plain(1))
  bench.replica.flush()
  const flushed = bench.replica.machine.sidecar()
  bench.apply(1000, plain(2), plain(3))
  const reached = bench.replica.machine.sidecar()
  bench.replica.restart()
  t.same(bench.replica.machine.applied, { term: 1, index: 1 })
  t.same(bench.replica.machine.sidecar(), flushed)
  t.equal(bench.replica.tally.count(s, 1), 1)
  // What it had applied after the flush is applied again, and answered as before; a retry finds its answer.
  t.same(bench.replica.apply(...bench.log.blocks).map(verdicts), [[[0, 3]], [[0, 4]]])
  t.same(bench.replica.machine.sidecar(), reached)
  for (const serial of [1, 2, 3]) t.equal(bench.replica.tally.count(s, serial), 1)
  t.same(bench.one(1000, plain(1)), [[0, 2]])
})

t.test('a snapshot brings sessions and state to another replica', async t => {
  const bench = new Bench()
  t.equal(
    bench.replica.call(done => bench.replica.machine.snapshot(done)),
    null,
    'nothing was flushed'
  )
  bench.apply(1000, plain(1), plain(2))
  bench.replica.flush()
  bench.apply(1000, plain(3))
  const { replica } = bench
  const source = replica.call<SnapshotSource | null>(done => replica.machine.snapshot(done))!
  const bytes = replica.call<Uint8Array>(done => source.read(0, source.size, done))
  t.same(describeSidecar(source.sidecar)?.applied, source.last)

  const other = new Replica()
  const sink = fromMemoryMachine(new Tally(), other.vault, other.time.env('restore')).restore()
  other.call<void>(done => sink.write(bytes, done))
  t.same(
    other.call(done => sink.end(done)),
    { last: { term: 1, index: 2 }, sidecar: source.sidecar }
  )
  other.restart()
  t.same(other.machine.applied, { term: 1, index: 2 })
  t.same(other.apply(...bench.log.above(2)).map(verdicts), [[[0, 4]]])
  t.same(other.machine.sidecar(), replica.machine.sidecar())
  const again = bench.log.cut(1000, plain(2))
  t.same(other.apply(again).map(verdicts), [[[0, 3]]], 'a retry finds its answer')
  t.equal(other.tally.count(s, 2), 1)
})

t.test('no snapshot is taken while a flush is under way, and the base is passed on', async t => {
  const bench = new Bench()
  const { machine } = bench.replica
  bench.apply(1000, plain(1))
  t.equal(machine.flushing, false)
  let flushed = false
  machine.flush(() => (flushed = true))
  t.equal(machine.flushing, true)
  t.throws(() => machine.snapshot(() => {}), AssertionError)
  t.throws(() => machine.flush(() => {}), AssertionError)
  bench.replica.time.until(() => flushed)
  t.equal(machine.flushing, false)
  const hand = new HandMachine()
  hand.replicated.compacted(7)
  t.same(hand.bases, [7])
})

t.test('a state without the sidecar that belongs to it is CORRUPT (1.16)', async t => {
  const bench = new Bench()
  bench.apply(1000, plain(1))
  const sidecar = bench.replica.machine.sidecar()
  const cases: readonly [string, { term: number; index: number }, Uint8Array | null][] = [
    ['none at all', { term: 1, index: 1 }, null],
    ['of another record', { term: 1, index: 2 }, sidecar],
    ['of another term', { term: 2, index: 1 }, sidecar],
    ['damaged', { term: 1, index: 1 }, sidecar.subarray(1)]
  ]
  for (const [name, durable, bytes] of cases) {
    const env = bench.replica.time.env('other')
    const inner = fromMemoryMachine(new Tally(), bench.replica.vault, env)
    const opening: StateMachine = Object.assign(Object.create(inner) as StateMachine, {
      open: (done: Parameters<StateMachine['open']>[0]) => env.soon(() => done(null, { durable, sidecar: bytes }))
    })
    const machine = new ReplicatedMachine(opening)
    t.throws(() => bench.replica.call(done => machine.open(done)), { code: 'CORRUPT' }, name)
  }
})

t.test('decisions do not hang on what is batched', async t => {
  const say = (session: Uint8Array, count: number): Uint8Array =>
    commandDraft({ session, serial: 1, commands: Array.from({ length: count }, () => 'say:256') })
  const expiring = sessionOf(0, 8)
  const cases: readonly [
    string,
    Partial<typeof sessionLimits>,
    readonly (readonly [number, Uint8Array])[],
    readonly unknown[]
  ][] = [
    [
      'a session that an earlier record pushes out is gone for a later one',
      { bytesMax: 1400 },
      [
        [1000, plain(1)],
        [1000, say(other, 3)],
        [1000, plain(1)]
      ],
      [
        [[0, 2]],
        [
          [0, 3],
          [0, 4],
          [0, 5]
        ],
        'SESSION_EXPIRED'
      ]
    ],
    [
      'one that is pushed out raises the horizon, though it expires with the next record',
      { bytesMax: 1400 },
      [
        [1000, plain(1, { session: expiring })],
        [1000 + hour - 1, say(sessionOf(hour, 9), 3)],
        [1000 + hour, noopDraft()]
      ],
      [
        [[0, 2]],
        [
          [0, 3],
          [0, 4],
          [0, 5]
        ]
      ]
    ],
    [
      'cancels that reach the limit beside a pending command',
      { bytesMax: 1500 },
      [
        [1000, plain(1)],
        [1000, say(other, 1)],
        [1000, resolveDraft(sessionOf(1000, 3), [1, 3, 5, 7, 9, 11, 13, 15, 17, 19])],
        [1000, plain(1, { session: other })]
      ],
      [[[0, 2]], [[0, 3]], Array.from({ length: 10 }, () => [timedOut, 0]), [[0, 3]]]
    ],
    [
      'one that is dropped while its command is pending',
      { countMax: 1 },
      [
        [1000, plain(1)],
        [1001, plain(1, { session: sessionOf(1001, 5) })],
        [1001, plain(1)]
      ],
      [[[0, 2]], [[0, 3]], 'SESSION_EXPIRED']
    ],
    [
      'one that expires while its command is pending',
      {},
      [
        [1000, plain(1)],
        [1000 + hour, noopDraft()],
        [1000 + hour, plain(1)]
      ],
      [[[0, 2]], 'SESSION_EXPIRED']
    ],
    [
      'a floor that rises over a pending command',
      {},
      [
        [1000, plain(1)],
        [1000, plain(2, { floor: 1 })],
        [1000, plain(1)]
      ],
      [[[0, 2]], [[0, 3]], [[expired, 0]]]
    ],
    [
      'a late command beside pending ones',
      {},
      [
        [1000, plain(5)],
        [1000, plain(6, { notAfter: 1 })],
        [1000, plain(4)],
        [1000, plain(6)]
      ],
      [[[0, 2]], [[timedOut, 0]], [[0, 3]], [[timedOut, 0]]]
    ]
  ]
  for (const [name, limits, records, expected] of cases) {
    const single = new Bench({ ...sessionLimits, ...limits })
    const answers = records.flatMap(([time, draft]) => single.apply(time, draft)).map(verdicts)
    t.same(answers, expected, name)
    const whole = new Bench({ ...sessionLimits, ...limits })
    for (const [time, draft] of records) whole.log.cut(time, draft)
    t.same(whole.replica.apply(...whole.log.blocks).map(verdicts), expected, `${name}, in one call`)
    t.same(whole.replica.machine.sidecar(), single.replica.machine.sidecar(), `${name}, and every byte of the state`)
    t.equal(whole.replica.machine.sessionBytes, single.replica.machine.sessionBytes, `${name}, and the account`)
  }
})

t.test('records that do not hang on each other are executed in one go', async t => {
  const bench = new Bench()
  const calls: number[] = []
  const env = bench.replica.time.env('counted')
  const inner = fromMemoryMachine(new Tally(), bench.replica.vault, env)
  const apply = inner.apply.bind(inner)
  inner.apply = (batches, done) => {
    calls.push(batches.length)
    apply(batches, done)
  }
  const machine = new ReplicatedMachine(inner)
  bench.replica.call(done => machine.open(done))
  for (let serial = 1; serial <= 100; serial++) {
    bench.log.cut(1000, plain(serial, { floor: Math.max(0, serial - 20) }), plain(serial, { session: other }))
  }
  bench.replica.call(done => machine.apply(bench.log.blocks, done))
  t.same(calls, [200])
  bench.log.cut(1000, plain(101), plain(102), plain(101), plain(103))
  bench.replica.call(done => machine.apply(bench.log.above(200), done))
  t.same(calls, [200, 2, 1], 'a copy of a pending one waits, and what follows goes with it')
})

t.test('records at or below what is applied are passed over; a gap is not', async t => {
  const bench = new Bench()
  bench.log.cut(1000, plain(1), plain(2))
  bench.log.cut(1000, plain(3))
  bench.log.cut(1000, plain(4))
  bench.replica.apply(bench.log.blocks[0]!)
  t.equal(bench.replica.apply(...bench.log.blocks.slice(0, 2)).length, 1)
  t.same(bench.replica.apply(), [], 'nothing to do')
  t.same(bench.replica.machine.applied, { term: 1, index: 3 })
  const behind = new Bench()
  t.throws(() => behind.replica.apply(bench.log.blocks[1]!), AssertionError)
})

t.test('expiry records reach the machine with their time', async t => {
  const bench = new Bench()
  const seen: Batch[] = []
  const env = bench.replica.time.env('seen')
  const inner = fromMemoryMachine(new Tally(), bench.replica.vault, env)
  const apply = inner.apply.bind(inner)
  inner.apply = (batches, done) => {
    seen.push(...batches)
    apply(batches, done)
  }
  const machine = new ReplicatedMachine(inner)
  bench.replica.call(done => machine.open(done))
  bench.log.cut(1234, draftRecord(recordKind.expiry, new Uint8Array(0)), plain(1))
  t.equal(bench.replica.call<readonly Answer[]>(done => machine.apply(bench.log.blocks, done)).length, 1)
  t.match(seen, [
    { kind: 'expiry', time: 1234, index: 1, count: 0, skip: null },
    { kind: 'command', index: 2 }
  ])
  t.equal(seen[0]!.commands.length, 0)
})

t.test('membership, version and settings are remembered across a restart', async t => {
  const bench = new Bench()
  const body = writeMembership({ voters: [], outgoing: null, learners: [], members: [] })
  bench.apply(1000, draftRecord(recordKind.membership, body))
  bench.apply(1000, draftVersion(1), draftSetting('leaseReads', textBytes('1')), draftSetting('gone', textBytes('x')))
  bench.apply(1000, draftSetting('gone', new Uint8Array(0)), draftRecord(recordKind.hash, new Uint8Array(8)))
  const look = (): unknown => {
    const { version, settings, membership } = bench.replica.machine
    return { version, settings: [...settings].map(([name, value]) => [name, [...value]]), membership }
  }
  const expected = {
    version: 1,
    settings: [['leaseReads', [49]]],
    membership: { index: 1, bytes: new Uint8Array(body) }
  }
  t.same(look(), expected)
  bench.replica.flush()
  bench.replica.restart()
  t.same(look(), expected)
})

t.test('the inner machine is told the version in force, between what comes before and what comes after', async t => {
  const bench = new Bench()
  const said: (number | string)[] = []
  const inner = (): StateMachine => {
    const machine = fromMemoryMachine(new Tally(), bench.replica.vault, bench.replica.time.env('told'))
    const apply = machine.apply.bind(machine)
    machine.apply = (batches, done) => {
      if (batches.length > 0) said.push(`applies ${batches.map(({ index }) => index).join(' ')}`)
      apply(batches, done)
    }
    return Object.assign(machine, { versionMax: 3, version: (inForce: number) => said.push(inForce) })
  }
  const machine = new ReplicatedMachine(inner())
  t.equal(machine.versionMax, 3, 'what the inner machine can run')
  bench.replica.call(done => machine.open(done))
  bench.log.cut(1000, draftVersion(2), plain(1), plain(2), draftVersion(3), draftVersion(3), plain(3))
  bench.replica.call<readonly Answer[]>(done => machine.apply(bench.log.blocks, done))
  t.same(said.splice(0), [2, 'applies 2 3', 3, 3, 'applies 6'])
  bench.replica.call(done => machine.flush(done))
  const again = new ReplicatedMachine(inner())
  bench.replica.call(done => again.open(done))
  t.same(said, [3], 'and when a state is opened')
})

t.test('a version this program cannot run stops it before that record, and it says so', async t => {
  const bench = new Bench()
  bench.log.cut(1000, plain(1))
  bench.log.cut(1000, draftVersion(2), plain(2))
  for (const _ of [1, 2]) {
    t.throws(() => bench.replica.apply(...bench.log.above(bench.replica.machine.applied.index)), {
      code: 'UNAVAILABLE'
    })
    t.same(bench.replica.machine.applied, { term: 1, index: 1 })
    t.equal(bench.replica.machine.unable, 2)
    t.equal(bench.replica.machine.version, 1)
  }
  t.same(bench.replica.tally.order.length, 1)
  bench.replica.flush()
  const newer = new ReplicatedMachine(
    fromMemoryMachine(bench.replica.tally, bench.replica.vault, bench.replica.time.env('newer')),
    { versionMax: 2, sessions: sessionLimits }
  )
  bench.replica.call(done => newer.open(done))
  const answers = bench.replica.call<readonly Answer[]>(done => newer.apply(bench.log.above(1), done))
  t.same(answers.map(verdicts), [[[0, 3]]])
  t.equal(newer.version, 2)
  t.equal(newer.unable, null)
  t.equal(newer.versionMax, 2)
  bench.replica.call(done => newer.flush(done))
  bench.replica.restart()
  const { machine } = bench.replica
  t.same([machine.unable, machine.version, machine.applied.index], [2, 2, 3], 'a state of that version is opened')
  bench.log.cut(1000, plain(3))
  t.throws(() => bench.replica.apply(...bench.log.above(3)), AssertionError, 'and never changed')
})

t.test('a sidecar in a later format is no damage: it says to use a newer version', async t => {
  const bench = new Bench()
  bench.apply(1000, plain(1))
  bench.replica.flush()
  const inner = fromMemoryMachine(bench.replica.tally, bench.replica.vault, bench.replica.time.env('inner'))
  const open = inner.open.bind(inner)
  inner.open = done =>
    open((error, { durable, sidecar }) => {
      sidecar![1] = 3
      done(error, { durable, sidecar })
    })
  const machine = new ReplicatedMachine(inner)
  t.throws(() => bench.replica.call(done => machine.open(done)), {
    code: 'BAD_REQUEST',
    message:
      'the sessions beside the state are written in format 3, and this version reads up to 2: use a newer version'
  })
})

t.test('an error of the inner machine ends its life', async t => {
  const bench = new Bench()
  const env = bench.replica.time.env('failing')
  const inner = fromMemoryMachine(new Tally(), bench.replica.vault, env)
  inner.apply = (_, done) => env.soon(() => done(new Error('the disk is gone'), []))
  const machine = new ReplicatedMachine(inner)
  bench.replica.call(done => machine.open(done))
  t.throws(() => bench.replica.call(done => machine.apply([bench.log.cut(1000, plain(1))], done)), /the disk is gone/)
  t.throws(() => machine.sidecar(), AssertionError, 'what is half applied is never flushed')
  t.throws(() => machine.apply([], () => {}), AssertionError)
})

t.test('stamps and indexes of the record, not of the draft, count', async t => {
  const bench = new Bench()
  const draft = plain(1)
  writeU64(draft, recordAt.time, 99)
  writeU64(draft, recordAt.index, 5000)
  t.match(bench.apply(1000, draft), [{ index: 1 }])
  t.equal(bench.replica.machine.time, 1000)
})
