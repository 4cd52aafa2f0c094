// Peers: passes the suite over both nets; duplicate dials, forgeries, noise and strangers do no harm.
import fc from 'fast-check'
import { t } from 'tap'
import { WebSocket } from 'ws'
import { StrettoError } from '../../lib/base/errors.ts'
import { Handshake, type Identity } from '../../lib/transport/handshake.ts'
import type { Link, LinkHandler } from '../../lib/transport/net.ts'
import { type Hello, type PeerFrame, peerMessageBytesMax, readPeerFrame, writePeerFrame } from '../../lib/wire/peer.ts'
import { peerSubprotocol } from '../../lib/wire/version.ts'
import { membership } from '../help/peer-frames.ts'
import { eventually } from '../help/real-time.ts'
import { type MemoryRig, memoryRig, socketRig } from '../help/transport-rigs.ts'
import { type BulkRig, bulkLaneSuite, pieceOf, sendPiece, type Told } from '../suite/bulk-lane.ts'
import { Ear } from '../suite/net.ts'
import { clusterId, keyOf, memberOf, secret, Talker, type TransportRig, transportSuite } from '../suite/transport.ts'

const numRuns = Number(process.env['FC_RUNS'] ?? 60)

transportSuite(t, 'Peers over MemoryNet', async () => memoryRig())
transportSuite(t, 'Peers over WsNet', socketRig)
bulkLaneSuite(t, 'Peers over MemoryNet', () => bulk(memoryRig()))
bulkLaneSuite(t, 'Peers over WsNet', async () => await bulk(await socketRig()))

const hello = (number: number) => ({ kind: 'read-index', number }) as const

async function bulk(rig: TransportRig): Promise<BulkRig> {
  const two = await new Talker(rig, 'n2').start()
  // One of them dials alone, so that no second link takes over while a piece is under way.
  const one = await new Talker(rig, 'n1').start('n2')
  await rig.until(() => one.linked('n2') && two.linked('n1'))
  return {
    sender: { key: keyOf('n1'), transport: one.peers },
    receiver: { key: keyOf('n2'), taken: two.chunks },
    gone: async () => await two.stop(),
    until: async condition => await rig.until(condition),
    end: async () => {
      await one.stop()
      await two.stop()
      await rig.end()
    }
  }
}

/** A link that has proven itself as `host`, spoken by hand. */
class Hand implements LinkHandler {
  link: Link | null = null
  readonly frames: PeerFrame[] = []
  end = ''
  readonly #handshake: Handshake

  constructor(rig: MemoryRig, host: string, to: string, identity: Partial<Identity> = {}) {
    const env = rig.env(`hand ${host}`)
    const mine = { env, self: keyOf(host), clusterId, boot: 1, machine: [1, 1] as const, secret, ...identity }
    this.#handshake = new Handshake(mine, 'dialler', null, {
      admit: () => null,
      judge: () => null,
      proven: link => {
        this.link = link
        return this
      },
      failed: (_reason, refusal) => {
        this.end = refusal?.code ?? 'ended'
      }
    })
    rig.net(host).dial(`${rig.dialAt(to)}/peer`, this.#handshake)
  }

  open(): void {}

  message(bytes: Uint8Array): void {
    this.frames.push(readPeerFrame(bytes))
  }

  closed(): void {
    this.end = 'closed'
  }

  say(frame: PeerFrame): void {
    this.link!.send(writePeerFrame(frame))
  }

  get refusal(): string | undefined {
    const last = this.frames.at(-1)
    return last?.kind === 'refusal' ? last.refusal.code : undefined
  }
}

/** A member that a hand talks to, and another that proves it still serves. */
async function attacked(options: ConstructorParameters<typeof Talker>[2] = {}) {
  const rig = memoryRig()
  const one = await new Talker(rig, 'n1', options).start('n3')
  const three = await new Talker(rig, 'n3').start('n1')
  await rig.until(() => one.linked('n3') && three.linked('n1'))
  const serves = async () => {
    const before = one.envelopes.length
    return three.say('n1', hello(9)) && (await rig.until(() => one.envelopes.length === before + 1))
  }
  return { rig, one, three, serves }
}

t.test('dials that cross leave one link, and nobody takes the other for a death', async t => {
  const starts = fc.record({
    seed: fc.nat({ max: 1_000_000 }),
    waits: fc.array(fc.nat({ max: 30 }), { minLength: 3, maxLength: 3 })
  })
  await fc.assert(
    fc.asyncProperty(starts, async ({ seed, waits }) => {
      const rig = memoryRig(seed)
      const names = ['n1', 'n2', 'n3']
      const talkers = []
      for (const [at, host] of names.entries()) {
        talkers.push(await new Talker(rig, host).start(...names.filter(other => other !== host)))
        rig.time.run(waits[at]! / 10)
      }
      rig.time.run(5000)
      const events = talkers.flatMap(talker => talker.events)
      // Two ends for each of the three pairs.
      return events.length === 6 && events.every(event => event.endsWith('greeted')) && rig.fabric.ends.size === 6
    }),
    { numRuns }
  )
  t.pass()
})

t.test('requests under way when a duplicate takes over are still answered', async t => {
  const rig = memoryRig()
  rig.fabric.delayMs = (from, to) => (from === 'n1' && to === 'n2' ? 20 : 1)
  const two = await new Talker(rig, 'n2').start()
  const one = await new Talker(rig, 'n1').start('n2')
  two.peers.connect([memberOf(rig, 'n1')])
  await rig.until(() => two.linked('n1') && one.linked('n2'))
  const answers: (Error | null)[] = []
  for (const [from, to] of [
    [one, 'n2'],
    [two, 'n1']
  ] as const) {
    from.peers.forward(keyOf(to), Uint8Array.of(1), error => answers.push(error))
  }
  await rig.until(() => one.requests.length + two.requests.length === 2)
  rig.time.run(500)
  for (const talker of [one, two]) talker.requests[0]!.answer(Uint8Array.of(2))
  rig.time.run(2000)
  t.same(answers, [null, null])
  t.equal(rig.fabric.ends.size, 2)
})

t.test('a member that is back before its old link is found dead is linked again at once', async t => {
  const rig = memoryRig()
  const two = await new Talker(rig, 'n2').start()
  const one = await new Talker(rig, 'n1').start('n2')
  await rig.until(() => one.linked('n2') && two.linked('n1'))
  rig.fabric.powerOff('n2')
  const again = await new Talker(rig, 'n2', { boot: 2 }).start('n1')
  t.ok(rig.time.until(() => again.linked('n1') && one.greetings.length === 2, 100))
  t.same(one.events, ['n2 greeted', 'n2 closed', 'n2 greeted'], 'and the old one is no hint')
  t.ok(again.say('n1', hello(1)) && (await rig.until(() => one.envelopes.length === 1)))
  rig.time.run(10_000)
  t.equal(one.events.length, 3)
})

t.test('a link that the other side has lost in silence is given up when it dials again', async t => {
  const rig = memoryRig()
  const two = await new Talker(rig, 'n2').start()
  const one = await new Talker(rig, 'n1').start('n2')
  await rig.until(() => one.linked('n2') && two.linked('n1'))
  rig.time.run(20_000)
  const hand = new Hand(rig, 'n2', 'n1')
  await rig.until(() => hand.link !== null)
  t.same(one.events, ['n2 greeted', 'n2 closed', 'n2 greeted'])
  t.ok(one.say('n2', hello(1)) && (await rig.until(() => hand.frames.length === 1)), 'the newer link is in use')
})

t.test('the back-off doubles from 10 ms to 1 s, with jitter', async t => {
  const rig = memoryRig()
  const dials: number[] = []
  const net = rig.net('n1')
  const dial = net.dial.bind(net)
  net.dial = (address, handler) => {
    dials.push(rig.time.now)
    return dial(address, handler)
  }
  const one = await new Talker(rig, 'n1').start('n2')
  await rig.until(() => dials.length === 14)
  const waits = dials.slice(1).map((at, number) => at - dials[number]!)
  for (const [number, wait] of waits.entries()) {
    const longest = Math.min(1000, 10 * 2 ** number)
    t.ok(wait >= longest / 2 && wait <= longest, `${wait} ms after ${number + 1} failures`)
  }
  await new Talker(rig, 'n2').start('n1')
  await rig.until(() => one.linked('n2'))
  const count = dials.length
  rig.time.run(10_000)
  t.equal(dials.length, count, 'no dial while there is a link')
  rig.fabric.kill('n2')
  await rig.until(() => dials.length === count + 1)
  one.peers.connect([memberOf(rig, 'n1')])
  const then = dials.length
  rig.time.run(10_000)
  t.equal(dials.length, then, 'no dial to who is no longer a member')
})

t.test('a member that leaves the list loses its link without being taken for dead', async t => {
  const { rig, one, three } = await attacked()
  one.peers.connect([memberOf(rig, 'n1')])
  three.peers.connect([memberOf(rig, 'n3')])
  rig.time.run(5000)
  t.same(one.events, ['n3 greeted', 'n3 closed'])
  t.same(three.events, ['n1 greeted', 'n1 closed'])
})

t.test('what is said in the name of another is refused', async t => {
  const { rig, one, serves } = await attacked()
  for (const [from, to] of [
    ['n3', 'n1'],
    ['n2', 'n3']
  ] as const) {
    const hand = new Hand(rig, 'n2', 'n1', { boot: 2 })
    await rig.until(() => hand.link !== null)
    t.ok(one.linked('n2'))
    hand.say({ kind: 'envelope', envelope: { from: keyOf(from), to: keyOf(to), term: 9, message: hello(1) } })
    t.ok(await rig.until(() => hand.end === 'closed'))
    t.equal(hand.refusal, 'bad-frame')
    t.equal(one.envelopes.length, 0)
    t.equal(one.events.at(-1), 'n2 closed', 'a close by this side is no hint')
  }
  t.ok(await serves())
})

t.test('a refusal that is told ends a link without a hint', async t => {
  const { rig, one } = await attacked()
  const hand = new Hand(rig, 'n2', 'n1')
  await rig.until(() => hand.link !== null)
  hand.say({ kind: 'refusal', refusal: { code: 'overloaded', text: 'a reason' } })
  hand.link!.close()
  await rig.until(() => one.events.includes('n2 closed'))
  t.same(one.lines, [`${keyOf('n2')}: a reason`])
})

t.test('frames that have no place on a proven link end it', async t => {
  const { rig, one, serves } = await attacked()
  const places: PeerFrame[] = [
    { kind: 'proof', proof: new Uint8Array(32) },
    { kind: 'answer', number: 5, error: null, bytes: new Uint8Array(1) },
    { kind: 'tell', tell: { list: [], view: [] } },
    { kind: 'founded', membership }
  ]
  for (const frame of places) {
    const hand = new Hand(rig, 'n2', 'n1')
    await rig.until(() => hand.link !== null)
    hand.say(frame)
    t.ok(await rig.until(() => hand.end === 'closed'), frame.kind)
    t.equal(hand.refusal, 'bad-frame')
  }
  t.notOk(one.linked('n2'))
  t.ok(await serves())
})

t.test('more pieces of snapshots than allowed are declined, not kept', async t => {
  const { rig, one } = await attacked()
  const hand = new Hand(rig, 'n2', 'n1')
  await rig.until(() => hand.link !== null)
  const say = (number: number) => hand.say({ kind: 'chunk', chunk: { ...pieceOf(number), number } })
  for (let number = 1; number <= 9; number++) say(number)
  t.ok(await rig.until(() => hand.frames.length === 1))
  t.match(hand.frames[0], { kind: 'answer', number: 9, error: 'OVERLOADED' })
  t.equal(one.chunks.length, 8)
  one.chunks[4]!.answer(null, Uint8Array.of(1))
  t.ok(await rig.until(() => hand.frames.length === 2))
  t.match(hand.frames[1], { kind: 'answer', number: 5, error: null })
  say(10)
  t.ok(await rig.until(() => one.chunks.length === 9))
  t.ok(one.linked('n2'))
})

t.test('requests and pieces of snapshots share numbers, and each answer finds its own', async t => {
  const { rig, one } = await attacked()
  const hand = new Hand(rig, 'n2', 'n1')
  await rig.until(() => hand.link !== null)
  const told: Told[] = []
  const answers: number[] = []
  for (let at = 0; at < 3; at++) {
    one.peers.forward(keyOf('n2'), Uint8Array.of(at), (_error, bytes) => answers.push(bytes[0]!))
    sendPiece(one.peers, keyOf('n2'), at, told)
  }
  await rig.until(() => hand.frames.length === 6)
  const numbers = hand.frames.map(frame =>
    frame.kind === 'chunk' ? frame.chunk.number : frame.kind === 'request' && frame.number
  )
  t.equal(new Set(numbers).size, 6)
  for (const [at, number] of numbers.entries()) {
    hand.say({ kind: 'answer', number: Number(number), error: null, bytes: Uint8Array.of(at) })
  }
  t.ok(await rig.until(() => told.length === 3 && answers.length === 3))
  t.same(answers, [0, 2, 4])
  t.same(
    told.map(({ at, bytes }) => [at, bytes?.[0]]),
    [
      [0, 1],
      [1, 3],
      [2, 5]
    ]
  )
  hand.say({ kind: 'answer', number: Number(numbers[1]), error: null, bytes: new Uint8Array(0) })
  t.ok(await rig.until(() => hand.refusal === 'bad-frame'), 'a second answer is none')
})

t.test('a heartbeat waits behind no more than a few pieces of a snapshot, however many are offered', async t => {
  const rig = memoryRig()
  const one = await new Talker(rig, 'n1').start('n2')
  const two = await new Talker(rig, 'n2').start('n1')
  await rig.until(() => one.linked('n2') && two.linked('n1'))
  // A line of 1 MiB a second, which what is sent passes one after the other.
  const bytesPerMs = 1_048_576 / 1_000
  let free = 0
  rig.fabric.delayMs = (from, _to, bytes) => {
    if (from !== 'n1') return 1
    free = Math.max(free, rig.time.now) + bytes / bytesPerMs
    return free - rig.time.now
  }
  const told: Told[] = []
  const waits: number[] = []
  const sentAt: number[] = []
  let taken = 0
  for (let beat = 0; beat < 200; beat++) {
    // A sender who knows no measure, once against an empty line and then again and again.
    for (let at = 0; at < 6; at++) sendPiece(one.peers, keyOf('n2'), beat * 6 + at, told)
    sentAt.push(rig.time.now)
    t.ok(one.say('n2', hello(beat)))
    const end = rig.time.now + 50
    while (rig.time.until(() => two.chunks.length > taken || two.envelopes.length > waits.length, end - rig.time.now)) {
      while (waits.length < two.envelopes.length) waits.push(rig.time.now - sentAt[waits.length]!)
      for (; taken < two.chunks.length; taken++) two.chunks[taken]!.answer(null, Uint8Array.of(1))
    }
  }
  const most = (262_144 + 65_536 + 4_096) / bytesPerMs
  t.ok(waits.length > 190, `${waits.length} heartbeats`)
  t.ok(Math.max(...waits) <= most, `none waited longer than ${Math.max(...waits)} ms`)
  const refused = told.filter(({ error }) => error !== null)
  t.ok(
    refused.length > 500 && refused.every(({ error }) => error instanceof StrettoError && error.code === 'OVERLOADED')
  )
  t.ok(two.chunks.length >= 140, `the line was full all the time: ${two.chunks.length} pieces in 10 s`)
})

t.test('no piece of a snapshot is added to much that waits already', async t => {
  const rig = memoryRig()
  const one = await new Talker(rig, 'n1').start('n2')
  const two = await new Talker(rig, 'n2').start('n1')
  await rig.until(() => one.linked('n2') && two.linked('n1'))
  rig.freeze('n2')
  const told: Told[] = []
  one.peers.forward(keyOf('n2'), new Uint8Array(262_000), () => {})
  sendPiece(one.peers, keyOf('n2'), 0, told)
  sendPiece(one.peers, keyOf('n2'), 1, told)
  t.equal(told.length, 0, 'not inside the call')
  rig.time.run(1)
  t.match(told, [{ at: 1, error: { code: 'OVERLOADED', fate: 'not-applied' } }])
  rig.thaw('n2')
  t.ok(await rig.until(() => two.chunks.length === 1))
})

t.test('more requests than allowed are declined, not queued', async t => {
  const { rig, one } = await attacked({ requestsMax: 2 })
  const hand = new Hand(rig, 'n2', 'n1')
  await rig.until(() => hand.link !== null)
  for (let number = 1; number <= 3; number++) hand.say({ kind: 'request', number, bytes: Uint8Array.of(number) })
  t.ok(await rig.until(() => hand.frames.length === 1))
  t.match(hand.frames[0], { kind: 'answer', number: 3, error: 'OVERLOADED' })
  one.requests[0]!.answer(Uint8Array.of(1))
  hand.say({ kind: 'request', number: 4, bytes: Uint8Array.of(4) })
  t.ok(await rig.until(() => one.requests.length === 3))
})

t.test('noise before the proof changes nothing, whatever it is', async t => {
  const { rig, one, serves } = await attacked()
  const frames = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc
        .tuple(fc.integer({ min: 1, max: 9 }), fc.uint8Array({ maxLength: 100 }))
        .map(([kind, rest]) => Uint8Array.of(kind, ...rest)),
      fc.constant(new Uint8Array(1025)),
      fc.constant(writePeerFrame({ kind: 'founded', membership })),
      fc.constant(
        writePeerFrame({
          kind: 'envelope',
          envelope: { from: keyOf('n3'), to: keyOf('n1'), term: 1e9, message: { kind: 'timeout-now' } }
        })
      )
    ),
    { minLength: 1, maxLength: 4 }
  )
  await fc.assert(
    fc.asyncProperty(frames, async messages => {
      const ear = new Ear()
      rig.net('n2').dial(`${rig.dialAt('n1')}/peer`, ear)
      await rig.until(() => ear.opened === 1)
      for (const message of messages) ear.link!.send(message)
      return await rig.until(() => ear.ends.length === 1)
    }),
    { numRuns }
  )
  t.same(one.envelopes, [])
  t.same(one.events, ['n3 greeted'])
  t.ok(await serves())
})

t.test('a handshake that was overheard cannot be used again', async t => {
  const { rig, one, serves } = await attacked()
  const overheard: Uint8Array[] = []
  const net = rig.net('n2')
  const dial = net.dial.bind(net)
  net.dial = (address, handler) => {
    const link = dial(address, handler)
    const send = link.send.bind(link)
    link.send = bytes => {
      overheard.push(new Uint8Array(bytes))
      send(bytes)
    }
    return link
  }
  const hand = new Hand(rig, 'n2', 'n1')
  await rig.until(() => hand.link !== null)
  hand.say({ kind: 'envelope', envelope: { from: keyOf('n2'), to: keyOf('n1'), term: 1, message: hello(1) } })
  await rig.until(() => one.envelopes.length === 1)
  net.dial = dial
  const ear = new Ear()
  net.dial(`${rig.dialAt('n1')}/peer`, ear)
  await rig.until(() => ear.opened === 1)
  t.equal(overheard.length, 3)
  for (const bytes of overheard) ear.link!.send(bytes)
  await rig.until(() => ear.ends.length === 1)
  t.match(readPeerFrame(ear.heard.at(-1)!), { kind: 'refusal', refusal: { code: 'wrong-secret' } })
  t.equal(one.envelopes.length, 1)
  t.ok(await serves())
})

t.test('a stranger cannot have its own proof handed back to it', async t => {
  const { rig } = await attacked()
  const ear = new Ear()
  rig.net('n2').dial(`${rig.dialAt('n1')}/peer`, ear)
  await rig.until(() => ear.opened === 1)
  const greeting: Hello = {
    protocol: [1, 1],
    clusterId,
    from: keyOf('n2'),
    to: null,
    boot: 1,
    machine: [1, 1],
    nonce: new Uint8Array(16)
  }
  ear.link!.send(writePeerFrame({ kind: 'hello', hello: greeting }))
  await rig.until(() => ear.heard.length === 1)
  t.equal(readPeerFrame(ear.heard[0]!).kind, 'hello', 'the listener proves nothing before the dialler has')
  ear.link!.send(writePeerFrame({ kind: 'proof', proof: new Uint8Array(32) }))
  await rig.until(() => ear.ends.length === 1)
  t.match(readPeerFrame(ear.heard[1]!), { kind: 'refusal' })
})

t.test('a link that proves nothing is closed after five seconds, and only so many may wait', async t => {
  const { rig, serves } = await attacked()
  const ears = Array.from({ length: 80 }, () => new Ear())
  for (const ear of ears) rig.net('n2').dial(`${rig.dialAt('n1')}/peer`, ear)
  rig.time.run(100)
  t.equal(ears.filter(ear => ear.ends.length === 1).length, 16)
  t.ok(await serves())
  rig.time.run(4000)
  t.equal(ears.filter(ear => ear.ends.length === 1).length, 16)
  rig.time.run(1500)
  t.equal(ears.filter(ear => ear.ends.length === 1).length, 80)
  const hand = new Hand(rig, 'n2', 'n1')
  t.ok(await rig.until(() => hand.link !== null), 'and then there is room again')
})

t.test('an address that has come to another member, and a node that meets itself, are refused', async t => {
  const rig = memoryRig()
  const two = await new Talker(rig, 'n2').start()
  const one = await new Talker(rig, 'n1').start()
  one.peers.connect([{ ...memberOf(rig, 'n3'), address: rig.dialAt('n2') }])
  t.ok(await rig.until(() => one.lines.length > 0 && two.lines.length > 0))
  t.match(one.lines[0], /is that of n2\.0000000000000002, not of n3/)
  one.peers.connect([{ ...memberOf(rig, 'n2'), address: rig.dialAt('n2') }])
  t.ok(await rig.until(() => one.linked('n2')), 'the right name gets through')
  const copy = new Hand(rig, 'n1', 'n1')
  t.ok(await rig.until(() => copy.end !== ''))
  t.equal(copy.end, 'copied-directory')
})

t.test('each line is said once a minute, however often the reason comes back', async t => {
  const rig = memoryRig()
  const one = await new Talker(rig, 'n1').start('n2')
  const two = await new Talker(rig, 'n2', { clusterId: 'f'.repeat(32) }).start('n1')
  rig.time.run(50_000)
  t.equal(one.lines.length, 2, 'once for the dial out, once for the dial in')
  t.equal(two.lines.length, 2)
  rig.time.run(60_000)
  t.equal(one.lines.length, 4)
})

t.test('a founded node answers the members of its founding and refuses other empty nodes', async t => {
  const founder = memberOf(memoryRig(), 'n2')
  const founding = { voters: [founder.key], outgoing: null, learners: [], members: [founder] }
  const { rig } = await attacked({ founding })
  const empty = { clusterId: '' }
  const own = new Hand(rig, 'n2', 'n1', empty)
  await rig.until(() => own.end === 'closed')
  t.match(own.frames, [{ kind: 'founded' }])
  const wiped = new Hand(rig, 'n2', 'n1', { ...empty, self: 'n2.00000000000000ff' })
  await rig.until(() => wiped.end === 'closed')
  t.match(wiped.frames, [{ kind: 'refusal', refusal: { code: 'founded', text: /members replace n2/ } }])
  const other = new Hand(rig, 'n4', 'n1', empty)
  await rig.until(() => other.end === 'closed')
  t.match(other.frames, [{ kind: 'refusal', refusal: { code: 'founded', text: /members add n4/ } }])
})

t.test('garbage and oversized frames on a real port end their link, and the members go on', async t => {
  const rig = await socketRig()
  const one = await new Talker(rig, 'n1').start('n2')
  const two = await new Talker(rig, 'n2').start('n1')
  await rig.until(() => one.linked('n2') && two.linked('n1'))
  for (const bytes of [Buffer.alloc(10), Buffer.alloc(2000, 1), Buffer.alloc(peerMessageBytesMax + 1, 4)]) {
    const socket = new WebSocket(`ws://${rig.dialAt('n1')}/peer`, peerSubprotocol, { maxPayload: 100_000 })
    let ended = false
    socket.on('error', () => {})
    socket.on('close', () => {
      ended = true
    })
    socket.on('open', () => socket.send(bytes))
    t.ok(await eventually(() => ended), `${bytes.length} bytes`)
  }
  t.ok(two.say('n1', hello(1)) && (await rig.until(() => one.envelopes.length === 1)))
  t.same(one.events, ['n2 greeted'])
  await one.stop()
  await two.stop()
  await rig.end()
})
