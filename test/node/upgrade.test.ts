// The order of a new machine version: once, by a leader that has all voters before it, and what becomes of who cannot run it.
import { t } from 'tap'
import { readVersion } from '../../lib/machine/order.ts'
import { Upgrade } from '../../lib/node/upgrade.ts'
import type { LogId, Membership, Role } from '../../lib/raft/types.ts'
import { keyOf, membershipOf } from '../help/core-cluster.ts'
import { FakeRaft } from '../help/node-parts.ts'

/** A leader of term 3 among three, whose own record is applied, with a program that runs versions up to 2. */
class Bed {
  readonly raft = new FakeRaft()
  readonly machine: { applied: LogId; version: number; versionMax: number; unable: number | null } = {
    applied: { term: 3, index: 7 },
    version: 1,
    versionMax: 2,
    unable: null
  }
  readonly lines: string[] = []
  readonly halted: Error[] = []
  readonly upgrade: Upgrade
  /** What is in force at the commit index. */
  committed: Membership

  constructor() {
    const { raft, machine } = this
    raft.status.membership = membershipOf([1, 2, 3], null, [4])
    this.committed = raft.status.membership
    raft.membershipAt = () => this.committed
    this.upgrade = new Upgrade({
      raft,
      machine,
      found: line => this.lines.push(line),
      halted: error => this.halted.push(error)
    })
  }

  offer(...ranges: readonly (readonly [number, number])[]): this {
    for (const [at, range] of ranges.entries()) this.upgrade.greeted(keyOf(at + 2), range)
    return this
  }

  /** The version that is ordered now. */
  get ordered(): number | null {
    const draft = this.upgrade.order()
    return draft === null ? null : readVersion(draft, 0, draft.length)
  }
}

t.test('the highest version that all voters offer is ordered, once', async t => {
  const bed = new Bed().offer([1, 2], [1, 2])
  t.equal(bed.ordered, 2)
  t.equal(bed.ordered, null, 'while the record is under way')
  bed.machine.version = 2
  t.equal(bed.ordered, null, 'nor when it is in force')
  bed.machine.versionMax = 4
  t.equal(bed.ordered, null)
  bed.offer([1, 5], [2, 3])
  t.equal(bed.ordered, 3, 'a later one may follow in the same term')
})

t.test('whoever offers too little, or is not linked, holds it back', async t => {
  t.equal(new Bed().ordered, null)
  t.equal(new Bed().offer([1, 2]).ordered, null, 'one has not greeted')
  t.equal(new Bed().offer([1, 2], [1, 1]).ordered, null, 'one cannot run it')
  t.equal(new Bed().offer([1, 2], [3, 4]).ordered, null, 'no version is in common')
  const bed = new Bed().offer([1, 2], [1, 2], [1, 1])
  bed.upgrade.closed(keyOf(3))
  t.equal(bed.ordered, null, 'one may come back as another program')
  bed.upgrade.greeted(keyOf(3), [1, 1])
  t.equal(bed.ordered, null, 'as it has')
  bed.upgrade.greeted(keyOf(3), [1, 2])
  t.equal(bed.ordered, 2, 'a learner holds nothing back')
  const old = new Bed().offer([1, 2], [1, 2])
  old.machine.versionMax = 1
  t.equal(old.ordered, null, 'this node itself cannot run it')
})

t.test('an operator has the version ordered that a quorum can run, for the term of this leader', async t => {
  const bed = new Bed().offer([1, 4], [1, 1])
  bed.machine.versionMax = 3
  t.equal(bed.ordered, null)
  t.equal(bed.upgrade.force(), 3)
  t.equal(bed.ordered, 3)
  t.equal(bed.ordered, null, 'once')
  bed.raft.status.term = 4
  bed.machine.applied = { term: 4, index: 9 }
  t.equal(bed.ordered, null, 'the next leader is asked again')
  t.equal(bed.upgrade.force(), 3)
  bed.raft.status.owesMembership = membershipOf([1, 2])
  t.equal(bed.ordered, null, 'a change of the membership comes first')
  bed.raft.status.owesMembership = null
  t.equal(bed.ordered, 3)
  bed.machine.version = 3
  t.equal(bed.upgrade.force(), null, 'it is in force')
  t.equal(new Bed().offer([1, 1], [1, 1]).upgrade.force(), null, 'alone it is no quorum')
  t.equal(new Bed().offer([3, 4], [1, 1]).upgrade.force(), null, 'nor with one that no longer runs it')
  t.same(
    [1, 2, 3, 9].map(number => bed.upgrade.offer(keyOf(number))),
    [3, 4, 1, null]
  )
})

t.test('a single voter needs nobody else', async t => {
  const bed = new Bed()
  bed.raft.status.membership = membershipOf([1])
  bed.committed = bed.raft.status.membership
  t.equal(bed.ordered, 2)
})

t.test('only a leader orders it, with a record of its own term applied, and not while it hands over', async t => {
  const bed = new Bed().offer([1, 2], [1, 2])
  const { status } = bed.raft
  for (const role of ['follower', 'candidate', 'pre-candidate', 'learner'] satisfies Role[]) {
    status.role = role
    t.equal(bed.ordered, null, role)
  }
  status.role = 'leader'
  status.accepts = false
  t.equal(bed.ordered, null)
  status.accepts = true
  bed.machine.applied = { term: 2, index: 6 }
  t.equal(bed.ordered, null, 'an order of a leader before may stand in the log')
  bed.machine.applied = { term: 3, index: 7 }
  t.equal(bed.ordered, 2)
  status.term = 4
  t.equal(bed.ordered, null)
  bed.machine.applied = { term: 4, index: 9 }
  t.equal(bed.ordered, 2, 'an order that was lost with its term is given again')
})

t.test('a change of the membership comes first', async t => {
  const bed = new Bed().offer([1, 2], [1, 2])
  const { status } = bed.raft
  const settled = status.membership
  status.membership = membershipOf([1, 2, 3], [1, 2, 4])
  bed.committed = status.membership
  t.equal(bed.ordered, null, 'joint')
  status.membership = membershipOf([1, 2, 3])
  t.equal(bed.ordered, null, 'not committed')
  status.membership = settled
  bed.committed = settled
  status.owesMembership = membershipOf([1, 2])
  t.equal(bed.ordered, null, 'about to be proposed')
  status.owesMembership = null
  t.equal(bed.ordered, 2)
})

t.test('who cannot run what the log asks for tells its core and the operator once, and refuses to be read', async t => {
  const bed = new Bed()
  bed.upgrade.look(5)
  t.equal(bed.upgrade.refusal, null)
  t.same(bed.raft.inputs, [])
  bed.machine.unable = 3
  for (let turn = 0; turn < 2; turn++) bed.upgrade.look(6)
  t.same(bed.raft.inputs, [{ kind: 'unable' }])
  t.match(bed.lines, [/^machine version 3 is asked for, and this program runs up to 2/])
  t.equal(bed.lines.length, 1)
  t.same(bed.halted, [bed.upgrade.refusal])
  t.match(bed.upgrade.refusal, { code: 'UNAVAILABLE', fate: 'not-applied', message: /upgrade it/ })
})
