// A node whose program cannot run what the log asks for: it follows, acknowledges and votes, and never leads.
import { t } from 'tap'
import { describeInput } from '../../lib/raft/describe.ts'
import type { Envelope } from '../../lib/raft/message.ts'
import { logOrigin } from '../../lib/raft/types.ts'
import { keyOf } from '../help/core-cluster.ts'
import { blockAfter, Solo } from '../help/solo-core.ts'

const kinds = (sent: readonly Envelope[]): string[] => sent.map(({ message }) => message.kind)
const unable = { kind: 'unable' } as const

t.test('it never campaigns, whatever it waits for and whoever asks it to', async t => {
  const solo = new Solo({ log: [1, 1] })
  t.equal(describeInput(unable), 'unable')
  t.same(solo.step(unable), [])
  t.equal(solo.core.wakeAt(), Number.POSITIVE_INFINITY, 'no leader is known, and none is waited for')
  solo.now += 60_000
  t.same(solo.step({ kind: 'time' }), [])
  solo.append(2, 1, { index: 2, term: 1 }, [])
  for (let at = 0; at < 20; at++)
    t.same(
      kinds(solo.timeout()).filter(kind => kind === 'vote'),
      []
    )
  t.same(solo.step({ kind: 'link-closed', peer: keyOf(2) }), [])
  solo.append(2, 1, { index: 2, term: 1 }, [])
  t.same(solo.hear(2, 1, { kind: 'timeout-now' }), [], 'nor when its leader hands over')
  for (const peer of [2, 3]) t.same(solo.step({ kind: 'greeted', peer: keyOf(peer), boot: 1 }), [])
  t.same(kinds(solo.vote(3, 2, logOrigin, { force: true })), ['vote-reply'], 'nor for having the better log')
  t.equal(solo.core.status.role, 'follower')
})

t.test('it votes and acknowledges like every other voter', async t => {
  const solo = new Solo({ log: [1] })
  solo.step(unable)
  t.match(solo.vote(2, 2, { term: 1, index: 1 }), [{ message: { kind: 'vote-reply', granted: true } }])
  const sent = solo.append(2, 2, { term: 1, index: 1 }, [blockAfter(1, 2)], 2)
  t.match(sent, [{ message: { kind: 'append-reply', match: 2 } }])
  t.equal(solo.commit, 2)
})

t.test('a campaign under way is given up, and late votes win nothing', async t => {
  for (const step of [1, 2]) {
    const solo = new Solo()
    const [asked] = solo.timeout()
    const pre = asked!.message.kind === 'vote' ? asked!.message : null
    if (step === 2) {
      solo.hear(2, 1, { kind: 'vote-reply', pre: true, round: pre!.round, granted: true, reason: null })
      t.equal(solo.core.status.role, 'candidate')
    }
    solo.step(unable)
    t.equal(solo.core.status.role, 'follower')
    for (const round of [1, 2]) {
      for (const pre of [true, false]) {
        solo.hear(3, 1, { kind: 'vote-reply', pre, round, granted: true, reason: null })
      }
    }
    t.equal(solo.core.status.role, 'follower')
  }
})

t.test('a leader steps down in its term, and tells its owner', async t => {
  const solo = new Solo()
  solo.lead()
  solo.propose()
  const { term } = solo.core.status
  solo.core.step({ kind: 'read', ticket: 5 }, solo.now)
  solo.step(unable)
  t.match(solo.core.status, { role: 'follower', term, leader: null, accepts: false })
  t.equal(solo.readies.at(-1)!.changed, true)
  solo.reply(2, 1)
  t.equal(solo.commit, 0, 'it counts nobody any more')
  t.match(solo.vote(3, term + 1, { term, index: 1 }), [{ message: { granted: true } }])
})
