// Committed blocks to the state, whole and in order; and the state to disk, never beyond what the own log has there.
import fc from 'fast-check'
import { t } from 'tap'
import { draftVersion } from '../../lib/machine/order.ts'
import { Applier } from '../../lib/node/applier.ts'
import { newCounters } from '../../lib/node/counters.ts'
import type { NodeLimits } from '../../lib/node/limits.ts'
import type { Block, Index } from '../../lib/raft/types.ts'
import { cutBlock } from '../../lib/record/block.ts'
import { draft, FakeLog, HandMachine, noopBlocks, quickLimits } from '../help/node-parts.ts'

const runs = Number(process.env['FC_RUNS'] ?? 200)

class Bed {
  readonly log = new FakeLog()
  readonly machine = new HandMachine()
  readonly counters = newCounters()
  /** Indexes of all answers, in the order they came. */
  readonly answered: Index[] = []
  readonly failures: Error[] = []
  readonly applier: Applier

  constructor(limits: Partial<NodeLimits> = {}) {
    const { log, machine, counters } = this
    this.applier = new Applier(
      {
        log,
        machine: machine.replicated,
        counters,
        limits: { ...quickLimits, ...limits },
        applied: answers => this.answered.push(...answers.map(({ index }) => index)),
        flushed: () => {},
        damaged: error => this.failures.push(error),
        hollow: false,
        failed: error => this.failures.push(error)
      },
      0
    )
  }

  /** A log of blocks with so many records each. */
  logOf(...counts: readonly number[]): this {
    this.log.blocks.push(...noopBlocks(this.log.tail, 1, counts, 100))
    return this
  }

  /** A block of commands, which the machine answers. */
  commands(count: number): Block {
    const drafts = Array.from({ length: count }, () => draft())
    const block = cutBlock(0, 1, this.log.tail, 0, drafts)
    this.log.blocks.push(block)
    return block
  }

  advance(commit: Index, durable = commit, now = 0): void {
    this.applier.advance(commit, durable, now)
  }

  /** Applies all up to `commit`, which is durable. */
  settle(commit: Index, now = 0): void {
    for (this.advance(commit, commit, now); this.machine.applies.length > 0; this.advance(commit, commit, now)) {
      this.machine.applied()
    }
  }
}

t.test('committed blocks are applied in order, one call at a time, and every command is answered', async t => {
  const bed = new Bed().logOf(1)
  bed.commands(2)
  bed.commands(3)
  bed.advance(3)
  t.equal(bed.machine.applies.length, 1)
  bed.advance(6)
  t.equal(bed.machine.applies.length, 1, 'the first call is still under way')
  t.equal(bed.applier.applied, 0)
  bed.machine.applied()
  t.same([bed.applier.applied, bed.answered], [3, [2, 3]])
  bed.advance(6)
  bed.machine.applied()
  t.same([bed.applier.applied, bed.answered], [6, [2, 3, 4, 5, 6]])
  t.equal(bed.counters.appliedRecords, 5)
  bed.advance(6)
  t.equal(bed.machine.applies.length, 0, 'nothing is applied twice')
})

t.test('a block is applied whole or not at all', async t => {
  const bed = new Bed().logOf(2, 3)
  bed.advance(4)
  t.same(bed.machine.applies[0]!.batches, [])
  bed.machine.applied()
  t.equal(bed.applier.applied, 2, 'the block that ends at 5 waits')
  bed.advance(4)
  t.equal(bed.machine.applies.length, 0)
  bed.advance(5)
  bed.machine.applied()
  t.equal(bed.applier.applied, 5)
})

t.test('however commit and memory run, what is applied is the log, without gap or repetition', async t => {
  const step = fc.record({ commit: fc.nat(40), hotFrom: fc.nat(40), answer: fc.boolean() })
  const counts = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(counts, fc.array(step, { maxLength: 30 }), (counts, steps) => {
      const bed = new Bed({ appendBytesMax: 600 })
      for (const count of counts) bed.commands(count)
      const last = bed.log.tail.index
      let commit = 0
      const finish = (): void => {
        const read = bed.log.coldReads.pop()
        if (read !== undefined) read.done(null, bed.log.from(read.from, 600))
        if (bed.machine.applies.length > 0) bed.machine.applied()
      }
      for (const step of steps) {
        commit = Math.max(commit, Math.min(step.commit, last))
        bed.log.hotFrom = step.hotFrom
        bed.advance(commit)
        if (step.answer) finish()
        if (bed.applier.applied > commit) return false
      }
      for (let turn = 0; turn < 3 * counts.length && bed.applier.applied < last; turn++) {
        bed.advance(last)
        finish()
        finish()
      }
      const whole = Array.from({ length: last }, (_, at) => at + 1)
      return bed.failures.length === 0 && JSON.stringify(bed.answered) === JSON.stringify(whole)
    }),
    { numRuns: runs }
  )
  t.pass('for every run')
})

t.test('what memory has let go of comes from disk; a cut meanwhile is no failure', async t => {
  const bed = new Bed().logOf(1, 1)
  bed.log.hotFrom = 100
  bed.advance(2)
  bed.log.cuts++
  bed.log.coldReads.shift()!.done(null, null)
  t.equal(bed.log.coldReads.length, 1, 'it is read again')
  bed.log.coldReads.shift()!.done(null, bed.log.from(1))
  bed.machine.applied()
  t.same([bed.applier.applied, bed.failures], [2, []])
})

t.test('what is neither in memory nor on disk ends the life, once', async t => {
  const missing = new Bed().logOf(1, 1)
  missing.log.hotFrom = 100
  missing.advance(2)
  missing.log.coldReads[0]!.done(null, null)
  t.match(missing.failures, [{ message: /does not hold index 1/ }])

  const damaged = new Bed().logOf(1)
  damaged.log.hotFrom = 100
  damaged.advance(1)
  const damage = new Error('the block is damaged')
  damaged.log.coldReads[0]!.done(damage, null)
  damaged.advance(1)
  t.same([damaged.failures, damaged.log.coldReads.length], [[damage], 1], 'nothing is tried after it')
})

t.test('blocks that the machine cannot take end the life, also when the disk has brought them', async t => {
  const bed = new Bed().logOf(1, 1, 1)
  bed.log.hotFrom = 100
  bed.advance(3)
  t.doesNotThrow(() => bed.log.coldReads[0]!.done(null, bed.log.from(3)))
  t.match(bed.failures, [{ name: 'AssertionError', message: /without a gap/ }])
})

t.test('an apply that fails ends the life', async t => {
  const bed = new Bed()
  bed.commands(1)
  bed.advance(1)
  const fault = new Error('the state cannot be read')
  bed.machine.applies.pop()!.done(fault, [])
  bed.advance(1)
  t.same([bed.failures, bed.answered, bed.machine.applies.length], [[fault], [], 0])
})

t.test('the state is flushed for its bytes in memory, for the bytes of log, or for its age', async t => {
  const bytes = new Bed({ flushStateBytes: 50 }).logOf(1)
  bytes.settle(1)
  t.equal(bytes.machine.flushes.length, 0)
  bytes.machine.unflushedBytes = 50
  bytes.advance(1)
  t.match(bytes.machine.flushes, [{ upTo: { term: 1, index: 1 } }])

  const log = new Bed({ flushLogBytes: 600 }).logOf(1, 1, 1, 1, 1)
  log.settle(3)
  t.equal(log.machine.flushes.length, 0)
  log.settle(5)
  t.match(log.machine.flushes, [{ upTo: { index: 5 } }])

  const age = new Bed({ flushAfterMs: 1_000 }).logOf(1, 1)
  age.settle(1)
  age.advance(1, 1, 999)
  t.equal(age.machine.flushes.length, 0)
  age.advance(1, 1, 1_000)
  t.match(age.machine.flushes, [{ upTo: { index: 1 } }])
  age.machine.flushed()
  age.advance(1, 1, 5_000)
  t.equal(age.machine.flushes.length, 0, 'nothing is new')
  age.settle(2, 5_000)
  t.match(age.machine.flushes, [{ upTo: { index: 2 } }])
  t.equal(age.counters.flushes, 2)
})

t.test('one flush at a time, between two applies, while applying goes on', async t => {
  const bed = new Bed({ flushStateBytes: 1 }).logOf(1, 1, 1)
  bed.machine.unflushedBytes = 1
  bed.settle(1)
  t.equal(bed.machine.flushes.length, 1)
  bed.settle(2)
  t.same([bed.applier.applied, bed.machine.flushes.length], [2, 1], 'an apply waits for no flush')
  bed.machine.flushed()
  bed.advance(3)
  t.match(bed.machine.flushes, [{ upTo: { index: 2 } }], 'before the next apply begins')
  bed.machine.applied()
})

t.test('a flush never passes what the own disk holds of the log', async t => {
  const bed = new Bed({ flushStateBytes: 1 }).logOf(2, 3)
  bed.machine.unflushedBytes = 1
  bed.advance(2, 0)
  bed.machine.applied()
  bed.advance(2, 1)
  t.same([bed.applier.applied, bed.machine.flushes.length], [2, 0], 'applied and answered, but not on disk yet')
  bed.advance(2, 2)
  t.match(bed.machine.flushes, [{ upTo: { index: 2 } }])
})

t.test('a disk that is always behind the others is waited for when a flush is overdue', async t => {
  const bed = new Bed({ flushStateBytes: 1 })
  for (let block = 0; block < 50; block++) bed.logOf(1)
  bed.machine.unflushedBytes = 2
  // The others commit two blocks ahead of the own disk, for as long as it takes.
  for (let durable = 0; durable <= 48; durable++) {
    bed.advance(durable + 2, durable)
    if (bed.machine.applies.length > 0) bed.machine.applied()
    for (const { upTo } of bed.machine.flushes) t.ok(upTo.index <= durable, 'not beyond the own disk')
    if (bed.machine.flushes.length > 0) bed.machine.flushed()
  }
  t.ok(bed.counters.flushes > 5, `${bed.counters.flushes} flushes`)
  t.ok(bed.applier.applied > 40, 'and applying goes on')
})

t.test('a flush that fails ends the life', async t => {
  const bed = new Bed({ flushAfterMs: 0 }).logOf(1)
  bed.settle(1)
  const full = new Error('no space left')
  bed.machine.flushed(full)
  bed.settle(1)
  t.same([bed.failures, bed.machine.flushes.length], [[full], 0])
})

t.test('at the order of a version that cannot be run the state stops, and what it has is still flushed', async t => {
  const bed = new Bed({ flushAfterMs: 0 }).logOf(1)
  bed.commands(2)
  const order = cutBlock(0, 1, bed.log.tail, 0, [draft(), draftVersion(2), draft()])
  bed.log.blocks.push(order)
  bed.advance(6)
  bed.machine.applied()
  // The rules change only when all before is done, so the machine is called once more.
  bed.machine.applied()
  t.same([bed.applier.applied, bed.answered], [4, [2, 3, 4]], 'all before it is answered')
  t.equal(bed.machine.replicated.unable, 2)
  for (let turn = 0; turn < 3; turn++) bed.advance(6)
  t.equal(bed.machine.applies.length, 0)
  t.same(bed.machine.flushes[0]?.upTo, { term: 1, index: 4 })
  t.same(bed.failures, [], 'and the life of the node goes on')
})

t.test('after its end an applier says nothing, whatever still comes back', async t => {
  const bed = new Bed({ flushAfterMs: 0 }).logOf(1)
  bed.settle(1)
  bed.commands(1)
  bed.advance(2)
  bed.applier.stop()
  bed.machine.flushed(new Error('closed'))
  bed.machine.applied()
  bed.advance(2)
  const cold = new Bed().logOf(1)
  cold.log.hotFrom = 100
  cold.advance(1)
  cold.applier.stop()
  cold.log.coldReads[0]!.done(null, cold.log.from(1))
  t.same([bed.failures, bed.answered, cold.failures, cold.machine.applies], [[], [], [], []])
})
