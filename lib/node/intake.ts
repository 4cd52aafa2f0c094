// Requests of clients on a node: taken in, then cut into blocks by a leader, forwarded by a follower, or held without one.

import { StrettoError } from '../base/errors.ts'
import type { Log } from '../log/log.ts'
import type { Answer } from '../machine/answer.ts'
import type { ClusterTime } from '../machine/cluster-time.ts'
import type { ReplicatedMachine } from '../machine/replicated-machine.ts'
import type { Raft } from '../raft/doors.ts'
import { type Block, type ChainedId, type Index, lastOf, type MemberKey } from '../raft/types.ts'
import { blockBytesMax, blockHeaderBytes, cutBlock } from '../record/block.ts'
import { writeMembership } from '../record/membership.ts'
import { draftFault, draftRecord, recordKind } from '../record/record.ts'
import type { Transport } from '../transport/transport.ts'
import type { Counters } from './counters.ts'
import { Growth } from './growth.ts'
import type { NodeLimits } from './limits.ts'
import { Held, patienceOf, type Request, Waiting } from './proposals.ts'
import { type Refusal, refusal, type WriteDone } from './result.ts'
import { Room } from './room.ts'

export interface IntakeParts {
  readonly raft: Raft
  readonly log: Log
  readonly machine: ReplicatedMachine
  readonly transport: Transport
  readonly clusterTime: ClusterTime
  readonly limits: NodeLimits
  readonly counters: Counters
  /** Absent: there is always room. */
  readonly room?: Room
}

export class Intake {
  readonly #parts: IntakeParts
  readonly #held: Held
  /** Those that keep something alive: they do not wait behind the others, and have room of their own. */
  readonly #urgent: Held
  readonly #room: Room
  readonly #growth: Growth
  readonly #waiting = new Waiting()
  /** Blocks cut here that the own disk does not hold yet, oldest first: it may be slower than a quorum of the others. */
  readonly #unwritten: { readonly last: Index; readonly bytes: number }[] = []
  #unwrittenBytes = 0
  /** Requests that a leader elsewhere has been asked to take. */
  readonly #forwarded = new Set<Request>()
  #forwardedBytes = 0
  /** As a leader it has chosen a successor, which is to stand for election. */
  #handsOver = false
  /** Since it has handed over, a former leader waits for its records until then; Infinity for any other node. */
  #keptUntil = Number.POSITIVE_INFINITY

  constructor(parts: IntakeParts) {
    this.#parts = parts
    this.#held = new Held(parts.limits.heldBytesMax)
    this.#urgent = new Held(parts.limits.urgentBytesMax)
    this.#room = parts.room ?? new Room({ ...parts, space: null })
    this.#growth = new Growth({ ...parts, room: this.#room })
  }

  /** Requests that wait for a leader or for their turn. */
  get heldCount(): number {
    return this.#urgent.count + this.#held.count + this.#growth.count
  }

  /** A leader may propose more of what is held in a further turn, without waiting for anything. */
  get mayPropose(): boolean {
    return this.#mayProposeUrgent || this.#mayProposeOthers
  }

  get #mayProposeUrgent(): boolean {
    const { limits, raft } = this.#parts
    const lags = this.#unwrittenBytes >= limits.uncommittedBytesMax + limits.urgentBytesMax
    return this.#urgent.count > 0 && raft.status.accepts && !lags
  }

  get #mayProposeOthers(): boolean {
    const { limits, raft } = this.#parts
    const lags = this.#unwrittenBytes >= limits.uncommittedBytesMax
    return (this.#held.count > 0 || this.#growth.ready) && raft.status.accepts && !lags
  }

  /** Bytes of all requests that are not answered yet. */
  get bytes(): number {
    return this.#urgent.bytes + this.#held.bytes + this.#growth.bytes + this.#waiting.bytes + this.#forwardedBytes
  }

  /** Takes a draft record in, or answers at once why not. */
  take(draft: Uint8Array, forwarded: boolean, now: number, done: WriteDone): void {
    const { limits, counters, machine } = this.#parts
    const fault = draftFault(draft)
    if (fault !== null) {
      counters.refusedInvalid++
      done(refusal('BAD_REQUEST', 'not-applied', fault))
      return
    }
    const request: Request = { draft, deadline: now + patienceOf(draft, limits), forwarded, done }
    const urgent = machine.isUrgent(draft)
    const waitingBytesMax = limits.uncommittedBytesMax + (urgent ? limits.urgentBytesMax : 0)
    if (this.#waiting.bytes > waitingBytesMax || !(urgent ? this.#urgent : this.#held).add(request)) {
      counters.refusedOverload++
      done(refusal('OVERLOADED', 'not-applied', 'too many bytes wait here', overloadRetryMs))
    }
  }

  /**
   * A leader's part of the turn: the no-op of its term, a configuration that is due, an order of the leader itself, all that
   * keeps something alive, what ends the rest (`expiry`), then blocks from what else was asked for, up to a turn's worth.
   * Gives the index of the expiry record, 0 for none.
   */
  propose(now: number, order: Uint8Array | null = null, expiry: Uint8Array | null = null): Index {
    const { raft, log, clusterTime, limits } = this.#parts
    const { status } = raft
    const time = clusterTime.advance(now)
    this.#forgetWritten(status.durable)
    let tail = log.tail
    this.#handsOver = !status.accepts
    // The places of what was proposed in an earlier term may be taken by what is proposed now.
    if (status.owesNoop) this.#giveUpWaiting()
    if (status.owesNoop) tail = this.#cut(tail, time, [draftRecord(recordKind.noop, nothing)], now)
    const owed = status.owesMembership
    if (owed !== null) tail = this.#cut(tail, time, [draftRecord(recordKind.membership, writeMembership(owed))], now)
    if (order !== null) tail = this.#cut(tail, time, [order], now)
    while (this.#mayProposeUrgent) {
      const requests = this.#urgent.take(requestBytesMax).filter(request => this.#admit(request, now))
      tail = this.#cutRequests(tail, time, requests, now)
    }
    if (expiry !== null) tail = this.#cut(tail, time, [expiry], now)
    const expiryIndex = expiry === null ? 0 : tail.index
    this.#growth.refill(now)
    let budget = limits.turnBytesMax
    while (this.#mayProposeOthers && budget > 0) {
      const requests = this.#next(now)
      for (const { draft } of requests) budget -= draft.length
      tail = this.#cutRequests(tail, time, requests, now)
    }
    return expiryIndex
  }

  /** Requests for the next block, each of which may be proposed: first those that have waited because the disk fills. */
  #next(now: number): readonly Request[] {
    const slowed = this.#growth.due(requestBytesMax)
    if (slowed.length > 0) return slowed.filter(request => !this.#late(request, now))
    return this.#growth.sift(this.#held.take(requestBytesMax).filter(request => this.#admit(request, now)))
  }

  /** A follower passes on what clients asked of it, each request once. */
  forward(leader: MemberKey, now: number): void {
    const all = [this.#urgent.takeAll(), this.#growth.takeAll(), this.#held.takeAll()].flat()
    for (const request of all) {
      if (this.#late(request, now)) continue
      if (request.forwarded) {
        request.done(refusal('NOT_LEADER', 'not-applied', 'forwarded to a node that does not lead', 0))
      } else this.#pass(request, leader)
    }
  }

  /** Answers those who wait for what has just been applied. */
  answered(answers: readonly Answer[]): void {
    for (const answer of answers) {
      this.#waiting.take(answer.index, answer.term, leadershipLost)?.({ kind: 'answer', answer })
    }
  }

  /** Answers requests that nobody took in before their time was over. */
  expire(now: number): void {
    this.#parts.counters.refusedLate += this.#urgent.expire(now) + this.#held.expire(now) + this.#growth.expire(now)
    this.#growth.refill(now)
    if (now >= this.#keptUntil) this.#giveUpWaiting()
  }

  /**
   * Leadership is lost: what was proposed may be committed by the next leader, or be cut. A successor that was chosen holds
   * all of it, so nobody is sent to ask again: what is applied here is answered here.
   */
  leadershipLost(now: number): void {
    this.#forgetWritten(Number.POSITIVE_INFINITY)
    if (this.#handsOver) this.#keptUntil = now + handedOverMs
    else this.#giveUpWaiting()
  }

  /** This life is over. */
  end(reason: Refusal): void {
    this.#waiting.refuseAll(reason)
    const forwarded = [...this.#forwarded]
    this.#forwarded.clear()
    this.#forwardedBytes = 0
    for (const request of forwarded) request.done(reason)
    for (const request of this.#growth.takeAll()) request.done({ ...reason, fate: 'not-applied' })
    this.#urgent.refuseAll({ ...reason, fate: 'not-applied' })
    this.#held.refuseAll({ ...reason, fate: 'not-applied' })
  }

  #giveUpWaiting(): void {
    this.#keptUntil = Number.POSITIVE_INFINITY
    this.#waiting.refuseAll(leadershipLost)
  }

  #pass(request: Request, leader: MemberKey): void {
    const { transport, counters } = this.#parts
    const { draft, done } = request
    counters.forwarded++
    this.#forwarded.add(request)
    this.#forwardedBytes += draft.length
    transport.forward(leader, draft, (error, bytes) => {
      if (!this.#forwarded.delete(request)) return
      this.#forwardedBytes -= draft.length
      if (error === null) done({ kind: 'relayed', bytes })
      else if (error instanceof StrettoError && error.code === 'OVERLOADED') {
        done(refusal('OVERLOADED', 'unknown', error.message, overloadRetryMs))
      } else done(refusal('UNAVAILABLE', 'unknown', 'the link to the leader broke before it answered', 0))
    })
  }

  /** Whether a request may be proposed; if not, it has been answered. */
  #admit(request: Request, now: number): boolean {
    const { machine, counters } = this.#parts
    if (this.#late(request, now)) return false
    const fault = machine.check(request.draft)
    if (fault === null) return true
    const { code, message, retryAfterMs = null } = fault
    if (code !== 'UNAVAILABLE') counters.refusedInvalid++
    request.done(refusal(code, 'not-applied', message, retryAfterMs))
    return false
  }

  #late(request: Request, now: number): boolean {
    if (request.deadline > now) return false
    this.#parts.counters.refusedLate++
    request.done(refusal('TIMED_OUT', 'not-applied', 'its time was over before it could be proposed'))
    return true
  }

  #forgetWritten(durable: Index): void {
    let count = 0
    for (const { last, bytes } of this.#unwritten) {
      if (last > durable) break
      this.#unwrittenBytes -= bytes
      count++
    }
    if (count > 0) this.#unwritten.splice(0, count)
  }

  #cutRequests(previous: ChainedId, time: number, requests: readonly Request[], now: number): ChainedId {
    if (requests.length === 0) return previous
    const { term } = this.#parts.raft.status
    // They wait before they are proposed, so that none is forgotten should that break an invariant.
    for (const [at, { draft, done }] of requests.entries()) {
      this.#waiting.add({ term, index: previous.index + 1 + at }, draft.length, done)
    }
    const drafts = requests.map(request => request.draft)
    return this.#cut(previous, time, drafts, now)
  }

  #cut(previous: ChainedId, time: number, drafts: readonly Uint8Array[], now: number): ChainedId {
    const { raft, counters } = this.#parts
    const block: Block = cutBlock(0, raft.status.term, previous, time, drafts)
    raft.step({ kind: 'propose', block }, now)
    counters.blocksCut++
    counters.proposedRecords += block.count
    counters.proposedBytes += block.bytes.length
    this.#room.letIn(block.bytes.length)
    const index: Index = lastOf(block)
    this.#unwritten.push({ last: index, bytes: block.bytes.length })
    this.#unwrittenBytes += block.bytes.length
    return { index, term: block.term, chain: block.chain }
  }
}

const nothing = new Uint8Array(0)
const requestBytesMax = blockBytesMax - blockHeaderBytes
const leadershipLost = refusal('NOT_LEADER', 'unknown', 'leadership was lost before the request was committed', 0)
/** Within this time a successor has committed all that it was handed, or something has gone wrong. */
const handedOverMs = 1_000
const overloadRetryMs = 100
