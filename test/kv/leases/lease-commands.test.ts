// The commands of leases, one by one: what they answer, what they refuse, and leases larger than one record deletes.
import fc from 'fast-check'
import { t } from 'tap'
import { numberOfCode } from '../../../lib/base/errors.ts'
import { endKeysMax } from '../../../lib/kv/leases/lease-table.ts'
import { leaseIdAt } from '../../../lib/kv/leases/staged-leases.ts'
import { leaseKey, writeLease } from '../../../lib/kv/rows.ts'
import type { Outcome } from '../../../lib/machine/machine.ts'
import { type Packed, pack, unpack } from '../../../lib/record/pack.ts'
import { type Command, type Operation, type PutCommand, packCommand } from '../../../lib/wire/kv/commands.ts'
import { packRequest, readRequests } from '../../../lib/wire/kv/questions.ts'
import { isRenewal } from '../../../lib/wire/kv/read-commands.ts'
import { Bed, bytes, Records, temporaryFolder } from '../bed.ts'

/** A machine over a folder, and a log of one record after the other. */
class Machine {
  readonly folder: ReturnType<typeof temporaryFolder>
  readonly log = new Records()
  bed!: Bed
  time = 1_000

  constructor(t: { teardown(end: () => Promise<void>): void }) {
    this.folder = temporaryFolder()
    t.teardown(async () => {
      await this.bed.close()
      this.folder.remove()
    })
  }

  async open(): Promise<this> {
    this.bed = await new Bed(this.folder.path).open()
    this.bed.machine.version(2)
    return this
  }

  async restart(): Promise<void> {
    await this.bed.flush(this.log.last)
    await this.bed.close()
    await this.open()
  }

  get nextIndex(): number {
    return this.log.last.index + 1
  }

  async run(...commands: readonly Command[]): Promise<(readonly [status: number, answer: Packed])[]> {
    const batches = this.log.cut([commands.map(packCommand)]).map(batch => ({ ...batch, time: this.time }))
    const [outcomes] = await this.bed.apply(...batches)
    return commands.map((_, at) => {
      const { status, answer }: Pick<Outcome, 'status' | 'answer'> = outcomes!.each?.[at] ?? { status: 0, answer: null }
      return [status, answer === null ? null : unpack(answer)]
    })
  }

  async expire(): Promise<void> {
    await this.bed.apply(...this.log.cut([[]], { expiry: true }).map(batch => ({ ...batch, time: this.time })))
  }

  async count(): Promise<number> {
    const [, count] = await this.bed.ask({ op: 'count', from: bytes(''), to: null })
    return count as number
  }
}

function put(key: string, rest: Partial<PutCommand> = {}): PutCommand {
  return { op: 'put', key: bytes(key), value: bytes('v'), ifRevision: null, previous: false, ...rest }
}

const lost = numberOfCode('LEASE_NOT_FOUND')

t.test('grant, put, renew, revoke, and what is answered for leases that are not there', async t => {
  const machine = await new Machine(t).open()
  const id = leaseIdAt(machine.nextIndex, 1)
  t.same(await machine.run(put('other'), { op: 'grant', ttlMs: 5_000 }), [
    [0, null],
    [0, [id, 5_000]]
  ])
  t.same(await machine.run(put('k', { leaseId: id, previous: true }), put('l', { leaseId: id + 1 })), [
    [0, [null]],
    [lost, null]
  ])
  t.equal(await machine.count(), 2, 'what names a lease that is not there changes nothing')
  t.same(await machine.run({ op: 'renew', leaseIds: [id, 7, id] }), [[0, [5_000, -1, 5_000]]])
  t.same(await machine.run({ op: 'revoke', leaseId: id }, { op: 'revoke', leaseId: id }, put('k', { leaseId: id })), [
    [0, [1]],
    [lost, null],
    [lost, null]
  ])
  t.equal(await machine.count(), 1)
})

t.test('a put that fails its condition grants nothing', async t => {
  const machine = await new Machine(t).open()
  const [[status]] = (await machine.run(put('k', { ttlMs: 1_000, ifRevision: 9 }))) as [[number, Packed]]
  t.equal(status, numberOfCode('CONDITION_FAILED'))
  t.equal(machine.bed.machine.dueAt, Number.POSITIVE_INFINITY)
})

t.test(
  'puts of a transaction with one ttl share a lease, others have their own; where one is refused none is granted',
  async t => {
    const machine = await new Machine(t).open()
    const index = machine.nextIndex
    const onTrue: Operation[] = [put('a', { ttlMs: 1_000 }), put('b', { ttlMs: 2_000 }), put('c', { ttlMs: 1_000 })]
    const txn = { op: 'txn', compares: [], onTrue, onFalse: [] } as const
    await machine.run(txn, { op: 'grant', ttlMs: 3_000 })
    const [, leases] = await machine.bed.ask({ op: 'leases', afterId: 0, limit: 10 })
    t.same(leases, [
      [leaseIdAt(index, 0), 1_000, 2_000, 2],
      [leaseIdAt(index, 1), 3_000, 4_000, 0],
      [leaseIdAt(index, 2), 2_000, 3_000, 1]
    ])
    const refused = { ...txn, onTrue: [put('d', { ttlMs: 1_000 }), put('e', { leaseId: 3 })] }
    t.same(await machine.run(refused), [[lost, null]])
    const [, after] = await machine.bed.ask({ op: 'leases', afterId: 0, limit: 10 })
    t.same(after, leases)
    t.equal(await machine.count(), 3)
  }
)

t.test(
  'a lease with more keys than one command deletes goes in parts, over a restart, and nobody can use it meanwhile',
  async t => {
    const machine = await new Machine(t).open()
    const id = leaseIdAt(machine.nextIndex, 0)
    await machine.run({ op: 'grant', ttlMs: 5_000 })
    const keys = Array.from({ length: endKeysMax + 50 }, (_, at) => String(at).padStart(6, '0'))
    for (let from = 0; from < keys.length; from += 4_000) {
      await machine.run(...keys.slice(from, from + 4_000).map(key => put(key, { leaseId: id })))
    }
    t.same(await machine.run({ op: 'revoke', leaseId: id }), [[0, [endKeysMax]]])
    t.equal(machine.bed.machine.dueAt, 0, 'the leader goes on with the rest at once')
    t.equal(await machine.count(), 50)
    await machine.restart()
    t.equal(machine.bed.machine.dueAt, 0)
    t.same(await machine.run(put('new', { leaseId: id }), { op: 'renew', leaseIds: [id] }), [
      [lost, null],
      [0, [-1]]
    ])
    t.same(await machine.bed.ask({ op: 'lease', id, afterKey: null, limit: 9 }), [machine.bed.machine.revision, null])
    const before = machine.bed.machine.revision
    await machine.expire()
    t.equal(machine.bed.machine.revision, before + 1, 'all of them at one revision')
    t.equal(await machine.count(), 0)
    t.equal(machine.bed.machine.dueAt, Number.POSITIVE_INFINITY)
  }
)

t.test('keys that only the disk has end with their lease, large values too', async t => {
  const machine = await new Machine(t).open()
  const value = Buffer.alloc(600_000, 'x')
  for (let at = 0; at < 12; at++) await machine.run(put(`k${at}`, { value, ttlMs: 1_000 + at }))
  await machine.restart()
  machine.time = 5_000
  await machine.expire()
  t.equal(await machine.count(), 0)
})

t.test('a state that lacks leases, has too many or old ones is not opened', async t => {
  const machine = await new Machine(t).open()
  const id = leaseIdAt(machine.nextIndex, 0)
  await machine.run({ op: 'grant', ttlMs: 5_000 }, put('k', { ttlMs: 2_000 }))
  await machine.restart()
  const key = leaseKey(id)
  const row = (await machine.bed.level.get(key))!
  for (const change of [
    () => machine.bed.level.del(key),
    () => machine.bed.level.put(key, writeLease(key, { ttlMs: 5_000, deadline: 6_001, bound: false }))
  ]) {
    await change()
    await machine.bed.close()
    machine.bed = new Bed(machine.folder.path)
    await t.rejects(machine.bed.open(), { code: 'CORRUPT', message: /leases/ })
    await machine.bed.level.put(key, row)
  }
  await machine.bed.close()
  await machine.open()
})

t.test('before machine version 2 all of it is refused for now', async t => {
  const machine = await new Machine(t).open()
  machine.bed.machine.version(1)
  for (const command of [
    put('k', { ttlMs: 1_000 }),
    put('k', { leaseId: 3 }),
    { op: 'grant', ttlMs: 1_000 } as const
  ]) {
    t.match(machine.bed.machine.check(pack([packCommand(command)]), 1), { code: 'UNAVAILABLE', retryAfterMs: 50 })
  }
})

t.test('a renewal by itself is told from all else by its first bytes, and needs no room', async t => {
  const machine = await new Machine(t).open()
  const bytesOf = (...commands: readonly Command[]): Uint8Array => pack(commands.map(packCommand))
  const renewal = { op: 'renew', leaseIds: [1] } as const
  const many = { op: 'renew', leaseIds: Array.from({ length: 256 }, (_, at) => 4_096 * at + 1) } as const
  t.ok(isRenewal(bytesOf(renewal)))
  t.ok(isRenewal(bytesOf(many)))
  t.ok(machine.bed.machine.isUrgent(bytesOf(many), 1))
  t.notOk(machine.bed.machine.isUrgent(bytesOf(renewal, renewal), 2))
  t.notOk(machine.bed.machine.isUrgent(bytesOf(put('k')), 1))
  t.notOk(machine.bed.machine.isUrgent(bytesOf({ op: 'revoke', leaseId: 17 }), 1))
  t.notOk(machine.bed.machine.grows(bytesOf(renewal, { op: 'revoke', leaseId: 1 }), 2))
  t.ok(machine.bed.machine.grows(bytesOf({ op: 'grant', ttlMs: 1_000 }), 1))
  fc.assert(fc.property(fc.uint8Array(), noise => typeof isRenewal(noise) === 'boolean'))
})

t.test('questions about leases come back as they were, and noise is refused', async t => {
  const requests = [
    { op: 'lease', id: 5, afterKey: bytes('k'), limit: 3 },
    { op: 'lease', id: 5, afterKey: null, limit: 0 },
    { op: 'leases', afterId: 0, limit: 1_000 }
  ] as const
  t.same(readRequests(pack(requests.map(packRequest))), requests)
  t.match(readRequests(pack([[4, 0, 5_000]])), [{ limit: 1_000 }], 'a page is bounded')
  for (const noise of [[3], [3, 0, null, 1], [3, 1, 5, 1], [4], [4, -1, 1], [5]] as const) {
    t.throws(() => readRequests(pack([noise])), { code: 'BAD_REQUEST' })
  }
})
