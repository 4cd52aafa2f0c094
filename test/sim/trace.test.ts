// A trace: what it keeps and what it leaves out, what it calls new, and how it reads as lines of text.
import { t } from 'tap'
import type { Append, AppendReply, Envelope, Message } from '../../lib/raft/message.ts'
import type { Block, Role } from '../../lib/raft/types.ts'
import type { MessageKind } from '../../lib/sim/trace/events.ts'
import { leftOutLines, traceLines } from '../../lib/sim/trace/lines.ts'
import { Trace, type TraceStatus } from '../../lib/sim/trace/trace.ts'
import { writePeerFrame } from '../../lib/wire/peer.ts'

const keyOf = (node: number, incarnation = node): string => `n${node}.${String(incarnation).padStart(16, '0')}`
const nodes = [1, 2, 3].map(node => keyOf(node))

function envelope(from: number, to: number, message: Message, term = 1): Envelope {
  return { from: keyOf(from), to: keyOf(to), term, message }
}

const blockAt = (first: number): Block => ({
  group: 0,
  first,
  count: 1,
  term: 1,
  previousChain: 0,
  chain: 0,
  bytes: new Uint8Array(0),
  membership: null
})

function append(prev: number, change: Partial<Append> = {}): Append {
  return { kind: 'append', prev: { term: 1, index: prev }, blocks: [], commit: 0, round: 0, time: 0, ...change }
}

function reply(match: number, change: Partial<AppendReply> = {}): AppendReply {
  return { kind: 'append-reply', match, reject: null, round: 0, leaseMs: 0, ...change }
}

function status(role: Role, term: number, leader: number | null, commit: number): TraceStatus {
  return { role, term, leader: leader === null ? null : keyOf(leader), commit }
}

/** A run of everything that can be told, as the lines below. */
function smallRun(): Trace {
  const trace = new Trace({ nodes })
  for (const node of nodes) trace.life(0, node, 'started')
  for (const node of nodes) trace.look(0, node, status('follower', 0, null, 0), 0)
  const fault = trace.fault(5, 'partition', 'n1,n2 | n3', [keyOf(3)], null)
  trace.fault(6, 'stall', '', [keyOf(2)], 9.5)
  trace.life(6, keyOf(2), 'stalled', 9.5)
  const vote = { kind: 'vote', pre: true, force: false, round: 1, last: { term: 0, index: 0 } } as const
  const first = trace.sent(10, envelope(1, 2, vote))
  const lost = trace.sent(10, envelope(1, 3, vote))
  trace.dropped(10, lost, 'cut')
  trace.look(10, keyOf(1), status('pre-candidate', 0, null, 0), 0)
  const copy = trace.copied(10.25, first)
  trace.delivered(11.5, first)
  trace.dropped(12, copy, 'no process')
  trace.look(12, keyOf(1), status('leader', 1, 1, 0), 0)
  const call = trace.called(12.5, 3, keyOf(2), 'put a=1')
  const open = trace.called(12.5, 4, null, 'get a')
  trace.look(13, keyOf(1), status('leader', 1, 1, 4), 4)
  trace.answered(13, call, 'ok', 'revision 4')
  trace.said(13, keyOf(1), keyOf(2), 'hello')
  trace.note(14, null, 'quiet from here')
  trace.life(15, keyOf(1), 'crashed', null, 'all of it')
  trace.faultEnded(15.5, fault)
  trace.violation(16, 'IS1', `n1 and n2 lead term 1, and ${open.text}\u001b[2J is open`)
  return trace
}

const smallLines = `
 0.000  n1  started
 0.000  n2  started
 0.000  n3  started
 0.000  n1  becomes    follower @0 of nobody
 0.000  n2  becomes    follower @0 of nobody
 0.000  n3  becomes    follower @0 of nobody
 5.000  n3  fault      partition n1,n2 | n3
 6.000  n2  fault      stall n2
 6.000  n2  stalled    until 9.500
 9.500  n2  over       stall n2
10.000  n1  sends      n1 -> n2 @1 pre-vote last=0@0
10.000  n1  loses      n1 -> n3 @1 pre-vote last=0@0 (cut)
10.000  n1  becomes    pre-candidate @0
11.500  n2  receives   n1 -> n2 @1 pre-vote last=0@0 (after 1.500)
12.000  n2  misses     n1 -> n2 @1 pre-vote last=0@0 (a copy) (no process)
12.000  n1  becomes    leader @1
12.500  c3  calls      put a=1 -> n2
12.500  c4  calls      get a (open at the end)
13.000  n1  commits    up to 4
13.000  n1  applies    up to 4
13.000  c3  ok         put a=1: revision 4 (after 0.500)
13.000  n1  sends      n1 -> n2 hello (not seen to arrive)
14.000      note       quiet from here
15.000  n1  crashed    all of it
15.500  n3  over       partition n1,n2 | n3
16.000      VIOLATION  IS1 n1 and n2 lead term 1, and get a\\u001b[2J is open`

t.test('as lines it reads in order, each moment on its own, and moves no cursor', async t => {
  t.same(traceLines(smallRun().recorded()), smallLines.slice(1).split('\n'))
})

t.test('it is plain data: nothing of it is lost in JSON', async t => {
  const recording = smallRun().recorded()
  t.same(JSON.parse(JSON.stringify(recording)), recording)
  t.same(recording.nodes, ['n1', 'n2', 'n3'])
  t.equal(recording.until, 16)
})

t.test('an append or an answer that says what was said before is a heartbeat; a new round is a read', async t => {
  const trace = new Trace({ nodes })
  const said: [MessageKind, Envelope][] = [
    ['append', envelope(1, 2, append(0))],
    ['append', envelope(1, 3, append(0))],
    ['heartbeat', envelope(1, 2, append(0))],
    ['append', envelope(2, 1, reply(0))],
    ['heartbeat', envelope(2, 1, reply(0))],
    ['append', envelope(1, 2, append(0, { blocks: [blockAt(1)] }))],
    ['append', envelope(1, 2, append(0, { blocks: [blockAt(1)] }))],
    ['append', envelope(2, 1, reply(1))],
    ['append', envelope(2, 1, reply(1, { reject: { index: 1, hint: { term: 0, index: 0 } } }))],
    ['append', envelope(1, 2, append(1))],
    ['append', envelope(1, 2, append(1, { commit: 1 }))],
    ['heartbeat', envelope(1, 2, append(1, { commit: 1 }))],
    ['read', envelope(1, 2, append(1, { commit: 1, round: 1 }))],
    ['read', envelope(2, 1, reply(1, { round: 1 }))],
    ['append', envelope(1, 2, append(1, { commit: 1, round: 1 }), 2)],
    ['vote', envelope(1, 2, { kind: 'timeout-now' })],
    ['read', envelope(1, 2, { kind: 'read-index', number: 1 })],
    ['snapshot', envelope(2, 1, { kind: 'snapshot-reply', installed: 4 })]
  ]
  for (const [kind, each] of said) t.equal(trace.sent(0, each).what, kind, trace.recorded().events.length.toString())
})

t.test('frames between nodes are told by what is in them, and bytes that are none as such', async t => {
  const trace = new Trace({ nodes })
  const told = (bytes: Uint8Array): string => {
    const { text, what } = trace.sentBytes(0, keyOf(1), keyOf(2), bytes)
    return `${what}: ${text}`
  }
  const vote = envelope(1, 2, { kind: 'vote-reply', pre: false, round: 1, granted: true, reason: null }, 7)
  t.equal(told(writePeerFrame({ kind: 'envelope', envelope: vote })), 'vote: n1 -> n2 @7 vote granted')
  t.equal(
    told(writePeerFrame({ kind: 'request', number: 4, bytes: new Uint8Array(10) })),
    'other: n1 -> n2 request 4 of 10 bytes'
  )
  t.equal(
    told(writePeerFrame({ kind: 'answer', number: 4, error: 'OVERLOADED', bytes: new Uint8Array(2) })),
    'other: n1 -> n2 answer 4 OVERLOADED of 2 bytes'
  )
  const chunk = { number: 1, last: { term: 2, index: 9 }, offset: 0, end: true, bytes: new Uint8Array(3) }
  t.equal(told(writePeerFrame({ kind: 'chunk', chunk })), 'snapshot: n1 -> n2 chunk 1 last=9@2 offset=0 of 3 bytes end')
  t.equal(
    told(writePeerFrame({ kind: 'refusal', refusal: { code: 'founded', text: 'too late' } })),
    'other: n1 -> n2 refusal founded: too late'
  )
  const nonce = new Uint8Array(16)
  const hello = { protocol: [1, 1], clusterId: '', from: keyOf(1), to: null, boot: 3, machine: [1, 1], nonce } as const
  t.equal(told(writePeerFrame({ kind: 'hello', hello })), 'other: n1 -> n2 hello to none boot=3')
  t.equal(told(writePeerFrame({ kind: 'proof', proof: new Uint8Array(32) })), 'other: n1 -> n2 proof')
  const tell = { list: [{ id: 'n1', address: 'n1:1' }], view: [{ id: 'n1', incarnation: '0'.repeat(16) }] }
  t.equal(told(writePeerFrame({ kind: 'tell', tell })), 'other: n1 -> n2 tell n1 of 1')
  const membership = { voters: [keyOf(1)], outgoing: null, learners: [], members: [memberOf(1)] }
  t.equal(told(writePeerFrame({ kind: 'founded', membership })), 'other: n1 -> n2 founded voters=n1')
  t.match(told(Uint8Array.of(99, 1)), /^other: n1 -> n2 2 bytes that are no frame: /)
})

function memberOf(node: number): { key: string; id: string; incarnation: string; address: string } {
  return { key: keyOf(node), id: `n${node}`, incarnation: String(node).padStart(16, '0'), address: `n${node}:1` }
}

t.test('a look tells what has changed; a new life begins without knowledge, and in the lane of its node', async t => {
  const trace = new Trace({ nodes })
  const count = (): number => trace.recorded().events.length
  trace.look(1, keyOf(1), status('follower', 3, 2, 7), 5)
  t.equal(count(), 3, 'role, commit index, applied index')
  trace.look(2, keyOf(1), status('follower', 3, 2, 7), 5)
  t.equal(count(), 3)
  trace.look(3, keyOf(1), status('follower', 3, 2, 7), 7)
  t.equal(count(), 4)
  trace.life(4, keyOf(1), 'started')
  trace.look(5, keyOf(1, 99), status('follower', 3, 2, 7), 5)
  t.equal(count(), 8)
  t.same(trace.recorded().nodes, ['n1', 'n2', 'n3'])
  trace.life(6, keyOf(4), 'started')
  t.same(trace.recorded().nodes, ['n1', 'n2', 'n3', 'n4'])
})

/** So many messages, commits and calls, one a millisecond, among a few landmarks. */
function longRun(keep: 'first' | 'last'): Trace {
  const trace = new Trace({ nodes, eventsMax: 8, keep })
  trace.life(0, keyOf(1), 'started')
  for (let ms = 1; ms <= 30; ms++) {
    const message = trace.sent(ms, envelope(1, 2, append(ms)))
    trace.delivered(ms, message)
    if (ms === 4) trace.life(ms, keyOf(1), 'crashed')
    if (ms % 2 === 0) trace.look(ms, keyOf(1), status('leader', ms, 1, ms), ms - 1)
    if (ms % 10 === 0) trace.answered(ms, trace.called(ms, 1, keyOf(1), `put ${ms}`), 'ok', '')
  }
  return trace
}

t.test('of too many events the last are kept, with what the others had led to, and how many are missing', async t => {
  const trace = longRun('last')
  const { events, before, leftOut } = trace.recorded()
  t.equal(
    events.filter(event => event.kind === 'message' || event.kind === 'commit' || event.kind === 'applied').length,
    8
  )
  t.equal(events.filter(event => event.kind === 'call').length, 2)
  t.equal(events.filter(event => event.kind === 'role' || event.kind === 'life').length, 2)
  t.equal(events.at(-1)!.kind, 'call')
  t.ok(events.every((event, at) => at === 0 || event.number > events[at - 1]!.number))
  const known = { node: 'n1', role: 'leader', term: 26, leader: 'n1', life: 'crashed', commit: 26, applied: 25 }
  t.same(
    before.find(({ node }) => node === 'n1'),
    known
  )
  t.same(leftOutLines({ ...trace.recorded(), leftOut }), [
    'messages and indexes: the last 8 are kept, 52 before 27.000 ms are left out',
    'calls: the last 2 are kept, 1 before 20.000 ms are left out',
    'landmarks: the last 2 are kept, 15 before 28.000 ms are left out'
  ])
  t.match(traceLines(trace.recorded())[0], /^# messages and indexes: the last 8 are kept/)
})

t.test('or the first are kept, and nothing later comes back', async t => {
  const trace = longRun('first')
  const { events, before, leftOut } = trace.recorded()
  t.same(
    events.filter(event => event.kind === 'call').map(event => event.at),
    [10, 20]
  )
  t.same(
    leftOut.map(({ kept, leftOut, edge }) => [kept, leftOut, edge]),
    [
      [8, 52, 4],
      [2, 1, 20],
      [2, 15, 2]
    ]
  )
  t.same(before[0], { node: 'n1', role: null, term: 0, leader: null, life: null, commit: 0, applied: 0 })
  t.match(leftOutLines(trace.recorded())[0], /: the first 8 are kept, 52 after 4\.000 ms are left out$/)
})

t.test('what cannot have happened is refused', async t => {
  const trace = new Trace({ nodes })
  const message = trace.sent(5, envelope(1, 2, append(1)))
  t.throws(() => trace.note(4, null, 'earlier'), /happens in order/)
  trace.delivered(6, message)
  t.throws(() => trace.dropped(7, message, 'lost'), /one fate/)
  const call = trace.called(7, 1, null, 'get a')
  trace.answered(8, call, 'info', '')
  t.throws(() => trace.answered(9, call, 'ok', ''), /answered once/)
  t.throws(() => new Trace({ nodes, eventsMax: 0 }), /at least one event/)
})
