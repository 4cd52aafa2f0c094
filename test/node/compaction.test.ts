// Where the log is cut at its beginning: when it has outgrown its bound, below what is flushed, and not before who lags.
import fc from 'fast-check'
import { t } from 'tap'
import type { Done } from '../../lib/base/env.ts'
import { foundingBase } from '../../lib/log/found-log.ts'
import { LogImage, MemoryLog } from '../../lib/log/memory-log.ts'
import type { ReplicatedMachine } from '../../lib/machine/replicated-machine.ts'
import { Compaction } from '../../lib/node/compaction.ts'
import { newCounters } from '../../lib/node/counters.ts'
import { type Index, type LogId, lastOf, type MemberKey } from '../../lib/raft/types.ts'
import { keyOf, membershipOf } from '../help/core-cluster.ts'
import { founding, persist } from '../help/log-blocks.ts'
import { FakeRaft, noopBlocks, quickLimits } from '../help/node-parts.ts'
import { VirtualTime } from '../help/virtual-time.ts'

const peer = keyOf(2)
const blockBytes = 1064
const logBytesMax = 20 * blockBytes

/** A leader with a log of blocks of about a kibibyte. */
class Bed {
  readonly time = new VirtualTime()
  readonly raft = new FakeRaft()
  readonly counters = newCounters()
  readonly log = new MemoryLog({
    image: new LogImage(foundingBase(founding)),
    env: this.time.env('n1'),
    delayMs: () => 1
  })
  readonly told: LogId[] = []
  readonly machineTold: Index[] = []
  /** What the machine was asked for before that, and what it says. */
  readonly left: Index[] = []
  unreadable: Error | null = null
  released: Index = 0
  readonly failures: Error[] = []
  readonly limits = { ...quickLimits, logBytesMax }
  readonly compaction: Compaction
  pin = Number.POSITIVE_INFINITY
  match: Index = 0

  constructor() {
    let opened = false
    this.log.open(() => (opened = true))
    this.time.until(() => opened)
    const { status } = this.raft
    status.peers = [peer]
    status.match = (key: MemberKey) => (key === peer ? this.match : 0)
    const released = (): Index => this.released
    const machine = {
      version: 1,
      applied: { term: 0, index: 0 },
      get released() {
        return released()
      },
      leaves: (index: Index, done: Done): void => {
        this.left.push(index)
        this.time.env('n1').after(1, () => done(this.unreadable))
      },
      compacted: (index: Index) => this.machineTold.push(index)
    } as unknown as ReplicatedMachine
    this.compaction = new Compaction({
      raft: this.raft,
      log: this.log,
      machine,
      limits: this.limits,
      counters: this.counters,
      pin: () => this.pin,
      compacted: base => this.told.push(base),
      failed: error => this.failures.push(error)
    })
  }

  append(blocks: number): void {
    const cut = noopBlocks(this.log.tail, 1, Array<number>(blocks).fill(3), (blockBytes - 32) / 3 - 32)
    let written = false
    this.log.write(persist({ blocks: cut }), () => (written = true))
    this.time.until(() => written)
    this.match = lastOf(cut.at(-1)!)
  }

  flushed(index: Index): void {
    this.compaction.flushed({ term: 1, index })
    this.time.run(10)
  }
}

t.test('nothing is cut within the bound; beyond it a quarter of the bound goes, at the end of a block', async t => {
  const bed = new Bed()
  bed.append(20)
  bed.flushed(60)
  t.equal(bed.log.base.index, 0)
  bed.append(1)
  bed.flushed(63)
  t.equal(bed.log.base.index, 18)
  t.equal(bed.log.bytes, 15 * blockBytes)
  t.same(
    bed.told.map(({ index }) => index),
    [18]
  )
  t.same(bed.machineTold, [18])
  t.same(bed.log.base.membership, membershipOf([1]))
  t.equal(bed.counters.compactions, 1)
})

t.test('what is not flushed stays, and what a snapshot under way or a follower needs', async t => {
  const bed = new Bed()
  bed.append(30)
  bed.flushed(9)
  t.equal(bed.log.base.index, 9, 'no further than the state on disk')
  bed.pin = 15
  bed.flushed(90)
  t.equal(bed.log.base.index, 15, 'a snapshot that ends there is on its way')
  bed.pin = Number.POSITIVE_INFINITY
  bed.match = 30
  bed.flushed(90)
  t.equal(bed.log.base.index, 30, 'a follower that answers has no more')
  bed.append(20)
  bed.match = 31
  bed.flushed(150)
  t.equal(bed.log.base.index, 30, 'a block that it has in part counts as one that it needs')
  bed.append(20)
  bed.match = 31
  bed.flushed(210)
  t.equal(bed.log.bytes, 15 * blockBytes, 'but not at twice the bound')
  t.same(bed.failures, [])
})

t.test('who is probed or brought a snapshot holds nothing up', async t => {
  const bed = new Bed()
  bed.append(30)
  bed.match = 1
  bed.raft.status.mode = () => 'snapshot'
  bed.flushed(90)
  t.equal(bed.log.bytes, 15 * blockBytes)
})

t.test('records bound the log as well', async t => {
  const bed = new Bed()
  Object.assign(bed.limits, { logRecordsMax: 30 })
  bed.append(11)
  bed.flushed(33)
  t.equal(bed.log.base.index, 12, 'three quarters of them are left, in whole blocks')
})

t.test('a bound that is lowered acts at once', async t => {
  const bed = new Bed()
  bed.append(20)
  bed.flushed(60)
  bed.limits.logBytesMax = 8 * blockBytes
  bed.compaction.look()
  bed.time.run(10)
  t.equal(bed.log.bytes, 6 * blockBytes)
})

t.test(
  'whatever happens: never beyond what is flushed, pinned, or needed; and within the bound where it may be',
  async t => {
    const step = fc.record({
      blocks: fc.integer({ min: 1, max: 12 }),
      flushed: fc.nat(30),
      pin: fc.option(fc.nat(40), { nil: null }),
      lag: fc.nat(60)
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), steps => {
        const bed = new Bed()
        const { log } = bed
        let flushed = 0
        for (const { blocks, flushed: behind, pin, lag } of steps) {
          bed.append(blocks)
          const tail = log.tail.index
          flushed = Math.max(flushed, tail - 3 * Math.min(behind, tail / 3))
          bed.match = Math.max(0, tail - lag)
          bed.pin = pin === null ? Number.POSITIVE_INFINITY : Math.max(log.base.index, tail - 3 * pin)
          const before = { index: log.base.index, bytes: log.bytes }
          bed.flushed(flushed)
          const { index } = log.base
          const needed = before.bytes > 2 * logBytesMax ? Number.POSITIVE_INFINITY : bed.match
          const limit = Math.min(flushed, bed.pin, needed)
          if (index > before.index && index > limit) return false
          if (index < before.index || index % 3 !== 0) return false
          if (before.bytes > logBytesMax && log.bytes > logBytesMax && index + 3 <= limit) return false
        }
        return bed.failures.length === 0
      })
    )
    t.pass()
  }
)

t.test('what the past does not need any more goes within the bound, too, once it is looked at', async t => {
  const bed = new Bed()
  bed.append(10)
  bed.flushed(30)
  bed.released = 13
  bed.compaction.look()
  bed.time.run(10)
  t.equal(bed.log.base.index, 12, 'up to the end of a block')
  t.same(bed.left, [12])
  bed.compaction.look()
  bed.time.run(10)
  t.equal(bed.counters.compactions, 1, 'and no more of it')
  bed.released = 60
  bed.pin = 20
  bed.flushed(30)
  t.equal(bed.log.base.index, 18, 'not beyond what else is needed')
})

t.test('nothing is cut before the machine has what it needs of it, or where it cannot get it', async t => {
  const bed = new Bed()
  bed.append(21)
  bed.unreadable = new Error('the state cannot be read')
  bed.flushed(63)
  t.same(bed.left, [18])
  t.equal(bed.log.base.index, 0)
  bed.unreadable = null
  bed.flushed(63)
  t.same(bed.left, [18, 18], 'it is asked again at the next flush')
  t.equal(bed.log.base.index, 18)
  t.same(bed.failures, [])
})
