// What the transport between members must do over any Net.
import type { Test } from 'tap'
import type { Env } from '../../lib/base/env.ts'
import { StrettoError } from '../../lib/base/errors.ts'
import type { Envelope, Message } from '../../lib/raft/message.ts'
import { type Member, type MemberKey, memberKey } from '../../lib/raft/types.ts'
import type { Net } from '../../lib/transport/net.ts'
import { Peers, type PeersOptions } from '../../lib/transport/peers.ts'
import type { ChunkAnswer, Greeting, TransportHandler } from '../../lib/transport/transport.ts'
import type { Chunk } from '../../lib/wire/peer.ts'
import { blocksOf } from '../help/peer-frames.ts'

/** Hosts named n1, n2, ... and what lies between them. */
export interface TransportRig {
  net(host: string): Net
  env(host: string): Env
  /** Where a host listens, and where the others dial it. */
  listenAt(host: string): string
  dialAt(host: string): string
  /** A host listens at this port now. */
  listens(host: string, port: number): void
  /** Nothing reaches or leaves this host any more, and nobody is told. */
  freeze(host: string): void
  thaw(host: string): void
  until(condition: () => boolean): Promise<boolean>
  end(): Promise<void>
}

export const clusterId = '00112233445566778899aabbccddeeff'
export const secret = new TextEncoder().encode('a secret of the cluster')

export function keyOf(host: string): MemberKey {
  return memberKey(host, host.slice(1).padStart(16, '0'))
}

export function memberOf(rig: Pick<TransportRig, 'dialAt'>, host: string): Member {
  const key = keyOf(host)
  return { key, id: host, incarnation: key.slice(-16), address: rig.dialAt(host) }
}

/** A member and all that its transport has told it. */
export class Talker implements TransportHandler {
  readonly host: string
  readonly peers: Peers
  readonly envelopes: Envelope[] = []
  readonly events: string[] = []
  readonly greetings: Greeting[] = []
  readonly lines: string[] = []
  readonly requests: { from: MemberKey; request: Uint8Array; answer: (answer: Uint8Array) => void }[] = []
  readonly chunks: { from: MemberKey; chunk: Chunk; answer: ChunkAnswer }[] = []
  stopped = false
  readonly #rig: TransportRig

  constructor(rig: TransportRig, host: string, options: Partial<PeersOptions> = {}) {
    this.#rig = rig
    this.host = host
    this.peers = new Peers({
      env: rig.env(host),
      net: rig.net(host),
      listen: rig.listenAt(host),
      self: keyOf(host),
      clusterId,
      boot: 1,
      machine: [1, 1],
      secret,
      founding: null,
      log: line => this.lines.push(line),
      ...options
    })
    this.peers.receive(this)
  }

  async start(...others: readonly string[]): Promise<this> {
    let port = 0
    this.peers.listen((error, listener) => {
      port = error === null ? listener.port : -1
    })
    await this.#rig.until(() => port !== 0)
    this.#rig.listens(this.host, port)
    this.peers.connect([this.host, ...others].map(host => memberOf(this.#rig, host)))
    return this
  }

  async stop(): Promise<void> {
    if (this.stopped) return
    this.peers.close(() => {
      this.stopped = true
    })
    await this.#rig.until(() => this.stopped)
  }

  say(to: string, message: Message): boolean {
    return this.peers.send({ from: keyOf(this.host), to: keyOf(to), term: 1, message })
  }

  /** The other hosts it has a link to now. */
  linked(host: string): boolean {
    const last = this.events.findLast(event => event.startsWith(`${host} `))
    return last === `${host} greeted`
  }

  message(envelope: Envelope): void {
    this.envelopes.push(envelope)
  }

  forwarded(from: MemberKey, request: Uint8Array, answer: (answer: Uint8Array) => void): void {
    this.requests.push({ from, request, answer })
  }

  chunk(from: MemberKey, chunk: Chunk, answer: ChunkAnswer): void {
    this.chunks.push({ from, chunk, answer })
  }

  greeted(peer: MemberKey, greeting: Greeting): void {
    this.greetings.push(greeting)
    this.events.push(`${hostOf(peer)} greeted`)
  }

  closed(peer: MemberKey, hint: boolean): void {
    this.events.push(`${hostOf(peer)} closed${hint ? ' hint' : ''}`)
  }
}

function hostOf(key: MemberKey): string {
  return key.slice(0, key.indexOf('.'))
}

const number = (value: number): Message => ({ kind: 'read-index', number: value })

type Answer = { error: Error | null; bytes: Uint8Array | undefined }

function ask(talker: Talker, to: string, request: Uint8Array, answers: Answer[]): void {
  talker.peers.forward(keyOf(to), request, (error, bytes) => answers.push({ error, bytes }))
}

export function transportSuite(t: Test, name: string, make: () => Promise<TransportRig>): void {
  type Talk = (host: string, options?: Partial<PeersOptions>) => Talker
  const test = (title: string, body: (t: Test, rig: TransportRig, talk: Talk) => Promise<void>) => {
    void t.test(`${name}: ${title}`, async t => {
      const rig = await make()
      const talkers: Talker[] = []
      const talk: Talk = (host, options) => {
        const talker = new Talker(rig, host, options)
        talkers.push(talker)
        return talker
      }
      try {
        await body(t, rig, talk)
      } finally {
        for (const talker of talkers) await talker.stop()
        await rig.end()
      }
    })
  }

  test('members find each other, say who they are, and what they send arrives in order', async (t, rig, talk) => {
    const one = await talk('n1', { boot: 3, machine: [1, 2], priority: 7 }).start('n2', 'n3')
    const two = await talk('n2', { boot: 5 }).start('n1', 'n3')
    const three = await talk('n3').start('n1', 'n2')
    const all = [one, two, three]
    t.ok(await rig.until(() => all.every(talker => talker.greetings.length === 2)))
    const ofOne = two.greetings[two.events.indexOf('n1 greeted')]
    t.same(ofOne, { boot: 3, protocol: [1, 1], machine: [1, 2], priority: 7 })
    const blocks = blocksOf(1, 1, [1000, 30_000])
    const append: Message = { kind: 'append', prev: { term: 0, index: 0 }, blocks, commit: 0, round: 1, time: 5 }
    for (let round = 0; round < 50; round++) {
      for (const from of all) for (const to of all) if (from !== to) t.ok(from.say(to.host, number(round)))
    }
    t.ok(one.say('n2', append))
    t.ok(await rig.until(() => all.every(talker => talker.envelopes.length >= 100) && two.envelopes.length === 101))
    for (const talker of all) {
      for (const from of all) {
        const heard = talker.envelopes.filter(envelope => envelope.from === keyOf(from.host))
        const numbers = heard.flatMap(({ message }) => (message.kind === 'read-index' ? [message.number] : []))
        if (from !== talker)
          t.same(
            numbers,
            Array.from({ length: 50 }, (_, at) => at)
          )
      }
    }
    const got = two.envelopes.find(envelope => envelope.message.kind === 'append')
    t.ok(got?.message.kind === 'append' && got.message.blocks.every((block, at) => blocks[at]!.chain === block.chain))
    t.ok(all.every(talker => talker.events.every(event => event.endsWith('greeted'))))
  })

  test('nothing is sent to a member without a link', async (t, rig, talk) => {
    const one = await talk('n1').start('n2')
    t.equal(one.say('n2', number(1)), false)
    t.equal(one.say('n9', number(1)), false)
    const answers: Answer[] = []
    ask(one, 'n2', Uint8Array.of(1), answers)
    t.equal(answers.length, 0, 'not inside the call')
    t.ok(await rig.until(() => answers.length === 1))
    t.match(answers[0]!.error, { code: 'UNAVAILABLE', fate: 'not-applied' })
  })

  test('a full queue refuses, and takes again once it has drained', async (t, rig, talk) => {
    const one = await talk('n1', { queueBytesMax: 200_000 }).start('n2')
    const two = await talk('n2').start('n1')
    t.ok(await rig.until(() => one.linked('n2') && two.linked('n1')))
    const blocks = blocksOf(1, 1, [100_000])
    const append: Message = { kind: 'append', prev: { term: 0, index: 0 }, blocks, commit: 0, round: 1, time: 5 }
    rig.freeze('n2')
    let sent = 0
    while (one.say('n2', append)) if (++sent === 1000) break
    t.ok(sent > 1 && sent < 1000, `${sent} were taken`)
    const answers: Answer[] = []
    ask(one, 'n2', Uint8Array.of(1), answers)
    t.ok(await rig.until(() => answers.length === 1))
    t.match(answers[0]!.error, { code: 'OVERLOADED', fate: 'not-applied' })
    rig.thaw('n2')
    t.ok(await rig.until(() => two.envelopes.length === sent))
    t.ok(one.say('n2', append))
  })

  test('requests are forwarded and answered by number, in any order', async (t, rig, talk) => {
    const one = await talk('n1', { requestsMax: 3 }).start('n2')
    const two = await talk('n2').start('n1')
    t.ok(await rig.until(() => one.linked('n2') && two.linked('n1')))
    const answers: Answer[] = []
    for (let at = 0; at < 4; at++) ask(one, 'n2', Uint8Array.of(at), answers)
    t.ok(await rig.until(() => two.requests.length === 3 && answers.length === 1))
    t.match(answers[0]!.error, { code: 'OVERLOADED', fate: 'not-applied' }, 'one too many')
    for (const request of two.requests.toReversed()) request.answer(Uint8Array.of(request.request[0]! + 10))
    t.ok(await rig.until(() => answers.length === 4))
    t.same(
      answers.slice(1).map(({ error, bytes }) => [error, bytes?.[0]]),
      [12, 11, 10].map(value => [null, value])
    )
    t.equal(two.requests[0]!.from, keyOf('n1'))
    ask(one, 'n2', Uint8Array.of(7), answers)
    t.ok(await rig.until(() => two.requests.length === 4))
    await two.stop()
    t.ok(await rig.until(() => answers.length === 5))
    t.match(answers[4]!.error, { code: 'UNAVAILABLE', fate: 'unknown' })
    t.ok(answers[4]!.error instanceof StrettoError)
    two.requests[3]!.answer(Uint8Array.of(1))
  })

  test('the end of the other side is a hint, and its return is greeted with the new boot number', async (t, rig, talk) => {
    const one = await talk('n1').start('n2')
    const two = await talk('n2', { boot: 1 }).start('n1')
    t.ok(await rig.until(() => one.linked('n2') && two.linked('n1')))
    await two.stop()
    t.ok(await rig.until(() => one.events.length === 2))
    t.same(one.events, ['n2 greeted', 'n2 closed hint'])
    t.same(two.events, ['n1 greeted'], 'who stops hears no more')
    const again = await talk('n2', { boot: 2 }).start('n1')
    t.ok(await rig.until(() => one.linked('n2') && again.linked('n1')))
    t.equal(one.greetings[1]!.boot, 2)
    t.ok(again.say('n1', number(1)))
    t.ok(await rig.until(() => one.envelopes.length === 1))
  })

  test('silence ends a link without a hint, and it comes back when the path does', async (t, rig, talk) => {
    const one = await talk('n1').start('n2')
    const two = await talk('n2').start('n1')
    t.ok(await rig.until(() => one.linked('n2') && two.linked('n1')))
    rig.freeze('n2')
    t.ok(await rig.until(() => one.events.length === 2 && two.events.length === 2))
    t.same(one.events, ['n2 greeted', 'n2 closed'])
    rig.thaw('n2')
    t.ok(await rig.until(() => one.linked('n2') && two.linked('n1')))
  })

  const strangers: Record<string, [Partial<PeersOptions> & { protocol?: [number, number] }, RegExp]> = {
    'another secret': [{ secret: new Uint8Array(3) }, /peer secrets of the two nodes differ/],
    'another cluster': [{ clusterId: clusterId.replace('0', 'f') }, /different clusters/],
    'a later protocol': [{ protocol: [2, 3] }, /protocol versions/]
  }
  for (const [who, [options, line]] of Object.entries(strangers)) {
    test(`a node of ${who} is refused, and both sides say why`, async (t, rig, talk) => {
      const one = await talk('n1').start('n2', 'n3')
      const two = await talk('n2', options).start('n1')
      t.ok(await rig.until(() => [one, two].every(talker => talker.lines.some(said => line.test(said)))))
      const three = await talk('n3').start('n1')
      t.ok(await rig.until(() => one.linked('n3') && three.linked('n1')), 'others are served')
      t.notOk(one.linked('n2'))
      t.same(two.events, [])
      t.equal(one.say('n2', number(1)), false)
    })
  }

  test('a copy of a data directory is refused', async (t, rig, talk) => {
    const one = await talk('n1').start('n2')
    const two = await talk('n2', { boot: 7 }).start('n1')
    t.ok(await rig.until(() => one.linked('n2') && two.linked('n1')))
    await two.stop()
    t.ok(await rig.until(() => one.events.length === 2))
    const copy = await talk('n2', { boot: 6 }).start('n1')
    const told = (talker: Talker) => talker.lines.some(line => line.includes('in use twice'))
    t.ok(await rig.until(() => told(one) && told(copy)))
    t.same(one.events.length, 2)
  })
}
