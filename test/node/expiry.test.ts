// When a leader writes an expiry record: past the deadline, after its own no-op and a poll of input, one at a time.
import { t } from 'tap'
import { advanceMsMax } from '../../lib/machine/cluster-time.ts'
import { newCounters } from '../../lib/node/counters.ts'
import { Expiry } from '../../lib/node/expiry.ts'
import { recordAt, recordKind } from '../../lib/record/record.ts'
import { FakeRaft } from '../help/node-parts.ts'

/** A leader of term 3 whose no-op, record 7, is applied; something falls due after 1,000. */
class Bed {
  readonly raft = new FakeRaft()
  readonly counters = newCounters()
  readonly machine = { applied: { term: 3, index: 7 }, dueAt: 1_000 }
  wakes = 0
  readonly expiry: Expiry
  #soon: (() => void)[] = []

  constructor() {
    const { raft, machine, counters } = this
    const env = { soon: (turn: () => void) => void this.#soon.push(turn) }
    this.expiry = new Expiry({ env, raft, machine, counters, wake: () => this.wakes++ })
  }

  /** One turn of the event loop. */
  pass(): void {
    const turns = this.#soon
    this.#soon = []
    for (const turn of turns) turn()
  }

  order(time: number): boolean {
    const draft = this.expiry.order(time)
    if (draft !== null) t.equal(draft[recordAt.kind], recordKind.expiry)
    return draft !== null
  }

  /** As it goes where nothing is in the way. */
  polled(time: number): boolean {
    if (this.order(time)) return true
    this.pass()
    this.pass()
    return this.order(time)
  }
}

t.test('a record is written once the deadline is past, and all that had arrived by then has been read', async t => {
  const bed = new Bed()
  t.notOk(bed.polled(1_000), 'a lease lasts its whole ttl')
  t.equal(bed.wakes, 0)
  t.notOk(bed.order(1_001))
  bed.pass()
  t.notOk(bed.order(1_001), 'what stands at the door comes first')
  bed.pass()
  t.equal(bed.wakes, 1, 'it is looked at again without being asked')
  t.ok(bed.order(1_001))
  t.equal(bed.counters.expiries, 1)
})

t.test('what arrives meanwhile may have renewed it', async t => {
  const bed = new Bed()
  t.notOk(bed.order(1_001))
  bed.machine.dueAt = 2_000
  bed.pass()
  bed.pass()
  t.notOk(bed.order(1_001))
  t.notOk(bed.order(2_001), 'a poll serves one deadline')
  bed.pass()
  bed.pass()
  t.ok(bed.order(2_001))
})

t.test('one record at a time: the next waits until it is applied', async t => {
  const bed = new Bed()
  t.ok(bed.polled(1_001))
  bed.expiry.proposed(9)
  t.notOk(bed.polled(1_002))
  t.equal(bed.expiry.wakeAt(50, 1_002), Number.POSITIVE_INFINITY)
  bed.machine.applied = { term: 3, index: 8 }
  t.notOk(bed.polled(1_003))
  bed.machine.applied = { term: 3, index: 9 }
  t.ok(bed.polled(1_004), 'there was more than one record takes')
})

t.test('only a leader whose own no-op is applied, and that does not hand over', async t => {
  const bed = new Bed()
  bed.raft.status.role = 'follower'
  t.notOk(bed.polled(1_001))
  bed.raft.status.role = 'leader'
  bed.raft.status.accepts = false
  t.notOk(bed.polled(1_001))
  bed.raft.status.accepts = true
  bed.machine.applied = { term: 2, index: 7 }
  t.notOk(bed.polled(1_001), 'a renewal of the term before may not be applied yet')
  t.equal(bed.expiry.wakeAt(0, 1_001), Number.POSITIVE_INFINITY)
  bed.machine.applied = { term: 3, index: 8 }
  t.ok(bed.polled(1_001))
  bed.expiry.proposed(9)
  bed.raft.status.term = 4
  bed.machine.applied = { term: 4, index: 9 }
  t.ok(bed.polled(1_001), 'what was proposed in an earlier term may never be applied')
})

t.test('it wakes for the deadline, and before that so often that cluster time goes on', async t => {
  const bed = new Bed()
  t.equal(bed.expiry.wakeAt(50, 900), 151)
  t.equal(bed.expiry.wakeAt(50, 1_000), 51)
  t.equal(bed.expiry.wakeAt(50, 5_000), 51)
  t.equal(bed.expiry.wakeAt(50, 0), 50 + advanceMsMax)
  bed.machine.dueAt = Number.POSITIVE_INFINITY
  t.equal(bed.expiry.wakeAt(50, 0), Number.POSITIVE_INFINITY)
})
