// Any log, however it is batched and wherever a replica crashes, is answered as the plain model says; and clients that
// retry, give up and ask again over a network that loses, repeats and delays see each command applied at most once.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { t } from 'tap'
import { equalBytes } from '../../lib/base/bytes.ts'
import { Random } from '../../lib/base/random.ts'
import { type Answer, fateOf, verdictOf } from '../../lib/machine/answer.ts'
import { decodeSidecar, encodeSidecar } from '../../lib/machine/sidecar.ts'
import {
  commandDraft,
  expiryDraft,
  MachineLog,
  noopDraft,
  Replica,
  resolveDraft,
  sessionOf
} from '../help/machine-log.ts'
import { type Fate, type ModelRecord, SessionModel } from '../help/session-model.ts'

const runs = Number(process.env['FC_RUNS'] ?? 300)
const limits = { countMax: 4, bytesMax: 2500, lifetimeMs: 1000, aheadMsMax: 60 }
const options = { versionMax: 1, sessions: limits }
const lifetimeMs = limits.lifetimeMs
const largest = Number.MAX_SAFE_INTEGER

const sessionArbitrary = fc.record({ opened: fc.constantFrom(0, 0, 30, 80, 1050, 2000), name: fc.nat({ max: 2 }) })
const serialArbitrary = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: 1, max: 16 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 4096, 4097, 8193, 9000, largest - 1, largest) }
)
const floorArbitrary = fc.oneof(
  { weight: 10, arbitrary: fc.constant(0) },
  { weight: 9, arbitrary: fc.nat({ max: 12 }) },
  { weight: 1, arbitrary: fc.constantFrom(5000, largest - 2, largest) }
)
const commandArbitrary = fc.constantFrom(
  'plain',
  'plain',
  'plain',
  'say:0',
  'say:3',
  'say:256',
  'say:257',
  'refuse',
  'nonsense'
)

interface Owner {
  readonly opened: number
  readonly name: number
}

type Generated =
  | { readonly kind: 'noop' }
  | { readonly kind: 'expiry' }
  | {
      readonly kind: 'command'
      readonly of: Owner
      readonly serial: number
      readonly commands: string[]
      readonly floor: number
      readonly notAfter: number
    }
  | { readonly kind: 'resolve'; readonly of: Owner; readonly serials: number[]; readonly floor: number }

const recordArbitrary: fc.Arbitrary<Generated> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('command' as const),
      of: sessionArbitrary,
      serial: serialArbitrary,
      commands: fc.oneof(
        { weight: 3, arbitrary: fc.array(commandArbitrary, { minLength: 1, maxLength: 2 }) },
        { weight: 1, arbitrary: fc.array(commandArbitrary, { minLength: 3, maxLength: 7 }) }
      ),
      floor: floorArbitrary,
      notAfter: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat({ max: 300 }) })
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('resolve' as const),
      of: sessionArbitrary,
      serials: fc.array(serialArbitrary, { minLength: 1, maxLength: 4 }),
      floor: floorArbitrary
    })
  },
  { weight: 1, arbitrary: fc.constantFrom({ kind: 'noop' as const }, { kind: 'expiry' as const }) }
)

const stepArbitrary = fc.record({
  passed: fc.oneof(
    { weight: 12, arbitrary: fc.nat({ max: 30 }) },
    { weight: 1, arbitrary: fc.integer({ min: lifetimeMs - 90, max: lifetimeMs + 90 }) }
  ),
  records: fc.array(recordArbitrary, { minLength: 1, maxLength: 5 }),
  /** What the second replica does before this block is there: goes on gathering, applies all, flushes too, or crashes. */
  next: fc.constantFrom('gather', 'gather', 'gather', 'gather', 'apply', 'flush', 'crash')
})

function draftOf(record: Generated): Uint8Array {
  if (record.kind === 'noop') return noopDraft()
  if (record.kind === 'expiry') return expiryDraft()
  const session = sessionOf(record.of.opened, record.of.name)
  if (record.kind === 'resolve') return resolveDraft(session, record.serials, record.floor)
  const { serial, commands, floor, notAfter } = record
  return commandDraft({ session, serial, commands, floor, notAfter })
}

function modelled(record: Generated): ModelRecord {
  if (record.kind === 'noop' || record.kind === 'expiry') return { kind: 'other' }
  const session = sessionOf(record.of.opened, record.of.name)
  return { ...record, session, opened: record.of.opened }
}

/** An answer as the model would say it. */
function said(answer: Answer): readonly Fate[] | string {
  if (answer.refused !== null) return answer.refused.code
  return Array.from({ length: answer.count }, (_, number) => {
    const { status, revision, answer: bytes, gone } = verdictOf(answer, number)
    return [status, revision, gone === true ? -1 : (bytes?.length ?? null)] as const
  })
}

t.test('a log is answered as the model says, however it is batched, and across crashes', async t => {
  let drops = 0
  let expiries = 0
  fc.assert(
    fc.property(fc.array(stepArbitrary, { minLength: 1, maxLength: 25 }), steps => {
      const model = new SessionModel(limits)
      const log = new MachineLog()
      const slow = new Replica(options)
      const quick = new Replica(options)
      const answers = new Map<number, unknown>()
      const hear = (given: readonly Answer[]): void => {
        for (const answer of given) {
          // A replayed record must be answered as it was before the crash.
          if (answers.has(answer.index)) assert.deepEqual(said(answer), answers.get(answer.index))
          answers.set(answer.index, said(answer))
        }
      }
      let time = 0
      let expected: unknown[] = []
      for (const { passed, records, next } of steps) {
        time += passed
        expected = [...expected, ...records.map(record => model.apply(modelled(record), time))]
        const block = log.cut(time, ...records.map(draftOf))
        hear(slow.apply(block))
        if (next === 'gather') continue
        if (next === 'crash') quick.restart()
        else hear(quick.apply(...log.above(quick.machine.applied.index)))
        if (next === 'flush') quick.flush()
      }
      hear(quick.apply(...log.above(quick.machine.applied.index)))
      assert.deepEqual(
        expected.map((_, at) => answers.get(at + 1) ?? null),
        expected
      )
      assert.deepEqual(quick.tally.order, slow.tally.order)
      for (const count of slow.tally.effects.values()) assert.equal(count, 1)
      const sidecar = slow.machine.sidecar()
      assert.ok(equalBytes(sidecar, quick.machine.sidecar()), 'replicas agree on every byte')
      assert.ok(equalBytes(encodeSidecar(decodeSidecar(sidecar)!), sidecar), 'and the bytes hold all of it')
      assert.equal(slow.machine.sessionCount, model.sessions.size)
      assert.equal(slow.machine.sessionBytes, model.bytes)
      drops += model.dropped
      expiries += expected.filter(answer => answer === 'SESSION_EXPIRED').length
    }),
    { numRuns: runs }
  )
  t.ok(drops > runs / 10, 'the limits were reached')
  t.ok(expiries > runs / 10, 'sessions expired')
})

/** What a client knows of one command. */
interface Operation {
  readonly serial: number
  readonly notAfter: number
  verdict: 'open' | 'applied' | 'not-applied' | 'unknown'
  revision: number
}

/** A client that pipelines, retries, gives up and resolves; the network holds copies of all it ever sent. */
class Client {
  readonly session: Uint8Array
  readonly operations: Operation[] = []
  floor = 0

  constructor(opened: number, name: number) {
    this.session = sessionOf(opened, name)
  }

  start(notAfter: number): Uint8Array {
    const operation: Operation = { serial: this.operations.length + 1, notAfter, verdict: 'open', revision: 0 }
    this.operations.push(operation)
    return this.send(operation)
  }

  send({ serial, notAfter }: Operation): Uint8Array {
    return commandDraft({ session: this.session, serial, commands: ['plain'], floor: this.floor, notAfter })
  }

  hear(serial: number, answer: Answer, number: number): string | null {
    const operation = this.operations[serial - 1]!
    const status = answer.refused === null ? verdictOf(answer, number).status : -1
    const revision = answer.refused === null ? verdictOf(answer, number).revision : 0
    const fate = answer.refused?.fate ?? fateOf(status)
    const said = status === 0 ? 'applied' : fate
    if (said === 'unknown') {
      // Its session is gone, or a copy came after the client had the answer.
      if (operation.verdict === 'open') operation.verdict = 'unknown'
    } else {
      if (operation.verdict !== 'open' && operation.verdict !== 'unknown' && operation.verdict !== said)
        return 'took it back'
      if (operation.verdict === 'applied' && operation.revision !== revision) return 'another revision'
      operation.verdict = said
      operation.revision = revision
    }
    while ((this.operations[this.floor]?.verdict ?? 'open') !== 'open') this.floor++
    return null
  }
}

interface Copy {
  readonly draft: Uint8Array
  readonly client: Client
  readonly serial: number
}

function adventure(seed: number): string[] {
  const random = new Random(seed, 'adventure')
  const replica = new Replica({
    versionMax: 1,
    sessions: { countMax: 4, bytesMax: 3000, lifetimeMs: 4000, aheadMsMax: 60 }
  })
  const log = new MachineLog()
  let clients = [new Client(0, 1), new Client(0, 2), new Client(0, 3)]
  const all = [...clients]
  const network: Copy[] = []
  const faults: string[] = []
  let time = 1
  const deliver = (copies: readonly Copy[]): void => {
    log.cut(time, ...copies.map(copy => copy.draft))
    if (random.chance(0.3)) return
    const first = replica.machine.applied.index
    const answers = replica.apply(...log.above(first))
    for (const [number, copy] of copies.entries()) {
      const answer = answers[answers.length - copies.length + number]!
      if (random.chance(0.3)) continue
      const fault = copy.client.hear(copy.serial, answer, 0)
      if (fault !== null) faults.push(fault)
    }
    if (random.chance(0.3)) replica.flush()
    if (random.chance(0.1)) replica.restart()
  }
  for (let step = 0; step < 120; step++) {
    time += random.chance(0.03) ? 3000 : random.below(60)
    const client = clients[random.below(clients.length)]!
    const open = client.operations.filter(operation => operation.verdict === 'open')
    const notAfter = random.chance(0.2) ? time + random.below(200) : 0
    if (open.length < 5) network.push({ draft: client.start(notAfter), client, serial: client.operations.length })
    for (const operation of open) {
      const { serial } = operation
      if (random.chance(0.3)) network.push({ draft: client.send(operation), client, serial })
      if (random.chance(0.1))
        network.push({ draft: resolveDraft(client.session, [serial], client.floor), client, serial })
    }
    if (random.chance(0.03)) {
      const next = new Client(time, 10 + step)
      all.push(next)
      clients = clients.map(old => (old === client ? next : old))
    }
    const copies: Copy[] = []
    // A copy may stay in the network for as long as the adventure lasts.
    while (network.length > 0 && copies.length < 4) {
      const copy = network[random.below(network.length)]!
      if (random.chance(0.7)) network.splice(network.indexOf(copy), 1)
      copies.push(copy)
    }
    if (copies.length > 0) deliver(copies)
  }
  // At last all that ever lingered arrives: what was said must stay true.
  for (const copy of network) log.cut(time, copy.draft)
  replica.apply(...log.above(replica.machine.applied.index))
  for (const client of all) {
    for (const { serial, verdict } of client.operations) {
      const count = replica.tally.count(client.session, serial)
      if (count > 1) faults.push(`${serial} was applied ${count} times`)
      if (verdict === 'applied' && count !== 1) faults.push(`${serial} was acknowledged and is lost`)
      if (verdict === 'not-applied' && count !== 0) faults.push(`${serial} was said not to be applied, and was`)
    }
  }
  return faults
}

t.test('clients see each command at most once, once if acknowledged, and never if told so', async t => {
  for (let seed = 1; seed <= runs; seed++) t.same(adventure(seed), [], `seed ${seed}`)
})
