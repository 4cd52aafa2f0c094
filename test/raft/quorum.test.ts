// Majorities and joint majorities against brute force, and the table of small sizes.
import fc from 'fast-check'
import { t } from 'tap'
import { hasQuorum, quorumValue, voteResult } from '../../lib/raft/quorum.ts'
import { keyOf, membershipOf } from '../help/core-cluster.ts'

const numRuns = Number(process.env['FC_RUNS'] ?? 500)
const half = fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 7 })
const membership = fc.tuple(half, fc.option(half)).map(([voters, outgoing]) => membershipOf(voters, outgoing))

t.test('how many of 1 to 8 voters are a quorum', async t => {
  for (const [size, needed] of [
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
    [6, 4],
    [7, 4],
    [8, 5]
  ] as const) {
    const all = membershipOf(Array.from({ length: size }, (_, at) => at + 1))
    const first = (count: number) => (key: string) => all.voters.indexOf(key) < count
    t.notOk(hasQuorum(all, first(needed - 1)), `${needed - 1} of ${size}`)
    t.ok(hasQuorum(all, first(needed)), `${needed} of ${size}`)
  }
  t.notOk(
    hasQuorum(membershipOf([]), () => true),
    'nobody is never a quorum'
  )
  t.notOk(hasQuorum({ ...membershipOf([1]), outgoing: [] }, () => true))
  t.equal(
    quorumValue(membershipOf([]), () => 5),
    Number.NEGATIVE_INFINITY
  )
})

t.test('the value of a quorum is the largest that a quorum has reached', async t => {
  fc.assert(
    fc.property(membership, fc.array(fc.nat(20), { minLength: 10, maxLength: 10 }), (membership, values) => {
      const valueOf = (key: string): number => values[Number(key.slice(1, key.indexOf('.')))]!
      const brute = values.filter(value => hasQuorum(membership, key => valueOf(key) >= value))
      const expected = brute.length === 0 ? Number.NEGATIVE_INFINITY : Math.max(...brute)
      const found = quorumValue(membership, valueOf)
      // A value that no single member of the list has reached cannot be the quorum's.
      return found === expected || (found > expected && hasQuorum(membership, key => valueOf(key) >= found))
    }),
    { numRuns }
  )
  t.pass()
})

t.test('any two quorums of a configuration share a member, in each half', async t => {
  fc.assert(
    fc.property(membership, fc.nat(1023), fc.nat(1023), (membership, a, b) => {
      const number = (key: string): number => Number(key.slice(1, key.indexOf('.')))
      const inA = (key: string): boolean => ((a >> number(key)) & 1) === 1
      const inB = (key: string): boolean => ((b >> number(key)) & 1) === 1
      if (!hasQuorum(membership, inA) || !hasQuorum(membership, inB)) return
      for (const voters of [membership.voters, membership.outgoing ?? membership.voters]) {
        if (!voters.some(key => inA(key) && inB(key))) throw new Error('two quorums without a common member')
      }
    }),
    { numRuns }
  )
  t.pass()
})

t.test('a vote is lost as soon as it cannot be won', async t => {
  fc.assert(
    fc.property(
      membership,
      fc.array(fc.constantFrom('granted', 'refused', 'silent'), { minLength: 10, maxLength: 10 }),
      (membership, answers) => {
        const keysOf = (answer: string): Set<string> =>
          new Set(answers.flatMap((given, number) => (given === answer ? [keyOf(number)] : [])))
        const granted = keysOf('granted')
        const refused = keysOf('refused')
        const best = hasQuorum(membership, key => !refused.has(key))
        const won = hasQuorum(membership, key => granted.has(key))
        return voteResult(membership, granted, refused) === (won ? 'won' : best ? 'open' : 'lost')
      }
    ),
    { numRuns }
  )
  t.pass()
})
