// The core at its doors: what leaves when, what is refused, hints, leases, trust, boots, and no timer that spins.
import { t } from 'tap'
import { Random } from '../../lib/base/random.ts'
import { configFault, defaultConfig } from '../../lib/raft/config.ts'
import { describeInput, describeReady, describeStatus } from '../../lib/raft/describe.ts'
import type { Input } from '../../lib/raft/doors.ts'
import { checkBasic, checkDelta } from '../../lib/raft/invariants.ts'
import type { Envelope } from '../../lib/raft/message.ts'
import { logOrigin } from '../../lib/raft/types.ts'
import { CoreCluster, keyOf, membershipOf } from '../help/core-cluster.ts'
import { blockAfter, Solo, self } from '../help/solo-core.ts'

const id = (index: number, term: number): { index: number; term: number } => ({ index, term })
const kinds = (sent: readonly Envelope[]): string[] => sent.map(({ message }) => message.kind)

t.test('nothing that promises leaves before it is durable', async t => {
  const solo = new Solo()
  solo.autoFlush = false
  t.same(solo.vote(2, 1, logOrigin), [])
  t.same(kinds(solo.flush()), ['vote-reply'])
  t.same(solo.append(2, 1, logOrigin, [blockAfter(0, 1)]), [], 'no acknowledgement yet')
  t.match(solo.append(2, 1, logOrigin, [], 0, 3), [{ message: { match: 0, round: 3 } }], 'a round is answered at once')
  t.match(solo.flush(), [{ message: { match: 1 } }])
})

t.test('a vote that waits for the disk is not given when the term has changed', async t => {
  const solo = new Solo()
  solo.autoFlush = false
  solo.vote(2, 1, logOrigin)
  solo.vote(3, 2, logOrigin)
  const sent = solo.flush()
  t.equal(sent.length, 1)
  t.match(sent[0], { to: keyOf(3), term: 2 })
})

t.test('a turn with many appends is answered once', async t => {
  const solo = new Solo()
  solo.append(2, 1, logOrigin, [])
  for (const at of [0, 1, 2]) {
    const message = {
      kind: 'append',
      prev: id(at, at === 0 ? 0 : 1),
      blocks: [blockAfter(at, 1)],
      commit: 0,
      round: 0,
      time: 0
    } as const
    solo.core.step({ kind: 'receive', envelope: { from: keyOf(2), to: self, term: 1, message } }, solo.now)
  }
  t.match(solo.turn(), [{ message: { match: 3 } }])
})

t.test('blocks that are no piece of a log are not taken', async t => {
  const solo = new Solo({ log: [1, 2] })
  for (const [prev, blocks] of [
    [id(2, 2), [blockAfter(3, 2)]],
    [id(2, 2), [blockAfter(2, 2), blockAfter(4, 2)]],
    [id(2, 2), [blockAfter(2, 1)]],
    [id(2, 2), [blockAfter(2, 3), blockAfter(3, 2)]],
    [id(2, 2), [blockAfter(2, 4)]],
    [id(2, 9), []]
  ] as const) {
    t.same(solo.append(2, 3, prev, blocks), [])
    t.same(solo.core.status.last, id(2, 2))
  }
  t.equal(solo.core.status.leader, null, 'and say nothing of a leader')
})

t.test('what is not for this member is not heard', async t => {
  const solo = new Solo()
  const message = { kind: 'append', prev: logOrigin, blocks: [], commit: 0, round: 0, time: 0 } as const
  t.same(solo.step({ kind: 'receive', envelope: { from: keyOf(2), to: keyOf(3), term: 4, message } }), [])
  t.equal(solo.core.status.term, 0)
})

t.test('a member that asks for a read in a later term unseats nobody', async t => {
  const solo = new Solo()
  solo.lead()
  solo.hear(3, 9, { kind: 'read-index', number: 1 })
  t.equal(solo.core.status.role, 'leader')
})

t.test('acknowledgements beyond the log, of strangers and of copies are not counted', async t => {
  const solo = new Solo()
  solo.lead()
  solo.propose()
  solo.reply(2, 5)
  solo.reply(9, 1)
  solo.step({ kind: 'greeted', peer: keyOf(2), boot: 3 })
  solo.step({ kind: 'greeted', peer: keyOf(2), boot: 2 })
  solo.reply(2, 1)
  t.equal(solo.commit, 0)
  solo.step({ kind: 'greeted', peer: keyOf(2), boot: 3 })
  solo.reply(2, 1)
  t.equal(solo.commit, 1)
})

t.test('a new boot takes match to 0, the same boot does not', async t => {
  const solo = new Solo()
  solo.lead()
  solo.propose()
  solo.step({ kind: 'greeted', peer: keyOf(2), boot: 1 })
  solo.reply(2, 1)
  solo.step({ kind: 'greeted', peer: keyOf(2), boot: 1 })
  t.equal(solo.core.status.match(keyOf(2)), 1)
  solo.step({ kind: 'greeted', peer: keyOf(2), boot: 2 })
  t.equal(solo.core.status.match(keyOf(2)), 0)
  t.equal(solo.core.status.mode(keyOf(2)), 'probe')
  t.equal(solo.commit, 1, 'what is committed stays so')
})

t.test(
  'a vote is judged by log and term alone, also for a candidate that the voter has never heard of (thesis 4.2.2)',
  async t => {
    const stranger = 9
    const grant = [{ message: { kind: 'vote-reply', granted: true } }]
    const solo = new Solo({ log: [1, 1] })
    t.match(solo.vote(stranger, 2, { term: 1, index: 2 }, { pre: true }), grant)
    t.match(solo.vote(stranger, 2, { term: 1, index: 2 }), grant)
    const better = new Solo({ log: [1, 1] })
    const replies = better
      .vote(stranger, 2, { term: 1, index: 1 })
      .filter(({ message }) => message.kind === 'vote-reply')
    t.match(replies, [{ message: { granted: false, reason: 'log' } }])

    const candidate = new Solo()
    candidate.lead([stranger])
    t.not(candidate.core.status.role, 'leader', 'who counts admits only the keys of its own configuration')
  }
)

t.test('a broken link hurries one pre-vote per election timeout, within 15 ms', async t => {
  const solo = new Solo()
  solo.append(2, 1, logOrigin, [])
  solo.step({ kind: 'link-closed', peer: keyOf(3) })
  t.equal(solo.core.status.leader, keyOf(2), 'not a link to the leader')
  solo.step({ kind: 'link-closed', peer: keyOf(2) })
  t.equal(solo.core.status.leader, null)
  t.ok(solo.core.wakeAt() <= 15)
  t.match(solo.vote(3, 2, logOrigin, { pre: true }), [{ message: { granted: true } }])
  solo.append(2, 1, logOrigin, [])
  solo.now = 100
  solo.step({ kind: 'link-closed', peer: keyOf(2) })
  t.ok(solo.core.wakeAt() > 500, 'the second hint hurries nothing')
})

t.test(
  'after its start a node that a quorum has greeted waits one or two heartbeats for a leader, then stands',
  async t => {
    const solo = new Solo({ count: 5 })
    solo.step({ kind: 'greeted', peer: keyOf(2), boot: 1 })
    t.ok(solo.core.wakeAt() >= 600, 'two of five elect nobody')
    solo.step({ kind: 'greeted', peer: keyOf(3), boot: 1 })
    t.ok(solo.core.wakeAt() >= 100 && solo.core.wakeAt() < 200)
    t.match(solo.timeout()[0], { message: { kind: 'vote', pre: true } })

    const following = new Solo({ count: 3 })
    following.append(2, 1, logOrigin, [])
    following.step({ kind: 'greeted', peer: keyOf(2), boot: 1 })
    following.step({ kind: 'greeted', peer: keyOf(3), boot: 1 })
    t.ok(following.core.wakeAt() >= 600, 'who has heard a leader is not hurried')

    const learner = new Solo({ membership: membershipOf([2, 3], null, [1]) })
    for (const peer of [2, 3]) learner.step({ kind: 'greeted', peer: keyOf(peer), boot: 1 })
    t.equal(
      learner.core.wakeAt(),
      new Solo({ membership: membershipOf([2, 3], null, [1]) }).core.wakeAt(),
      'nor a learner'
    )
  }
)

t.test('a lease that runs holds a voter off, the leader itself and a forced vote excepted', async t => {
  const leased = (): Solo => {
    const solo = new Solo({ config: { leaseReads: true }, now: 1000 })
    t.match(solo.vote(2, 1, logOrigin, { pre: true }), [{ message: { reason: 'leader' } }], 'a started voter waits')
    solo.now += 400
    t.match(solo.append(2, 1, logOrigin, [], 0, 1), [{ message: { leaseMs: 400 } }])
    solo.now += 300
    solo.step({ kind: 'link-closed', peer: keyOf(2) })
    return solo
  }
  const solo = leased()
  t.equal(solo.core.status.leader, keyOf(2))
  t.match(solo.vote(3, 2, logOrigin, { pre: true }), [{ message: { granted: false } }])
  t.match(solo.vote(2, 2, logOrigin, { pre: true }), [{ message: { granted: true } }])
  t.match(solo.vote(3, 2, logOrigin, { force: true }), [{ message: { granted: true } }])
  const later = leased()
  later.now += 100
  later.step({ kind: 'link-closed', peer: keyOf(2) })
  t.match(later.vote(3, 2, logOrigin), [{ message: { granted: true } }])
})

t.test('without lease reads nothing is promised', async t => {
  const solo = new Solo()
  t.match(solo.append(2, 1, logOrigin, [], 0, 1), [{ message: { leaseMs: 0 } }])
})

t.test('a candidate refused only because the peer stands itself tries again in 10 to 40 ms', async t => {
  const refused = (reason: 'self' | 'log'): number => {
    const solo = new Solo({ count: 5 })
    solo.timeout()
    for (const voter of [2, 3])
      solo.hear(voter, 1, { kind: 'vote-reply', pre: true, round: 1, granted: true, reason: null })
    solo.hear(4, 1, { kind: 'vote-reply', pre: false, round: 2, granted: false, reason })
    return solo.core.wakeAt() - solo.now
  }
  t.ok(refused('self') >= 10 && refused('self') <= 40)
  t.ok(refused('log') >= 600)
})

t.test('answers to an earlier campaign do not count', async t => {
  const solo = new Solo({ count: 3 })
  solo.timeout()
  solo.timeout()
  solo.hear(2, 1, { kind: 'vote-reply', pre: true, round: 1, granted: true, reason: null })
  t.equal(solo.core.status.role, 'pre-candidate')
  solo.hear(2, 1, { kind: 'vote-reply', pre: true, round: 2, granted: true, reason: null })
  t.equal(solo.core.status.role, 'candidate')
})

t.test(
  'a member without a leader that refuses a shorter log campaigns at once, one with a leader does not',
  async t => {
    const solo = new Solo({ log: [1, 1] })
    t.match(kinds(solo.vote(2, 2, id(1, 1), { pre: true })), ['vote-reply', 'vote', 'vote'])
    const led = new Solo({ log: [1, 1] })
    led.append(3, 1, id(2, 1), [])
    t.same(kinds(led.vote(2, 2, id(1, 1), { pre: true })), ['vote-reply'])
  }
)

t.test('an untrusted member votes by its mark, acknowledges, and is trusted again by a read of its own', async t => {
  const solo = new Solo({ log: [1, 1], hard: { term: 2, vote: null }, mark: id(5, 2), trusted: false })
  t.equal(solo.core.wakeAt(), Number.POSITIVE_INFINITY, 'it never campaigns')
  t.match(solo.vote(2, 3, id(4, 2)), [{ message: { granted: false, reason: 'log' } }], 'below the mark')
  t.match(solo.vote(2, 4, id(5, 2)), [{ message: { granted: true } }])
  const sent = solo.append(2, 4, id(2, 1), [])
  t.same(kinds(sent), ['append-reply', 'read-index'])
  const asked = sent[1]!.message
  const number = asked.kind === 'read-index' ? asked.number : 0
  solo.append(2, 4, id(2, 1), [blockAfter(2, 2, 3)], 5)
  t.equal(solo.commit, 5)
  t.equal(solo.core.status.trusted, false, 'a commit index may be from before the start')
  solo.hear(2, 4, { kind: 'read-index-reply', number, index: 6 })
  t.equal(solo.core.status.trusted, false, '6 is not here yet')
  solo.autoFlush = false
  solo.append(2, 4, id(5, 2), [blockAfter(5, 4)], 6)
  t.equal(solo.core.status.trusted, false, 'not durable')
  solo.flush()
  t.equal(solo.persists.at(-1)?.trust, true)
  solo.flush()
  t.equal(solo.core.status.trusted, true)
  t.ok(solo.core.wakeAt() < Number.POSITIVE_INFINITY)
})

t.test('reads of a follower are asked of the leader, again of the next one, and numbered anew', async t => {
  const solo = new Solo()
  t.same(solo.step({ kind: 'read', ticket: 1 }), [], 'without a leader they wait')
  const first = solo.append(2, 1, logOrigin, []).find(({ message }) => message.kind === 'read-index')
  const second = solo.append(3, 2, logOrigin, []).find(({ message }) => message.kind === 'read-index')
  t.equal(second?.to, keyOf(3))
  const number = (sent: Envelope | undefined): number =>
    sent?.message.kind === 'read-index' ? sent.message.number : -1
  t.not(number(first), number(second))
  solo.hear(3, 2, { kind: 'read-index-reply', number: number(first), index: 7 })
  t.same(solo.readies.at(-1)?.reads ?? [], [], 'an answer to a question that is no longer open')
  solo.hear(3, 2, { kind: 'read-index-reply', number: number(second), index: 7 })
  t.same(solo.readies.at(-1)?.reads, [{ ticket: 1, index: 7 }])
})

t.test('a question that is not answered is asked again', async t => {
  const solo = new Solo()
  solo.append(2, 1, logOrigin, [])
  t.same(kinds(solo.step({ kind: 'read', ticket: 1 })), ['read-index'])
  solo.now = 500
  solo.append(2, 1, logOrigin, [])
  solo.now = 600
  t.equal(solo.core.wakeAt(), 600)
  t.same(kinds(solo.step({ kind: 'time' })), ['read-index'])
})

t.test('reads that wait are bounded, and those above are refused with the leader', async t => {
  const solo = new Solo({ config: { readsWaitingMax: 2 } })
  solo.append(2, 1, logOrigin, [])
  for (const ticket of [1, 2, 3]) solo.step({ kind: 'read', ticket })
  t.same(solo.readies.at(-1)?.refused, [{ ticket: 3, leader: keyOf(2) }])
})

t.test('reads of a leader that loses its place are asked of the next one', async t => {
  const solo = new Solo()
  solo.lead()
  solo.propose()
  solo.step({ kind: 'read', ticket: 8 })
  const sent = solo.append(2, 5, logOrigin, [])
  t.ok(kinds(sent).includes('read-index'))
})

t.test('a round asks as many as a quorum needs, the fastest first, and the rest after 10 ms', async t => {
  const solo = new Solo({ count: 5 })
  solo.lead([2, 3])
  solo.propose()
  for (const peer of [2, 3, 4, 5]) solo.reply(peer, 1)
  for (const peer of [2, 3, 4, 5]) solo.send(peer)
  const asked = (): number[] => [2, 3, 4, 5].filter(peer => solo.send(peer)?.round === round)
  let round = 1
  solo.step({ kind: 'read', ticket: 1 })
  t.same(asked(), [2, 3])
  solo.now += 10
  t.same(
    asked().filter(peer => peer > 3),
    [4, 5]
  )
  solo.reply(5, 1, { round })
  solo.reply(4, 1, { round })
  round++
  solo.now += 10
  for (const peer of [2, 3, 4, 5]) solo.send(peer)
  solo.step({ kind: 'read', ticket: 2 })
  t.same(asked(), [4, 5], 'those that answered the last round')
})

t.test('late answers to an earlier round add nothing to the quorum of this one', async t => {
  const solo = new Solo({ count: 5 })
  solo.lead([2, 3])
  solo.propose()
  for (const peer of [2, 3]) solo.reply(peer, 1)
  solo.step({ kind: 'read', ticket: 1 })
  for (const peer of [2, 3]) solo.reply(peer, 1, { round: 1 })
  solo.step({ kind: 'read', ticket: 2 })
  solo.reply(4, 1, { round: 1 })
  solo.reply(5, 1, { round: 1 })
  solo.reply(2, 1, { round: 2 })
  t.same(solo.readies.at(-1)?.reads, [{ ticket: 1, index: 1 }], 'one of four has answered round 2')
  solo.reply(3, 1, { round: 2 })
  t.same(solo.readies.at(-1)?.reads, [{ ticket: 2, index: 1 }])
})

t.test('a late refusal of what was acknowledged since changes nothing', async t => {
  const solo = new Solo({ log: [1, 1, 1] })
  solo.lead()
  solo.reply(2, 3)
  solo.reply(2, 0, { reject: { index: 2, hint: id(1, 1) } })
  t.equal(solo.core.status.mode(keyOf(2)), 'replicate')
  t.equal(solo.core.status.match(keyOf(2)), 3)
})

t.test('a commit index leaves with the next append, alone only after 2 ms of silence', async t => {
  const solo = new Solo()
  solo.lead()
  const first = solo.propose()
  for (const peer of [2, 3]) {
    solo.send(peer)
    solo.reply(peer, 0)
    solo.send(peer, [first])
  }
  solo.reply(2, 1)
  t.equal(solo.commit, 1)
  t.equal(solo.send(3), null)
  t.equal(solo.core.wakeAt(), solo.now + 2)
  solo.now += 2
  t.equal(solo.send(3)?.commit, 1)
  t.equal(solo.send(2, [solo.propose()])?.commit, 1, 'it rides along')
  t.equal(solo.send(2), null)
})

t.test('a peer that cannot be reached is probed once per heartbeat, not in a circle', async t => {
  const solo = new Solo()
  solo.lead()
  solo.propose()
  solo.send(2)
  solo.reply(2, 1)
  t.equal(solo.core.status.mode(keyOf(2)), 'replicate')
  solo.step({ kind: 'unreachable', peer: keyOf(2) })
  t.ok(solo.send(2), 'at once')
  solo.step({ kind: 'unreachable', peer: keyOf(2) })
  t.equal(solo.send(2), null)
  solo.now += 100
  t.ok(solo.send(2))
})

t.test('a peer whose records are compacted away waits for a snapshot, probed at the base', async t => {
  const solo = new Solo({ log: [1, 1, 1] })
  solo.lead()
  solo.propose()
  solo.reply(3, 4)
  solo.step({ kind: 'compacted', base: id(3, 1) })
  solo.send(2)
  solo.reply(2, 0, { reject: { index: 3, hint: id(1, 1) } })
  t.equal(solo.core.status.mode(keyOf(2)), 'snapshot')
  solo.now += 100
  t.same(solo.send(2)?.prev, id(3, 1))
  t.equal(solo.send(2), null)
  solo.reply(2, 0, { reject: { index: 3, hint: id(1, 1) } })
  t.equal(solo.send(2), null, 'it does not spin')
  solo.reply(2, 3)
  t.equal(solo.core.status.mode(keyOf(2)), 'replicate')
  t.throws(() => solo.step({ kind: 'compacted', base: id(9, 1) }), /only what is committed/)
})

t.test('who does not lead changes no configuration', async t => {
  const solo = new Solo()
  solo.step({ kind: 'change', ticket: 4, target: membershipOf([1]) })
  const refused = { ticket: 4, kind: 'refused', wait: true, text: 'this node does not lead' }
  t.same(solo.readies.at(-1)?.changes, [refused])
})

t.test('no timer lies in the past once its time has been told: a core never spins', async t => {
  const cluster = new CoreCluster({ count: 3, seed: 4 })
  const random = new Random(9)
  let turns = 0
  cluster.onStep = (_, input) => {
    if (input.kind === 'time') turns++
  }
  for (let at = 0; at < 200; at++) {
    if (random.chance(0.3) && cluster.leader !== undefined) cluster.read(cluster.leader)
    cluster.run(20, () => random.chance(0.8))
  }
  t.ok(turns > 20 && turns < 4_000, `${turns} turns of a timer in 4 s`)
})

t.test('a bridge between two halves, one way links: a leader is found and stays', async t => {
  const cluster = new CoreCluster({ count: 5, seed: 3 })
  // n1 is heard by nobody but n3, and n3 reaches all.
  const cut = new Set(['1-2', '1-4', '1-5'])
  const passes = ({ from, to }: Envelope): boolean => {
    const pair = [from, to]
      .map(key => key[1])
      .toSorted((a, b) => Number(a) - Number(b))
      .join('-')
    return !cut.has(pair)
  }
  cluster.run(3000)
  cluster.run(12_000, passes)
  const leader = cluster.leader!
  const { term, commit } = leader.core.status
  t.ok(cluster.put(leader))
  cluster.run(12_000, passes)
  t.equal(cluster.leader, leader)
  t.equal(leader.core.status.term, term)
  t.ok(leader.core.status.commit > commit)
})

t.test('what describes is one line of text', async t => {
  const solo = new Solo()
  solo.lead()
  solo.propose(2)
  const inputs: Input[] = [
    { kind: 'time' },
    { kind: 'read', ticket: 1 },
    { kind: 'propose', block: blockAfter(4, 2, 3) },
    { kind: 'transfer', to: null },
    { kind: 'change', ticket: 1, target: { ...membershipOf([1], [2], [3]) } },
    { kind: 'unreachable', peer: self },
    { kind: 'link-closed', peer: self },
    { kind: 'greeted', peer: self, boot: 2 },
    { kind: 'persisted', mark: 3 },
    { kind: 'compacted', base: logOrigin },
    { kind: 'receive', envelope: { from: self, to: keyOf(2), term: 3, message: { kind: 'timeout-now' } } }
  ]
  t.same(inputs.map(describeInput), [
    'time',
    'read 1',
    'propose 5-7@2',
    'transfer to none',
    'change 1 to voters=n1 outgoing=n2 learners=n3',
    'unreachable n1',
    'link-closed n1',
    'greeted n1 boot=2',
    'persisted 3',
    'compacted 0@0',
    'receive n1 -> n2 @3 timeout-now'
  ])
  t.equal(describeReady(solo.readies.find(({ persist }) => persist?.blocks.length === 1)!), 'persist 2: blocks=1-2@1')
  t.equal(describeStatus(solo.core.status), 'n1@1 leader leader=n1 last=2@1 durable=2 commit=0 n2:probe/0 n3:probe/0')
})

t.test('a configuration that cannot work is refused', async t => {
  t.equal(configFault(defaultConfig), null)
  for (const wrong of [
    { heartbeatMs: 0 },
    { heartbeatMs: Number.NaN },
    { electionTimeoutMsMin: 200 },
    { electionTimeoutMsMax: 700 },
    { leaseMs: 600 },
    { hintMsMax: 700 },
    { voteRetryMsMax: 5 },
    { voteRetryMsMax: 800 },
    { readSpreadMs: 100 },
    { commitNoticeMs: 100 },
    { readsWaitingMax: 0 }
  ]) {
    t.type(configFault({ ...defaultConfig, ...wrong }), 'string', JSON.stringify(wrong))
  }
  t.throws(() => new Solo({ config: { leaseMs: 900 } }), /configuration/)
})

t.test('the second opinion notices what must not be', async t => {
  const solo = new Solo({ log: [1, 1] })
  solo.lead()
  solo.propose()
  solo.reply(2, 3)
  const view = solo.core.view()
  checkBasic(view)
  checkDelta(view, view)
  for (const wrong of [
    { commit: 9 },
    { durable: 9 },
    { term: 1 },
    { verified: 9 },
    { starts: [] },
    { membershipIndex: 9 },
    { vote: keyOf(2) },
    { hardDurable: false },
    { leader: null },
    { role: 'follower' as const },
    { role: 'candidate' as const },
    { peers: [{ key: keyOf(2), mode: 'probe' as const, match: 3, next: 3, boot: 0 }] },
    { peers: [{ key: keyOf(2), mode: 'replicate' as const, match: 3, next: 9, boot: 0 }] }
  ]) {
    t.throws(() => checkBasic({ ...view, ...wrong }), { name: 'AssertionError' }, JSON.stringify(wrong))
  }
  for (const wrong of [
    { term: 1 },
    { commit: 1 },
    { vote: keyOf(2) },
    { last: id(2, 1) },
    { trusted: false },
    { durable: 1 },
    { role: 'candidate' as const },
    { peers: [{ key: keyOf(2), mode: 'probe' as const, match: 1, next: 4, boot: 0 }] }
  ]) {
    t.throws(() => checkDelta(view, { ...view, ...wrong }), { name: 'AssertionError' }, JSON.stringify(wrong))
  }
  checkDelta(view, { ...view, peers: [{ key: keyOf(2), mode: 'probe', match: 0, next: 4, boot: 1 }] })
})

t.test('what a leader is given must continue its log in its term', async t => {
  const solo = new Solo()
  t.throws(() => solo.step({ kind: 'propose', block: blockAfter(0, 1) }), /only a leader/)
  solo.lead()
  t.throws(() => solo.step({ kind: 'propose', block: blockAfter(0, 7) }), /own term/)
  t.throws(() => solo.step({ kind: 'propose', block: blockAfter(3, 1) }), /follows the end/)
  const block = solo.propose()
  t.throws(() => solo.core.append(keyOf(2), [block], 0, 0), /where the logs meet/)
  solo.send(2)
  solo.reply(2, 0)
  t.throws(() => solo.core.append(keyOf(2), [blockAfter(0, 3)], 0, 0), /begins in this log/)
  t.throws(() => solo.core.append(keyOf(9), [], 0, 0), /only to its peers/)
})

t.test('a leader that owes its no-op is not told to hand over: it must accept that first', async t => {
  const solo = new Solo()
  solo.lead()
  t.equal(solo.core.status.owesNoop, true)
  solo.step({ kind: 'transfer', to: null })
  t.equal(solo.core.status.accepts, true)
  solo.propose()
  solo.step({ kind: 'transfer', to: null })
  t.equal(solo.core.status.accepts, false)
})
