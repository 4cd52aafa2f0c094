// The membership from outside, carried out on a leader: who is let in, promoted, replaced, removed and refused, and in turn.
import { t } from 'tap'
import type { StrettoError } from '../../lib/base/errors.ts'
import type { Packed } from '../../lib/record/pack.ts'
import { Admin } from '../../lib/server/admin.ts'
import { type AdminRequest, packAdmin, readJoined, readMembers, readPlan, readVersions } from '../../lib/wire/admin.ts'
import { keyOf } from '../help/core-cluster.ts'
import { PlayedNode, type PlayOptions } from '../help/played-node.ts'

const clusterId = 'c'.repeat(32)
const patienceMs = 2_000

interface Outcome {
  error: StrettoError | null
  result: Packed
}

interface Asking {
  readonly patienceMs?: number
  readonly again?: boolean
}

/** A leader whose peers are played, and whoever asks something of it. */
class Bed {
  readonly play: PlayedNode
  readonly admin: Admin
  lives = true

  constructor(options: PlayOptions = {}) {
    this.play = new PlayedNode({ peers: 'all', ...options })
    const life = () => (this.lives ? { node: this.play.node } : null)
    this.admin = new Admin({ env: this.play.env, life, clusterId: () => clusterId })
  }

  lead(): this {
    this.play.lead()
    // Until each voter is heard no leader changes the configuration.
    this.play.time.run(300)
    return this
  }

  /** Asks, and does not wait. */
  begin(request: AdminRequest | Packed, asking: Asking = {}): Outcome[] {
    const outcomes: Outcome[] = []
    const packed = typeof request === 'object' && request !== null && 'op' in request ? packAdmin(request) : request
    const frame = { number: 1, patienceMs: asking.patienceMs ?? patienceMs, again: asking.again ?? false }
    this.admin.take({ ...frame, request: packed }, (error, result) => outcomes.push({ error, result }))
    return outcomes
  }

  /** Asks, and waits until it is answered. */
  ask(request: AdminRequest | Packed, asking: Asking = {}): Outcome {
    const outcomes = this.begin(request, asking)
    this.play.time.until(() => outcomes.length > 0)
    return outcomes[0]!
  }

  /** A peer is linked, with a program that runs machine versions up to this one. */
  offer(number: number, versionMax: number): void {
    const greeting = { boot: 1, protocol: [1, 1], machine: [1, versionMax] } as const
    this.play.transport.handler!.greeted(keyOf(number), greeting)
  }

  members(): string[] {
    return readMembers(this.ask({ op: 'members' }).result).map(({ id, role }) => `${id} ${role}`)
  }

  /** What became of a change: the members then, or the refusal. */
  change(request: AdminRequest, asking: Asking = {}): string[] | string {
    const { error, result } = this.ask(request, asking)
    if (error !== null) return `${error.code} ${error.fate}: ${error.message}`
    return readMembers(result).map(({ id, role }) => `${id} ${role}`)
  }

  join(number: number, options: Partial<AdminRequest & { readonly op: 'join' }> = {}): Outcome {
    return this.ask(knock(number, options))
  }
}

function knock(number: number, options: Partial<AdminRequest & { readonly op: 'join' }> = {}): AdminRequest {
  const incarnation = String(number).padStart(16, '0')
  return { op: 'join', id: `n${number}`, incarnation, address: addressOf(number), learner: false, ...options }
}

function addressOf(number: number): string {
  return `n${number}:1`
}

const add = (number: number, learner = false): AdminRequest => {
  return { op: 'add', id: `n${number}`, address: addressOf(number), learner }
}
const remove = (number: number): AdminRequest => ({ op: 'remove', id: `n${number}` })
const promote = (number: number, own = false): AdminRequest => ({ op: 'promote', id: `n${number}`, own })
const replace = (number: number, address: string | null = null): AdminRequest => {
  return { op: 'replace', id: `n${number}`, address }
}
const otherDisk = { incarnation: 'f'.repeat(16) }

t.test('only a leader answers, and only what is a request', async t => {
  const bed = new Bed({ count: 3 })
  t.match(bed.ask({ op: 'members' }).error, { code: 'NOT_LEADER', fate: 'not-applied', retryable: true })
  bed.lead()
  t.match(bed.ask(['elect']).error, { code: 'BAD_REQUEST' })
  t.same(bed.members(), ['n1 voter', 'n2 voter', 'n3 voter'])
  bed.lives = false
  t.match(bed.ask({ op: 'members' }).error, { code: 'UNAVAILABLE', retryAfterMs: 100 })
})

t.test('a leader that does not know that it has been replaced says nothing of the members', async t => {
  const bed = new Bed({ count: 3 }).lead()
  bed.play.peers = 'none'
  const outcomes = bed.begin({ op: 'members' })
  bed.play.time.run(500)
  t.same(outcomes, [])
  bed.play.time.run(5_000)
  t.match(outcomes, [{ error: { retryable: true } }])
})

t.test('an unknown node is let in as a learner, is told the cluster, and may ask again', async t => {
  const bed = new Bed().lead()
  const first = bed.join(2)
  t.same(readJoined(first.result), { clusterId, voter: false, staysLearner: false })
  t.same(bed.members(), ['n1 voter', 'n2 learner'])
  const before = bed.play.status.last.index
  t.same(readJoined(bed.join(2).result), readJoined(first.result))
  t.equal(bed.play.status.last.index, before, 'nothing is written for what is so already')
  t.match(bed.join(3, { address: addressOf(2) }).error, { message: 'n2:1 is the address of n2' })
  bed.join(2, { address: 'n2:9' })
  t.match(readMembers(bed.ask({ op: 'members' }).result), [{}, { id: 'n2', address: 'n2:9', role: 'learner' }])
})

t.test('a learner that is level becomes a voter, once it asks; one that lags does not', async t => {
  const bed = new Bed().lead()
  bed.play.peers = 'none'
  bed.join(2)
  t.match(bed.change(promote(2)), /^CONDITION_FAILED not-applied: n2 /)
  bed.play.peers = 'all'
  bed.play.time.run(2_000)
  t.same(bed.change(promote(2, true)), ['n1 voter', 'n2 voter'])
  t.same(bed.change(promote(2)), ['n1 voter', 'n2 voter'], 'a voter is one already')
  t.equal(bed.change(promote(9)), 'CONDITION_FAILED not-applied: no member n9')
})

t.test('a member is added once: when it knocks, or where it has let itself in', async t => {
  const bed = new Bed().lead()
  const waiting = bed.begin(add(2))
  bed.play.time.run(500)
  t.same(waiting, [])
  bed.join(2)
  bed.play.time.until(() => waiting.length > 0)
  t.equal(waiting[0]!.error, null)
  t.equal(bed.change(add(2)), 'CONDITION_FAILED not-applied: n2 is a member already')
  t.same(bed.change(add(2), { again: true }), ['n1 voter', 'n2 learner'], 'who has not heard the answer hears it')
  bed.join(3)
  t.match(bed.change({ ...add(3), address: 'n9:1' } as AdminRequest), /n3 is a member already, at n3:1/)
  t.same(bed.change(add(3)), ['n1 voter', 'n2 learner', 'n3 learner'])
  t.match(bed.change(add(3)), /n3 is a member already/)
  t.match(bed.change({ ...add(4), address: addressOf(2) } as AdminRequest), /n2:1 is the address of n2/)
})

t.test('without a node that knocks an addition is refused, before who asked gives up', async t => {
  const bed = new Bed().lead()
  const before = bed.play.env.now()
  const refused = bed.change(add(4))
  t.match(refused, /^CONDITION_FAILED not-applied: no node n4 is waiting: start it with 'stretto start --id n4 --join/)
  const tookMs = bed.play.env.now() - before
  t.ok(tookMs > patienceMs / 2 && tookMs < patienceMs, `${tookMs} ms`)
  t.same(bed.members(), ['n1 voter'])
})

t.test('who is to stay a learner does, until an operator promotes it', async t => {
  const bed = new Bed().lead()
  bed.join(2)
  bed.play.time.run(200)
  t.same(bed.change(add(2, true)), ['n1 voter', 'n2 learner'])
  t.same(bed.change(promote(2, true)), ['n1 voter', 'n2 learner'], 'its own wish does not count')
  t.match(readJoined(bed.join(2).result), { staysLearner: true })
  t.same(bed.change(promote(2)), ['n1 voter', 'n2 voter'])
  const early = bed.begin(add(3, true))
  bed.play.time.run(50)
  t.match(readJoined(bed.join(3).result), { staysLearner: true })
  t.equal(early[0]!.error, null)
  t.match(readJoined(bed.join(4, { learner: true }).result), { staysLearner: true })
})

t.test('a member with another disk waits until it is let in, in the place of the one that is gone', async t => {
  const bed = new Bed({ count: 3 }).lead()
  t.match(bed.change(replace(2)), /no node n2 with another disk is waiting/)
  const refused = bed.join(2, otherDisk)
  t.match(refused.error, {
    code: 'CONDITION_FAILED',
    message: "n2 is a member with another disk: admit this one with 'members replace n2'"
  })
  t.same(bed.members(), ['n1 voter', 'n2 voter', 'n3 voter', 'n2 waiting'])
  t.match(bed.change(replace(2, 'n9:1')), /n2 waits at n2:1, not at n9:1/)
  t.equal(bed.change(replace(9)), 'CONDITION_FAILED not-applied: no member n9')
  t.same(bed.change(replace(2)), ['n1 voter', 'n3 voter', 'n2 learner'])
  t.match(readMembers(bed.ask({ op: 'members' }).result), [{}, {}, otherDisk])
  t.match(readJoined(bed.join(2, otherDisk).result), { voter: false })
  t.match(bed.join(2).error, { message: /n2 is a member with another disk/ }, 'the old disk has no way back')
})

t.test('a knock is forgotten when it is not repeated', async t => {
  const bed = new Bed({ count: 3 }).lead()
  bed.join(2, otherDisk)
  bed.play.time.run(10_000)
  t.same(bed.members(), ['n1 voter', 'n2 voter', 'n3 voter'])
  const waiting = bed.begin(replace(2))
  bed.play.time.run(300)
  t.same(waiting, [])
  bed.join(2, otherDisk)
  bed.play.time.until(() => waiting.length > 0)
  t.equal(waiting[0]!.error, null, 'it was waited for')
})

t.test('a member is removed where the others can go on without it', async t => {
  const bed = new Bed({ count: 3 }).lead()
  t.equal(bed.change(remove(9)), 'CONDITION_FAILED not-applied: no member n9')
  t.same(bed.change(remove(3)), ['n1 voter', 'n2 voter'])
  t.same(bed.change(remove(3), { again: true }), ['n1 voter', 'n2 voter'], 'it is gone, as was asked before')
  t.same(bed.change(remove(2)), ['n1 voter'])
  const before = bed.play.status.last.index
  t.match(bed.change(remove(1)), /CONDITION_FAILED not-applied: the last voter cannot be removed/)
  t.equal(bed.play.status.last.index, before)
  const move = { op: 'move', id: 'n3', incarnation: '3'.padStart(16, '0'), address: 'n3:9' } as const
  t.equal(bed.change(move), 'CONDITION_FAILED not-applied: no member n3', 'and does not come back by moving')
  t.same(bed.change({ ...move, id: 'n1', incarnation: '1'.padStart(16, '0'), address: 'n1:9' }), ['n1 voter'])
})

t.test('requests that come together are done one after the other', async t => {
  const bed = new Bed({ diskMs: 20 }).lead()
  const joins = [2, 3, 4, 5].map(number => bed.begin(knock(number)))
  bed.play.time.until(() => joins.every(outcomes => outcomes.length > 0))
  t.same(
    joins.map(([outcome]) => outcome!.error),
    [null, null, null, null]
  )
  bed.play.time.run(500)
  const mixed = [bed.begin(promote(2)), bed.begin(remove(3)), bed.begin(promote(4))]
  bed.play.time.until(() => mixed.every(outcomes => outcomes.length > 0))
  t.same(bed.members(), ['n1 voter', 'n2 voter', 'n4 voter', 'n5 learner'].toSorted(), String(bed.play.failures))
})

t.test('what waits longer than it was asked to is told so, and is not done later', async t => {
  const bed = new Bed().lead()
  bed.play.diskMs = 1_000
  const [slow, late] = [bed.begin(knock(2), { patienceMs: 10_000 }), bed.begin(knock(3), { patienceMs: 400 })]
  bed.play.time.until(() => late.length > 0)
  t.match(late, [{ error: { code: 'TIMED_OUT', fate: 'not-applied', message: /other changes/ } }])
  bed.play.time.until(() => slow.length > 0)
  bed.play.time.run(5_000)
  t.same(bed.members(), ['n1 voter', 'n2 learner'])
})

t.test('a leader that loses its lead in the midst of a change does not know what becomes of it', async t => {
  const bed = new Bed({ count: 3 }).lead()
  const outcomes = bed.begin(remove(3))
  bed.play.time.until(() => bed.play.status.membership.outgoing !== null)
  bed.play.hear(2, bed.play.status.term + 1, {
    kind: 'append',
    prev: { term: 0, index: 0 },
    blocks: [],
    commit: 0,
    round: 0,
    time: 0
  })
  bed.play.time.until(() => outcomes.length > 0)
  t.match(outcomes, [{ error: { code: 'NOT_LEADER', fate: 'unknown' } }])
})

t.test('leadership goes to whom it was asked for, and not to those who cannot have it', async t => {
  const transfer = (id: string | null): AdminRequest => ({ op: 'transfer', id })
  const alone = new Bed().lead()
  t.match(alone.ask(transfer(null)).error, { code: 'CONDITION_FAILED', message: 'there is no other voter' })
  alone.join(2)
  t.match(alone.ask(transfer('n2')).error, { message: 'n2 is a learner' })
  t.match(alone.ask(transfer('n9')).error, { message: 'no member n9' })
  t.equal(alone.ask(transfer('n1')).result, 'n1', 'it leads already')

  const bed = new Bed({ count: 3 }).lead()
  const outcomes = bed.begin(transfer('n2'), { patienceMs: 10_000 })
  bed.play.time.until(() => bed.play.sent('timeout-now').length > 0)
  t.equal(bed.play.sent('timeout-now')[0]!.to, keyOf(2))
  bed.play.append(2, bed.play.status.term + 1)
  bed.play.time.until(() => outcomes.length > 0)
  t.same(outcomes, [{ error: null, result: 'n2' }])

  const deaf = new Bed({ count: 3 }).lead()
  const failed = deaf.begin(transfer('n3'), { patienceMs: 10_000 })
  deaf.play.time.until(() => failed.length > 0)
  t.match(failed, [{ error: { code: 'TIMED_OUT', fate: 'unknown' } }], 'the word may still reach it')
  t.equal(deaf.play.status.role, 'leader')
})

t.test('a higher machine version waits for all voters, or for a quorum where an operator says so', async t => {
  const bed = new Bed({ count: 3, versionMax: 2 }).lead()
  const upgrade = (force: boolean): AdminRequest => ({ op: 'upgrade', force })
  const versions = (force: boolean) => readVersions(bed.ask(upgrade(force)).result)
  bed.offer(2, 1)
  const told = [
    { id: 'n1', max: 2 },
    { id: 'n2', max: 1 },
    { id: 'n3', max: null }
  ]
  t.same(versions(false), { inForce: 1, voters: told })
  t.same(versions(true), { inForce: 1, voters: told }, 'one of three is no quorum')
  bed.offer(3, 2)
  bed.play.time.run(1_000)
  t.equal(versions(false).inForce, 1, 'one of them cannot run it')
  t.equal(versions(true).inForce, 2)
  t.equal(versions(true).inForce, 2, 'asked for again, it is so already')
})

t.test('a version that does not come into force in time is not known to come', async t => {
  const bed = new Bed({ count: 3, versionMax: 2 }).lead()
  bed.offer(2, 2)
  const { last } = bed.play.status
  const outcomes = bed.begin({ op: 'upgrade', force: true }, { patienceMs: 400 })
  bed.play.time.until(() => bed.play.status.last.index > last.index)
  bed.play.peers = 'none'
  bed.play.time.run(400)
  t.match(outcomes, [{ error: { code: 'TIMED_OUT', fate: 'unknown', message: /machine version 2/ } }])
  t.equal(bed.play.node.upgrade.inForce, 1)
})

t.test('a plan is made of what the leader knows, and changes nothing', async t => {
  const bed = new Bed({ count: 3 }).lead()
  const before = bed.play.status.last.index
  const plan = readPlan(bed.ask({ op: 'plan', change: { op: 'remove', id: 'n3' } }).result)
  t.match(plan, { voters: ['n1', 'n2', 'n3'], votersAfter: ['n1', 'n2'], tolerates: 1, toleratesNow: 1, refused: null })
  t.equal(bed.play.status.last.index, before)
  t.match(bed.ask({ op: 'plan', change: { op: 'remove', id: '..' } }).error, { code: 'BAD_REQUEST' })
})
