// Durability, cuts and compaction as the core keeps count of them.
import { t } from 'tap'
import { LogState } from '../../lib/raft/log-state.ts'
import { logOrigin } from '../../lib/raft/types.ts'
import { blockAfter } from '../help/solo-core.ts'

t.test('a write counts up to its end, once it has ended, and with all before it', async t => {
  const log = new LogState(logOrigin, logOrigin, [])
  log.append(blockAfter(0, 1, 3))
  t.equal(log.take(null, false)?.mark, 1)
  log.append(blockAfter(3, 1))
  t.equal(log.take(null, false)?.mark, 2)
  t.equal(log.take(null, false), null, 'nothing waits any more')
  log.append(blockAfter(4, 1))
  log.persisted(2)
  t.equal(log.durable, 4)
  log.persisted(1)
  t.equal(log.durable, 4)
  t.throws(() => log.persisted(9), /handed out/)
})

t.test('a cut lowers every write under way, and the cut leaves in one write with what follows it', async t => {
  const log = new LogState(logOrigin, logOrigin, [])
  log.append(blockAfter(0, 1, 5))
  log.take(null, false)
  log.persisted(1)
  log.append(blockAfter(5, 2, 5))
  const seventh = log.take(null, false)
  log.append(blockAfter(10, 2))
  log.cut(5)
  log.append(blockAfter(5, 3))
  const eighth = log.take(null, false)
  t.match(eighth, { cut: 5, blocks: [{ first: 6, term: 3 }] })
  t.equal(eighth?.blocks.length, 1, 'what was cut before it was handed out is not written at all')
  log.persisted(seventh!.mark)
  t.equal(log.durable, 5, 'the end of the old write does not stand for the new record')
  log.persisted(eighth!.mark)
  t.equal(log.durable, 6)
  t.same(log.last, { term: 3, index: 6 })
})

t.test('what was never handed out needs no cut on the disk', async t => {
  const log = new LogState(logOrigin, logOrigin, [])
  log.append(blockAfter(0, 1))
  log.append(blockAfter(1, 1))
  log.cut(1)
  t.match(log.take(null, false), { cut: null, blocks: [{ first: 1 }] })
})

t.test('the lowest of several cuts is what the disk is told', async t => {
  const log = new LogState(logOrigin, { term: 1, index: 9 }, [{ term: 1, index: 1 }])
  log.cut(7)
  log.append(blockAfter(7, 2))
  log.cut(4)
  log.append(blockAfter(4, 3))
  t.match(log.take(null, false), { cut: 4, blocks: [{ first: 5, term: 3 }] })
})

t.test('no committed record is cut, none that is not durable is compacted', async t => {
  const log = new LogState(logOrigin, logOrigin, [])
  log.append(blockAfter(0, 1, 3))
  log.take(null, false)
  log.commitTo(2)
  t.throws(() => log.cut(1), /committed/)
  t.throws(() => log.commitTo(1), /rises/)
  t.throws(() => log.commitTo(4), /within the log/)
  t.throws(() => log.compact({ term: 1, index: 2 }), /durable/)
  log.persisted(1)
  t.throws(() => log.compact({ term: 1, index: 3 }), /committed/)
  log.compact({ term: 1, index: 2 })
  t.same(log.base, { term: 1, index: 2 })
  t.same(log.hintFor(3, 0), { term: 1, index: 2 }, 'a hint is never below the base')
  t.throws(() => log.append(blockAfter(4, 1)), /follows the end/)
})
