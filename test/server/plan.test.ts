// What a change of the members would do: against a count of all failures there can be, and in the cases that people meet.
import fc from 'fast-check'
import { t } from 'tap'
import { defaultConfig } from '../../lib/raft/config.ts'
import { type Member, type Membership, memberKey } from '../../lib/raft/types.ts'
import { type ClusterView, planOf, tolerated } from '../../lib/server/plan.ts'
import { wantedOf } from '../../lib/server/wanted.ts'
import type { MembershipChange } from '../../lib/wire/admin.ts'

const limits = { silentMsMax: defaultConfig.electionTimeoutMsMax, lacksMax: defaultConfig.promotionLackMax }

function member(number: number): Member {
  const incarnation = String(number).padStart(16, '0')
  const id = `n${number}`
  return { key: memberKey(id, incarnation), id, incarnation, address: `127.0.0.1:${7000 + number}` }
}

/** n1 leads; voters are n1, n2, ..., and then come the learners. */
function view(voters: number, learners = 0, { silent = [] as string[], lacks = 0, knocks = '' } = {}): ClusterView {
  const members = Array.from({ length: voters + learners }, (_, at) => member(at + 1))
  const keys = members.map(({ key }) => key)
  const now: Membership = { voters: keys.slice(0, voters), outgoing: null, learners: keys.slice(voters), members }
  const isSilent = (key: string): boolean => silent.some(id => key.startsWith(`${id}.`))
  return {
    now,
    leader: keys[0]!,
    health: { silentMs: key => (isSilent(key) ? 60_000 : 20), lacks: key => (key === keys[0] ? 0 : lacks) },
    limits,
    knocking:
      knocks === '' ? null : { id: knocks, incarnation: 'f'.repeat(16), address: '127.0.0.1:7099', learner: false }
  }
}

const change: fc.Arbitrary<MembershipChange> = fc.integer({ min: 1, max: 8 }).chain(number => {
  const id = `n${number}`
  return fc.oneof(
    fc.record({
      op: fc.constant('add' as const),
      id: fc.constant(id),
      address: fc.constant(`127.0.0.1:${7000 + number}`),
      learner: fc.boolean()
    }),
    fc.record({ op: fc.constant('remove' as const), id: fc.constant(id) }),
    fc.record({ op: fc.constant('promote' as const), id: fc.constant(id), own: fc.constant(false) }),
    fc.record({ op: fc.constant('replace' as const), id: fc.constant(id), address: fc.constant(null) })
  )
})

/** The most failures after any choice of which so many voters and the silent ones are still outvoted by the rest. */
function survived(voters: readonly string[], silent: readonly string[]): number {
  const heard = voters.filter(id => !silent.includes(id))
  let failures = 0
  while (failures < heard.length && 2 * (heard.length - failures - 1) > voters.length) failures++
  return failures
}

t.test('the failures tolerated are those that leave a majority, by count', async t => {
  for (let voters = 1; voters <= 9; voters++) {
    const ids = Array.from({ length: voters }, (_, at) => String(at))
    t.equal(tolerated(voters), survived(ids, []), `${voters} voters`)
  }
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.nat(2),
      fc.subarray(['n2', 'n3', 'n4', 'n5', 'n6', 'n7']),
      fc.constantFrom('', 'n2', 'n3'),
      change,
      (voters, learners, silent, knocks, asked) => {
        const seen = view(voters, learners, { silent, knocks })
        const plan = planOf(asked, seen)
        t.equal(plan.tolerates, survived(plan.voters, []))
        t.equal(plan.toleratesNow, survived(plan.voters, silent))
        t.equal(plan.toleratesAfter, survived(plan.votersAfter, []))
        const fresh = asked.op === 'remove' || plan.voters.includes(asked.id) === plan.votersAfter.includes(asked.id)
        if (fresh && asked.op !== 'replace') t.equal(plan.toleratesNowAfter, survived(plan.votersAfter, silent))
        if (plan.refused !== null) return
        const wanted = wantedOf(asked, seen.now, seen.knocking)
        t.not(wanted.kind, 'refused')
        if (wanted.kind !== 'target') return
        const left = wanted.target.voters
        const heard = left.filter(key => !silent.some(id => key.startsWith(`${id}.`)))
        const isSame = left.join() === seen.now.voters.join()
        t.ok(isSame || 2 * heard.length > left.length, 'a change that is not refused leaves a healthy majority')
        t.same(
          wanted.target.members.map(({ key }) => key).toSorted(),
          [...left, ...wanted.target.learners].toSorted(),
          'each member is a voter or a learner'
        )
      }
    )
  )
})

const add = { op: 'add', id: 'n4', address: '127.0.0.1:7004', learner: false } as const

t.test('a fourth voter is no gain, and the plan says so', async t => {
  const plan = planOf(add, view(3))
  t.match(plan, { tolerates: 1, toleratesAfter: 1, refused: null, votersAfter: ['n1', 'n2', 'n3', 'n4'] })
  t.match(plan.risks.join('\n'), /4 voters survive no more failures than 3: add another one/)
  t.match(plan.risks.join('\n'), /no node n4 is waiting/)
  t.same(planOf({ ...add, learner: true }, view(3)).votersAfter, ['n1', 'n2', 'n3'])
})

t.test('a removal tells what it costs, and when it would be refused', async t => {
  const plan = planOf({ op: 'remove', id: 'n1' }, view(3))
  t.match(plan, { tolerates: 1, toleratesAfter: 0, refused: null })
  t.match(plan.risks, [/will survive no failure, where it survives 1 now/, /n1 leads: another has to take over/])
  t.match(planOf({ op: 'remove', id: 'n1' }, view(1)).refused, /the last voter/)
  t.match(
    planOf({ op: 'remove', id: 'n3' }, view(3, 0, { silent: ['n2'] })).refused,
    /no healthy majority: n2 not heard/
  )
  t.equal(planOf({ op: 'remove', id: 'n2' }, view(3, 0, { silent: ['n2'] })).refused, null, 'the dead one may go')
  t.match(planOf({ op: 'remove', id: 'n9' }, view(3)), { refused: 'no member n9', risks: [] })
})

t.test('a replacement tells what holds until it is over', async t => {
  const plan = planOf({ op: 'replace', id: 'n2', address: null }, view(3, 0, { silent: ['n2'], knocks: 'n2' }))
  t.match(plan, { refused: null, tolerates: 1, toleratesNow: 0, toleratesAfter: 1, toleratesNowAfter: 1 })
  t.match(plan.risks, [/^until n2 is level again, 2 voters count, and they survive no failure$/])
  const nobody = planOf({ op: 'replace', id: 'n2', address: null }, view(3))
  t.match(nobody.risks.join('\n'), /no node n2 with another disk is waiting/)
  const elsewhere = { op: 'replace', id: 'n2', address: '127.0.0.1:7050' } as const
  t.match(planOf(elsewhere, view(3, 0, { knocks: 'n2' })).refused, /waits at 127.0.0.1:7099, not at 127.0.0.1:7050/)
})

t.test('a learner that lags is not promoted', async t => {
  const promote = { op: 'promote', id: 'n4', own: false } as const
  t.match(planOf(promote, view(3, 1, { lacks: 5_000 })).refused, /n4 .*lacks 5000 records/)
  t.match(planOf(promote, view(3, 1, { lacks: 7 })).risks.join('\n'), /n4 lacks 7 records yet/)
  t.match(planOf({ op: 'promote', id: 'n2', own: false }, view(3)).risks, ['nothing would change'])
})

t.test('what a request asks for, where another has the address, and where it is so already', async t => {
  const { now } = view(3, 1)
  const knock = {
    op: 'join',
    id: 'n5',
    incarnation: 'a'.repeat(16),
    address: '127.0.0.1:7002',
    learner: false
  } as const
  t.match(wantedOf(knock, now, null), { kind: 'refused', text: '127.0.0.1:7002 is the address of n2' })
  const free = wantedOf({ ...knock, address: '127.0.0.1:7005' }, now, null)
  t.match(free, { kind: 'target', target: { learners: [member(4).key, `n5.${'a'.repeat(16)}`] } })
  const other = wantedOf({ ...knock, id: 'n2' }, now, null)
  t.match(other, {
    kind: 'refused',
    text: /n2 is a member with another disk: admit this one with 'members replace n2'/
  })
  t.match(wantedOf({ ...knock, ...member(2) }, now, null), { kind: 'done' })
  const moved = wantedOf({ ...knock, ...member(2), address: '127.0.0.1:7777' }, now, null)
  t.match(moved, { kind: 'target', target: { voters: now.voters, members: [{}, { address: '127.0.0.1:7777' }] } })
  const left = wantedOf({ op: 'move', id: 'n9', incarnation: 'a'.repeat(16), address: '127.0.0.1:7009' }, now, null)
  t.match(left, { kind: 'refused', text: 'no member n9' }, 'who has left does not come back by moving')
  t.match(wantedOf({ ...add, id: 'n2' }, now, null), { kind: 'refused', text: /n2 is a member already, at/ })
})
