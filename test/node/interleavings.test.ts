// The shell of a node: writes of the log, cold reads, applies, flushes, queries and messages end in any order that may be.
import fc from 'fast-check'
import type { Envelope } from '../../lib/raft/message.ts'
import { type Block, type Index, type LogId, lastOf, type MemberKey } from '../../lib/raft/types.ts'
import { Arrivals } from '../help/arrivals.ts'
import { ArrivingNode, baseOf } from '../help/arriving-node.ts'
import { failureOf, inAnyOrder, stackOf } from '../help/before-tap.ts'
import { keyOf } from '../help/core-cluster.ts'
import { type Draft, Drafts } from '../help/kv-drafts.ts'
import { NodeCalls, patientMs } from '../help/node-calls.ts'
import { PeerLinks } from '../help/peer-links.ts'

const runs = Number(process.env['FC_RUNS'] ?? 100)

interface Step {
  readonly act: Act
  /** How much happens before the next step. */
  readonly pause: number
}

type Act =
  | { readonly kind: 'write'; readonly session: number; readonly count: number; readonly inOrder: boolean }
  /** The same record once more. */
  | { readonly kind: 'again'; readonly which: number }
  | { readonly kind: 'nothing' | 'heal' | 'coup' | 'stop when changed' }
  | { readonly kind: 'elsewhere'; readonly peer: number; readonly session: number }
  | Read
  | { readonly kind: 'cut' | 'reset'; readonly link: number }
  | { readonly kind: 'transfer'; readonly to: number }
  | { readonly kind: 'crash' | 'stop'; readonly kept: number; readonly steps: number }
  | { readonly kind: 'wait'; readonly ms: number }

interface Read {
  readonly kind: 'read'
  readonly point: 'linearizable' | 'local'
  readonly patienceMs: number
  readonly beyond: number
  readonly scans: boolean
}

const one = <K extends string>(...kinds: readonly K[]): fc.Arbitrary<K> => fc.constantFrom(...kinds)
const session = fc.nat({ max: 2 })
const few = fc.nat({ max: 2 })

const actArbitrary: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: one('write'),
      session,
      count: fc.integer({ min: 1, max: 4 }),
      inOrder: fc.boolean()
    })
  },
  { weight: 2, arbitrary: fc.record({ kind: one('again'), which: fc.nat({ max: 20 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: one('nothing', 'stop when changed') }) },
  { weight: 5, arbitrary: fc.record({ kind: one('heal', 'heal', 'coup') }) },
  { weight: 3, arbitrary: fc.record({ kind: one('elsewhere'), peer: few, session: fc.integer({ min: 3, max: 4 }) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: one('read'),
      point: one('linearizable', 'linearizable', 'local'),
      patienceMs: fc.constantFrom(1_000, patientMs),
      beyond: few,
      scans: fc.boolean()
    })
  },
  { weight: 3, arbitrary: fc.record({ kind: one('cut', 'reset'), link: few }) },
  { weight: 2, arbitrary: fc.record({ kind: one('transfer'), to: few }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: one('crash', 'stop'), kept: fc.nat({ max: 9 }), steps: fc.nat({ max: 3 }) })
  },
  { weight: 3, arbitrary: fc.record({ kind: one('wait'), ms: fc.constantFrom(5, 100, 1500) }) }
)
const stepsArbitrary = fc.array(
  fc.record({ act: actArbitrary, pause: fc.oneof(fc.constant(0), fc.nat({ max: 10 }), fc.nat({ max: 80 })) }),
  { minLength: 3, maxLength: 40, size: 'medium' }
)

interface World {
  /** How far time goes in one step. */
  readonly stepMs: number
  /** Messages between the same two do not overtake each other. */
  readonly ordered: boolean
  readonly flushLogBytes: number
  readonly cacheBytesMax: number
  readonly hotBytesMax: number
}

const worldArbitrary: fc.Arbitrary<World> = fc.record({
  stepMs: fc.constantFrom(1, 5, 20),
  ordered: fc.boolean(),
  flushLogBytes: fc.constantFrom(1, 200, 600),
  cacheBytesMax: fc.constantFrom(0, 400, 10_000),
  hotBytesMax: fc.constantFrom(1, 300)
})

/** A node alone, or with two peers. */
class Run {
  readonly arrivals: Arrivals
  readonly node: ArrivingNode
  readonly links: PeerLinks
  readonly calls: NodeCalls
  readonly problems: string[] = []
  readonly #drafts = new Drafts()
  readonly #leaders = new Map<number, MemberKey>()
  #down = 0
  #stopWhenChanged = false
  /** Stopped out of one of its turns, which it brings to its end. */
  #hasStopped = false
  #stopped = false

  constructor(
    order: fc.Scheduler,
    count: number,
    { stepMs, ordered, flushLogBytes, cacheBytesMax, hotBytesMax }: World
  ) {
    this.arrivals = new Arrivals(order, stepMs)
    this.links = new PeerLinks(keyOf(1), baseOf(count), this.arrivals, { ordered })
    this.links.onSend = envelope => this.#sent(envelope)
    this.node = new ArrivingNode(this.arrivals, {
      count,
      limits: {
        sweepMs: 100,
        flushLogBytes,
        appendBytesMax: 400,
        turnBytesMax: 300,
        inFlightBytesMax: 800,
        heldBytesMax: 3_000
      },
      kv: { tableBytesMax: 1_500, cleanCacheBytesMax: cacheBytesMax },
      hotBytesMax,
      readsWaitingMax: 2,
      transport: boot => this.links.transport(boot),
      changed: () => {
        if (!this.#stopWhenChanged) return
        this.#hasStopped = true
        this.node.node!.stop()
      }
    })
    this.calls = new NodeCalls(this.node, {
      committed: () => Math.max(this.#commit, ...this.links.peers.map(({ core }) => core.status.commit)),
      holders: id => this.#holders(id)
    })
    this.node.start()
  }

  async do({ act, pause }: Step): Promise<void> {
    const { links, calls, arrivals } = this
    switch (act.kind) {
      case 'write':
        calls.write(this.#drafts.next(act.session, act.count, act.inOrder))
        break
      case 'again': {
        const draft = this.#drafts.again(act.which)
        if (draft !== null) calls.write(draft)
        break
      }
      case 'nothing':
        calls.writeNothing()
        break
      case 'elsewhere':
        this.#writeElsewhere(act.peer, this.#drafts.next(act.session, 1, false))
        break
      case 'read':
        this.#read(act)
        break
      case 'stop when changed':
        this.#stopWhenChanged = true
        break
      case 'heal':
        links.heal()
        break
      case 'coup':
        await this.#coup()
        break
      case 'cut':
      case 'reset':
        links[act.kind](act.link)
        break
      case 'transfer':
        this.#transfer(act.to)
        break
      case 'crash':
      case 'stop':
        await this.#end(act.kind, act.kept)
        this.#down = act.steps
        break
      case 'wait':
        await arrivals.until(() => false, act.ms)
    }
    if (this.#down-- === 0) this.#start()
    await arrivals.run(pause)
    this.#look()
    if (this.#hasStopped) await this.#end('stop', 0)
  }

  /** All faults end; the node comes level, and whoever waits is answered. */
  async finish(): Promise<void> {
    const { arrivals, links, node, calls } = this
    this.#stopWhenChanged = false
    links.heal()
    this.#start()
    const isLevel = (): boolean => {
      if (links.peers.some(peer => !peer.isAnswered)) return false
      const leads = [node.node?.raft.status, ...links.peers.map(({ core }) => core.status)]
      const commit = Math.max(...leads.map(status => status?.commit ?? 0))
      return node.node?.applied === commit && leads.some(status => status?.role === 'leader')
    }
    if (!(await arrivals.until(() => isLevel() && calls.waiting().length === 0, 30_000))) {
      throw new Error(`it does not come level, or leaves waiting: ${calls.waiting().join()}`)
    }
    calls.read({ point: 'linearizable', leastIndex: 0, patienceMs: 0 }, false)
    if (!(await arrivals.until(() => calls.waiting().length === 0, 10_000))) throw new Error('it cannot be read')
    // What is written and not yet durable may replace what the disk still holds.
    const isWritten = (): boolean => node.life!.log.tail.chain === (node.image.blocks.at(-1) ?? node.image.base).chain
    if (!(await arrivals.until(isWritten, 10_000))) throw new Error('its log is never written')
    this.#look()
    this.#agree()
    node.stop()
    links.gone()
    links.end()
    await arrivals.until(() => false, 600_000)
    if (!arrivals.idle) throw new Error('something goes on after the end')
  }

  verdict(): void {
    this.calls.judge()
    const thrown = [...this.arrivals.faults, ...this.node.failures].map(stackOf)
    const all = [...this.problems, ...this.node.findings, ...this.calls.problems, ...thrown]
    if (all.length > 0) throw new Error(all.join('\n'))
  }

  get #commit(): Index {
    return this.node.node?.raft.status.commit ?? 0
  }

  #start(): void {
    if (this.node.life === null) this.node.start()
  }

  /** Stopped in order it has answered everybody, and is silent; then, or at once, its process dies. */
  async #end(how: 'crash' | 'stop', kept: number): Promise<void> {
    const { node, calls, links } = this
    if (how === 'stop' && node.node !== null) {
      this.#stopped = true
      node.node.stop()
      const left = calls.waiting()
      if (left.some(what => !/query|scan/.test(what))) this.problems.push(`stopped, and left waiting: ${left.join()}`)
      await this.arrivals.run(kept)
    }
    node.crash(below => kept % below)
    links.gone()
    this.#stopped = false
    this.#hasStopped = false
    this.#stopWhenChanged = false
  }

  #writeElsewhere(at: number, draft: Draft): void {
    const { links, calls } = this
    const peer = links.peers[at % Math.max(1, links.peers.length)]
    if (peer === undefined) return
    if (peer.core.status.leader !== keyOf(1)) peer.write(draft.bytes, told => calls.elsewhere(draft, told))
    else {
      // Until it is answered, and where it never is, nothing is known of it.
      calls.elsewhere(draft, 'unknown')
      links.ask(peer, draft.bytes, () => {})
    }
  }

  /** Who waits for what may never be written must have a deadline. */
  #read({ point, beyond, patienceMs, scans }: Read): void {
    const terms = { point, leastIndex: this.#commit + beyond, patienceMs: beyond > 0 ? 1_000 : patienceMs }
    this.calls.read(terms, scans)
  }

  /** The leader is cut off, and is asked all the same; the others choose another one. */
  async #coup(): Promise<void> {
    const { arrivals, links } = this
    const own = this.node.node?.raft.status
    if (own?.role !== 'leader' || links.peers.length === 0) return
    links.cut(0)
    links.cut(1)
    this.#read({ kind: 'read', point: 'linearizable', beyond: 0, patienceMs: patientMs, scans: false })
    this.calls.write(this.#drafts.next(0, 1, false))
    const { term } = own
    await arrivals.until(
      () => links.peers.some(({ core: { status } }) => status.role === 'leader' && status.term > term),
      3_000
    )
  }

  #transfer(to: number): void {
    const target = keyOf(to + 1)
    for (const peer of this.links.peers) {
      if (peer.core.status.role === 'leader' && peer.key !== target) peer.input({ kind: 'transfer', to: target })
    }
    if (to > 0 && to <= this.links.peers.length) this.node.node?.transfer(target)
  }

  #holders({ index, term }: LogId): readonly [number, number] {
    const holds = (blocks: readonly Block[]): boolean =>
      blocks.some(block => block.first <= index && index <= lastOf(block) && block.term === term)
    const disks = [this.node.image.blocks, ...this.links.peers.map(({ disk }) => disk.blocks)]
    return [disks.filter(holds).length, disks.length]
  }

  /** Nothing leaves that a power cut could take back, and nothing at all after the end. */
  #sent({ term, message, to }: Envelope): void {
    const { image, durable } = this.node
    const { hard } = image
    const isPre = (message.kind === 'vote' || message.kind === 'vote-reply') && message.pre
    if (!isPre && hard.term < term) this.problems.push(`a ${message.kind} of term ${term}, which is not on the disk`)
    if (message.kind === 'append-reply' && message.match > durable) {
      this.problems.push(`${message.match} is acknowledged, and ${durable} on the disk`)
    }
    if (message.kind === 'vote-reply' && message.granted && !isPre && hard.vote !== to) {
      this.problems.push('a vote is given that is not on the disk')
    }
    if (this.#stopped) this.problems.push(`a ${message.kind} is sent after the end`)
  }

  /** One leader in a term. */
  #look(): void {
    const all = [this.node.node?.raft.status, ...this.links.peers.map(({ core }) => core.status)]
    for (const status of all) {
      if (status?.role !== 'leader') continue
      const known = this.#leaders.get(status.term) ?? status.self
      if (known !== status.self) this.problems.push(`${known} and ${status.self} lead term ${status.term}`)
      this.#leaders.set(status.term, known)
    }
  }

  /** What two nodes take for committed is the same. */
  #agree(): void {
    const own = new Map(this.node.image.blocks.map(block => [lastOf(block), block.chain]))
    for (const { core, blocks, key } of this.links.peers) {
      const commit = Math.min(core.status.commit, this.#commit)
      for (const block of blocks) {
        if (lastOf(block) <= commit && own.get(lastOf(block)) !== block.chain) {
          this.problems.push(`${key} has committed another block at ${block.first}`)
        }
      }
    }
  }
}

const totals = { ends: new Map<string, number>(), flushes: 0 }

async function play(run: Run, steps: readonly Step[]): Promise<void> {
  for (const step of steps) await run.do(step)
  await run.finish()
  run.verdict()
  for (const [how, count] of run.calls.ends) totals.ends.set(how, (totals.ends.get(how) ?? 0) + count)
  totals.flushes += run.node.flushes
}

const alone = inAnyOrder([worldArbitrary, stepsArbitrary], (order, world, steps) =>
  play(new Run(order, 1, world), steps)
)
const among = inAnyOrder([worldArbitrary, stepsArbitrary], (order, world, steps) =>
  play(new Run(order, 3, world), steps)
)
const failures = [await failureOf(runs, alone), await failureOf(runs, among)]

const { t } = await import('tap')
for (const [at, name] of ['a node alone', 'a node among three'].entries()) {
  t.test(name, async t => {
    const failure = failures[at]
    if (failure) throw failure
    t.equal(failure, null)
  })
}

t.test('callers of every kind were answered', async t => {
  const { ends, flushes } = totals
  t.comment([...ends].map(([how, count]) => `${count} ${how}`).join(', '))
  for (const how of ['answer', 'relayed', 'read', 'query', 'scan', 'STOPPED unknown', 'read STOPPED']) {
    t.ok(runs < 50 || ends.has(how), `some heard ${how}`)
  }
  t.ok(flushes > runs, `${flushes} flushes`)
})
