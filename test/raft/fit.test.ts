// A node whose disk or event loop does not keep up: it lets others stand first, and as a leader it can step down.
import { t } from 'tap'
import { defaultConfig } from '../../lib/raft/config.ts'
import { describeInput } from '../../lib/raft/describe.ts'
import type { Envelope } from '../../lib/raft/message.ts'
import { keyOf } from '../help/core-cluster.ts'
import { blockAfter, Solo } from '../help/solo-core.ts'

const kinds = (sent: readonly Envelope[]): string[] => sent.map(({ message }) => message.kind)
const unfit = { kind: 'fit', fit: false } as const
const fit = { kind: 'fit', fit: true } as const
const heldBackMs = 3 * defaultConfig.electionTimeoutMsMax

/** Lets its election timer fire until it campaigns; gives when it did. */
function campaignAt(solo: Solo): number {
  for (let timers = 0; timers < 20; timers++) if (kinds(solo.timeout()).includes('vote')) return solo.now
  return Number.POSITIVE_INFINITY
}

t.test('it stands for election only after three timeouts without a leader, and then like every other', async t => {
  t.equal(describeInput(unfit), 'unfit')
  t.equal(describeInput(fit), 'fit')
  const solo = new Solo()
  solo.now = 100
  solo.step(unfit)
  const at = campaignAt(solo)
  t.ok(at >= 100 + heldBackMs && at <= 100 + heldBackMs + defaultConfig.electionTimeoutMsMax, `after ${at - 100} ms`)
  const other = new Solo()
  other.step(unfit)
  other.now = 5_000
  other.append(2, 1, { index: 0, term: 0 }, [])
  t.ok(campaignAt(other) >= 5_000 + heldBackMs, 'counted from when a leader was heard last')
})

t.test('fit again, it stands at once', async t => {
  const solo = new Solo()
  solo.step(unfit)
  solo.now = 1_300
  t.same(kinds(solo.timeout()), [])
  solo.step(fit)
  t.same(kinds(solo.timeout()), ['vote', 'vote'])
})

t.test('it does not take over, hurries for no broken link and no better log, and votes', async t => {
  const solo = new Solo({ log: [1, 1] })
  solo.append(2, 1, { index: 2, term: 1 }, [])
  solo.step(unfit)
  t.same(solo.hear(2, 1, { kind: 'timeout-now' }), [])
  t.same(solo.step({ kind: 'link-closed', peer: keyOf(2) }), [])
  t.same(kinds(solo.vote(3, 2, { index: 1, term: 1 })), ['vote-reply'])
  t.match(solo.vote(3, 3, { index: 2, term: 1 }), [{ message: { kind: 'vote-reply', granted: true } }])
})

t.test('who is told to take over after all has waited long enough', async t => {
  const solo = new Solo({ log: [1] })
  solo.step(unfit)
  solo.append(2, 1, { index: 1, term: 1 }, [])
  solo.now += heldBackMs
  t.match(solo.hear(2, 1, { kind: 'timeout-now' }), [{ message: { kind: 'vote', force: true } }, {}])
})

/** A leader of three whose disk has not written the last record. */
function hung(): Solo {
  const solo = new Solo()
  solo.lead()
  solo.propose()
  solo.autoFlush = false
  solo.propose()
  return solo
}

t.test('a leader steps down where the others have gone on without its disk, and names a successor', async t => {
  t.equal(describeInput({ kind: 'resign' }), 'resign')
  const solo = hung()
  solo.reply(2, 2)
  t.same(solo.step({ kind: 'resign' }), [], 'one alone is no majority')
  solo.reply(3, 1)
  t.same(solo.step({ kind: 'resign' }), [], 'nor with one whose disk holds no more')
  solo.reply(3, 2)
  t.equal(solo.commit, 2)
  t.match(solo.step({ kind: 'resign' }), [{ to: keyOf(2), message: { kind: 'timeout-now' } }])
  t.match(solo.core.status, { role: 'follower', term: 1, leader: null })
  t.same(solo.step({ kind: 'resign' }), [], 'it leads no more')
})

t.test('who is not heard any more is not counted on, neither for that nor as a successor', async t => {
  const solo = hung()
  solo.reply(2, 2)
  solo.reply(3, 2)
  solo.now += defaultConfig.electionTimeoutMsMin
  t.same(solo.step({ kind: 'resign' }), [])
  solo.step({ kind: 'transfer', to: keyOf(2) })
  solo.step({ kind: 'transfer', to: null })
  t.equal(solo.core.status.accepts, true, 'nobody is waited for in vain')
  solo.reply(3, 2)
  t.match(solo.step({ kind: 'transfer', to: null }), [{ to: keyOf(3), message: { kind: 'timeout-now' } }])
})

t.test('nor is who is far behind what is committed', async t => {
  const solo = new Solo()
  solo.lead()
  solo.propose(2 + defaultConfig.promotionLackMax)
  solo.reply(2, 1)
  solo.reply(3, solo.core.status.last.index)
  solo.step({ kind: 'transfer', to: keyOf(2) })
  t.equal(solo.core.status.accepts, true)
  solo.reply(2, 2)
  solo.step({ kind: 'transfer', to: keyOf(2) })
  t.equal(solo.core.status.accepts, false, 'a little is brought before the word is given')
})

t.test('it acknowledges like every other voter', async t => {
  const solo = new Solo({ log: [1] })
  solo.step(unfit)
  t.match(solo.append(2, 2, { term: 1, index: 1 }, [blockAfter(1, 2)], 2), [
    { message: { kind: 'append-reply', match: 2 } }
  ])
})
