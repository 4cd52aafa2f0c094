// The commands of leases on a whole machine against a plain model: through flushes, restarts and snapshots.
import { join } from 'node:path'
import fc from 'fast-check'
import { t } from 'tap'
import { numberOfCode } from '../../../lib/base/errors.ts'
import { leaseIdAt } from '../../../lib/kv/leases/staged-leases.ts'
import type { Batch, Outcomes, SnapshotSource } from '../../../lib/machine/machine.ts'
import { type Packed, unpack } from '../../../lib/record/pack.ts'
import { type Command, type Operation, type PutCommand, packCommand } from '../../../lib/wire/kv/commands.ts'
import { readLeaseAnswer, readLeasesAnswer } from '../../../lib/wire/kv/lease-questions.ts'
import { Bed, bytes, promised, Records, temporaryFolder, text } from '../bed.ts'

const runs = Number(process.env['FC_RUNS'] ?? 60)

interface ModelLease {
  readonly ttlMs: number
  readonly bound: boolean
  deadline: number
}

/** What the store is: two maps. */
class Model {
  readonly entries = new Map<string, { value: string; leaseId: number }>()
  readonly leases = new Map<number, ModelLease>()
  #leaving: Set<number> | null = null

  put(key: string, value: string, leaseId: number): void {
    const before = this.entries.get(key)?.leaseId ?? 0
    this.entries.set(key, { value, leaseId })
    if (before !== leaseId) this.#left(before)
  }

  delete(key: string): void {
    const before = this.entries.get(key)?.leaseId ?? 0
    this.entries.delete(key)
    this.#left(before)
  }

  end(id: number): number {
    const keys = this.keysOf(id)
    this.leases.delete(id)
    for (const key of keys) this.entries.delete(key)
    return keys.length
  }

  expire(time: number): void {
    for (const [id, { deadline }] of Array.from(this.leases)) if (deadline < time) this.end(id)
  }

  keysOf(id: number): string[] {
    return [...this.entries].filter(([, { leaseId }]) => leaseId === id).map(([key]) => key)
  }

  /** What a transaction does is one: only at its end it is known which leases have lost their last key. */
  together(puts: () => void): void {
    this.#leaving = new Set()
    puts()
    const left = this.#leaving
    this.#leaving = null
    for (const id of left) this.#left(id)
  }

  #left(id: number): void {
    if (this.#leaving !== null) this.#leaving.add(id)
    else if (this.leases.get(id)?.bound === true && this.keysOf(id).length === 0) this.leases.delete(id)
  }
}

type Action =
  | {
      readonly op: 'put'
      readonly key: string
      readonly lease: 'none' | 'ttl' | 'some' | 'unknown'
      readonly pick: number
    }
  | { readonly op: 'increment' | 'append' | 'delete'; readonly key: string }
  | { readonly op: 'deleteRange'; readonly from: string; readonly to: string }
  | { readonly op: 'txn'; readonly keys: readonly string[]; readonly lease: 'ttl' | 'some' }
  | { readonly op: 'grant' }
  | { readonly op: 'renew' | 'revoke'; readonly pick: number }

type Step =
  | { readonly op: 'record'; readonly actions: readonly Action[] }
  | { readonly op: 'expiry' | 'flush' | 'restart' | 'snapshot' }

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e')
const pick = fc.nat(7)
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('put' as const),
      key,
      lease: fc.constantFrom('none' as const, 'ttl' as const, 'some' as const, 'some' as const, 'unknown' as const),
      pick
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constantFrom('increment' as const, 'append' as const, 'delete' as const), key })
  },
  fc.record({ op: fc.constant('deleteRange' as const), from: key, to: key }),
  fc.record({
    op: fc.constant('txn' as const),
    keys: fc.uniqueArray(key, { minLength: 1, maxLength: 3 }),
    lease: fc.constantFrom('ttl' as const, 'some' as const)
  }),
  { weight: 2, arbitrary: fc.record({ op: fc.constant('grant' as const) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constantFrom('renew' as const, 'revoke' as const), pick }) }
)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constant('record' as const),
      actions: fc.array(action, { minLength: 1, maxLength: 5 })
    })
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constantFrom('expiry' as const, 'flush' as const) }) },
  fc.record({ op: fc.constantFrom('restart' as const, 'snapshot' as const) })
)

/** One machine and its model, driven together. */
class Pair {
  readonly model = new Model()
  readonly #log = new Records()
  readonly #folder: string
  #place = 0
  #bed!: Bed
  #time = 1_000

  constructor(folder: string) {
    this.#folder = folder
  }

  async open(): Promise<this> {
    this.#bed = await new Bed(join(this.#folder, `${this.#place}`)).open()
    this.#bed.machine.version(2)
    return this
  }

  async close(): Promise<void> {
    await this.#bed.close()
  }

  async step(step: Step, ms: number): Promise<void> {
    this.#time += ms
    if (step.op === 'record') await this.#record(step.actions)
    else if (step.op === 'expiry') await this.#expiry()
    else if (step.op === 'flush') await this.#bed.flush(this.#log.last)
    else if (step.op === 'restart') await this.#restart()
    else await this.#snapshot()
    await this.check()
  }

  async #record(actions: readonly Action[]): Promise<void> {
    const index = this.#log.last.index + 1
    const commands = actions.map(action => this.#commandOf(action))
    const [outcomes] = await this.#apply(this.#log.cut([commands.map(packCommand)]))
    for (const [number, command] of commands.entries()) {
      const { status, answer } = outcomes!.each?.[number] ?? { status: 0, answer: null }
      const found = [status, answer === null ? null : unpack(answer)]
      same(found, this.#play(command, leaseIdAt(index, number)) ?? found, command.op)
    }
  }

  /** Does to the model what the command says; gives status and answer, null where those are judged elsewhere. */
  #play(command: Command, id: number): readonly [number, Packed] | null {
    const { model } = this
    switch (command.op) {
      case 'put':
        return this.#playPut(command, id) ? null : [numberOfCode('LEASE_NOT_FOUND'), null]
      case 'increment':
        return this.#playNumber(text(command.key), command.by)
      case 'append': {
        const at = text(command.key)
        const entry = model.entries.get(at)
        model.put(at, (entry?.value ?? '') + text(command.value), entry?.leaseId ?? 0)
        return null
      }
      case 'delete':
        if (model.entries.has(text(command.key))) model.delete(text(command.key))
        return null
      case 'deleteRange': {
        const [from, to] = [text(command.from), text(command.to!)]
        for (const at of [...model.entries.keys()].toSorted()) if (at >= from && at < to) model.delete(at)
        return null
      }
      case 'txn': {
        const puts = command.onTrue as readonly PutCommand[]
        if (puts.some(({ leaseId = 0 }) => leaseId !== 0 && !model.leases.has(leaseId))) {
          return [numberOfCode('LEASE_NOT_FOUND'), null]
        }
        model.together(() => {
          for (const put of puts) this.#playPut(put, id)
        })
        return [0, [1, puts.map(() => null)]]
      }
      case 'grant':
        model.leases.set(id, { ttlMs: command.ttlMs, bound: false, deadline: this.#time + command.ttlMs })
        return [0, [id, command.ttlMs]]
      case 'renew':
        return [0, command.leaseIds.map(each => this.#playRenewal(each))]
      case 'revoke':
        if (!model.leases.has(command.leaseId)) return [numberOfCode('LEASE_NOT_FOUND'), null]
        return [0, [model.end(command.leaseId)]]
      default:
        throw new Error(command.op)
    }
  }

  #playPut({ key, value, leaseId = 0, ttlMs = 0 }: PutCommand, id: number): boolean {
    const { model } = this
    if (leaseId !== 0 && !model.leases.has(leaseId)) return false
    if (ttlMs !== 0) model.leases.set(id, { ttlMs, bound: true, deadline: this.#time + ttlMs })
    model.put(text(key), text(value), ttlMs === 0 ? leaseId : id)
    return true
  }

  #playNumber(key: string, by: number): readonly [number, Packed] {
    const { model } = this
    const entry = model.entries.get(key)
    const before = entry === undefined ? 0 : /^(0|-?[1-9][0-9]*)$/.test(entry.value) ? Number(entry.value) : Number.NaN
    if (Number.isNaN(before)) return [numberOfCode('BAD_REQUEST'), null]
    model.put(key, String(before + by), entry?.leaseId ?? 0)
    return [0, [before + by]]
  }

  #playRenewal(id: number): number {
    const lease = this.model.leases.get(id)
    if (lease === undefined) return -1
    lease.deadline = this.#time + lease.ttlMs
    return lease.ttlMs
  }

  async #expiry(): Promise<void> {
    const [outcomes] = await this.#apply(this.#log.cut([[]], { expiry: true }))
    same(outcomes!.each, null, 'nobody waits for it')
    this.model.expire(this.#time)
  }

  async #restart(): Promise<void> {
    await this.#bed.flush(this.#log.last)
    await this.#bed.close()
    await this.open()
  }

  async #snapshot(): Promise<void> {
    await this.#bed.flush(this.#log.last)
    const source = (await promised<SnapshotSource | null>(done => this.#bed.machine.snapshot(done)))!
    const next = new Bed(join(this.#folder, `${++this.#place}`))
    const sink = next.machine.restore()
    const all = await promised<Uint8Array>(done => source.read(0, source.size, done))
    await promised<void>(done => sink.write(all, done))
    await promised(done => sink.end(done))
    source.close()
    await next.close()
    await this.#bed.close()
    await this.open()
  }

  /** What the machine holds and says is what the model holds. */
  async check(): Promise<void> {
    const { model } = this
    const page = await promised<{ readonly bytes: Uint8Array }>(done => this.#bed.scan({}).page(65_536, done))
    const entries = (unpack(page.bytes) as Packed[]).slice(1).map(packed => {
      const [at, value, , , , leaseId] = packed as [Uint8Array, Uint8Array, number, number, number, number]
      return [text(at), text(value), leaseId]
    })
    const wanted = [...model.entries].toSorted(([a], [b]) => (a < b ? -1 : 1))
    same(
      entries,
      wanted.map(([at, { value, leaseId }]) => [at, value, leaseId]),
      'entries'
    )
    const [, packed] = await this.#bed.ask({ op: 'leases', afterId: 0, limit: 1000 })
    const ids = [...model.leases.keys()].toSorted((a, b) => a - b)
    const wantedLeases = ids.map(id => {
      const { ttlMs, deadline } = model.leases.get(id)!
      return { id, ttlMs, remainingMs: deadline, keyCount: model.keysOf(id).length }
    })
    same(readLeasesAnswer(packed!), wantedLeases, 'leases')
    for (const status of wantedLeases) {
      const [, answer] = await this.#bed.ask({ op: 'lease', id: status.id, afterKey: null, limit: 1000 })
      const { keys, ...found } = readLeaseAnswer(status.id, answer!)!
      same({ ...found, keys: keys.map(text) }, { ...status, keys: model.keysOf(status.id).toSorted() }, 'a lease')
    }
    same(this.#bed.machine.dueAt, Math.min(...[...model.leases.values()].map(({ deadline }) => deadline)), 'due')
  }

  #apply(batches: readonly Batch[]): Promise<readonly Outcomes[]> {
    return this.#bed.apply(...batches.map(batch => ({ ...batch, time: this.#time })))
  }

  #commandOf(action: Action): Command {
    switch (action.op) {
      case 'put':
        return this.#put(action.key, action.lease, action.pick)
      case 'increment':
        return { op: 'increment', key: bytes(action.key), by: 1 }
      case 'append':
        return { op: 'append', key: bytes(action.key), value: bytes('1') }
      case 'delete':
        return { op: 'delete', key: bytes(action.key), ifRevision: null, previous: false }
      case 'deleteRange': {
        const [from, to] = [action.from, action.to].toSorted() as [string, string]
        return { op: 'deleteRange', from: bytes(from), to: bytes(to) }
      }
      case 'txn': {
        const onTrue: Operation[] = action.keys.map((each, at) => this.#put(each, action.lease, at))
        return { op: 'txn', compares: [], onTrue, onFalse: [] }
      }
      case 'grant':
        return { op: 'grant', ttlMs: 2_000 }
      case 'renew':
        return { op: 'renew', leaseIds: [this.#pick(action.pick), this.#pick(action.pick + 1)] }
      case 'revoke':
        return { op: 'revoke', leaseId: this.#pick(action.pick) }
    }
  }

  #put(at: string, lease: 'none' | 'ttl' | 'some' | 'unknown', pick: number): PutCommand {
    const plain = { op: 'put', key: bytes(at), value: bytes('7'), ifRevision: null, previous: false } as const
    if (lease === 'none') return plain
    if (lease === 'ttl') return { ...plain, ttlMs: 1_500 }
    return { ...plain, leaseId: lease === 'some' ? this.#pick(pick) : 1 }
  }

  /** A lease that is there, or was never. */
  #pick(pick: number): number {
    const ids = [...this.model.leases.keys()]
    return ids[pick % Math.max(1, ids.length)] ?? 4_095
  }
}

const lastKeyAndAnother: [Step, number][] = [
  [
    {
      op: 'record',
      actions: [{ op: 'grant' }, { op: 'put', key: 'd', lease: 'ttl', pick: 0 }]
    },
    0
  ],
  [{ op: 'record', actions: [{ op: 'txn', keys: ['d', 'a'], lease: 'some' }] }, 0]
]

void t.test('a machine with leases does what two plain maps do', async t => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(step, fc.nat(1_200)), { maxLength: 25 }), async steps => {
      const folder = temporaryFolder()
      const pair = await new Pair(folder.path).open()
      try {
        for (const [step, ms] of steps) await pair.step(step, ms)
      } finally {
        await pair.close()
        folder.remove()
      }
    }),
    // A transaction takes the last key from a lease and gives it another.
    { numRuns: runs, examples: [[lastKeyAndAnother]] }
  )
  t.pass('for every run')
})

function same(found: unknown, wanted: unknown, what: string): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)]
  if (a !== b) throw new Error(`${what}: ${a} is not ${b}`)
}
