// Changes of the configuration: which may be made, when, in which steps, and who counts meanwhile.
import fc from 'fast-check'
import { t } from 'tap'
import { finalStep, firstStep, safetyFault, shapeFault } from '../../lib/raft/change.ts'
import { hasQuorum } from '../../lib/raft/quorum.ts'
import type { MemberKey, Membership } from '../../lib/raft/types.ts'
import { CoreCluster, keyOf, type Member, membershipOf } from '../help/core-cluster.ts'
import { Solo } from '../help/solo-core.ts'

const limits = { silentMsMax: 1000, lacksMax: 100 }
const healthy = { silentMs: () => 0, lacks: () => 0 }

const numbers = fc.subarray([1, 2, 3, 4, 5], { minLength: 1 })
/** A configuration that is not joint. */
const configuration = fc.tuple(numbers, fc.subarray([1, 2, 3, 4, 5, 6])).map(([voters, learners]) =>
  membershipOf(
    voters,
    null,
    learners.filter(number => !voters.includes(number))
  )
)

function subsets(keys: readonly MemberKey[]): MemberKey[][] {
  return keys.reduce<MemberKey[][]>((all, key) => [...all, ...all.map(set => [...set, key])], [[]])
}

t.test('any two quorums of a configuration and of the next one in the log share a member (IC1)', async t => {
  fc.assert(
    fc.property(configuration, configuration, (now, target) => {
      const steps = [now, firstStep(now, target)]
      if (steps[1]!.outgoing !== null) steps.push(finalStep(steps[1]!))
      const everybody = [1, 2, 3, 4, 5, 6].map(keyOf)
      for (const [at, next] of steps.slice(1).entries()) {
        const before = steps[at]!
        for (const one of subsets(everybody)) {
          if (!hasQuorum(before, key => one.includes(key))) continue
          const others = everybody.filter(key => !one.includes(key))
          if (hasQuorum(next, key => others.includes(key))) return false
        }
      }
      return true
    }),
    { numRuns: 150 }
  )
  t.pass()
})

t.test('the steps end where they were to lead, and name each member once', async t => {
  fc.assert(
    fc.property(configuration, configuration, (now, target) => {
      const first = firstStep(now, target)
      const last = first.outgoing === null ? first : finalStep(first)
      const keys = first.members.map(({ key }) => key)
      const named = [...first.voters, ...(first.outgoing ?? []), ...first.learners]
      return (
        last.voters.join() === target.voters.join() &&
        last.learners.join() === target.learners.join() &&
        last.members
          .map(({ key }) => key)
          .toSorted()
          .join() ===
          target.members
            .map(({ key }) => key)
            .toSorted()
            .join() &&
        new Set(keys).size === keys.length &&
        named.every(key => keys.includes(key))
      )
    })
  )
  t.pass()
})

t.test('what is no configuration to change into', async t => {
  const now = membershipOf([1, 2, 3], null, [4])
  const fault = (target: Membership): string | null => shapeFault(now, target)
  t.equal(fault(membershipOf([1, 2, 3, 4])), null)
  t.equal(fault(membershipOf([], null, [1, 2, 3])), 'the last voter cannot be removed')
  t.equal(fault(membershipOf([1, 2, 3, 5])), 'n5 has to be a learner before it is a voter')
  t.equal(fault(membershipOf([1, 2], [1, 2, 3])), 'a change leads to a configuration that is not joint')
  t.equal(fault({ ...membershipOf([1, 2]), learners: [keyOf(2)] }), 'a member is a voter or a learner, and once')
  t.equal(fault({ ...membershipOf([1, 2]), members: [] }), 'each member is a voter or a learner')
  const twice = membershipOf([1, 2, 3, 4])
  const [first, second, ...rest] = twice.members
  t.equal(fault({ ...twice, members: [first!, { ...second!, id: 'n1' }, ...rest] }), 'two members have one id')
  const { address } = first!
  t.equal(fault({ ...twice, members: [first!, { ...second!, address }, ...rest] }), 'two members have one address')
})

t.test('what is not begun because too few are heard, or somebody is behind', async t => {
  const now = membershipOf([1, 2, 3], null, [4])
  const silent = (...gone: number[]) => ({
    ...healthy,
    silentMs: (key: MemberKey) => (gone.map(keyOf).includes(key) ? 1001 : 1000)
  })
  t.equal(safetyFault(now, membershipOf([1, 2, 3, 4]), healthy, limits), null)
  t.equal(safetyFault(now, membershipOf([1, 2], null, [4]), silent(3), limits), null, 'who is dead may be removed')
  const text = 'the voters that are left would have no healthy majority: n2 not heard'
  t.equal(safetyFault(now, membershipOf([1, 2], null, [4]), silent(2), limits), text)
  const lag = (lacks: number) => ({ ...healthy, lacks: (key: MemberKey) => (key === keyOf(4) ? lacks : 0) })
  t.equal(safetyFault(now, membershipOf([1, 2, 3, 4]), lag(100), limits), null)
  t.equal(safetyFault(now, membershipOf([1, 2, 3, 4]), lag(101), limits), 'n4 is not level yet: it lacks 101 records')
  t.equal(safetyFault(now, membershipOf([1, 2, 3, 4]), silent(4), limits), 'n4 is not heard')
  const learners = membershipOf([1, 2, 3], null, [4, 5])
  t.equal(safetyFault(now, learners, silent(2, 3), limits), null, 'learners come and go as they like')
})

/** A leader of so many, all level with it. */
function leading(count: number, options: { readonly voters?: number } = {}): { cluster: CoreCluster; leader: Member } {
  const cluster = new CoreCluster({ count, ...options })
  cluster.run(3000)
  const leader = cluster.leader!
  cluster.put(leader)
  cluster.run(300)
  return { cluster, leader }
}

function outcomeOf(member: Member, ticket: number): string {
  const outcome = member.changes.find(change => change.ticket === ticket)
  return outcome === undefined ? 'open' : outcome.kind === 'refused' ? outcome.text : outcome.kind
}

t.test('E1: no change before a record of the own term is committed, and one at a time', async t => {
  const solo = new Solo()
  solo.lead()
  solo.step({ kind: 'change', ticket: 1, target: membershipOf([1, 2]) })
  const early = { ticket: 1, kind: 'refused', wait: true, text: 'this leader has committed nothing in its term yet' }
  t.same(solo.readies.at(-1)!.changes, [early])
  t.equal(solo.core.status.owesMembership, null)
  solo.propose()
  solo.now++
  solo.reply(2, 1)
  solo.step({ kind: 'change', ticket: 2, target: membershipOf([1, 2]) })
  t.match(solo.readies.at(-1)!.changes, [{ wait: true, text: 'this leader does not know yet which voters are there' }])
  solo.reply(3, 1)
  solo.step({ kind: 'change', ticket: 3, target: membershipOf([1, 2]) })
  t.same(solo.core.status.owesMembership, {
    ...membershipOf([1, 2, 3]),
    voters: [keyOf(1), keyOf(2)],
    outgoing: membershipOf([1, 2, 3]).voters
  })
  solo.step({ kind: 'change', ticket: 4, target: membershipOf([1, 3]) })
  t.match(solo.readies.at(-1)!.changes, [{ ticket: 4, wait: true, text: 'another change is under way' }])
  solo.propose(1, solo.core.status.owesMembership)
  t.equal(solo.core.status.owesMembership, null, 'the joint one is to be committed first')
  t.throws(() => solo.propose(1, membershipOf([1])), /only when it owes one/)
})

t.test('E1: two that change from one configuration to different ones have a majority in common', async t => {
  // The counterexample of 2015: four members; one leader adds a fifth, the next one removes one.
  const { cluster, leader } = leading(5, { voters: 4 })
  const others = [...cluster.members.values()].filter(member => member !== leader)
  const ticket = cluster.change(leader, membershipOf([1, 2, 3, 4], null, [5]))
  cluster.run(300)
  t.equal(outcomeOf(leader, ticket), 'settled')
  // It proposes to add a voter and is cut off with it; the others elect another, which removes one.
  const reaches = ({ from, to }: { from: MemberKey; to: MemberKey }): boolean => {
    const apart = [leader.key, keyOf(5)]
    return apart.includes(from) === apart.includes(to)
  }
  const lost = cluster.change(leader, membershipOf([1, 2, 3, 4, 5]))
  cluster.run(5000, reaches)
  const next = cluster.leader!
  t.not(next, leader)
  const three = [1, 2, 3, 4].filter(number => keyOf(number) !== leader.key)
  const wanted = cluster.change(next, membershipOf(three, null, [5]))
  cluster.run(300, reaches)
  t.equal(outcomeOf(next, wanted), 'settled')
  t.equal(outcomeOf(leader, lost), 'lost', 'who asked is told that nobody knows')
  cluster.run(5000)
  t.same(cluster.leader!.core.status.membership.voters, three.map(keyOf))
  t.ok(others.every(({ core }) => core.status.commit === next.core.status.commit || core.status.role === 'follower'))
})

t.test('a change is carried through by the next leader, and nobody can tell how it went but from the log', async t => {
  const { cluster, leader } = leading(4, { voters: 3 })
  cluster.change(leader, membershipOf([1, 2, 3], null, [4]))
  cluster.run(300)
  const left = [1, 2, 3, 4].filter(number => keyOf(number) !== leader.key)
  const ticket = cluster.change(leader, membershipOf(left))
  // The joint configuration reaches them all, and the leader dies before it learns so.
  cluster.settle(({ to }) => to !== leader.key)
  cluster.crash(leader)
  cluster.run(5000)
  const next = cluster.leader!
  t.same(next.core.status.membership, membershipOf(left))
  t.equal(next.core.status.commit, next.core.status.last.index)
  t.equal(outcomeOf(leader, ticket), 'open')
  cluster.restart(leader)
  cluster.run(5000)
  t.equal(cluster.leader, next, 'E8, E15: who was removed comes back with its old log, and disturbs nobody')
})

t.test('E6, E10: a leader that removes itself leads until that is committed, and then no more', async t => {
  const { cluster, leader } = leading(3)
  const left = [1, 2, 3].filter(number => keyOf(number) !== leader.key)
  const ticket = cluster.change(leader, membershipOf(left))
  cluster.run(2000)
  t.equal(outcomeOf(leader, ticket), 'settled')
  t.equal(leader.core.status.role, 'follower')
  t.equal(leader.core.wakeAt(), Number.POSITIVE_INFINITY, 'it never stands again')
  const next = cluster.leader!
  t.ok(left.map(keyOf).includes(next.key))
  t.ok(cluster.put(next))
  cluster.run(300)
  t.equal(next.core.status.commit, next.core.status.last.index)
})

t.test('who is removed is told so by its leader, and needs nobody else to know', async t => {
  const { cluster, leader } = leading(3)
  const out = [...cluster.members.values()].find(member => member !== leader)!
  const left = [1, 2, 3].filter(number => keyOf(number) !== out.key)
  cluster.change(leader, membershipOf(left))
  cluster.run(1000)
  const { membership, commit } = out.core.status
  t.same(membership, membershipOf(left))
  t.ok(commit >= 4, 'the configuration without it is committed, as far as it knows')
  t.notOk(leader.core.status.peers.includes(out.key), 'and it is fed no more')
})

t.test('who is removed and cannot be reached is fed for a while only', async t => {
  const { cluster, leader } = leading(3)
  const out = [...cluster.members.values()].find(member => member !== leader)!
  const left = [1, 2, 3].filter(number => keyOf(number) !== out.key)
  cluster.change(leader, membershipOf(left))
  const reaches = ({ from, to }: { from: MemberKey; to: MemberKey }): boolean => from !== out.key && to !== out.key
  cluster.run(100, reaches)
  t.ok(leader.core.status.peers.includes(out.key))
  cluster.run(1000, reaches)
  t.notOk(leader.core.status.peers.includes(out.key))
})

t.test('E5: a learner that does not know of its promotion yet votes all the same', async t => {
  const { cluster, leader } = leading(3, { voters: 2 })
  cluster.change(leader, membershipOf([1, 2], null, [3]))
  cluster.run(300)
  const learner = cluster.member(3)
  t.equal(learner.core.status.role, 'learner')
  cluster.change(leader, membershipOf([1, 2, 3]))
  cluster.run(1000, ({ to }) => to !== learner.key)
  const other = [...cluster.members.values()].find(member => member !== leader && member !== learner)!
  t.ok(other.core.status.membership.voters.includes(learner.key))
  cluster.crash(leader)
  cluster.run(5000)
  t.equal(cluster.leader, other, 'two of three are a majority')
})

t.test('E12: a learner that is dead holds up nobody', async t => {
  const { cluster, leader } = leading(4, { voters: 3 })
  cluster.crash(cluster.member(4))
  cluster.change(leader, membershipOf([1, 2, 3], null, [4]))
  cluster.run(300)
  t.ok(cluster.put(leader))
  cluster.run(300)
  t.equal(leader.core.status.commit, leader.core.status.last.index)
  const ticket = cluster.change(leader, membershipOf([1, 2, 3, 4]))
  cluster.run(3000)
  t.match(outcomeOf(leader, ticket), /^n4 is not (heard|level yet)/)
})

t.test('E13: a configuration that is overwritten is in force no more, and a role with it', async t => {
  const { cluster, leader } = leading(5)
  const five = [1, 2, 3, 4, 5]
  const near = [...cluster.members.values()].find(member => member !== leader)!
  const apart = [leader.key, near.key]
  const reaches = ({ from, to }: { from: MemberKey; to: MemberKey }): boolean =>
    apart.includes(from) === apart.includes(to)
  cluster.change(
    leader,
    membershipOf(
      five.filter(number => keyOf(number) !== near.key),
      null,
      [five.find(number => keyOf(number) === near.key)!]
    )
  )
  cluster.run(500, reaches)
  t.ok(near.core.status.membership.outgoing !== null, 'joint, on a minority')
  cluster.run(5000, reaches)
  cluster.run(5000)
  t.same(near.core.status.membership.voters, five.map(keyOf))
  t.equal(near.core.status.membership.outgoing, null)
  t.not(near.core.status.role, 'learner')
})

t.test('E16: nobody is added beside one that is down, where the rest would have no majority', async t => {
  const { cluster, leader } = leading(3)
  const others = [...cluster.members.values()].filter(member => member !== leader)
  cluster.crash(others[0]!)
  cluster.run(2000)
  const one = [1, 2, 3].find(number => keyOf(number) === others[1]!.key)!
  const left = [1, 2, 3].filter(number => number !== one)
  const ticket = cluster.change(leader, membershipOf(left))
  cluster.run(300)
  t.match(outcomeOf(leader, ticket), /no healthy majority/)
  t.same(leader.core.status.membership, membershipOf([1, 2, 3]), 'nothing has changed')
})

t.test('a leader that hands over changes nothing, and a change that waits for it is refused', async t => {
  const { cluster, leader } = leading(3)
  const other = [...cluster.members.values()].find(member => member !== leader)!
  other.slow = true
  cluster.put(leader)
  cluster.step(leader, { kind: 'transfer', to: other.key })
  const ticket = cluster.change(leader, membershipOf([1, 2]))
  t.equal(outcomeOf(leader, ticket), 'leadership is being handed over')
})
