// What operators and joining nodes ask about the membership, carried out on the leader: one change at a time, in order.
import type { Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { Node } from '../node/node.ts'
import { type Health, idOf } from '../raft/change.ts'
import { defaultConfig } from '../raft/config.ts'
import { type MemberKey, type Membership, memberKey } from '../raft/types.ts'
import type { Packed } from '../record/pack.ts'
import {
  type AdminFrame,
  type AdminRequest,
  type MachineVersions,
  type MemberStatus,
  packJoined,
  packMembers,
  packPlan,
  packVersions,
  readAdminRequest,
  type Upgrade
} from '../wire/admin.ts'
import { Knocks } from './knocks.ts'
import { planOf } from './plan.ts'
import { type Transfer, transferFault, transferState } from './transfers.ts'
import { type ChangeRequest, type Wanted, wantedOf } from './wanted.ts'

export interface AdminParts {
  readonly env: Env
  /** Null between two lives, and before founding. */
  readonly life: () => { readonly node: Node } | null
  readonly clusterId: () => string
}

/** Answered once. */
export type AdminAnswer = (error: StrettoError | null, result: Packed) => void

/** How often it is looked whether what waits may go on. */
const lookMs = 20
const patienceMsDefault = 5_000
const patienceMsMax = 60_000
/** The answer is on its way before the asker gives up: by a quarter of its patience, and at most by so much. */
const answerEarlyMsMax = 500
const askedMax = 256
const limits = { silentMsMax: defaultConfig.electionTimeoutMsMax, lacksMax: defaultConfig.promotionLackMax }

/** A request that is not answered yet. */
interface Asked {
  readonly node: Node
  readonly request: ChangeRequest | Transfer
  readonly deadline: number
  readonly again: boolean
  readonly answer: AdminAnswer
  /** It is being done: its end comes by itself. */
  underWay: boolean
  /** It could not be done at first, for want of a node that knocks. */
  waited: boolean
  /** Why it waits. */
  obstacle: StrettoError | null
}

export class Admin {
  readonly #parts: AdminParts
  readonly #knocks: Knocks
  #asked: Asked[] = []
  #timed = false

  constructor(parts: AdminParts) {
    this.#parts = parts
    this.#knocks = new Knocks(parts.env)
  }

  take(frame: AdminFrame, answer: AdminAnswer): void {
    const node = this.#parts.life()?.node
    try {
      const request = readAdminRequest(frame.request)
      if (node === undefined)
        throw new StrettoError('UNAVAILABLE', 'this node is not serving yet', { retryAfterMs: 100 })
      if (node.raft.status.role !== 'leader') throw notLeader()
      if (this.#asked.length >= askedMax) throw new StrettoError('OVERLOADED', 'too many requests of this kind wait')
      this.#begin(request, node, frame, answer)
    } catch (error) {
      if (!(error instanceof StrettoError)) throw error
      answer(error, null)
    }
  }

  /** A leader that has been replaced does not know it yet: it proves its lead before it says or does anything. */
  #begin(request: AdminRequest, node: Node, { patienceMs, again }: AdminFrame, answer: AdminAnswer): void {
    const patience = patienceMs === 0 ? patienceMsDefault : Math.min(patienceMs, patienceMsMax)
    const deadline = this.#parts.env.now() + patience - Math.min(answerEarlyMsMax, patience / 4)
    node.read({ point: 'linearizable', leastIndex: 0, patienceMs: patience, enough: null }, error => {
      if (error !== null) return answer(known(error), null)
      if (node.raft.status.role !== 'leader') return answer(notLeader(), null)
      if (request.op === 'members') return answer(null, this.#members(node))
      if (request.op === 'plan') return this.#plan(request.change, node, answer)
      if (request.op === 'upgrade') return this.#upgrade(request, node, deadline, answer)
      if (request.op === 'join') this.#knocks.heard(request)
      const asked = { node, request, deadline, again, answer, underWay: false, waited: false, obstacle: null }
      this.#asked.push(asked)
      this.#look()
    })
  }

  #plan(change: (AdminRequest & { readonly op: 'plan' })['change'], node: Node, answer: AdminAnswer): void {
    const { membership, self } = node.raft.status
    const knocking = this.#knocks.of(change.id)
    const now = { ...membership, outgoing: null }
    const plan = planOf(change, { now, leader: self, health: healthOf(node, this.#parts.env), limits, knocking })
    answer(null, packPlan(plan))
  }

  /** Tells how far the voters are; with `force` once the version that a quorum can run is in force. */
  #upgrade({ force }: Upgrade, node: Node, deadline: number, answer: AdminAnswer): void {
    const { upgrade, raft } = node
    const wanted = force ? upgrade.force() : null
    const look = (): void => {
      if (upgrade.inForce >= (wanted ?? 0)) return answer(null, packVersions(versionsOf(node)))
      if (this.#parts.life()?.node !== node || raft.status.role !== 'leader') return answer(notLeader(), null)
      if (this.#parts.env.now() < deadline) {
        this.#parts.env.after(lookMs, look)
        return
      }
      const text = `machine version ${wanted} has not come into force in time`
      answer(new StrettoError('TIMED_OUT', text, { fate: 'unknown' }), null)
    }
    look()
  }

  /** Goes through all that waits, and comes back as long as anything does. */
  #look(): void {
    for (const asked of this.#asked) if (!asked.underWay && this.#asked.includes(asked)) this.#attempt(asked)
    if (this.#timed || this.#asked.length === 0) return
    this.#timed = true
    this.#parts.env.after(lookMs, () => {
      this.#timed = false
      this.#look()
    })
  }

  #attempt(asked: Asked): void {
    const { node, request } = asked
    if (this.#parts.life()?.node !== node || node.raft.status.role !== 'leader') return this.#end(asked, notLeader())
    if (this.#parts.env.now() >= asked.deadline) {
      const obstacle = asked.obstacle ?? new StrettoError('TIMED_OUT', 'other changes of the members were under way')
      return this.#end(asked, obstacle)
    }
    if (request.op === 'transfer') this.#transfer(asked, request)
    else if (isSettled(node) && !this.#asked.some(other => other.underWay)) this.#change(asked, request)
  }

  #change(asked: Asked, request: ChangeRequest): void {
    const { membership } = asked.node.raft.status
    if (this.#isHeldBack(request)) return this.#settled(asked, request)
    const wanted = wantedOf(request, membership, this.#knocks.of(request.id))
    if (wanted.kind === 'target') return this.#propose(asked, request, wanted.target)
    if (wanted.kind === 'awaits') {
      asked.waited = true
      asked.obstacle = conditionFailed(wanted.text, asked.again)
      if (request.op === 'add') this.#knocks.keepLearner(request.id, request.learner)
      return
    }
    const fault = this.#faultOf(asked, request, wanted, membership)
    if (fault === null) this.#settled(asked, request)
    else this.#end(asked, fault)
  }

  /** A learner asks for itself, and an operator has said that it is to stay one: it is told how it is. */
  #isHeldBack(request: ChangeRequest): boolean {
    return request.op === 'promote' && request.own && this.#knocks.staysLearner(request.id)
  }

  /** What is so already is a success for who asked for it, but a member is added once. */
  #faultOf(
    { again, waited }: Asked,
    request: ChangeRequest,
    wanted: Wanted & { readonly kind: 'done' | 'refused' },
    { members, voters }: Membership
  ): StrettoError | null {
    const member = members.find(({ id }) => id === request.id)
    if (wanted.kind === 'refused') {
      return request.op === 'remove' && again && member === undefined ? null : conditionFailed(wanted.text)
    }
    if (request.op !== 'add' || member === undefined) return null
    const isFirst = this.#knocks.claim(member.key)
    if (!isFirst && !waited && !again) return conditionFailed(`${member.id} is a member already`)
    if (!request.learner) return null
    if (voters.includes(member.key)) return conditionFailed(`${member.id} is a voter already`)
    this.#knocks.keepLearner(member.id, true)
    return null
  }

  #propose(asked: Asked, request: ChangeRequest, target: Membership): void {
    const before = asked.node.raft.status.membership
    asked.underWay = true
    asked.node.change(target, fault => {
      asked.underWay = false
      const error = fault === null ? null : known(fault)
      if (error === null) {
        this.#knocks.changed(before, target)
        this.#settled(asked, request)
      } else if (error.code === 'UNAVAILABLE' && error.fate === 'not-applied') asked.obstacle = error
      else this.#end(asked, error)
      if (error === null || error.code !== 'UNAVAILABLE') this.#look()
    })
  }

  #settled(asked: Asked, request: ChangeRequest): void {
    const { node } = asked
    if (request.op !== 'join') return this.#end(asked, null, this.#members(node))
    if (request.learner) this.#knocks.keepLearner(request.id, true)
    const voter = node.raft.status.membership.voters.includes(memberKey(request.id, request.incarnation))
    const staysLearner = this.#knocks.staysLearner(request.id)
    this.#end(asked, null, packJoined({ clusterId: this.#parts.clusterId(), voter, staysLearner }))
  }

  #transfer(asked: Asked, request: Transfer): void {
    const { node, deadline } = asked
    const { status } = node.raft
    const to = status.membership.members.find(({ id }) => id === request.id)?.key ?? null
    if (to === status.self) return this.#end(asked, null, request.id)
    const fault = transferFault(request, status.membership)
    if (fault !== null) return this.#end(asked, conditionFailed(fault))
    asked.underWay = true
    node.transfer(to)
    const state = transferState(status, this.#parts.env)
    const look = (): void => {
      const outcome =
        this.#parts.life()?.node === node ? state.look(deadline) : new StrettoError('STOPPED', 'the node stops')
      if (outcome === null) {
        this.#parts.env.after(lookMs, look)
        return
      }
      asked.underWay = false
      if (typeof outcome === 'string') this.#end(asked, null, outcome)
      else if (outcome.code === 'UNAVAILABLE') asked.obstacle = outcome
      else this.#end(asked, outcome)
    }
    this.#parts.env.after(lookMs, look)
  }

  #end(asked: Asked, error: StrettoError | null, result: Packed = null): void {
    this.#asked = this.#asked.filter(other => other !== asked)
    asked.answer(error, result)
  }

  #members(node: Node): Packed {
    const { membership, self } = node.raft.status
    const health = healthOf(node, this.#parts.env)
    const members = membership.members.map(({ key, id, incarnation, address }): MemberStatus => {
      const role = membership.learners.includes(key) ? 'learner' : 'voter'
      const [silentMs, lacks] = [finite(health.silentMs(key)), finite(health.lacks(key))]
      return { id, incarnation, address, role, leader: key === self, silentMs, lacks }
    })
    const waiting = this.#knocks.all
      .filter(knock => !members.some(({ id, incarnation }) => id === knock.id && incarnation === knock.incarnation))
      .map(({ id, incarnation, address, ageMs }): MemberStatus => {
        return { id, incarnation, address, role: 'waiting', leader: false, silentMs: Math.round(ageMs), lacks: null }
      })
    return packMembers([...members, ...waiting])
  }
}

function healthOf(node: Node, env: Env): Health {
  const { status } = node.raft
  return {
    silentMs: (key: MemberKey) => (key === status.self ? 0 : env.now() - status.heardAt(key)),
    lacks: (key: MemberKey) => {
      if (key === status.self) return 0
      return status.peers.includes(key) ? Math.max(0, status.commit - status.match(key)) : Number.POSITIVE_INFINITY
    }
  }
}

function versionsOf({ upgrade, raft }: Node): MachineVersions {
  const voters = raft.status.membership.voters.map(key => ({ id: idOf(key), max: upgrade.offer(key) }))
  return { inForce: upgrade.inForce, voters }
}

/** The configuration in force is committed, and not on the way to another. */
function isSettled({ raft }: Node): boolean {
  const { membership, commit } = raft.status
  return membership.outgoing === null && raft.membershipAt(commit) === membership
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? Math.round(value) : null
}

function conditionFailed(text: string, unknown = false): StrettoError {
  return new StrettoError('CONDITION_FAILED', text, { fate: unknown ? 'unknown' : 'not-applied' })
}

function notLeader(): StrettoError {
  return new StrettoError('NOT_LEADER', 'this node does not lead')
}

function known(error: Error): StrettoError {
  return error instanceof StrettoError ? error : new StrettoError('UNAVAILABLE', 'the node failed', { cause: error })
}
