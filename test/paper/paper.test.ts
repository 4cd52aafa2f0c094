// The rules of the Raft paper (extended version) and of Ongaro's thesis, a test for each sentence.
import { t } from 'tap'
import type { Envelope, VoteReply } from '../../lib/raft/message.ts'
import { logOrigin } from '../../lib/raft/types.ts'
import { CoreCluster, keyOf, membershipOf } from '../help/core-cluster.ts'
import { blockAfter, Solo, self } from '../help/solo-core.ts'

const verdict = (sent: readonly Envelope[]): VoteReply | undefined =>
  sent.map(({ message }) => message).find((message): message is VoteReply => message.kind === 'vote-reply')

const id = (index: number, term: number): { index: number; term: number } => ({ index, term })

t.test('5.1 all servers: a later term is taken over, and the server becomes a follower', async t => {
  const solo = new Solo({ log: [1] })
  solo.lead()
  t.equal(solo.core.status.role, 'leader')
  solo.hear(3, 9, { kind: 'append-reply', match: 0, reject: null, round: 0, leaseMs: 0 })
  t.equal(solo.core.status.term, 9)
  t.equal(solo.core.status.role, 'follower')
  t.same(solo.persists.at(-1)?.hard, { term: 9, vote: null })
})

t.test('5.1 a request of an earlier term is refused, and the answer tells the later one', async t => {
  const solo = new Solo({ hard: { term: 5, vote: null } })
  t.equal(verdict(solo.vote(2, 4, id(9, 4)))?.granted, false)
  const [reply] = solo.append(2, 4, logOrigin, [blockAfter(0, 4)])
  t.equal(reply?.term, 5)
  t.equal(solo.core.status.last.index, 0, 'nothing was taken')
})

t.test('5.2 a follower that hears nothing for an election timeout campaigns, after a random time', async t => {
  const times = new Set<number>()
  for (let seed = 0; seed < 50; seed++) {
    const cluster = new CoreCluster({ count: 3, seed })
    times.add(cluster.member(1).core.wakeAt())
    t.ok(cluster.member(1).core.wakeAt() >= 600 && cluster.member(1).core.wakeAt() <= 1200)
    t.not(cluster.member(1).core.wakeAt(), cluster.member(2).core.wakeAt(), 'equal seeds give other times to others')
  }
  t.ok(times.size > 25)
})

t.test('5.2 a heartbeat of the leader and a granted vote put the campaign off', async t => {
  const solo = new Solo()
  solo.now = 500
  solo.append(2, 1, logOrigin, [])
  t.ok(solo.core.wakeAt() >= 1100)
  const other = new Solo()
  other.now = 500
  t.equal(verdict(other.vote(2, 1, logOrigin))?.granted, true)
  t.ok(other.core.wakeAt() >= 1100)
})

t.test('5.2 a candidate raises its term, votes for itself durably, and asks all others', async t => {
  const solo = new Solo({ count: 5 })
  solo.autoFlush = false
  const asked = solo.timeout()
  t.equal(asked.length, 4)
  const round = 1
  for (const voter of [2, 3]) {
    solo.hear(voter, 1, { kind: 'vote-reply', pre: true, round, granted: true, reason: null })
  }
  t.same(solo.persists.at(-1)?.hard, { term: 1, vote: self })
  t.equal(solo.readies.flatMap(({ send }) => send).filter(({ message }) => message.kind === 'vote').length, 4)
  t.equal(solo.flush().length, 4, 'the votes are asked for once the own one is durable')
})

t.test('5.2 a candidate wins with a majority, its own vote among them', async t => {
  const solo = new Solo({ count: 5 })
  solo.lead([2])
  t.equal(solo.core.status.role, 'pre-candidate', '2 of 5 are not enough')
  const other = new Solo({ count: 5 })
  other.lead([2, 3])
  t.equal(other.core.status.role, 'leader')
})

t.test('5.2 each server votes for one candidate a term, first come, first served, and again for the same', async t => {
  const solo = new Solo()
  t.equal(verdict(solo.vote(2, 1, logOrigin))?.granted, true)
  t.equal(verdict(solo.vote(3, 1, logOrigin))?.granted, false)
  t.equal(verdict(solo.vote(2, 1, logOrigin))?.granted, true)
  t.equal(verdict(solo.vote(3, 2, logOrigin))?.granted, true, 'a new term, a new vote')
})

t.test('5.2 a vote is kept over a crash, and over becoming a follower in the same term', async t => {
  const restarted = new Solo({ hard: { term: 3, vote: keyOf(2) } })
  t.equal(verdict(restarted.vote(3, 3, logOrigin))?.granted, false)
  const solo = new Solo()
  solo.vote(2, 1, logOrigin)
  solo.append(2, 1, logOrigin, [])
  solo.now = 5_000
  t.equal(verdict(solo.vote(3, 1, logOrigin))?.granted, false)
})

t.test('5.2 a candidate that hears the leader of its term follows it; of an earlier term, not', async t => {
  const solo = new Solo({ hard: { term: 2, vote: null } })
  solo.timeout()
  solo.hear(2, 3, { kind: 'vote-reply', pre: true, round: 1, granted: true, reason: null })
  t.equal(solo.core.status.role, 'candidate')
  solo.append(3, 2, logOrigin, [])
  t.equal(solo.core.status.role, 'candidate')
  solo.append(3, 3, logOrigin, [])
  t.equal(solo.core.status.role, 'follower')
  t.equal(solo.core.status.leader, keyOf(3))
})

t.test('5.2 a candidate that neither wins nor loses starts anew, in a new term', async t => {
  const solo = new Solo({ count: 5 })
  solo.timeout()
  for (const round of [1, 3]) {
    const { term } = solo.core.status
    for (const voter of [2, 3]) {
      solo.hear(voter, term + 1, { kind: 'vote-reply', pre: true, round, granted: true, reason: null })
    }
    t.equal(solo.core.status.role, 'candidate')
    t.equal(solo.core.status.term, term + 1)
    solo.timeout()
    t.equal(solo.core.status.role, 'pre-candidate')
  }
})

t.test('5.2 a leader sends heartbeats at once and then in every idle interval', async t => {
  const solo = new Solo()
  solo.lead()
  t.same(solo.send(2)?.blocks, [])
  t.equal(solo.send(2), null)
  solo.now += 100
  t.same(solo.send(2)?.blocks, [])
})

t.test('5.3 a leader appends to its own log, and commits once a majority holds the record durably', async t => {
  const solo = new Solo({ count: 5 })
  solo.lead([2, 3])
  solo.autoFlush = false
  solo.propose()
  for (const peer of [2, 3]) solo.reply(peer, 1)
  t.equal(solo.commit, 0, 'its own disk is not done: two of five')
  solo.flush()
  t.equal(solo.commit, 1)
})

t.test('5.3 a leader may commit before its own disk is done, when a majority of others is', async t => {
  const solo = new Solo()
  solo.lead()
  solo.autoFlush = false
  solo.propose()
  solo.reply(2, 1)
  t.equal(solo.commit, 0)
  solo.reply(3, 1)
  t.equal(solo.commit, 1)
  t.equal(solo.core.status.durable, 0)
})

t.test('5.3 append entries 2: refused where the log holds no record of that term at prev', async t => {
  const solo = new Solo({ log: [1, 1, 2] })
  for (const prev of [id(4, 2), id(3, 3), id(3, 1)]) {
    const [reply] = solo.append(2, 3, prev, [])
    t.equal(reply?.message.kind === 'append-reply' && reply.message.reject?.index, prev.index)
  }
  const [reply] = solo.append(2, 3, id(3, 2), [])
  t.match(reply?.message, { match: 3, reject: null })
})

t.test('5.3 append entries 3: a record that conflicts is cut together with all that follow it', async t => {
  const solo = new Solo({ log: [1, 1, 2, 2, 2] })
  solo.append(2, 3, id(2, 1), [blockAfter(2, 3)])
  t.same(solo.core.status.last, id(3, 3))
  t.match(solo.persists.at(-1), { cut: 2, blocks: [{ first: 3, term: 3 }] }, 'the cut and the first block in one write')
})

t.test(
  '5.3 append entries 4: only records that are not there are appended; a late, shorter append cuts nothing',
  async t => {
    const solo = new Solo()
    const blocks = [blockAfter(0, 1, 3), blockAfter(3, 1), blockAfter(4, 1)]
    solo.append(2, 1, logOrigin, blocks)
    t.equal(solo.core.status.last.index, 5)
    const writes = solo.persists.length
    solo.append(2, 1, logOrigin, blocks.slice(0, 1))
    solo.append(2, 1, id(3, 1), blocks.slice(1, 2))
    t.equal(solo.core.status.last.index, 5)
    t.equal(solo.persists.length, writes, 'nothing was written again')
  }
)

t.test('5.3 append entries 5: commit is the lesser of the leader commit and the last new record', async t => {
  const solo = new Solo({ log: [1, 1, 1] })
  solo.append(2, 2, id(1, 1), [], 3)
  t.equal(solo.commit, 1, 'records 2 and 3 are not yet known to be those of this leader')
  solo.append(2, 2, id(3, 1), [], 2)
  t.equal(solo.commit, 2)
  solo.append(2, 2, id(3, 1), [], 1)
  t.equal(solo.commit, 2, 'it never falls')
})

t.test('5.3 next goes back after a refusal, a whole term at a time', async t => {
  const solo = new Solo({ log: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6] })
  solo.lead()
  const probe = solo.send(2)
  t.same(probe?.prev, id(10, 6))
  // The follower has terms 1 1 1 2 2 2 3 3 3 3 3: nothing of it above 3 can be shared.
  solo.reply(2, 0, { reject: { index: 10, hint: id(10, 3) } })
  t.same(solo.send(2)?.prev, id(3, 1))
})

t.test('5.4.1 a vote is refused to a log that ends in an earlier term, or in the same term and is shorter', async t => {
  const ids = [1, 2, 3].flatMap(term => [1, 2, 3].map(index => id(index, term)))
  for (const own of ids) {
    for (const theirs of ids) {
      const log = Array.from({ length: own.index }, (_, at) => (at === own.index - 1 ? own.term : 1))
      const solo = new Solo({ log })
      const granted = verdict(solo.vote(2, 4, theirs))?.granted
      t.equal(granted, theirs.term > own.term || (theirs.term === own.term && theirs.index >= own.index))
    }
  }
})

t.test('5.4.2 a record of an earlier term is committed only along with one of the own term', async t => {
  const solo = new Solo({ log: [1, 1] })
  solo.lead()
  solo.reply(2, 2)
  solo.reply(3, 2)
  t.equal(solo.commit, 0)
  solo.propose()
  solo.reply(2, 3)
  t.equal(solo.commit, 3)
})

t.test('5.5 a request that is repeated does no harm', async t => {
  const solo = new Solo()
  solo.append(2, 1, logOrigin, [blockAfter(0, 1)], 1)
  const view = solo.core.view()
  solo.append(2, 1, logOrigin, [blockAfter(0, 1)], 1)
  t.same(solo.core.view(), view)
})

t.test('5.6 timing: a new leader is there within a few election timeouts, over 200 seeds', async t => {
  let worst = 0
  for (let seed = 0; seed < 200; seed++) {
    const cluster = new CoreCluster({ count: 5, seed })
    while (cluster.leader === undefined && cluster.now < 10_000) cluster.run(50)
    worst = Math.max(worst, cluster.now)
  }
  t.ok(worst <= 3 * 1200, `worst ${worst} ms`)
})

t.test(
  '6 and thesis 4.1: a configuration is in force as soon as it is in the log, and no longer once it is cut',
  async t => {
    const solo = new Solo({ count: 3 })
    const next = { ...membershipOf([1, 2, 3, 4]), outgoing: membershipOf([1, 2, 3]).voters }
    solo.append(2, 1, logOrigin, [blockAfter(0, 1), blockAfter(1, 1, 1, next)])
    t.same(solo.core.status.membership, next)
    t.equal(solo.commit, 0)
    solo.append(3, 2, id(1, 1), [blockAfter(1, 2)])
    t.same(solo.core.status.membership, membershipOf([1, 2, 3]))
  }
)

t.test('6 joint consensus: votes and commits need a majority of both configurations', async t => {
  const joint = { ...membershipOf([1, 4, 5]), outgoing: membershipOf([1, 2, 3]).voters }
  const solo = new Solo({ membership: joint })
  solo.lead([2, 3])
  t.equal(solo.core.status.role, 'pre-candidate', 'the new half has not agreed')
  const other = new Solo({ membership: joint })
  other.lead([2, 4])
  t.equal(other.core.status.role, 'leader')
  other.propose()
  other.reply(4, 1)
  other.reply(5, 1)
  t.equal(other.commit, 0, 'the old half has not agreed')
  other.reply(3, 1)
  t.equal(other.commit, 1)
})

t.test(
  '6 a leader outside the new configuration leads until that is committed, does not count itself, and steps down',
  async t => {
    const solo = new Solo({ count: 3 })
    solo.lead()
    solo.propose()
    solo.now++
    for (const peer of [2, 3]) solo.reply(peer, 1)
    solo.step({ kind: 'change', ticket: 1, target: membershipOf([2, 3]) })
    solo.propose(1, solo.core.status.owesMembership)
    for (const peer of [2, 3]) solo.reply(peer, 2)
    solo.propose(1, solo.core.status.owesMembership)
    solo.reply(2, 3)
    t.equal(solo.core.status.role, 'leader')
    t.equal(solo.commit, 2, 'one of two, for the leader does not count')
    const sent = solo.reply(3, 3)
    t.equal(solo.core.status.role, 'follower')
    t.equal(solo.commit, 3)
    t.match(sent, [{ message: { kind: 'timeout-now' } }], 'and names a successor')
  }
)

t.test('6 a learner is replicated to and does not count; it never campaigns', async t => {
  const solo = new Solo({ membership: membershipOf([1, 2], null, [3, 4]) })
  solo.lead()
  solo.propose()
  solo.reply(3, 1)
  solo.reply(4, 1)
  t.equal(solo.commit, 0)
  solo.reply(2, 1)
  t.equal(solo.commit, 1)
  const learner = new Solo({ membership: membershipOf([2, 3], null, [1]) })
  t.equal(learner.core.status.role, 'learner')
  t.equal(learner.core.wakeAt(), Number.POSITIVE_INFINITY)
  learner.now = 10_000
  t.same(learner.step({ kind: 'time' }), [])
  t.equal(
    verdict(learner.vote(2, 1, logOrigin))?.granted,
    true,
    'but it votes when asked: it may not know that it counts'
  )
})

t.test(
  'thesis 4.2.2: who was voted out still stands until that is committed, without counting its own vote',
  async t => {
    const solo = new Solo({ count: 3 })
    solo.lead()
    solo.propose()
    solo.now++
    for (const peer of [2, 3]) solo.reply(peer, 1)
    solo.step({ kind: 'change', ticket: 1, target: membershipOf([2, 3]) })
    solo.propose(1, solo.core.status.owesMembership)
    for (const peer of [2, 3]) solo.reply(peer, 2)
    solo.propose(1, solo.core.status.owesMembership)
    solo.hear(2, 5, { kind: 'append-reply', match: 0, reject: null, round: 0, leaseMs: 0 })
    t.equal(solo.core.status.role, 'follower')
    solo.lead([2])
    t.equal(solo.core.status.role, 'pre-candidate', 'one of two')
    solo.lead([2, 3])
    t.equal(solo.core.status.role, 'leader')
  }
)

t.test('thesis 4.2.3: whoever hears a leader neither votes nor takes over the term of a candidate', async t => {
  const solo = new Solo()
  solo.append(2, 1, logOrigin, [])
  solo.now = 599
  t.same(solo.vote(3, 9, logOrigin), [])
  t.equal(verdict(solo.vote(3, 9, logOrigin, { pre: true }))?.reason, 'leader')
  t.equal(solo.core.status.term, 1)
  t.equal(
    verdict(solo.vote(3, 9, logOrigin, { force: true }))?.granted,
    true,
    'unless the leader itself has asked for it'
  )
  const late = new Solo()
  late.append(2, 1, logOrigin, [])
  late.now = 600
  t.equal(verdict(late.vote(3, 2, logOrigin))?.granted, true)
})

t.test('thesis 4.2.3: a leader is not unseated by a candidate of a later term', async t => {
  const solo = new Solo()
  solo.lead()
  t.same(solo.vote(3, 9, id(9, 8)), [])
  t.equal(solo.core.status.role, 'leader')
})

t.test(
  'thesis 3.10: a leader that hands over accepts nothing, waits for the target, tells it, and gives up',
  async t => {
    const solo = new Solo()
    solo.lead()
    solo.propose()
    t.same(solo.step({ kind: 'transfer', to: keyOf(3) }), [], 'the target is not level')
    t.equal(solo.core.status.accepts, false)
    t.same(solo.reply(2, 1), [])
    t.match(solo.reply(3, 1), [{ to: keyOf(3), message: { kind: 'timeout-now' } }])
    solo.now += 600
    solo.reply(2, 1)
    solo.step({ kind: 'time' })
    t.equal(solo.core.status.accepts, true)
    t.equal(solo.core.status.role, 'leader')
  }
)

t.test('thesis 3.10: a follower obeys timeout-now of its leader, in its term, if it may stand', async t => {
  const solo = new Solo()
  solo.append(2, 1, logOrigin, [])
  t.same(solo.hear(3, 1, { kind: 'timeout-now' }), [], 'not of somebody else')
  const sent = solo.hear(2, 1, { kind: 'timeout-now' })
  t.match(sent[0], { term: 2, message: { kind: 'vote', pre: false, force: true } })
  t.same(solo.hear(2, 1, { kind: 'timeout-now' }), [], 'late, of an earlier term')
  const untrusted = new Solo({ trusted: false })
  untrusted.append(2, 1, logOrigin, [])
  t.same(untrusted.hear(2, 1, { kind: 'timeout-now' }), [])
})

t.test('thesis 6.2: a leader that hears no quorum for an election timeout steps down', async t => {
  const solo = new Solo()
  solo.lead()
  const begun = solo.now
  solo.now = begun + 1000
  solo.reply(2, 0)
  solo.now = begun + 2199
  solo.step({ kind: 'time' })
  t.equal(solo.core.status.role, 'leader')
  solo.now = begun + 2200
  solo.step({ kind: 'time' })
  t.equal(solo.core.status.role, 'follower')
})

t.test(
  'thesis 6.4: reads wait for a record of the own term to be committed, then for a quorum that answers a round',
  async t => {
    const solo = new Solo({ log: [1] })
    solo.lead()
    solo.step({ kind: 'read', ticket: 1 })
    t.equal(solo.send(2)?.round, 0)
    solo.propose()
    solo.reply(2, 2)
    t.equal(solo.send(2)?.round, 1)
    t.same(
      solo.readies.flatMap(({ reads }) => reads),
      []
    )
    solo.reply(2, 2, { round: 1 })
    t.same(
      solo.readies.flatMap(({ reads }) => reads),
      [{ ticket: 1, index: 2 }]
    )
  }
)

t.test('thesis 6.4: an answer to an earlier round confirms no later read', async t => {
  const solo = new Solo()
  solo.lead()
  solo.propose()
  solo.reply(2, 1)
  solo.step({ kind: 'read', ticket: 1 })
  solo.reply(2, 1, { round: 1 })
  solo.step({ kind: 'read', ticket: 2 })
  solo.reply(3, 1, { round: 1 })
  const tickets = (): number[] => solo.readies.flatMap(({ reads }) => reads.map(({ ticket }) => ticket))
  t.same(tickets(), [1])
  solo.reply(3, 1, { round: 2 })
  t.same(tickets(), [1, 2])
})

t.test('thesis 9.6: a pre-vote changes neither term nor vote, on either side', async t => {
  const solo = new Solo({ hard: { term: 3, vote: keyOf(2) } })
  t.equal(verdict(solo.vote(3, 4, logOrigin, { pre: true }))?.granted, true)
  t.same(solo.persists, [])
  const asked = solo.timeout()
  t.match(asked[0], { term: 4, message: { pre: true } })
  t.equal(solo.core.status.term, 3)
  t.same(solo.persists, [])
})

t.test('thesis 9.6: a voter in the term that was asked about tells that it has begun', async t => {
  const solo = new Solo({ hard: { term: 3, vote: null } })
  solo.timeout()
  solo.hear(2, 4, { kind: 'vote-reply', pre: true, round: 1, granted: false, reason: 'leader' })
  t.equal(solo.core.status.term, 3)
  solo.hear(3, 4, { kind: 'vote-reply', pre: true, round: 1, granted: false, reason: 'voted' })
  t.equal(solo.core.status.term, 4)
})

t.test('a cluster of one elects itself at once and commits alone', async t => {
  const solo = new Solo({ count: 1 })
  solo.timeout()
  t.equal(solo.core.status.role, 'leader')
  solo.propose()
  t.equal(solo.commit, 1)
  solo.step({ kind: 'read', ticket: 5 })
  t.same(solo.readies.at(-1)?.reads, [{ ticket: 5, index: 1 }])
  solo.now += 50_000
  solo.step({ kind: 'time' })
  t.equal(solo.core.status.role, 'leader')
})
