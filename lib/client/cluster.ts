// The members of the cluster, as `db.cluster`: who they are, and every change of them.
import { StrettoError } from '../base/errors.ts'
import type { Packed } from '../record/pack.ts'
import {
  type AdminRequest,
  type Joined,
  type Knock,
  type MachineVersions,
  type MemberStatus,
  type MembershipChange,
  type Move,
  type Plan,
  packAdmin,
  readAdminRequest,
  readJoined,
  readMembers,
  readPlan,
  readVersions
} from '../wire/admin.ts'
import { type CallOptions, checkNames, known } from './options.ts'

export interface AddMemberOptions extends CallOptions {
  /** It is to stay a learner until it is promoted. */
  readonly learner?: boolean | undefined
}

export interface ReplaceMemberOptions extends CallOptions {
  /** The node that waits must be there. */
  readonly address?: string | undefined
}

/** A change to be planned. */
export type PlannedChange =
  | { readonly add: string; readonly address: string; readonly learner?: boolean | undefined }
  | { readonly remove: string }
  | { readonly promote: string }
  | { readonly replace: string; readonly address?: string | undefined }

/** How a request reaches the leader. */
export type Ask = <T>(request: Packed, options: CallOptions, read: (result: Packed) => T) => Promise<T>

/**
 * Each change comes back when it is committed, with the members that there are then. A change that would be unsafe is
 * refused with CONDITION_FAILED, and has changed nothing.
 */
export class Cluster {
  readonly #ask: Ask

  /** Made by the client. */
  constructor(ask: Ask) {
    this.#ask = ask
  }

  /** As the leader sees them; last, as `waiting`, nodes that ask to be let in. */
  members(options: CallOptions = {}): Promise<MemberStatus[]> {
    return this.#send({ op: 'members' }, options, readMembers)
  }

  /** Resolves when a node of this id, started with `--join`, is a member. */
  addMember(
    id: string,
    address: string,
    { learner = false, ...options }: AddMemberOptions = {}
  ): Promise<MemberStatus[]> {
    return this.#change({ op: 'add', id, address, learner }, options)
  }

  removeMember(id: string, options: CallOptions = {}): Promise<MemberStatus[]> {
    return this.#change({ op: 'remove', id }, options)
  }

  /** Makes a voter of a learner that is level. */
  promote(id: string, options: CallOptions = {}): Promise<MemberStatus[]> {
    return this.#change({ op: 'promote', id, own: false }, options)
  }

  /** Lets a node of this id with another disk in, and the member of that id out, at once. */
  replaceMember(id: string, { address, ...options }: ReplaceMemberOptions = {}): Promise<MemberStatus[]> {
    return this.#change({ op: 'replace', id, address: address ?? null }, options)
  }

  /** Hands leadership over, to the voter that is furthest ahead where no id is given. Gives the id of the new leader. */
  transferLeader(id: string | null = null, options: CallOptions = {}): Promise<string> {
    return this.#send({ op: 'transfer', id }, options, readText)
  }

  /** By which rules commands are executed, and which the voters can follow: how far a rolling upgrade is. */
  machineVersions(options: CallOptions = {}): Promise<MachineVersions> {
    return this.#send({ op: 'upgrade', force: false }, options, readVersions)
  }

  /**
   * Has the highest rules come into force that a quorum of the voters can follow, without the others: they vote and hold the
   * log, and serve nothing until they run a newer program. There is no way back. Where all voters can, it happens by itself.
   */
  forceUpgrade(options: CallOptions = {}): Promise<MachineVersions> {
    return this.#send({ op: 'upgrade', force: true }, options, readVersions)
  }

  /** What a change would do, without doing it. */
  plan(change: PlannedChange, options: CallOptions = {}): Promise<Plan> {
    return this.#send({ op: 'plan', change: changeOf(change) }, options, readPlan)
  }

  /** What a node asks for that wants to be a member. */
  join(knock: Knock, options: CallOptions = {}): Promise<Joined> {
    return this.#send({ op: 'join', ...knock }, options, readJoined)
  }

  /** What a member asks for that is found at another address now. */
  move(move: Omit<Move, 'op'>, options: CallOptions = {}): Promise<MemberStatus[]> {
    return this.#send({ op: 'move', ...move }, options, readMembers)
  }

  /** What a learner asks for once it is level. */
  promoteSelf(id: string, options: CallOptions = {}): Promise<MemberStatus[]> {
    return this.#send({ op: 'promote', id, own: true }, options, readMembers)
  }

  #change(change: MembershipChange, options: CallOptions): Promise<MemberStatus[]> {
    return this.#send(change, options, readMembers)
  }

  async #send<T>(request: AdminRequest, options: CallOptions, read: (result: Packed) => T): Promise<T> {
    checkNames(options, known.call)
    const packed = packAdmin(request)
    readAdminRequest(packed)
    return this.#ask(packed, options, read)
  }
}

function changeOf(change: PlannedChange): MembershipChange {
  if ('add' in change) return { op: 'add', id: change.add, address: change.address, learner: change.learner === true }
  if ('remove' in change) return { op: 'remove', id: change.remove }
  if ('promote' in change) return { op: 'promote', id: change.promote, own: false }
  return { op: 'replace', id: change.replace, address: change.address ?? null }
}

function readText(result: Packed): string {
  if (typeof result !== 'string') throw new StrettoError('BAD_REQUEST', 'an answer of another kind than was asked for')
  return result
}
