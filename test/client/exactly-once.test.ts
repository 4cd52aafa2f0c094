// Whatever links, nodes and answers do: every call settles, nothing is applied twice, order is kept, fates are true.
import fc from 'fast-check'
import { t } from 'tap'
import { StrettoError } from '../../lib/base/errors.ts'
import type { Client } from '../../lib/client/kv-client.ts'
import { frameKind } from '../../lib/wire/client.ts'
import { ClientRig, microtasks } from '../help/client-rig.ts'
import type { ModelLink } from '../help/model-cluster.ts'

const runs = Number(process.env['FC_RUNS'] ?? 120)

type Step =
  | {
      readonly kind: 'write'
      readonly count: number
      readonly key: number
      readonly timeout: number
      readonly mode: number
    }
  | { readonly kind: 'read'; readonly key: number; readonly consistency: 'linearizable' | 'session' }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'reset' | 'mute' | 'unmute' | 'elect' | 'kill'; readonly node: number }
  | { readonly kind: 'forget' }
  | { readonly kind: 'fault'; readonly node: number; readonly fault: Fault; readonly times: number }

const faults = [
  'refuse',
  'not-leader',
  'unknown',
  'swallow',
  'twice',
  'late',
  'held',
  'garbage',
  'refuse-for-good'
] as const
type Fault = (typeof faults)[number]
/** Those that make sense for any kind of request. */
const refusals: ReadonlySet<Fault> = new Set<Fault>(['refuse', 'not-leader', 'garbage', 'refuse-for-good'])

const node = fc.nat({ max: 2 })
const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      count: fc.integer({ min: 1, max: 5 }),
      key: fc.nat({ max: 2 }),
      timeout: fc.constantFrom(120, 1000, 5000),
      mode: fc.nat({ max: 3 })
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      key: fc.nat({ max: 2 }),
      consistency: fc.constantFrom('linearizable' as const, 'session' as const)
    })
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 3, 20, 300, 2000) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom('reset' as const, 'mute' as const, 'unmute' as const), node })
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('elect' as const, 'kill' as const), node }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('fault' as const),
      node,
      fault: fc.constantFrom(...faults),
      times: fc.integer({ min: 1, max: 3 })
    })
  }
)

interface Written {
  readonly call: number
  readonly what: 'put' | 'increment'
  outcome: { readonly revision: number } | StrettoError | null
}

class Run {
  readonly rig: ClientRig
  readonly db: Client<string>
  readonly written: Written[] = []
  readonly problems: string[] = []
  readonly acked = new Map<string, number>()
  pending = 0
  forgot = false
  #call = 1000

  constructor(seed: number) {
    this.rig = new ClientRig(3, seed)
    this.db = this.rig.client()
  }

  do(step: Step): void {
    const { rig } = this
    switch (step.kind) {
      case 'write':
        for (let each = 0; each < step.count; each++) this.#write(`k${step.key}`, step.timeout, step.mode)
        break
      case 'read':
        this.#read(`k${step.key}`, step.consistency)
        break
      case 'wait':
        rig.time.run(step.ms)
        break
      case 'reset':
        rig.fabric.reset('client', `n${step.node + 1}`)
        break
      case 'kill':
        rig.cluster.nodes[step.node]!.cut()
        break
      case 'mute':
      case 'unmute':
        rig.cluster.nodes[step.node]!.mute = step.kind === 'mute'
        break
      case 'elect':
        rig.cluster.elect(`n${step.node + 1}`)
        break
      case 'forget':
        this.forgot = true
        rig.cluster.store.horizon = rig.cluster.time
        rig.cluster.store.sessions.clear()
        break
      case 'fault':
        this.#disturb(step.node, step.fault, step.times)
    }
  }

  heal(): void {
    for (const each of this.rig.cluster.nodes) {
      each.mute = false
      each.intercept = () => false
    }
  }

  #write(key: string, timeout: number, mode: number): void {
    const call = this.#call++
    const what = mode === 1 ? 'increment' : 'put'
    const written: Written = { call, what, outcome: null }
    this.written.push(written)
    this.pending++
    const options = { timeout, ...(mode === 3 ? { signal: AbortSignal.timeout(2 ** 31 - 1) } : {}) }
    const promise =
      what === 'increment' ? this.db.increment(`n${key}`, call, options) : this.db.put(key, String(call), options)
    promise.then(
      result => {
        this.pending--
        written.outcome = result
        if (what === 'put') this.acked.set(key, Math.max(this.acked.get(key) ?? 0, result.revision))
      },
      (error: unknown) => {
        this.pending--
        if (error instanceof StrettoError) written.outcome = error
        else this.problems.push(`call ${call} failed with ${String(error)}`)
      }
    )
  }

  #read(key: string, consistency: 'linearizable' | 'session'): void {
    const atLeast = this.acked.get(key) ?? 0
    this.pending++
    this.db.get(key, { consistency, timeout: 2000 }).then(
      entry => {
        this.pending--
        const seen = entry?.modRevision ?? 0
        if (seen < atLeast) this.problems.push(`a read of ${key} saw ${seen} after ${atLeast} was acknowledged`)
        if (seen > this.rig.cluster.store.revision) this.problems.push('a read saw what is not there')
      },
      () => this.pending--
    )
  }

  #disturb(at: number, fault: Fault, times: number): void {
    const model = this.rig.cluster.nodes[at]!
    let left = times
    model.intercept = (frame, link) => {
      const kind = frame[4]
      const isRefusable = kind === frameKind.resolve || kind === frameKind.read
      if (left === 0 || !(kind === frameKind.command || (isRefusable && refusals.has(fault)))) return false
      left--
      this.#inflict(fault, frame, link)
      return true
    }
  }

  #inflict(fault: Fault, frame: Uint8Array, link: ModelLink): void {
    const env = this.rig.time.env('late')
    switch (fault) {
      case 'refuse':
        link.refuse(frame, { code: 'OVERLOADED', retryAfterMs: 30 })
        break
      case 'not-leader':
        link.refuse(frame, { code: 'NOT_LEADER', retryAfterMs: 0 })
        break
      case 'unknown':
        link.apply(frame)
        link.refuse(frame, { code: 'UNAVAILABLE', fate: 'unknown', retryAfterMs: 0 })
        break
      case 'refuse-for-good':
        link.refuse(frame, { code: 'NO_SPACE' })
        break
      case 'swallow':
        link.apply(frame)
        break
      case 'twice':
        link.applied(frame)
        link.applied(frame)
        break
      case 'late':
        {
          const answer = link.apply(frame)
          env.after(150, () => link.link.send(answer))
        }
        break
      case 'held':
        // Only now and then does a node come to what it has been given; the client may have moved on long since.
        link.hold(frame)
        env.after(400, () => link.release())
        break
      case 'garbage':
        if (frame[4] === frameKind.command) link.apply(frame)
        link.link.send(new Uint8Array([0, 0, 0, 9, 81, 0, 0, 0, 1]))
    }
  }

  async finish(): Promise<void> {
    this.heal()
    for (let round = 0; round < 200 && this.pending > 0; round++) {
      this.rig.time.run(100)
      await microtasks()
    }
    if (this.pending > 0) this.problems.push(`${this.pending} calls were never settled`)
  }

  judge(): void {
    const { executed } = this.rig.cluster.store
    const ids = executed.map(({ id }) => id)
    if (new Set(ids).size !== ids.length) this.problems.push('a serial was executed twice')
    const numbers = executed.map(({ command }) => {
      if (command.op === 'increment') return command.by
      return command.op === 'put' ? Number(new TextDecoder().decode(command.value)) : 0
    })
    if (new Set(numbers).size !== numbers.length) this.problems.push('a call was executed twice')
    const at = new Map(numbers.map((number, place) => [number, place]))
    let last = -1
    for (const { call, outcome } of this.written) {
      const place = at.get(call)
      if (outcome instanceof StrettoError) {
        if (outcome.fate === 'not-applied' && place !== undefined)
          this.problems.push(`call ${call} was applied: ${outcome.code}`)
        continue
      }
      if (place === undefined) {
        this.problems.push(`call ${call} was acknowledged and never applied`)
        continue
      }
      if (place < last) this.problems.push(`call ${call} was applied before an earlier one`)
      last = place
    }
  }

  async resolveAll(): Promise<void> {
    const executed = new Set(this.rig.cluster.store.executed.map(({ id }) => id))
    for (const { call, outcome } of this.written) {
      if (!(outcome instanceof StrettoError) || outcome.operationId === undefined || outcome.fate === 'not-applied')
        continue
      const resolution = await this.rig.settled(this.db.resolve(outcome.operationId))
      const wasExecuted = executed.has(outcome.operationId)
      if (resolution === 'not-applied' && wasExecuted) this.problems.push(`call ${call} was applied, says resolve, not`)
      if (resolution === 'expired' && !this.forgot)
        this.problems.push(`call ${call} is forgotten though its session is not`)
      if (typeof resolution === 'object' && !wasExecuted)
        this.problems.push(`call ${call} was not applied, says resolve, applied`)
    }
  }
}

void t.test('any faults: settled, at most once, in order, with true fates', async t => {
  let total = 0
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.array(stepArbitrary, { minLength: 5, maxLength: 60 }), async (seed, steps) => {
      const run = new Run(seed)
      for (const step of steps) {
        run.do(step)
        await microtasks()
      }
      await run.finish()
      run.judge()
      await run.resolveAll()
      run.rig.time.run(3000)
      run.judge()
      total += run.written.length
      await run.rig.settled(run.db.close())
      if (run.problems.length > 0) throw new Error(run.problems.join('; '))
    }),
    { numRuns: runs }
  )
  t.ok(total > runs, `${total} writes were judged`)
})
