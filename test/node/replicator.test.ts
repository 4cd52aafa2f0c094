// One peer that a leader feeds: a real core says what is due, the bytes on their way set the pace, the disk is asked late.
import { t } from 'tap'
import { ClusterTime } from '../../lib/machine/cluster-time.ts'
import { newCounters } from '../../lib/node/counters.ts'
import type { NodeLimits } from '../../lib/node/limits.ts'
import { Replicator } from '../../lib/node/replicator.ts'
import { type Append, appendBlocksMax, type Envelope } from '../../lib/raft/message.ts'
import { type Block, type Index, lastOf } from '../../lib/raft/types.ts'
import { keyOf } from '../help/core-cluster.ts'
import { FakeLog, noopBlocks, quickLimits } from '../help/node-parts.ts'
import { Solo } from '../help/solo-core.ts'

const peer = keyOf(2)
const kibibyte = 1_024

/** A leader of three with a log of its own, whose second member is fed. */
class Bed {
  readonly solo = new Solo({ count: 3 })
  readonly log = new FakeLog()
  readonly counters = newCounters()
  readonly sent: Append[] = []
  readonly replicator: Replicator
  takes = true
  wakes = 0
  readonly damage: string[] = []

  constructor(limits: Partial<NodeLimits> = {}) {
    const { solo, log, counters } = this
    solo.lead()
    const clusterTime = new ClusterTime()
    clusterTime.lead(0, 77)
    const send = (envelope: Envelope): boolean => {
      if (this.takes) this.sent.push(envelope.message as Append)
      return this.takes
    }
    const parts = { raft: solo.core, log, clusterTime, counters, send, limits: { ...quickLimits, ...limits } }
    this.replicator = new Replicator(peer, {
      ...parts,
      wake: () => this.wakes++,
      damaged: error => this.damage.push(error.message)
    })
    this.propose(1, 0)
  }

  /** Proposes blocks of one record of so many bytes each. */
  propose(blocks: number, bytes: number): readonly Block[] {
    const { solo, log } = this
    const { term } = solo.core.status
    const cut = noopBlocks(log.tail, term, Array<number>(blocks).fill(1), bytes)
    for (const block of cut) solo.step({ kind: 'propose', block })
    log.blocks.push(...cut)
    return cut
  }

  /** What the peer is sent now. */
  feed(): Append[] {
    const before = this.sent.length
    if (!this.replicator.feed(this.solo.now)) this.solo.step({ kind: 'unreachable', peer })
    return this.sent.slice(before)
  }

  /** The peer has all up to `match`. */
  acknowledge(match: Index): void {
    this.solo.reply(2, match)
  }

  /** The peer has answered its first probe and is fed from then on. */
  met(): this {
    this.feed()
    this.acknowledge(0)
    this.feed()
    this.acknowledge(1)
    return this
  }
}

function lasts(appends: readonly Append[]): Index[] {
  return appends.flatMap(({ blocks }) => blocks.map(lastOf))
}

t.test('nothing is due to a member that is not fed, and a probe carries no blocks', async t => {
  const bed = new Bed()
  const probe = bed.feed()
  t.match(probe, [{ kind: 'append', prev: { index: 0 }, blocks: [], time: 77 }])
  t.same(bed.feed(), [], 'one probe for each heartbeat')
  bed.acknowledge(0)
  t.same(lasts(bed.feed()), [1])
  t.same(bed.feed(), [], 'it is on its way')
})

t.test(
  'appends are pipelined up to the bytes that may be on their way, and go on with each acknowledgement',
  async t => {
    const bed = new Bed({ inFlightBytesMax: 4 * kibibyte, appendBytesMax: 2 * kibibyte }).met()
    const blocks = bed.propose(20, kibibyte)
    const first = bed.feed()
    t.ok(first.length > 1, 'without waiting for an answer')
    for (const { blocks } of first) t.ok(blocks.length === 1, 'two blocks of a kibibyte and their heads are too much')
    t.ok(bed.replicator.inFlightBytes >= 4 * kibibyte)
    t.ok(bed.replicator.inFlightBytes < 6 * kibibyte, 'the limit is passed by less than one append')
    t.same(bed.feed(), [])
    let last = lasts(first).at(-1)!
    while (last < lastOf(blocks.at(-1)!)) {
      bed.acknowledge(last)
      const more = lasts(bed.feed())
      t.equal(more[0], last + 1, 'from where it was, without a gap')
      last = more.at(-1)!
    }
    bed.acknowledge(last)
    bed.feed()
    t.equal(bed.replicator.inFlightBytes, 0)
    t.same(
      lasts(bed.sent),
      Array.from({ length: 21 }, (_, at) => at + 1),
      'each block once'
    )
    const bytes = bed.log.blocks.reduce((sum, block) => sum + block.bytes.length, 0)
    t.equal(bed.counters.appendBytesSent, bytes)
  }
)

t.test('with everything allowed on its way, a heartbeat still leaves', async t => {
  const bed = new Bed({ inFlightBytesMax: kibibyte, appendBytesMax: kibibyte }).met()
  bed.propose(3, 2 * kibibyte)
  t.same(lasts(bed.feed()), [2])
  bed.solo.now += 100
  t.match(bed.feed(), [{ blocks: [], prev: { index: 2 } }])
})

t.test('what a lost message held back is sent again, though as much as is allowed was on its way', async t => {
  const bed = new Bed({ inFlightBytesMax: 2 * kibibyte, appendBytesMax: kibibyte }).met()
  bed.propose(6, kibibyte)
  t.same(lasts(bed.feed()), [2, 3])
  // The first of them is lost. The peer refuses the second, and says in the same answer what it holds.
  bed.solo.reply(2, 1, { reject: { index: 2, hint: { term: 1, index: 1 } } })
  t.equal(bed.solo.core.status.mode(peer), 'replicate')
  t.same(lasts(bed.feed()), [2, 3], 'the bytes that were lost are on their way no longer')
  bed.acknowledge(3)
  t.same(lasts(bed.feed()), [4, 5])
})

t.test('a send that is refused takes the core back to probing, and forgets what was on its way', async t => {
  const bed = new Bed({ inFlightBytesMax: 2 * kibibyte, appendBytesMax: kibibyte }).met()
  bed.propose(4, kibibyte)
  t.same(lasts(bed.feed()), [2, 3])
  bed.acknowledge(2)
  bed.takes = false
  t.same(bed.feed(), [])
  t.equal(bed.counters.appendsDropped, 1)
  t.equal(bed.solo.core.status.mode(peer), 'probe')
  bed.takes = true
  t.match(bed.feed(), [{ blocks: [], prev: { index: 2 } }], 'a probe at once, at what is known to be there')
  t.equal(bed.replicator.inFlightBytes, 0)
  bed.acknowledge(2)
  t.same(lasts(bed.feed()), [3, 4])
})

t.test('a peer that cannot be reached is tried at heartbeats, not in a loop', async t => {
  const bed = new Bed().met()
  bed.propose(1, 10)
  bed.takes = false
  for (let turn = 0; turn < 10; turn++) bed.feed()
  t.ok(bed.counters.appendsDropped <= 2, 'one append, one probe')
  bed.solo.now += 100
  for (let turn = 0; turn < 10; turn++) bed.feed()
  t.ok(bed.counters.appendsDropped <= 3)
})

t.test('blocks that memory has let go of come from disk, with one read at a time', async t => {
  const bed = new Bed().met()
  bed.propose(5, 100)
  bed.log.hotFrom = 100
  t.same(bed.feed(), [])
  t.same(bed.feed(), [])
  t.same([bed.log.coldReads.length, bed.counters.coldReads, bed.wakes], [1, 1, 0])
  bed.log.coldReads[0]!.done(null, bed.log.from(2).slice(0, 3))
  t.equal(bed.wakes, 1, 'the node takes a turn')
  t.same(lasts(bed.feed()), [2, 3, 4])
  t.equal(bed.log.coldReads.length, 2, 'and the next ones are read')
  t.equal(bed.log.coldReads[1]!.from, 5)
  bed.log.hotFrom = 0
  t.same(lasts(bed.feed()), [5, 6], 'memory is preferred')
  bed.log.coldReads[1]!.done(null, bed.log.from(5))
  t.same(bed.feed(), [], 'and what the disk brings then is not sent again')
})

t.test('an append brings no more blocks than its receiver takes, however small they are', async t => {
  const counts = (appends: readonly Append[]): number[] => appends.map(({ blocks }) => blocks.length)
  const bed = new Bed({ appendBytesMax: 16 * kibibyte * kibibyte, inFlightBytesMax: 64 * kibibyte * kibibyte }).met()
  bed.propose(2 * appendBlocksMax + 5, 0)
  t.same(counts(bed.feed()), [appendBlocksMax, appendBlocksMax, 5], 'from memory')
  const late = new Bed({ appendBytesMax: 16 * kibibyte * kibibyte, inFlightBytesMax: 64 * kibibyte * kibibyte }).met()
  late.propose(appendBlocksMax + 5, 0)
  late.log.hotFrom = 10_000
  late.feed()
  late.log.coldReads[0]!.done(null, late.log.from(2))
  const appends = late.feed()
  t.same(counts(appends), [appendBlocksMax, 5], 'from one reading of the disk')
  t.equal(appends[1]!.prev.index, appendBlocksMax + 1)
  t.equal(late.log.coldReads.length, 1)
})

t.test('what was read from disk before a cut, or in another term, is thrown away', async t => {
  for (const change of ['cut', 'term'] as const) {
    for (const answered of ['before', 'after'] as const) {
      const bed = new Bed().met()
      bed.propose(3, 100)
      bed.log.hotFrom = 100
      bed.feed()
      const [read] = bed.log.coldReads
      const old = bed.log.from(2)
      if (change === 'cut') bed.log.cuts++
      else leadAgain(bed)
      if (answered === 'before') read!.done(null, old)
      t.same(lasts(bed.feed()), [], `${change}: what came before the next look`)
      if (answered === 'after') read!.done(null, old)
      t.same(lasts(bed.feed()), [], `${change}: what came after it`)
      t.same(
        bed.log.coldReads.map(({ from }) => from),
        [2, 2],
        'it is read again'
      )
      bed.log.coldReads[1]!.done(null, bed.log.from(2))
      t.same(lasts(bed.feed()), [2, 3, 4])
    }
  }
})

/** Another leads for a moment; then this node leads a later term, and its peer still lacks what it lacked. */
function leadAgain(bed: Bed): void {
  const term = bed.solo.core.status.term + 1
  bed.solo.hear(3, term, { kind: 'append-reply', match: 0, reject: null, round: 0, leaseMs: 0 })
  bed.solo.lead()
  bed.feed()
  bed.solo.reply(2, 1, { reject: { index: bed.log.tail.index, hint: { term: 1, index: 1 } } })
}

t.test('a read that finds nothing is tried again in a later turn', async t => {
  const bed = new Bed().met()
  bed.propose(2, 100)
  bed.log.hotFrom = 100
  bed.feed()
  bed.log.coldReads[0]!.done(null, null)
  t.equal(bed.wakes, 0)
  bed.feed()
  t.equal(bed.log.coldReads.length, 2)
  bed.log.coldReads[1]!.done(null, bed.log.from(2))
  t.same(lasts(bed.feed()), [2, 3])
  t.same(bed.damage, [])
})

t.test('a read that fails is told, and the disk has a second of rest before the next', async t => {
  const bed = new Bed().met()
  bed.propose(2, 100)
  bed.log.hotFrom = 100
  bed.feed()
  bed.log.coldReads[0]!.done(new Error('damaged'), null)
  t.same(bed.damage, ['damaged'])
  bed.feed()
  bed.solo.now += 999
  bed.feed()
  t.equal(bed.log.coldReads.length, 1)
  bed.solo.now += 1
  bed.feed()
  bed.log.coldReads[1]!.done(null, bed.log.from(2))
  t.same(lasts(bed.feed()), [2, 3])
})
