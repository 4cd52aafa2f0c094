// Leases that a client keeps alive: when they are renewed, with how many commands, and when they count as lost.
import { t } from 'tap'
import { StrettoError } from '../../lib/base/errors.ts'
import type { ReadAnswer } from '../../lib/client/answers.ts'
import type { KeptLease } from '../../lib/client/lease.ts'
import { type LeaseSession, Leases } from '../../lib/client/leases.ts'
import { type Packed, pack } from '../../lib/record/pack.ts'
import { commandOp } from '../../lib/wire/kv/commands.ts'
import { VirtualTime } from '../help/virtual-time.ts'

/** The session, played by hand: commands are answered after a while, or not at all. */
class Bed {
  readonly time = new VirtualTime()
  readonly leases: Leases
  /** What was asked, with the time. */
  readonly asked: {
    readonly at: number
    readonly op: number
    readonly ids: readonly number[]
    readonly urgent: boolean
  }[] = []
  latencyMs = 10
  /** Leases that the cluster does not have. */
  readonly gone = new Set<number>()
  /** Nothing is answered. */
  cut = false
  /** All is refused. */
  refuses = false
  #last = 0

  constructor() {
    const env = this.time.env('client')
    const session = {
      attempt: async <T>(call: () => Promise<T>) => await call(),
      deadline: () => env.now() + 5_000,
      sendWrite: (writing: Writing, options: { readonly timeout?: number | string }) =>
        this.#send(writing, options, false),
      sendUrgent: (writing: Writing, options: { readonly timeout?: number | string }) =>
        this.#send(writing, options, true),
      sendRead: () => Promise.reject(new Error('nothing is read here'))
    }
    this.leases = new Leases(session as unknown as LeaseSession, env)
  }

  #send(
    writing: Writing,
    { timeout = 5_000 }: { readonly timeout?: number | string },
    urgent: boolean
  ): Promise<unknown> {
    const [op, ...fields] = writing.command as [number, ...number[]]
    const env = this.time.env('session')
    this.asked.push({ at: env.now(), op, ids: fields, urgent })
    return new Promise((resolve, reject) => {
      if (this.cut) {
        const late = new StrettoError('TIMED_OUT', 'no answer', { fate: 'unknown' })
        return void env.after(Number(timeout), () => reject(late))
      }
      env.after(this.latencyMs, () => {
        if (this.refuses) reject(new StrettoError('UNAVAILABLE', 'not now'))
        else if (op === commandOp.grant) resolve(writing.read(2, pack([++this.#last, fields[0]!])))
        else if (op === commandOp.renew)
          resolve(writing.read(2, pack(fields.map(id => (this.gone.has(id) ? -1 : 3_000)))))
        else if (this.gone.has(fields[0]!)) reject(new StrettoError('LEASE_NOT_FOUND', 'gone'))
        else resolve(writing.read(2, pack([0])))
      })
    })
  }

  /** Time passes, and promises settle in between. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 5) {
      this.time.run(5)
      await new Promise(resolve => setImmediate(resolve))
    }
  }

  async grant(ttl = 3_000): Promise<KeptLease> {
    const granting = this.leases.grant({ ttl })
    await this.pass(this.latencyMs + 10)
    return (await granting) as KeptLease
  }

  get renewals() {
    return this.asked.filter(({ op }) => op === commandOp.renew)
  }
}

interface Writing {
  readonly read: ReadAnswer
  readonly command: Packed
}

t.test('a lease is renewed a third of its ttl after it was asked for, and so on', async t => {
  const bed = new Bed()
  const lease = await bed.grant()
  t.match(lease, { id: 1, ttl: 3_000 })
  await bed.pass(10_000)
  t.ok(
    bed.renewals.every(({ urgent }) => urgent),
    'they wait behind no other write'
  )
  t.same(
    bed.renewals.map(({ at }) => Math.round(at / 100)),
    [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
  )
  t.notOk(lease.lost.aborted)
  t.ok(lease.remaining > 1_500)
})

t.test('all leases of a client share a command', async t => {
  const bed = new Bed()
  for (let number = 0; number < 5; number++) await bed.grant()
  await bed.pass(5_000)
  t.ok(bed.renewals.length <= 6, `${bed.renewals.length} commands`)
  t.same(bed.renewals.at(-1)!.ids, [1, 2, 3, 4, 5])
})

t.test('it is lost before it can have ended, counted from when the last renewal was asked for', async t => {
  const bed = new Bed()
  const lease = await bed.grant()
  await bed.pass(1_500)
  const [renewal] = bed.renewals
  bed.cut = true
  let lostAt = 0
  lease.lost.addEventListener('abort', () => (lostAt = bed.time.now))
  await bed.pass(4_000)
  t.ok(lostAt > 0 && lostAt < renewal!.at + 3_000, `lost at ${lostAt}, asked for at ${renewal!.at}`)
  t.ok(lostAt > renewal!.at + 2_500, 'and not long before')
  t.equal(lease.remaining, 0)
  t.match(lease.lost.reason, { code: 'LEASE_NOT_FOUND', fate: 'unknown' })
  const asked = bed.asked.length
  await bed.pass(10_000)
  t.equal(bed.asked.length, asked, 'nobody renews what is lost')
})

t.test('a renewal that fails is asked for again', async t => {
  const bed = new Bed()
  const lease = await bed.grant()
  bed.refuses = true
  await bed.pass(1_500)
  bed.refuses = false
  t.ok(bed.renewals.length > 3)
  await bed.pass(4_000)
  t.notOk(lease.lost.aborted)
})

t.test('a lease that the cluster does not have is lost at once', async t => {
  const bed = new Bed()
  const [one, other] = [await bed.grant(), await bed.grant()]
  bed.gone.add(one.id)
  await bed.pass(1_100)
  t.ok(one.lost.aborted)
  t.notOk(other.lost.aborted)
  await bed.pass(2_000)
  t.same(bed.renewals.at(-1)!.ids, [other.id])
})

t.test('who revokes stops relying on it first; one that has ended is no error', async t => {
  const bed = new Bed()
  const lease = await bed.grant()
  const revoking = lease.revoke()
  t.ok(lease.lost.aborted)
  await bed.pass(20)
  await revoking
  const other = await bed.grant()
  bed.gone.add(other.id)
  const disposing = other[Symbol.asyncDispose]()
  await bed.pass(20)
  await disposing
  await bed.pass(5_000)
  t.equal(bed.renewals.length, 0)
  const revoked = t.rejects(bed.leases.revoke(other), { code: 'LEASE_NOT_FOUND' })
  await bed.pass(20)
  await revoked
})

t.test('with the client all leases are lost, and no timer is left', async t => {
  const bed = new Bed()
  const lease = await bed.grant()
  bed.leases.close()
  t.match(lease.lost, { aborted: true, reason: { code: 'STOPPED' } })
  await bed.pass(5_000)
  t.equal(bed.renewals.length, 0)
})

t.test('a lease that is granted while the client closes is kept by nobody, and says so', async t => {
  const bed = new Bed()
  const granting = bed.leases.grant({ ttl: 3_000 })
  bed.leases.close()
  await bed.pass(20)
  t.match((await granting).lost, { aborted: true, reason: { code: 'STOPPED' } })
  await bed.pass(5_000)
  t.equal(bed.renewals.length, 0)
})

t.test('a grant that was answered late is renewed before anybody relies on it', async t => {
  const bed = new Bed()
  bed.latencyMs = 2_900
  const granting = bed.leases.grant({ ttl: 3_000 })
  bed.latencyMs = 10
  await bed.pass(2_930)
  t.ok((await granting).remaining > 2_600)
  t.equal(bed.renewals.length, 1)
})

t.test('times that are none, and too short ones', async t => {
  const bed = new Bed()
  await t.rejects(bed.leases.grant({ ttl: 999 }), { code: 'BAD_REQUEST', fate: 'not-applied' })
  await t.rejects(bed.leases.grant({ ttl: 'soon' }), { code: 'BAD_REQUEST' })
  await t.rejects(bed.leases.revoke(0), { code: 'BAD_REQUEST' })
  await t.rejects(bed.leases.grant({ ttl: 5_000, tll: 1 } as never), { code: 'BAD_REQUEST' })
  t.same(bed.asked, [])
})
