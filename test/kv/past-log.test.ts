// The past out of a real log: blocks that have left memory are read from its database, and what was cut is not.
import { t } from 'tap'
import { LentLog } from '../../lib/node/lent-log.ts'
import type { Block } from '../../lib/raft/types.ts'
import { PastStory } from '../help/past-story.ts'
import { del, increment, put, Records } from './bed.ts'

void t.test('values and changes come from a log on disk, cold and after a cut', async t => {
  const story = new PastStory()
  const { log } = story.bed.openLog()
  story.machine.lend(new LentLog(log, story.env))
  story.records = new Records({ ...log.tail, term: 1 })
  const write = (blocks: readonly Block[]): void =>
    story.bed.call<void>(done => log.write({ mark: 0, hard: null, cut: null, blocks, trust: false }, done))
  story.onBlock = block => write([block])
  const value = 'x'.repeat(5000)
  for (let round = 0; round < 6; round++) {
    story.step(new Map([['a', `${value}${round}`]]), put('a', `${value}${round}`))
    story.step(new Map([['n', String(round + 1)]]), increment('n'))
    if (round === 3) story.step(new Map([['a', null]]), del('a'))
    if (round % 2 === 1) story.flush()
  }
  t.equal(log.hot(1, 1), null, 'the first blocks have left memory')
  for (let revision = 1; revision <= story.model.revision; revision++) {
    t.same(story.get('a', revision), story.model.at(revision).get('a') ?? null, `at ${revision}`)
  }
  t.same(story.changes({ after: 1, upTo: story.model.revision, previous: true }), story.model.changes)
  const end = log.endBefore(0, 0, 4)
  story.bed.call<void>(done => story.machine.leaves(end.index, done))
  const { membership, machineVersion, state } = log.base
  story.bed.call<void>(done => log.rebase({ ...end, membership, machineVersion, state }, done))
  story.machine.compacted(end.index)
  story.flush()
  story.settle()
  const { compactedRevision } = story.machine
  t.equal(compactedRevision, 5, 'the flush at the cut')
  t.equal(story.get('a', compactedRevision - 1), 'COMPACTED')
  for (let revision = compactedRevision; revision <= story.model.revision; revision++) {
    t.same(story.get('a', revision), story.model.at(revision).get('a') ?? null, `at ${revision}`)
    t.same(story.get('n', revision), story.model.at(revision).get('n') ?? null, `at ${revision}`)
  }
  t.same(
    story.changes({ after: compactedRevision, upTo: story.model.revision, previous: true }),
    story.model.changes.filter(({ revision }) => revision > compactedRevision)
  )
})
