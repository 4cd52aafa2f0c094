// What is asked about the members, and what is answered: round trips, hostile bytes, and requests that are none.
import fc from 'fast-check'
import { t } from 'tap'
import { StrettoError } from '../../lib/base/errors.ts'
import { type Packed, pack } from '../../lib/record/pack.ts'
import * as admin from '../../lib/wire/admin.ts'
import { frameKind, framesOf } from '../../lib/wire/client.ts'

const id = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,10}$/)
const incarnation = fc.stringMatching(/^[0-9a-f]{16}$/)
const address = fc.integer({ min: 1, max: 65_535 }).map(port => `127.0.0.1:${port}`)
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const flag = fc.boolean()
const count = fc.maxSafeNat()

const change: fc.Arbitrary<admin.MembershipChange> = fc.oneof(
  fc.record({ op: fc.constant('add' as const), id, address, learner: flag }),
  fc.record({ op: fc.constant('remove' as const), id }),
  fc.record({ op: fc.constant('promote' as const), id, own: flag }),
  fc.record({ op: fc.constant('replace' as const), id, address: fc.option(address) })
)
const request: fc.Arbitrary<admin.AdminRequest> = fc.oneof(
  change,
  fc.constant({ op: 'members' as const }),
  fc.record({ op: fc.constant('join' as const), id, incarnation, address, learner: flag }),
  fc.record({ op: fc.constant('move' as const), id, incarnation, address }),
  fc.record({ op: fc.constant('transfer' as const), id: fc.option(id) }),
  fc.record({ op: fc.constant('upgrade' as const), force: flag }),
  fc.record({ op: fc.constant('plan' as const), change })
)

t.test('requests and their frames come back as they were', async t => {
  fc.assert(
    fc.property(request, u32, u32, flag, (asked, number, patienceMs, again) => {
      const frame = admin.writeAdmin({ number, patienceMs, again, request: admin.packAdmin(asked) })
      const [split] = framesOf(frame)!
      t.equal(split![4], frameKind.admin)
      const read = admin.readAdmin(split!)
      t.match(read, { number, patienceMs, again })
      t.same(admin.readAdminRequest(read.request), asked)
    })
  )
})

t.test('answers come back as they were', async t => {
  const member = fc.record({
    id,
    incarnation,
    address,
    role: fc.constantFrom('voter' as const, 'learner' as const, 'waiting' as const),
    leader: flag,
    silentMs: fc.option(count),
    lacks: fc.option(count)
  })
  const joined = fc.record({ clusterId: fc.stringMatching(/^[0-9a-f]{32}$/), voter: flag, staysLearner: flag })
  const plan = fc.record({
    voters: fc.array(id),
    votersAfter: fc.array(id),
    tolerates: count,
    toleratesAfter: count,
    toleratesNow: count,
    toleratesNowAfter: count,
    refused: fc.option(fc.string()),
    risks: fc.array(fc.string())
  })
  const versions = fc.record({ inForce: count, voters: fc.array(fc.record({ id, max: fc.option(count) })) })
  const through = (value: Packed): Packed => admin.readSettled(admin.writeSettled(7, value)).result
  fc.assert(
    fc.property(fc.array(member), joined, plan, versions, (members, one, planned, running) => {
      t.same(admin.readMembers(through(admin.packMembers(members))), members)
      t.same(admin.readJoined(through(admin.packJoined(one))), one)
      t.same(admin.readPlan(through(admin.packPlan(planned))), planned)
      t.same(admin.readVersions(through(admin.packVersions(running))), running)
    })
  )
})

t.test('requests that are none are refused in words', async t => {
  const n4 = 'n4'
  const key = '0123456789abcdef'
  const wrong: Readonly<Record<string, Packed>> = {
    'no list': 'members',
    'an unknown name': ['elect', n4],
    'an id that is none': ['remove', '../n4'],
    'an id that is a number': ['remove', 4],
    'no address': ['add', n4, 'somewhere', false],
    'an address with a scheme': ['add', n4, 'ws://127.0.0.1:1', false],
    'an address without a port': ['add', n4, '127.0.0.1:', false],
    'no flag': ['add', n4, '127.0.0.1:7004', 1],
    'an incarnation that is none': ['join', n4, 'x', '127.0.0.1:7004', false],
    'a plan of a plan': ['plan', ['plan', ['remove', n4]]],
    'a plan to join': ['plan', ['join', n4, key, '127.0.0.1:7004', false]],
    'a plan of nothing': ['plan'],
    'a plan to upgrade': ['plan', ['upgrade', false]],
    'an upgrade that is neither forced nor not': ['upgrade']
  }
  for (const [name, value] of Object.entries(wrong)) {
    t.throws(() => admin.readAdminRequest(value), { code: 'BAD_REQUEST', fate: 'not-applied' }, name)
  }
})

t.test('hostile bytes give an answer or a clean refusal', async t => {
  const readers = [admin.readAdminRequest, admin.readMembers, admin.readJoined, admin.readPlan, admin.readVersions]
  const hostile = fc.oneof(
    fc.uint8Array({ minLength: 8, maxLength: 60 }),
    fc.tuple(request, fc.nat(), fc.nat(255)).map(([asked, at, byte]) => {
      const bytes = Uint8Array.from(pack(admin.packAdmin(asked)))
      bytes[at % bytes.length] = byte
      return admin.writeAdmin({ number: 1, patienceMs: 1, again: false, request: [bytes] })
    })
  )
  let refused = 0
  fc.assert(
    fc.property(hostile, frame => {
      for (const read of readers) {
        try {
          read(admin.readAdmin(frame).request)
          read(admin.readSettled(frame).result)
        } catch (error) {
          if (!(error instanceof StrettoError) || error.code !== 'BAD_REQUEST') return false
          refused++
        }
      }
      return true
    }),
    { numRuns: 300 }
  )
  t.ok(refused > 0)
})
