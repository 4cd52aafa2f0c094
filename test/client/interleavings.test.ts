// The production client before doors whose answers, ends, pings and timers come in any order: fates are true all the same.
import fc from 'fast-check'
import { Client } from '../../lib/client/kv-client.ts'
import { Arrivals } from '../help/arrivals.ts'
import { failureOf, inAnyOrder, stackOf } from '../help/before-tap.ts'
import { type CallSpec, callArbitrary } from '../help/call-specs.ts'
import { Calls, type Trouble } from '../help/client-calls.ts'
import { type DoorFault, Doors, doorIds } from '../help/doors.ts'

const runs = Number(process.env['FC_RUNS'] ?? 200)

/** What the script does, and how much happens before its next step. */
interface Step {
  readonly act: Act
  readonly pause: number
}

type Act =
  | { readonly kind: 'calls'; readonly client: number; readonly calls: readonly CallSpec[] }
  | { readonly kind: 'break'; readonly wire: number; readonly keptToNode: number; readonly keptToClient: number }
  | { readonly kind: 'hold' | 'release'; readonly wire: number; readonly toNode: boolean }
  | { readonly kind: 'abort'; readonly which: number }
  | { readonly kind: 'fault'; readonly door: number; readonly fault: DoorFault; readonly times: number }
  | { readonly kind: 'elect'; readonly leader: number }
  /** The node is down for so many steps. */
  | { readonly kind: 'crash' | 'stop'; readonly kept: number; readonly steps: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'close' }

const constant = <K extends string>(...kinds: readonly K[]): fc.Arbitrary<K> => fc.constantFrom(...kinds)
const wire = fc.nat({ max: 5 })
const client = fc.nat({ max: 1 })
const kept = fc.nat({ max: 3 })

const actArbitrary: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: constant('calls'),
      client,
      calls: fc.array(callArbitrary, { minLength: 1, maxLength: 4 })
    })
  },
  { weight: 4, arbitrary: fc.record({ kind: constant('break'), wire, keptToNode: kept, keptToClient: kept }) },
  { weight: 2, arbitrary: fc.record({ kind: constant('hold', 'release'), wire, toNode: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: constant('abort'), which: fc.nat({ max: 5 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: constant('fault'),
      door: fc.nat({ max: 2 }),
      fault: constant<DoorFault>('refuse', 'final', 'lose', 'swallow', 'garbage', 'twice'),
      times: fc.integer({ min: 1, max: 3 })
    })
  },
  { weight: 2, arbitrary: fc.record({ kind: constant('elect'), leader: fc.nat({ max: 3 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: constant('crash', 'stop'), kept: fc.nat({ max: 9 }), steps: fc.nat({ max: 3 }) })
  },
  { weight: 2, arbitrary: fc.record({ kind: constant('wait'), ms: fc.constantFrom(5, 100, 700, 4000) }) },
  { weight: 1, arbitrary: fc.record({ kind: constant('close') }) }
)
const stepsArbitrary = fc.array(
  fc.record({ act: actArbitrary, pause: fc.oneof(fc.constant(0), fc.nat({ max: 6 }), fc.nat({ max: 40 })) }),
  { minLength: 3, maxLength: 40, size: 'medium' }
)

class Run {
  readonly arrivals: Arrivals
  readonly doors: Doors
  readonly clients: readonly Client<string>[]
  readonly calls: Calls
  /** Clients that have been told to close and have not done so. */
  #closing = 0
  #down = 0

  constructor(order: fc.Scheduler, stepMs: number, trouble: Trouble) {
    this.arrivals = new Arrivals(order, stepMs)
    this.doors = new Doors(this.arrivals, {
      limits: { sweepMs: 500, flushLogBytes: 400, patienceMsMax: 5000 },
      kv: { tableBytesMax: 2000, cleanCacheBytesMax: 0 },
      hotBytesMax: 300,
      pageBytesMax: 60,
      sessionsMax: trouble.forgets ? 1 : 9
    })
    this.clients = ['a', 'b'].map(name => {
      return new Client<string>({ env: this.arrivals.env(name), net: this.doors.net }, this.doors.endpoints)
    })
    this.calls = new Calls(this.doors.node.history, this.clients, trouble)
  }

  async do({ act, pause }: Step): Promise<void> {
    const { doors, arrivals } = this
    const { open } = doors.net
    switch (act.kind) {
      case 'calls':
        for (const call of act.calls) this.calls.make(act.client, call)
        break
      case 'break':
        open[act.wire]?.break(act.keptToNode, act.keptToClient)
        break
      case 'hold':
      case 'release':
        for (const each of open.slice(act.wire, act.wire + 1))
          arrivals[act.kind]((act.toNode ? each.far : each.near).lane)
        break
      case 'abort':
        this.calls.abort(act.which)
        break
      case 'fault':
        doors.disturb(doorIds[act.door]!, act.fault, act.times)
        break
      case 'elect':
        doors.elect(doorIds[act.leader] ?? null)
        break
      case 'crash':
      case 'stop':
        if (act.kind === 'crash') doors.crash(below => act.kept % below)
        else doors.stop()
        this.#down = act.steps
        break
      case 'wait':
        await arrivals.until(() => false, act.ms)
        break
      case 'close':
        this.#close(this.clients[1]!)
    }
    if (this.#down-- === 0) doors.start()
    await arrivals.run(pause)
  }

  /** All faults end, and everything is settled. */
  async finish(): Promise<void> {
    const { arrivals, doors, calls, clients } = this
    doors.faults.clear()
    doors.start()
    for (const { near, far } of doors.net.open) for (const end of [near, far]) arrivals.release(end.lane)
    if (!(await arrivals.until(() => calls.waiting.size === 0, 60_000))) {
      throw new Error(`it hangs: ${[...calls.waiting].map(({ what }) => what).join()}`)
    }
    for (const each of clients) this.#close(each)
    if (!(await arrivals.until(() => this.#closing === 0, 30_000))) throw new Error('a client does not close')
    const late = await Promise.allSettled([clients[0]!.get('k0'), clients[1]!.put('k0', 'late')])
    if (late.some(({ status }) => status === 'fulfilled')) throw new Error('a closed client takes calls')
    doors.stop()
    if (await arrivals.until(() => false, 600_000)) return
    if (!arrivals.idle) throw new Error('something goes on after the end')
  }

  #close(each: Client<string>): void {
    this.#closing++
    void this.calls.close(each).then(() => this.#closing--)
  }

  verdict(): void {
    this.calls.judge()
    const { failures } = this.doors.node
    const all = [...this.calls.problems, ...this.arrivals.faults.map(stackOf), ...failures.map(stackOf)]
    if (all.length > 0) throw new Error(all.join('\n'))
  }
}

const ends = new Map<string, number>()
const property = inAnyOrder(
  [fc.constantFrom(1, 10, 100), fc.constantFrom(false, false, true), stepsArbitrary],
  async (order, stepMs, forgets, steps) => {
    const has = (fault: DoorFault): boolean => steps.some(({ act }) => act.kind === 'fault' && act.fault === fault)
    const run = new Run(order, stepMs, { forgets, swallows: has('swallow'), refuses: has('final') })
    for (const step of steps) await run.do(step)
    await run.finish()
    run.verdict()
    for (const [how, count] of run.calls.ends) ends.set(how, (ends.get(how) ?? 0) + count)
  }
)
const failure = await failureOf(runs, property)

const { t } = await import('tap')
t.test('any order of answers, breaks, refusals and timers', async t => {
  if (failure !== null) throw failure
  t.comment([...ends].map(([how, count]) => `${count} ${how}`).join(', '))
  t.ok((ends.get('ok') ?? 0) > runs, 'calls came to something')
  for (const how of [
    'TIMED_OUT unknown',
    'SESSION_EXPIRED unknown',
    'CONDITION_FAILED not-applied',
    'STOPPED not-applied',
    'given up'
  ]) {
    t.ok(runs < 100 || ends.has(how), `some came to ${how}`)
  }
})
