// Client links: who is let in, what is answered and how, what a slow reader may cost, and what no bytes may do.
import fc from 'fast-check'
import { t } from 'tap'
import { concatBytes, readU32 } from '../../lib/base/bytes.ts'
import { type Done, type Env } from '../../lib/base/env.ts'
import { StrettoError } from '../../lib/base/errors.ts'
import type { Source, StateMachine } from '../../lib/machine/machine.ts'
import { type Packed, pack } from '../../lib/record/pack.ts'
import { recordAt } from '../../lib/record/record.ts'
import { ClientPort, type PortLimits, portLimits, resultFrame } from '../../lib/server/client-port.ts'
import { MemoryFabric, MemoryNet } from '../../lib/transport/memory-net.ts'
import type { Link, LinkHandler } from '../../lib/transport/net.ts'
import { readMembers, readSettled, writeAdmin } from '../../lib/wire/admin.ts'
import {
  frameKind,
  framesOf,
  type Question,
  readAnswered,
  readApplied,
  readPage,
  readRefused,
  readSmall,
  readWelcome,
  writeHello,
  writeQuestion,
  writeSmall
} from '../../lib/wire/client.ts'
import { keyOf } from '../help/core-cluster.ts'
import { draft, HandMachine } from '../help/node-parts.ts'
import { PlayedNode, type PlayOptions } from '../help/played-node.ts'

const runs = Number(process.env['FC_RUNS'] ?? 300)
const hello = writeHello({ protocolMin: 1, protocolMax: 1, name: 'test', token: null })
const nothing = new Uint8Array(0)

/** The node's end of a link; what it sends is kept, message by message. */
class FakeLink implements Link {
  readonly messages: Uint8Array[] = []
  buffered = 0
  pauses = 0
  resumes = 0
  closed = false
  handler: LinkHandler | null = null
  readonly #env: Env

  constructor(env: Env) {
    this.#env = env
  }

  send(bytes: Uint8Array): void {
    if (!this.closed) this.messages.push(bytes)
  }

  pause(): void {
    this.pauses++
  }

  resume(): void {
    this.resumes++
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.#env.soon(() => this.handler!.closed({ by: 'us', reason: 'closed by this side' }))
  }

  /** The frames of all messages sent since the last call. */
  take(): Uint8Array[] {
    return this.messages.splice(0).flatMap(message => framesOf(message)!)
  }
}

interface OpenedScan extends Source {
  readonly asked: { readonly bytesMax: number; readonly done: Parameters<Source['page']>[1] }[]
  closes: number
}

/** A machine whose questions and scans are answered by the test. */
class AskedMachine extends HandMachine {
  readonly queries: { readonly request: Uint8Array; readonly done: Done<Uint8Array> }[] = []
  readonly scans: OpenedScan[] = []
  fault: Error | null = null

  override query(request: Uint8Array, done: Done<Uint8Array>): void {
    this.queries.push({ request, done })
  }

  override scan(): Source {
    if (this.fault !== null) throw this.fault
    const scan: OpenedScan = {
      asked: [],
      closes: 0,
      page: (bytesMax, done) => scan.asked.push({ bytesMax, done }),
      close: () => scan.closes++
    }
    this.scans.push(scan)
    return scan
  }
}

class Bed {
  readonly play: PlayedNode
  readonly machine = new AskedMachine()
  readonly port: ClientPort
  lives = true
  revision = 0
  readonly findings: string[] = []
  leader: string | null = 'n1'

  constructor(options: PlayOptions = {}, limits: Partial<PortLimits> = {}) {
    this.play = new PlayedNode(options)
    const life = (): { node: PlayedNode['node']; machine: StateMachine } | null =>
      this.lives ? { node: this.play.node, machine: this.machine } : null
    const welcome = () => ({
      protocol: 1,
      clusterId: 'c',
      nodeId: 'n1',
      clusterTime: 7,
      leader: this.leader,
      members: [{ id: 'n1', address: 'n1:1' }],
      requestBytesMax: 1_000
    })
    const { env } = this.play
    const found = (fault: Error): void => void this.findings.push(fault.message)
    this.port = new ClientPort(
      { env, life, welcome, found, revision: () => this.revision },
      { ...portLimits, ...limits }
    )
  }

  lead(): this {
    this.play.lead()
    return this
  }

  /** A new link that has said nothing. */
  link(): { link: FakeLink; handler: LinkHandler } {
    const link = new FakeLink(this.play.env)
    const handler = this.port.accept(link)
    link.handler = handler
    return { link, handler }
  }

  /** A link that has been welcomed. */
  greeted(): { link: FakeLink; handler: LinkHandler } {
    const opened = this.link()
    opened.handler.message(hello)
    this.settle()
    opened.link.take()
    return opened
  }

  settle(): void {
    this.play.settle()
  }
}

function question(options: Partial<Question> = {}): Uint8Array {
  const plain = { scan: false, number: 1, consistency: 'linearizable', patienceMs: 0 } as const
  return writeQuestion({ ...plain, leastIndex: 0, leastRevision: 0, maxAgeMs: 0, body: nothing, ...options })
}

function kinds(frames: readonly Uint8Array[]): (number | undefined)[] {
  return frames.map(frame => frame[4])
}

t.test('a hello is answered with a welcome, once', async t => {
  const bed = new Bed().lead()
  const { link, handler } = bed.link()
  t.equal(bed.port.count, 1)
  handler.message(hello)
  t.same(link.messages, [], 'not inside the call')
  bed.settle()
  const [welcome, ...rest] = link.take()
  t.same(rest, [])
  t.match(readWelcome(welcome!), { protocol: 1, nodeId: 'n1', leader: 'n1', clusterTime: 7 })
  handler.message(writeSmall(frameKind.ping, 5))
  bed.settle()
  t.match(link.take().map(readSmall), [{ number: 5 }])
  bed.play.time.run(portLimits.helloMs + 1_000)
  t.notOk(link.closed, 'the time for the hello is over for others')
})

t.test('whoever breaks the protocol is told why, and the link is closed', async t => {
  const bed = new Bed().lead()
  const breaches: Record<string, [greeted: boolean, bytes: Uint8Array, text: RegExp]> = {
    'a command before the hello': [false, draft(), /before the hello/],
    'a ping before the hello': [false, writeSmall(frameKind.ping, 1), /before the hello/],
    'a protocol that is too new': [
      false,
      writeHello({ protocolMin: 2, protocolMax: 9, name: '', token: null }),
      /speaks protocol 1 to 1/
    ],
    'a protocol that is too old': [
      false,
      writeHello({ protocolMin: 0, protocolMax: 0, name: '', token: null }),
      /speaks protocol/
    ],
    'a malformed hello': [false, writeSmall(frameKind.hello, 0), /./],
    'a second hello': [true, hello, /second hello/],
    'an unknown kind': [true, writeSmall(99, 0), /unknown kind/],
    'a frame for clients': [true, writeSmall(frameKind.pong, 0), /unknown kind/],
    'lengths that do not add up': [true, hello.subarray(1), /do not add up/],
    'a length of nothing': [true, new Uint8Array(8), /do not add up/],
    'a record shorter than its header': [true, frameOf(frameKind.command, 31), /shorter/],
    'a read shorter than its head': [true, frameOf(frameKind.read, 31), /malformed read/],
    'a consistency that is none': [true, badConsistency(), /malformed read/],
    'an admin frame shorter than its head': [true, frameOf(frameKind.admin, 15), /malformed admin/],
    'a credit of another length': [true, frameOf(frameKind.credit, 20), /malformed/]
  }
  for (const [name, [greeted, bytes, text]] of Object.entries(breaches)) {
    const { link, handler } = greeted ? bed.greeted() : bed.link()
    handler.message(bytes)
    const refused = link.take().map(readRefused)
    t.match(refused, [{ number: 0, code: 'BAD_REQUEST', text }], name)
    t.ok(link.closed, name)
    bed.settle()
    t.equal(bed.port.count, 0, name)
  }
})

function frameOf(kind: number, length: number): Uint8Array {
  const frame = new Uint8Array(length)
  new DataView(frame.buffer).setUint32(0, length)
  frame[4] = kind
  return frame
}

function badConsistency(): Uint8Array {
  const frame = question()
  frame[5] = 4
  return frame
}

t.test('a link that does not introduce itself is closed after a while', async t => {
  const bed = new Bed({}, { helloMs: 300 })
  const { link } = bed.link()
  bed.play.time.run(299)
  t.notOk(link.closed)
  bed.play.time.run(1)
  t.match(link.take().map(readRefused), [{ text: /no hello/ }])
  t.ok(link.closed)
})

t.test('after a breach nothing of the same message is done', async t => {
  const bed = new Bed().lead()
  const { handler } = bed.greeted()
  handler.message(concatBytes([writeSmall(99, 0), draft()]))
  bed.settle()
  t.equal(bed.play.node.counters.proposedRecords, 1, 'the no-op only')
})

t.test('many frames in a message, and one message for all answers of a turn', async t => {
  const bed = new Bed().lead()
  const { link, handler } = bed.greeted()
  handler.message(concatBytes([draft(5, { number: 11 }), draft(5, { number: 12 }), writeSmall(frameKind.ping, 13)]))
  handler.message(draft(5, { number: 14 }))
  bed.settle()
  t.equal(link.messages.length, 2, 'the pong at once, the answers together')
  const [pong, ...applied] = link.take()
  t.equal(readSmall(pong!).number, 13)
  t.match(applied.map(readApplied), [
    { number: 11, index: 2, revision: 2 },
    { number: 12, index: 3, revision: 3 },
    { number: 14, index: 4, revision: 4 }
  ])
})

t.test('a record that is refused is answered with its number and fate', async t => {
  const bed = new Bed().lead()
  const { link, handler } = bed.greeted()
  const malformed = draft(5, { number: 21 })
  new DataView(malformed.buffer).setBigUint64(68, 2n ** 60n)
  handler.message(malformed)
  bed.settle()
  t.match(link.take().map(readRefused), [{ number: 21, code: 'BAD_REQUEST', fate: 'not-applied' }])
  t.notOk(link.closed, 'the link goes on')
})

t.test('what another node has answered is passed on as it is', async t => {
  const bed = new Bed({ count: 3 })
  bed.play.append(2, 1)
  const { link, handler } = bed.greeted()
  handler.message(draft(5, { number: 31 }))
  bed.settle()
  const [forward] = bed.play.transport.forwards
  t.equal(forward!.to, keyOf(2))
  t.equal(readU32(forward!.request, recordAt.term), 31, 'the number goes with it')
  const bytes = resultFrame(31, { kind: 'refused', code: 'NO_SPACE', fate: 'unknown', text: 'full', retryAfterMs: 3 })
  forward!.done(null, bytes)
  bed.settle()
  t.same(link.take(), [bytes])
})

t.test('a result becomes the frame of its kind', async t => {
  const answer = { index: 5, term: 2, serial: 1, count: 2, revision: 9, each: null, refused: null }
  t.match(readApplied(resultFrame(1, { kind: 'answer', answer })), { number: 1, index: 5, term: 2, revision: 9 })
  const each = [{ status: 6, revision: 9, answer: null }]
  t.match(readApplied(resultFrame(2, { kind: 'answer', answer: { ...answer, each } })), { number: 2, each })
  const refused = { code: 'SESSION_EXPIRED', fate: 'unknown', text: 'gone' } as const
  const frame = resultFrame(3, { kind: 'answer', answer: { ...answer, refused } })
  t.match(readRefused(frame), { number: 3, ...refused, retryAfterMs: null })
})

t.test('what is asked about the members is answered or refused by its number', async t => {
  const bed = new Bed().lead()
  const { link, handler } = bed.greeted()
  const ask = (number: number, request: Packed): void => {
    handler.message(writeAdmin({ number, patienceMs: 0, again: false, request }))
  }
  ask(61, ['members'])
  ask(62, ['elect'])
  ask(63, ['remove', 'n9'])
  bed.settle()
  const [unknown, members, none] = link.take()
  t.match(readRefused(unknown!), { number: 62, code: 'BAD_REQUEST' })
  const settled = readSettled(members!)
  t.equal(settled.number, 61)
  t.match(readMembers(settled.result), [{ id: 'n1', role: 'voter', leader: true }])
  t.match(readRefused(none!), { number: 63, code: 'CONDITION_FAILED', text: 'no member n9' })
  t.notOk(link.closed, 'the link goes on')
})

t.test('reads are answered from the machine, with the place they were served at', async t => {
  const bed = new Bed().lead()
  const { link, handler } = bed.greeted()
  const body = Uint8Array.from([1, 2])
  handler.message(question({ number: 41, body }))
  bed.settle()
  t.same(bed.machine.queries[0]!.request, body)
  bed.machine.queries.shift()!.done(null, Uint8Array.from([3]))
  bed.settle()
  const answered = { number: 41, consistency: 'linearizable', index: 1, term: 1, ageMs: 0, body: Uint8Array.from([3]) }
  t.match(link.take().map(readAnswered), [answered])
  handler.message(question({ number: 42 }))
  handler.message(question({ number: 43 }))
  bed.settle()
  bed.machine.queries.shift()!.done(new StrettoError('COMPACTED', 'too old'), nothing)
  bed.machine.queries.shift()!.done(new Error('a bug'), nothing)
  bed.settle()
  t.match(link.take().map(readRefused), [
    { number: 42, code: 'COMPACTED', text: 'too old' },
    { number: 43, code: 'UNAVAILABLE' }
  ])
})

t.test('a stale read needs no leader, and says how old its state may be', async t => {
  const bed = new Bed({ count: 3 })
  bed.play.append(2, 1)
  const { link, handler } = bed.greeted()
  bed.play.time.run(120)
  handler.message(question({ number: 1, consistency: 'stale' }))
  handler.message(question({ number: 2, consistency: 'session' }))
  handler.message(question({ number: 3, consistency: 'lease' }))
  handler.message(question({ number: 4, consistency: 'session', leastIndex: 9, patienceMs: 200 }))
  bed.settle()
  t.equal(bed.machine.queries.length, 2, 'the third waits for the leader, as a linearizable one does')
  for (const query of bed.machine.queries) query.done(null, nothing)
  bed.settle()
  t.match(link.take().map(readAnswered), [
    { number: 1, consistency: 'stale', ageMs: 120 },
    { number: 2, consistency: 'session', ageMs: 0 }
  ])
  bed.play.time.run(300)
  t.match(link.take().map(readRefused), [{ number: 4, code: 'TIMED_OUT' }])
})

t.test('a node whose state may be older than a stale read puts up with does not answer it', async t => {
  const bed = new Bed({ count: 3 })
  bed.play.append(2, 1)
  const { link, handler } = bed.greeted()
  bed.play.time.run(120)
  handler.message(question({ number: 1, consistency: 'stale', maxAgeMs: 119 }))
  handler.message(question({ number: 2, consistency: 'stale', maxAgeMs: 120 }))
  handler.message(question({ number: 3, consistency: 'stale', maxAgeMs: 119, scan: true }))
  bed.settle()
  t.match(link.take().map(readRefused), [
    { number: 1, code: 'UNAVAILABLE', retryAfterMs: 50, text: /120 ms old: 119 ms at most/ },
    { number: 3, code: 'UNAVAILABLE', retryAfterMs: 50 }
  ])
  t.equal(bed.machine.queries.length, 1)
})

t.test('a read waits until the store has reached the revision it asks for', async t => {
  const bed = new Bed().lead()
  const { handler } = bed.greeted()
  handler.message(question({ leastRevision: 8 }))
  bed.settle()
  t.equal(bed.machine.queries.length, 0)
  bed.revision = 8
  handler.message(draft())
  bed.settle()
  t.equal(bed.machine.queries.length, 1)
})

t.test('between two lives, and before founding, everything is refused at once', async t => {
  const bed = new Bed()
  bed.lives = false
  const { link, handler } = bed.greeted()
  handler.message(
    concatBytes([draft(5, { number: 51 }), question({ number: 52 }), question({ scan: true, number: 53 })])
  )
  bed.settle()
  const unavailable = { code: 'UNAVAILABLE', fate: 'not-applied', retryAfterMs: 100 }
  t.match(link.take().map(readRefused), [
    { number: 51, ...unavailable },
    { number: 52, ...unavailable },
    { number: 53, ...unavailable }
  ])
})

/** A link with one open scan, number 60. */
function scanning(bed: Bed): { link: FakeLink; handler: LinkHandler; scan: OpenedScan } {
  const { link, handler } = bed.greeted()
  handler.message(question({ scan: true, number: 60 }))
  bed.settle()
  return { link, handler, scan: bed.machine.scans.at(-1)! }
}

t.test('a scan sends pages as far as its credit goes, and closes its source after the last', async t => {
  const bed = new Bed({}, { pageBytesMax: 100 }).lead()
  const { link, handler, scan } = scanning(bed)
  t.equal(scan.asked[0]!.bytesMax, 100)
  scan.asked[0]!.done(null, { bytes: new Uint8Array(60), last: false })
  t.equal(scan.asked[1]!.bytesMax, 40, 'what is left of the credit')
  scan.asked[1]!.done(null, { bytes: new Uint8Array(50), last: false })
  bed.settle()
  t.match(link.take().map(readPage), [
    { number: 60, last: false, body: { length: 60 } },
    { number: 60, last: false, body: { length: 50 } }
  ])
  t.equal(scan.asked.length, 2, 'the credit is used up')
  handler.message(writeSmall(frameKind.credit, 60, 10))
  t.equal(scan.asked.length, 2, 'no page while nothing of it may be sent')
  handler.message(writeSmall(frameKind.credit, 60, 300))
  t.equal(scan.asked[2]!.bytesMax, 100, 'a page at a time')
  handler.message(writeSmall(frameKind.credit, 60, 300))
  t.equal(scan.asked.length, 3, 'one page under way')
  scan.asked[2]!.done(null, { bytes: new Uint8Array(1), last: true })
  bed.settle()
  t.match(link.take().map(readPage), [{ number: 60, last: true }])
  t.equal(scan.closes, 1)
  handler.message(concatBytes([writeSmall(frameKind.credit, 60, 9), writeSmall(frameKind.cancel, 60)]))
  t.same([scan.asked.length, scan.closes], [3, 1])
})

t.test('a scan that fails is refused, and its source closed', async t => {
  const bed = new Bed().lead()
  const { link, scan } = scanning(bed)
  scan.asked[0]!.done(new StrettoError('CORRUPT', 'damaged'), { bytes: nothing, last: false })
  bed.settle()
  t.match(link.take().map(readRefused), [{ number: 60, code: 'CORRUPT' }])
  t.same(bed.findings, ['damaged'], 'and an operator is told')
  t.equal(scan.closes, 1)
  bed.machine.fault = new StrettoError('BAD_REQUEST', 'no such range')
  const { link: other, handler } = bed.greeted()
  handler.message(question({ scan: true, number: 61 }))
  bed.settle()
  t.match(other.take().map(readRefused), [{ number: 61, code: 'BAD_REQUEST', text: 'no such range' }])
})

t.test('a cancelled scan sends nothing more', async t => {
  const bed = new Bed().lead()
  const { link, handler, scan } = scanning(bed)
  handler.message(writeSmall(frameKind.cancel, 60))
  t.equal(scan.closes, 1)
  scan.asked[0]!.done(null, { bytes: new Uint8Array(10), last: false })
  bed.settle()
  t.same(link.take(), [])
  handler.message(question({ scan: true, number: 60 }))
  bed.settle()
  t.equal(bed.machine.scans.length, 2, 'its number is free again')
})

t.test('a scan that is cancelled before it could begin never begins', async t => {
  const bed = new Bed({ count: 3, peers: 'all' }, { scansMax: 1 }).lead()
  bed.play.peers = 'none'
  const { link, handler } = bed.greeted()
  handler.message(question({ scan: true, number: 70 }))
  bed.settle()
  handler.message(writeSmall(frameKind.cancel, 70))
  handler.message(question({ scan: true, number: 71 }))
  bed.play.peers = 'all'
  bed.play.time.run(300)
  t.equal(bed.machine.scans.length, 1, 'the second one only')
  t.same(link.take(), [])
  bed.machine.scans[0]!.asked[0]!.done(null, { bytes: new Uint8Array(1), last: true })
  bed.settle()
  t.match(link.take().map(readPage), [{ number: 71, last: true }])
})

t.test('scans are bounded for each link, and a number is used by one at a time', async t => {
  const bed = new Bed({}, { scansMax: 2 }).lead()
  const { link, handler } = scanning(bed)
  handler.message(question({ scan: true, number: 60 }))
  handler.message(question({ scan: true, number: 61 }))
  handler.message(question({ scan: true, number: 62 }))
  bed.settle()
  t.match(link.take().map(readRefused), [
    { number: 60, code: 'OVERLOADED', retryAfterMs: 100 },
    { number: 62, code: 'OVERLOADED', retryAfterMs: 100 }
  ])
  t.equal(bed.machine.scans.length, 2)
  const other = bed.greeted()
  other.handler.message(question({ scan: true, number: 60 }))
  bed.settle()
  t.equal(bed.machine.scans.length, 3, 'another link has its own')
})

t.test('a scan whose read is refused gives its place back', async t => {
  const bed = new Bed({ count: 3 }, { scansMax: 1 })
  const { link, handler } = bed.greeted()
  handler.message(question({ scan: true, number: 80, patienceMs: 100 }))
  bed.play.time.run(200)
  t.match(link.take().map(readRefused), [{ number: 80, code: 'TIMED_OUT' }])
  handler.message(question({ scan: true, number: 81, consistency: 'stale' }))
  bed.settle()
  t.equal(bed.machine.scans.length, 1)
})

t.test('a client that does not read its answers is not read from, until it has caught up', async t => {
  const bed = new Bed({}, { pauseBytes: 1_000, closeBytes: 5_000 }).lead()
  const { link, handler } = bed.greeted()
  const ping = (): void => {
    handler.message(writeSmall(frameKind.ping, 1))
    bed.settle()
  }
  link.buffered = 1_000
  ping()
  t.equal(link.pauses, 0)
  link.buffered = 1_001
  ping()
  ping()
  t.equal(link.pauses, 1, 'once')
  bed.play.time.run(500)
  t.equal(link.resumes, 0)
  link.buffered = 500
  bed.play.time.run(50)
  t.equal(link.resumes, 1)
  link.buffered = 1_001
  ping()
  t.equal(link.pauses, 2, 'and again')
  link.buffered = 5_001
  ping()
  t.ok(link.closed, 'what nobody reads is not kept without end')
  bed.play.time.run(100)
  t.equal(link.resumes, 1)
})

t.test('answers for a link that is gone are dropped, and what it held is given back', async t => {
  const bed = new Bed({ diskMs: 10 }).lead()
  const { link, handler, scan } = scanning(bed)
  handler.message(concatBytes([draft(), question(), writeSmall(frameKind.ping, 1)]))
  handler.closed({ by: 'them', reason: 'gone' })
  t.equal(bed.port.count, 0)
  t.equal(scan.closes, 1)
  scan.asked[0]!.done(null, { bytes: nothing, last: false })
  bed.play.time.run(100)
  bed.port.news()
  bed.settle()
  t.same(link.messages, [])
  t.equal(bed.machine.queries.length, 0, 'nobody asks for what nobody hears')
})

t.test('every client hears when leader or members change, once it has been welcomed', async t => {
  const bed = new Bed().lead()
  const [welcomed, stranger] = [bed.greeted(), bed.link()]
  bed.leader = 'n2'
  bed.port.news()
  bed.settle()
  t.match(welcomed.link.take().map(readWelcome), [{ leader: 'n2' }])
  t.same(stranger.link.take(), [])
})

t.test('closing the port says what is still to be said, and ends all links', async t => {
  const bed = new Bed().lead()
  const links = [bed.greeted(), bed.greeted()]
  links[0]!.handler.message(draft(5, { number: 91 }))
  bed.play.node.stop()
  bed.port.close()
  t.match(links[0]!.link.take().map(readRefused), [{ number: 91, code: 'STOPPED' }])
  for (const { link } of links) t.ok(link.closed)
  bed.settle()
  t.equal(bed.port.count, 0)
})

t.test('no bytes that a client can send do more than end its link', async t => {
  const bed = new Bed({}, { pageBytesMax: 50 }).lead()
  bed.machine.fault = new StrettoError('BAD_REQUEST', 'none')
  const bytes = fc.uint8Array({ maxLength: 120 })
  const kind = fc.constantFrom(1, 2, 64, 65, 66, 67, 68, 69, 70, 80, 255)
  const framed = fc.tuple(kind, bytes).map(([kind, body]) => {
    const frame = concatBytes([frameOf(kind, 8), body])
    new DataView(frame.buffer).setUint32(0, frame.length)
    frame[4] = kind
    return frame
  })
  const packed = fc
    .tuple(kind, fc.array(fc.oneof(fc.integer(), fc.string(), fc.constant(null), bytes), { maxLength: 6 }))
    .map(([kind, values]) => {
      const frame = concatBytes([frameOf(kind, 8), pack(values)])
      new DataView(frame.buffer).setUint32(0, frame.length)
      frame[4] = kind
      return frame
    })
  const message = fc.oneof(bytes, framed, packed, fc.array(framed, { maxLength: 4 }).map(concatBytes))
  fc.assert(
    fc.property(fc.boolean(), fc.array(message, { maxLength: 5 }), (greeted, messages) => {
      const { link, handler } = greeted ? bed.greeted() : bed.link()
      for (const bytes of messages) if (!link.closed) handler.message(bytes)
      bed.settle()
      const understood = link.messages.every(bytes => framesOf(bytes) !== null)
      if (!link.closed) handler.closed({ by: 'them', reason: 'over' })
      bed.settle()
      return understood && bed.port.count === 0 && bed.play.failures.length === 0
    }),
    { numRuns: runs }
  )
  t.pass('for every run')
})

t.test('over a net the same: a client connects, writes, and hears that it was applied', async t => {
  const bed = new Bed().lead()
  const fabric = new MemoryFabric()
  const { env } = bed.play
  new MemoryNet(fabric, env, 'n1').listen(
    'n1:1/v1',
    link => bed.port.accept(link),
    () => {}
  )
  bed.settle()
  const heard: Uint8Array[] = []
  const link = new MemoryNet(fabric, env, 'client').dial('n1:1/v1', {
    open: () => {},
    message: bytes => heard.push(...framesOf(Uint8Array.from(bytes))!),
    closed: () => {}
  })
  bed.settle()
  link.send(concatBytes([hello, draft(500, { number: 1 }), draft(500, { number: 2 })]))
  bed.settle()
  t.same(kinds(heard), [frameKind.welcome, frameKind.applied, frameKind.applied])
  t.match(heard.slice(1).map(readApplied), [
    { number: 1, index: 2 },
    { number: 2, index: 3 }
  ])
  bed.port.close()
  bed.settle()
  t.equal(bed.port.count, 0)
})
