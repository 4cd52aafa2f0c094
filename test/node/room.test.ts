// A disk that fills: what grows is slowed down, then refused, in order and always answered; who has room is asked to lead.
import fc from 'fast-check'
import { t } from 'tap'
import { ClusterTime } from '../../lib/machine/cluster-time.ts'
import { draftSetting } from '../../lib/machine/order.ts'
import { newCounters } from '../../lib/node/counters.ts'
import { Fitness } from '../../lib/node/fitness.ts'
import { Intake } from '../../lib/node/intake.ts'
import type { WriteResult } from '../../lib/node/result.ts'
import { boundsOf, levelOf, Room, type Space, type SpaceLevel, spaceLevels } from '../../lib/node/room.ts'
import { Succession } from '../../lib/node/succession.ts'
import { recordOffsets } from '../../lib/record/block.ts'
import { commandAt, draftRecord, recordKind } from '../../lib/record/record.ts'
import { keyOf, membershipOf } from '../help/core-cluster.ts'
import { FakeLog, FakeRaft, FakeTransport, HandMachine, quickLimits } from '../help/node-parts.ts'
import { draftOf } from '../help/tally.ts'

const runs = Number(process.env['FC_RUNS'] ?? 100)
const mebibyte = 1_048_576
const bounds = { low: 100 * mebibyte, scarce: 40 * mebibyte, none: 5 * mebibyte }
const freeAt: Readonly<Record<SpaceLevel, number>> = {
  ample: 200 * mebibyte,
  low: 43 * mebibyte,
  scarce: 20 * mebibyte,
  none: 0
}

/** A node whose disk is as full as the test says. */
class Bed {
  readonly raft = new FakeRaft()
  readonly log = new FakeLog()
  readonly transport = new FakeTransport()
  readonly clusterTime = new ClusterTime()
  readonly counters = newCounters()
  readonly machine = new HandMachine()
  space: Space = { freeBytes: freeAt.ample, bounds, looks: 1 }
  readonly room: Room
  readonly intake: Intake

  constructor(voters = 1) {
    const { raft, log, transport, clusterTime, counters } = this
    Object.assign(this.machine, { grows: (commands: Uint8Array) => !Buffer.from(commands).includes('delete') })
    const machine = this.machine.replicated
    raft.status.membership = membershipOf(Array.from({ length: voters }, (_, at) => at + 1))
    this.room = new Room({ raft, machine, transport, space: () => this.space })
    const { room } = this
    this.intake = new Intake({ raft, log, machine, transport, clusterTime, limits: quickLimits, counters, room })
    clusterTime.lead(0, 1_000)
  }

  look(level: SpaceLevel): void {
    this.space = { freeBytes: freeAt[level], bounds, looks: this.space.looks + 1 }
  }

  take(bytes: Uint8Array, now = 0): WriteResult[] {
    const results: WriteResult[] = []
    this.intake.take(bytes, false, now, result => results.push(result))
    return results
  }

  /** A leader's turn, after which the log has what was proposed. */
  propose(now = 0): void {
    const before = this.raft.proposed.length
    this.intake.propose(now)
    this.log.blocks.push(...this.raft.proposed.slice(before))
  }

  /** Session and serial of each record proposed, in order. */
  get proposed(): string[] {
    return this.raft.proposed.flatMap(block =>
      recordOffsets(block)
        .slice(0, -1)
        .map(at => {
          const view = new DataView(block.bytes.buffer, block.bytes.byteOffset + at)
          return `${view.getUint8(commandAt.session + 17)}/${view.getUint32(commandAt.serial + 4)}`
        })
    )
  }
}

const growing = (session: number, serial: number, bytes = 20): Uint8Array =>
  draftOf(['x'.repeat(bytes)], { session, serial, floor: serial - 1 })
const shrinking = (session: number, serial: number): Uint8Array =>
  draftOf(['delete'], { session, serial, floor: serial - 1 })

t.test('bounds suit every file system: they are in order, and a tiny one is not refused as a whole', async t => {
  fc.assert(
    fc.property(fc.integer({ min: 64, max: Number.MAX_SAFE_INTEGER }), size => {
      const { low, scarce, none } = boundsOf(size)
      return none < scarce && scarce < low && low <= size / 2
    }),
    { numRuns: runs }
  )
  const gibibyte = 1_024 * mebibyte
  t.same(boundsOf(256 * mebibyte), { low: 128 * mebibyte, scarce: 64 * mebibyte, none: 8 * mebibyte })
  t.same(boundsOf(10 * gibibyte), { low: 536_870_912, scarce: 214_748_364, none: 26_843_545 })
  t.same(boundsOf(1_000 * gibibyte), { low: gibibyte, scarce: 256 * mebibyte, none: 32 * mebibyte })
  t.same(
    spaceLevels.map(level => levelOf(freeAt[level], bounds)),
    spaceLevels
  )
})

t.test('what is about to be written is taken off before the next look can see it', async t => {
  const bed = new Bed()
  t.equal(bed.room.level, 'ample')
  bed.room.letIn(60 * mebibyte)
  t.equal(bed.room.level, 'low', 'to the log, and to the state')
  bed.machine.unflushedBytes = 41 * mebibyte
  t.equal(bed.room.level, 'scarce')
  bed.look('ample')
  t.equal(bed.room.level, 'ample', 'a new look has seen what was written')
  const { raft, transport, machine } = bed
  t.equal(new Room({ raft, transport, machine: machine.replicated, space: null }).admission, 'ample')
})

t.test('scarce: what grows is refused before it is proposed, all else passes', async t => {
  const bed = new Bed()
  bed.look('scarce')
  const put = bed.take(growing(1, 1))
  const del = bed.take(shrinking(2, 1))
  const resolve = draftOf([], { session: 3, serial: 1 })
  resolve[4] = recordKind.resolve
  bed.propose()
  t.match(put, [{ kind: 'refused', code: 'NO_SPACE', fate: 'not-applied', retryAfterMs: 1_000 }])
  t.same(del, [], 'it is under way')
  t.same(bed.proposed, ['2/1'])
  t.equal(bed.counters.refusedSpace, 1)
  bed.look('ample')
  const again = bed.take(growing(1, 2))
  bed.propose(1)
  t.same([again, bed.proposed], [[], ['2/1', '1/2']], 'with room again it is taken in, without anybody doing anything')
})

t.test('low: what grows goes on at a pace that falls with what is left; what does not grow overtakes it', async t => {
  const bed = new Bed()
  bed.look('low')
  const results = [1, 2, 3, 4].flatMap(serial => bed.take(growing(1, serial, 30_000)))
  bed.take(shrinking(2, 1))
  bed.take(shrinking(1, 5))
  bed.propose(1_000)
  t.same(bed.proposed, ['1/1', '1/2', '1/3', '2/1'], 'a second of the least pace, and no order is broken')
  t.notOk(bed.intake.mayPropose, 'no turn is taken for what has to wait')
  bed.intake.expire(1_900)
  t.ok(bed.intake.mayPropose)
  bed.propose(1_900)
  t.same(bed.proposed.slice(4), ['1/4', '1/5'], 'the delete of the same session comes after its put')
  t.same(results, [])
  t.equal(bed.counters.slowed, 2)
  t.equal(bed.intake.heldCount, 0)
})

t.test('what waits because the disk fills is answered: late, refused, passed on, or at the end', async t => {
  const slow = (): { readonly bed: Bed; readonly results: WriteResult[][] } => {
    const bed = new Bed()
    bed.look('low')
    const results = [1, 2, 3, 4, 5].map(serial => bed.take(growing(1, serial, 40_000)))
    bed.propose(1_000)
    return { bed, results }
  }
  const late = slow()
  late.bed.intake.expire(60_000)
  t.match(late.results.slice(2).flat(), [{ code: 'TIMED_OUT', fate: 'not-applied' }, {}, {}])
  t.equal(late.bed.intake.heldCount, 0)

  const refused = slow()
  refused.bed.look('scarce')
  refused.bed.propose(1_100)
  t.match(refused.results.slice(2).flat(), [{ code: 'NO_SPACE' }, { code: 'NO_SPACE' }, { code: 'NO_SPACE' }])

  const passed = slow()
  passed.bed.raft.status.role = 'follower'
  passed.bed.intake.forward(keyOf(2), 1_100)
  t.equal(passed.bed.transport.forwards.length, 3)

  const ended = slow()
  ended.bed.intake.end({ kind: 'refused', code: 'STOPPED', fate: 'unknown', text: '', retryAfterMs: null })
  t.match(ended.results.slice(2).flat(), [{ code: 'STOPPED', fate: 'not-applied' }, {}, {}])
  t.match(ended.results.slice(0, 2).flat(), [{ fate: 'unknown' }, { fate: 'unknown' }])
})

t.test('whatever the disk does, each request is proposed or answered once, those of a session in order', async t => {
  const step = fc.oneof(
    { arbitrary: fc.record({ grows: fc.boolean(), session: fc.integer({ min: 1, max: 3 }) }), weight: 5 },
    { arbitrary: fc.record({ ms: fc.integer({ min: 1, max: 900 }) }), weight: 3 },
    { arbitrary: fc.record({ level: fc.constantFrom(...spaceLevels) }), weight: 1 }
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const bed = new Bed()
      const serials = [0, 0, 0, 0]
      const asked: { readonly name: string; readonly results: WriteResult[] }[] = []
      let now = 0
      for (const each of steps) {
        if ('session' in each) {
          const serial = ++serials[each.session]!
          const bytes = each.grows ? growing(each.session, serial, 25_000) : shrinking(each.session, serial)
          asked.push({ name: `${each.session}/${serial}`, results: bed.take(bytes, now) })
        } else if ('ms' in each) {
          now += each.ms
          bed.intake.expire(now)
          bed.propose(now)
        } else bed.look(each.level)
      }
      bed.look('ample')
      bed.propose(now)
      const { proposed } = bed
      const last = [0, 0, 0, 0]
      for (const name of proposed) {
        const [session, serial] = name.split('/').map(Number)
        if (serial! <= last[session!]!) return false
        last[session!] = serial!
      }
      return asked.every(({ name, results }) => results.length + Number(proposed.includes(name)) === 1)
    }),
    { numRuns: runs }
  )
  t.pass('for every run')
})

t.test('a follower tells its leader how much room it has, once for each change and each leader', async t => {
  const bed = new Bed(3)
  const { status } = bed.raft
  bed.room.report()
  t.same(bed.transport.forwards, [], 'a leader tells nobody')
  Object.assign(status, { role: 'follower', leader: keyOf(2) })
  bed.room.report()
  bed.room.report()
  t.equal(bed.transport.forwards.length, 1)
  bed.look('scarce')
  bed.room.report()
  t.equal(bed.transport.forwards.length, 2)
  bed.transport.forwards[1]!.done(new Error('the link broke'), new Uint8Array(0))
  bed.room.report()
  t.equal(bed.transport.forwards.length, 3, 'what was lost is told again')
  status.term++
  bed.room.report()
  t.equal(bed.transport.forwards.length, 4)

  const leader = new Bed(3)
  leader.raft.status.term = status.term
  t.ok(leader.room.has(keyOf(2)), 'of whom nothing is known is not held to be full')
  t.notOk(leader.room.offers(keyOf(2)), 'but nobody hands over to it for its room')
  t.ok(leader.room.told(keyOf(2), bed.transport.forwards[3]!.request))
  t.notOk(leader.room.has(keyOf(2)))
  t.ok(leader.room.told(keyOf(3), bed.transport.forwards[0]!.request))
  t.ok(leader.room.offers(keyOf(3)))
  t.equal(leader.room.admission, 'ample', 'two of three have room')
  leader.room.told(keyOf(3), bed.transport.forwards[1]!.request)
  t.equal(leader.room.admission, 'scarce', 'one alone would acknowledge nothing')
  const put = leader.take(growing(1, 1))
  leader.propose()
  t.match(put, [{ code: 'NO_SPACE', fate: 'not-applied' }])
  leader.raft.status.membership = { ...membershipOf([1, 2]), outgoing: [keyOf(1)] }
  t.equal(leader.room.admission, 'scarce', 'of both halves')
  leader.raft.status.term++
  t.equal(leader.room.admission, 'ample', 'what an earlier leader was told does not count')
})

t.test('what is forwarded and is no note is left to others; a note of another form is passed over', async t => {
  const { room } = new Bed()
  t.notOk(room.told(keyOf(2), growing(1, 1)))
  t.notOk(room.told(keyOf(2), draftRecord(recordKind.hash, new Uint8Array(16))))
  t.notOk(room.told(keyOf(2), new Uint8Array(3)))
  for (const value of [new Uint8Array(0), new Uint8Array([0, 0, 0, 200])]) {
    t.ok(room.told(keyOf(2), draftSetting('space', value)))
  }
  t.ok(room.told(keyOf(2), draftSetting('other', new Uint8Array([0, 0, 0, 2]))))
  t.ok(room.told(keyOf(2), draftRecord(recordKind.setting, new Uint8Array(10).fill(255))))
  t.ok(room.has(keyOf(2)))
})

t.test('a leader without room hands over to a voter that has told of some, and else stays', async t => {
  const bed = new Bed(3)
  const { raft, room } = bed
  const transfers: unknown[] = []
  const lines: string[] = []
  const succession = new Succession({
    raft,
    limits: quickLimits,
    fitness: new Fitness(quickLimits),
    room,
    priority: 100,
    runs: () => true,
    step: input => transfers.push(input),
    found: line => lines.push(line)
  })
  const note = (level: SpaceLevel): Uint8Array =>
    draftSetting('space', new Uint8Array([0, 0, 0, spaceLevels.indexOf(level)]))
  succession.look(0)
  bed.look('scarce')
  succession.look(50)
  t.same(transfers, [], 'nobody has said that it has room')
  room.told(keyOf(2), note('scarce'))
  room.told(keyOf(3), note('low'))
  succession.look(100)
  t.same(transfers, [], 'it would soon have to hand over in its turn')
  room.told(keyOf(3), note('ample'))
  succession.look(150)
  succession.look(200)
  t.same(transfers, [{ kind: 'transfer', to: keyOf(3) }], 'once')
  t.same(lines, ['the disk is nearly full: another node is to lead'])
  t.equal(succession.best(200), keyOf(3), 'of all that could lead, one with room')
  t.equal(succession.unfit, null, 'where all are full, one of them leads without delay')
  const againAt = 150 + quickLimits.giveWayAgainMs
  raft.status.heardAt = () => againAt
  succession.look(againAt)
  t.equal(transfers.length, 2, 'and again later, where it has not taken over')
})
