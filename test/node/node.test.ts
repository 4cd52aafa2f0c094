// The node: one turn for all that waits, in one order; deadlines; reads; roles; and an end after which nothing happens.
import { t } from 'tap'
import { StrettoError } from '../../lib/base/errors.ts'
import { logOrigin } from '../../lib/raft/types.ts'
import { keyOf } from '../help/core-cluster.ts'
import { draft } from '../help/node-parts.ts'
import { PlayedNode } from '../help/played-node.ts'
import { draftOf } from '../help/tally.ts'

t.test('alone in its cluster a node leads at once, and answers writes and reads', async t => {
  const play = new PlayedNode().lead()
  t.ok(play.time.now < 100, 'there is nobody to wait for')
  const [write, linearizable, local] = [play.write(draft()), play.read(), play.read({ point: 'local' })]
  t.same([write, linearizable, local], [[], [], []], 'never inside the call')
  play.settle()
  t.match(write, [{ kind: 'answer', answer: { index: 2, revision: 2 } }])
  t.same([linearizable, local], [[null], [null]])
  t.equal(play.node.applied, 2)
  t.same([play.node.ageMs, play.node.pendingBytes, play.node.waitingReads], [0, 0, 0])
  t.match(play.node.counters, {
    elections: 1,
    leaderChanges: 1,
    proposedRecords: 2,
    readRounds: 1,
    reads: 2,
    stalls: 0
  })
})

t.test('one turn: all inputs, then reads, then blocks, one ready, then disk before peers', async t => {
  const play = new PlayedNode({ count: 3, peers: 'all' }).lead()
  play.time.run(20)
  play.trace.length = 0
  const { turns } = play.node.counters
  for (let number = 0; number < 3; number++) play.write(draft())
  play.read()
  play.read()
  play.reply(2, 1)
  play.reply(3, 1)
  t.same(play.trace, [], 'nothing is handled where it is announced')
  play.time.until(() => play.node.counters.turns > turns)
  const first = play.trace.slice(0, play.trace.indexOf('send append') + 1)
  t.same(first, ['append-reply', 'append-reply', 'read', 'propose', 'ready', 'write', 'send append'])
  play.settle()
  t.equal(play.node.counters.blocksCut, 2, 'the no-op, and one block for all three')
})

t.test('a late timer lets in what waits at the door: heartbeats that came in time cause no election', async t => {
  for (const heard of [true, false]) {
    const play = new PlayedNode({ count: 3 })
    play.append(2, 1)
    play.time.run(300)
    t.same(play.sent('vote'), [])
    // The process is held up for two seconds; the heartbeats of that time stand in its sockets, behind its timers.
    play.time.now += 2_000
    if (heard) play.env.soon(() => play.append(2, 1))
    play.time.run(50)
    t.equal(play.sent('vote').length > 0, !heard, heard ? 'the leader has been heard' : 'nobody has been heard')
    t.equal(play.status.leader, heard ? keyOf(2) : null)
    t.equal(play.node.counters.stalls, 1)
  }
})

t.test('a peer that does not take what it is sent is no stall of this process', async t => {
  const play = new PlayedNode({ count: 3, peers: 'all' }).lead()
  play.time.run(500)
  play.transport.takes = false
  play.write(draft())
  play.time.run(300)
  t.ok(play.node.counters.appendsDropped > 0)
  t.equal(play.node.counters.stalls, 0)
})

t.test('without a leader requests and reads wait for one, up to their deadline', async t => {
  const play = new PlayedNode({ count: 3, limits: { sweepMs: 50 } })
  const write = play.write(draft(10, { patienceMs: 300 }))
  const read = play.read({ patienceMs: 200 })
  const patient = play.write(draft(10, { patienceMs: 60_000 }))
  play.time.run(190)
  t.same([write, read], [[], []])
  play.time.run(70)
  t.match(read, [{ code: 'TIMED_OUT', fate: 'not-applied' }])
  t.same(write, [])
  play.time.run(100)
  t.match(write, [{ kind: 'refused', code: 'TIMED_OUT', fate: 'not-applied' }])
  t.equal(play.node.counters.refusedLate, 2)
  play.peers = 'all'
  play.lead()
  play.settle()
  t.match(patient, [{ kind: 'answer' }], 'the first leader takes it in')
})

t.test('a follower passes requests on, and answers with what the leader says', async t => {
  const play = new PlayedNode({ count: 3 })
  const write = play.write(draft())
  play.append(2, 1)
  play.settle()
  t.equal(play.transport.forwards[0]!.to, keyOf(2))
  t.equal(play.transport.forwards.length, 1)
  t.ok(play.node.pendingBytes > 0)
  const bytes = new Uint8Array([9])
  play.transport.forwards[0]!.done(null, bytes)
  t.same(write, [{ kind: 'relayed', bytes }])
  t.equal(play.node.pendingBytes, 0)
})

t.test('a leader answers what was forwarded to it in bytes; another node says that it does not lead', async t => {
  const asked = (play: PlayedNode): string[] => {
    const answers: string[] = []
    play.transport.handler!.forwarded(keyOf(2), draft(), bytes => answers.push(Buffer.from(bytes).toString()))
    play.settle()
    return answers
  }
  const [answer] = asked(new PlayedNode({ count: 3, peers: 'all' }).lead())
  t.match(JSON.parse(answer!), { kind: 'answer', answer: { index: 2 } })
  const follower = new PlayedNode({ count: 3 })
  follower.append(2, 1)
  follower.settle()
  const [refused] = asked(follower)
  t.match(JSON.parse(refused!), { kind: 'refused', code: 'NOT_LEADER', fate: 'not-applied' })
  t.same(follower.transport.forwards, [], 'it is not forwarded a second time')
})

t.test('a leader that is replaced answers all who wait: their fate is unknown; what it holds goes on', async t => {
  const play = new PlayedNode({ count: 3, peers: 'votes', limits: { turnBytesMax: 1 } }).lead()
  const proposed = play.write(draft(200_000))
  const held = play.write(draft(200_000))
  let turns = play.node.counters.turns
  play.time.until(() => play.node.counters.turns > turns)
  t.equal(play.status.last.index, 2)
  t.same([proposed, held], [[], []])
  turns = play.node.counters.turns
  play.append(2, play.status.term + 1)
  play.time.until(() => play.node.counters.turns > turns)
  t.match(proposed, [{ kind: 'refused', code: 'NOT_LEADER', fate: 'unknown' }])
  t.match(play.status, { role: 'follower', leader: keyOf(2) })
  t.same(held, [], 'never proposed, so it is for the next leader')
  t.equal(play.transport.forwards.length, 1)
  play.settle()
  t.equal(proposed.length, 1)
})

t.test('a leader without its quorum steps down, and its callers hear of it', async t => {
  const play = new PlayedNode({ count: 3, peers: 'all' }).lead()
  play.peers = 'none'
  const [write, read] = [play.write(draft(10, { patienceMs: 60_000 })), play.read({ patienceMs: 60_000 })]
  t.ok(play.time.until(() => write.length > 0, 3_000))
  t.match(write, [{ kind: 'refused', code: 'NOT_LEADER', fate: 'unknown' }])
  t.same(read, [], 'a read may still be answered by the next leader')
  play.peers = 'all'
  t.ok(play.time.until(() => read.length > 0, 20_000))
  t.same(read, [null])
})

t.test('reads: one round for a turn, a follower asks its leader, and the state must have come so far', async t => {
  const play = new PlayedNode({ count: 3 })
  play.append(2, 1)
  play.settle()
  const reads = [play.read(), play.read(), play.read({ leastIndex: 2 })]
  play.settle()
  t.equal(play.sent('read-index').length, 1)
  t.equal(play.node.counters.readRounds, 1)
  const asked = play.sent('read-index')[0]!.message
  if (asked.kind !== 'read-index') throw new Error('no question')
  play.hear(2, 1, { kind: 'read-index-reply', number: asked.number, index: 0 })
  play.settle()
  t.same(reads, [[null], [null], []])
  t.equal(play.node.waitingReads, 1)
})

t.test('local reads need no leader: the state as it is, or as far as they ask, or their own condition', async t => {
  const play = new PlayedNode({ count: 3 })
  let revision = 0
  const now = play.read({ point: 'local' })
  const later = play.read({ point: 'local', leastIndex: 1, patienceMs: 10_000 })
  const picky = play.read({ point: 'local', enough: () => revision > 0, patienceMs: 10_000 })
  play.settle()
  t.same([now, later, picky], [[null], [], []])
  revision = 1
  play.peers = 'all'
  play.lead()
  play.settle()
  t.same([later, picky], [[null], [null]])
})

t.test('a read that the core refuses is asked again, and too many at once are refused with a time to wait', async t => {
  const play = new PlayedNode({
    count: 3,
    peers: 'all',
    config: { readsWaitingMax: 1 },
    limits: { readBytesMax: 1024 }
  }).lead()
  play.peers = 'none'
  const first = play.read()
  play.settle()
  const second = play.read()
  play.settle()
  const third = play.read()
  t.match(third, [{ code: 'OVERLOADED', fate: 'not-applied', retryAfterMs: 50 }])
  t.same([first, second], [[], []])
  play.peers = 'all'
  play.time.run(300)
  t.same([first, second], [[null], [null]])
  t.equal(play.node.counters.refusedOverload, 1)
})

t.test('a node knows how long it has not heard of a leader', async t => {
  const play = new PlayedNode({ count: 3 })
  play.append(2, 1, { time: 5_000 })
  t.equal(play.node.ageMs, 0)
  play.time.run(200)
  t.equal(play.node.ageMs, 200)
  t.equal(play.node.clusterTime, 5_000)
  play.append(3, 0)
  t.equal(play.node.ageMs, 200, 'a leader of an earlier term is none')
  play.append(2, 1, { time: 5_100 })
  t.same([play.node.ageMs, play.node.clusterTime], [0, 5_100])
})

t.test('the state is flushed though nothing else happens', async t => {
  const play = new PlayedNode({ limits: { flushAfterMs: 500, sweepMs: 50 } }).lead()
  play.write(draft())
  play.time.run(400)
  t.equal(play.node.counters.flushes, 0)
  play.time.run(200)
  t.equal(play.node.counters.flushes, 1)
  play.time.run(5_000)
  t.equal(play.node.counters.flushes, 1, 'once')
})

t.test('stopping answers everybody, and nothing comes after it', async t => {
  const play = new PlayedNode({ count: 3, peers: 'votes', limits: { turnBytesMax: 1 }, diskMs: 20 }).lead()
  const results = [play.write(draft(200_000)), play.write(draft(200_000)), play.write(draft(200_000))]
  const reads = [play.read(), play.read({ point: 'local', leastIndex: 50 })]
  const { turns } = play.node.counters
  play.time.until(() => play.node.counters.turns > turns)
  reads.push(play.read())
  const counts = { turns: play.node.counters.turns, changes: play.changes }
  play.trace.length = 0
  play.node.stop()
  t.match(results, [
    [{ kind: 'refused', code: 'STOPPED', fate: 'unknown' }],
    [{ kind: 'refused', code: 'STOPPED', fate: 'not-applied' }],
    [{ kind: 'refused', code: 'STOPPED', fate: 'not-applied' }]
  ])
  t.match(reads, [[{ code: 'STOPPED' }], [{ code: 'STOPPED' }], [{ code: 'STOPPED' }]])
  // The write under way ends, peers go on, timers come due.
  play.append(2, play.status.term + 1)
  play.transport.handler!.closed(keyOf(2), true)
  play.transport.handler!.greeted(keyOf(2), { boot: 2, protocol: [1, 1], machine: [1, 1] })
  const forwarded: Uint8Array[] = []
  play.transport.handler!.forwarded(keyOf(2), draft(), bytes => forwarded.push(bytes))
  play.node.transfer(null)
  play.time.run(10_000)
  t.same(play.trace, [])
  t.same(
    [...results, ...reads].map(({ length }) => length),
    [1, 1, 1, 1, 1, 1]
  )
  t.same([forwarded, play.failures], [[], []])
  t.same({ turns: play.node.counters.turns, changes: play.changes }, counts)
  t.match(play.write(draft()), [{ kind: 'refused', code: 'STOPPED', fate: 'not-applied' }])
  t.match(play.read(), [{ code: 'STOPPED' }])
  play.node.stop()
})

t.test('stopping answers also those whose request is with the leader', async t => {
  const play = new PlayedNode({ count: 3 })
  play.append(2, 1)
  const write = play.write(draft())
  play.settle()
  play.node.stop()
  t.match(write, [{ kind: 'refused', code: 'STOPPED', fate: 'unknown' }])
  play.transport.forwards[0]!.done(null, new Uint8Array(1))
  t.equal(write.length, 1)
})

t.test('a node that is stopped out of its own turn brings that to its end, and no other begins', async t => {
  const byChange = new PlayedNode({ count: 3 })
  byChange.append(2, 1)
  byChange.onChange = () => {
    byChange.node.stop()
    t.match(byChange.write(draft()), [{ code: 'STOPPED', fate: 'not-applied' }], 'nothing new is taken in')
    t.match(byChange.read(), [{ code: 'STOPPED' }])
  }
  const write = byChange.write(draft())
  const { turns } = byChange.node.counters
  byChange.time.run(5_000)
  t.same([byChange.changes, byChange.node.counters.turns], [1, turns + 1])
  t.match(write, [{ code: 'STOPPED', fate: 'unknown' }], 'it has left for the leader in that turn')

  const byCaller = new PlayedNode({ count: 3, peers: 'votes' }).lead()
  const before = byCaller.write(draft(10, { patienceMs: 60_000 }))
  const stops: string[] = []
  byCaller.node.write(draftOf(['bad'], { session: 1, serial: 5, floor: 5 }), result => {
    if (result.kind === 'refused') stops.push(result.code)
    byCaller.node.stop()
  })
  const after = byCaller.write(draft(10, { patienceMs: 60_000 }))
  byCaller.time.run(5_000)
  t.same(stops, ['BAD_REQUEST'])
  t.match([before, after], [[{ code: 'STOPPED', fate: 'unknown' }], [{ code: 'STOPPED', fate: 'unknown' }]])
})

t.test('a broken invariant ends the life: everybody is answered, then the owner is told, once', async t => {
  const play = new PlayedNode({ count: 3, peers: 'votes' }).lead()
  const [write, read] = [play.write(draft()), play.read()]
  play.settle()
  const bug = new Error('what must be is not')
  play.raft.breaks = bug
  const held = play.write(draft())
  play.reply(2, 0)
  play.reply(3, 0)
  t.doesNotThrow(() => play.settle())
  t.same(play.failures, [bug])
  t.match(write, [{ kind: 'refused', code: 'UNAVAILABLE', fate: 'unknown' }])
  t.match(held, [{ kind: 'refused', code: 'UNAVAILABLE', fate: 'not-applied' }])
  t.match(read, [{ code: 'STOPPED' }])
  play.trace.length = 0
  play.time.run(5_000)
  t.same([play.trace, play.failures.length], [[], 1])
})

t.test('a request that breaks an invariant on its way into the log is answered too', async t => {
  const play = new PlayedNode({ count: 3, peers: 'votes' }).lead()
  play.settle()
  const write = play.write(draft())
  play.raft.breaks = new Error('what must be is not')
  play.settle()
  t.equal(play.trace.at(-1), 'propose')
  t.match(write, [{ kind: 'refused', code: 'UNAVAILABLE', fate: 'unknown' }])
})

t.test('a write that the disk refuses ends the life: its fate is unknown', async t => {
  const play = new PlayedNode({ diskMs: 5 }).lead()
  const write = play.write(draft())
  play.time.run(1)
  const full = new StrettoError('NO_SPACE', 'no space left', { fate: 'unknown' })
  play.log.fail(full)
  play.settle()
  t.same(play.failures, [full])
  t.match(write, [{ kind: 'refused', code: 'UNAVAILABLE', fate: 'unknown' }])
})

t.test(
  'a log that fails while nobody writes ends the life: an idle leader must not hold on with a dead disk',
  async t => {
    const play = new PlayedNode().lead()
    play.time.run(1_000)
    const broken = new StrettoError('UNAVAILABLE', 'the memory of this node cannot be written', { fate: 'unknown' })
    play.log.fail(broken)
    play.settle()
    t.same(play.failures, [broken])
    t.match(play.write(draft()), [{ code: 'STOPPED' }])
  }
)

t.test('a state that cannot go on ends the life, whoever finds out', async t => {
  const play = new PlayedNode({ limits: { flushAfterMs: 500 } }).lead()
  play.write(draft())
  play.settle()
  // Found by the timer that looks after the age of the state, outside of any turn.
  play.tally.save = () => {
    throw new Error('cannot be saved')
  }
  t.doesNotThrow(() => play.time.run(1_000))
  t.match(play.failures, [{ message: 'cannot be saved' }])
  t.match(play.write(draft()), [{ code: 'STOPPED' }])
})

t.test('leadership is handed over on request', async t => {
  const play = new PlayedNode({ count: 3, peers: 'all' }).lead()
  play.time.run(200)
  play.node.transfer(keyOf(3))
  play.settle()
  t.match(play.sent('timeout-now'), [{ to: keyOf(3) }])
  const held = play.write(draft())
  play.settle()
  t.same(held, [], 'nothing more is taken in meanwhile')
  t.ok(
    play.time.until(() => held.length > 0, 2_000),
    'but the handing over is given up after a while'
  )
  t.match(held, [{ kind: 'answer' }])
})

t.test('a leader whose own log cannot be read where a peer needs it says so and hands over', async t => {
  const play = new PlayedNode({ count: 3, peers: 'all' }).lead()
  play.time.run(200)
  play.log.hot = () => null
  play.log.cold = (_from, _bytesMax, done) => play.env.soon(() => done(new Error('a block is damaged'), null))
  // One peer is level; the other comes back without its log and needs the first block again.
  play.transport.handler!.greeted(keyOf(2), { boot: 2, protocol: [1, 1], machine: [1, 1] })
  const reject = { index: play.status.last.index, hint: logOrigin }
  play.hear(2, play.status.term, { kind: 'append-reply', match: 0, reject, round: 0, leaseMs: 0 })
  t.ok(play.time.until(() => play.sent('timeout-now').length > 0, 1_000))
  t.equal(play.sent('timeout-now')[0]!.to, keyOf(3))
  t.same([...new Set(play.findings)], ['a block is damaged'])
  t.ok(play.node.counters.coldFailures > 0)
  t.same(play.failures, [], 'the node itself goes on')
})
