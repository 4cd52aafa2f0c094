// What operators and joining nodes ask of the leader about the membership, and what it answers.
//
// From the client
//   70    admin      flags: 1 = it was sent before, and what became of it is not known · 8 u32 number
//                    12 u32 patience in ms · 16: msgpack [name, argument, ...]
// From the node
//   86    settled    8 u32 number · 12: msgpack, by the name that was asked
//
//   ["members"]                                    -> members
//   ["join", id, incarnation, address, learner]    -> [cluster id, is a voter, is to stay a learner]
//   ["move", id, incarnation, address]             -> members
//   ["add", id, address, learner]                  -> members
//   ["remove", id]                                 -> members
//   ["promote", id, by the node itself]            -> members
//   ["replace", id, address | null]                -> members
//   ["transfer", id | null]                        -> id of the new leader
//   ["upgrade", force]                             -> [machine version in force, [[voter's id, highest it can run | null], ...]]
//   ["plan", [one of add, remove, promote, replace, ...]]
//       -> [voters, voters after, tolerated, after, tolerated at present, after, why it is refused | null, risks]
// Members are [[id, incarnation, address, voter, leader, ms of silence | null, records it lacks | null, waits], ...].
import { readU32, writeU32 } from '../base/bytes.ts'
import { StrettoError } from '../base/errors.ts'
import { incarnationPattern, nodeIdPattern } from '../record/membership.ts'
import { type Packed, pack, unpack } from '../record/pack.ts'
import { frameKind, startFrame } from './client.ts'

const headBytes = 16
const addressBytesMax = 300

/** What an operator may change. */
export type MembershipChange =
  /** `learner`: it is to stay one. */
  | { readonly op: 'add'; readonly id: string; readonly address: string; readonly learner: boolean }
  | { readonly op: 'remove'; readonly id: string }
  /** `own`: the node asks for itself. */
  | { readonly op: 'promote'; readonly id: string; readonly own: boolean }
  | { readonly op: 'replace'; readonly id: string; readonly address: string | null }

/** A node knocks: an unknown one becomes a learner, a known one is heard of at this address. */
export interface Knock {
  readonly id: string
  readonly incarnation: string
  readonly address: string
  /** It does not want to become a voter. */
  readonly learner: boolean
}

/** A member tells where it is dialled now. */
export interface Move {
  readonly op: 'move'
  readonly id: string
  readonly incarnation: string
  readonly address: string
}

/** How far the voters are with a rolling upgrade. `force`: the version that a quorum can run is to be in force. */
export interface Upgrade {
  readonly op: 'upgrade'
  readonly force: boolean
}

export type AdminRequest =
  | { readonly op: 'members' }
  | ({ readonly op: 'join' } & Knock)
  | Move
  | MembershipChange
  | { readonly op: 'transfer'; readonly id: string | null }
  | Upgrade
  | { readonly op: 'plan'; readonly change: MembershipChange }

export interface AdminFrame {
  readonly number: number
  readonly patienceMs: number
  /** It was sent before, and its answer was lost. */
  readonly again: boolean
  readonly request: Packed
}

/** A member as the leader sees it. */
export interface MemberStatus {
  readonly id: string
  readonly incarnation: string
  readonly address: string
  /** `waiting`: no member, but a node that asks to be one. */
  readonly role: 'voter' | 'learner' | 'waiting'
  readonly leader: boolean
  /** Since the leader last heard it; null where it never did. */
  readonly silentMs: number | null
  /** Records that its disk lacks; null where the leader does not know. */
  readonly lacks: number | null
}

export interface Joined {
  readonly clusterId: string
  readonly voter: boolean
  /** An operator wants it to stay a learner. */
  readonly staysLearner: boolean
}

export interface MachineVersions {
  /** By the rules of this version commands are executed. */
  readonly inForce: number
  readonly voters: readonly { readonly id: string /** Null where it is not linked. */; readonly max: number | null }[]
}

/** What a change would do. Voters by their ids; failures tolerated by all of them, and by those that are heard at present. */
export interface Plan {
  readonly voters: readonly string[]
  readonly votersAfter: readonly string[]
  readonly tolerates: number
  readonly toleratesAfter: number
  readonly toleratesNow: number
  readonly toleratesNowAfter: number
  /** Why it would be refused now, or null. */
  readonly refused: string | null
  readonly risks: readonly string[]
}

export function writeAdmin({ number, patienceMs, again, request }: AdminFrame): Uint8Array {
  const body = pack(request)
  const frame = startFrame(frameKind.admin, headBytes + body.length)
  frame[5] = again ? 1 : 0
  writeU32(frame, 8, number)
  writeU32(frame, 12, patienceMs)
  frame.set(body, headBytes)
  return frame
}

/** @throws StrettoError BAD_REQUEST */
export function readAdmin(frame: Uint8Array): AdminFrame {
  if (frame.length < headBytes) throw malformed()
  const request = unpack(frame.subarray(headBytes))
  return { number: readU32(frame, 8), patienceMs: readU32(frame, 12), again: (frame[5]! & 1) === 1, request }
}

export function writeSettled(number: number, result: Packed): Uint8Array {
  const body = pack(result)
  const frame = startFrame(frameKind.settled, 12 + body.length)
  writeU32(frame, 8, number)
  frame.set(body, 12)
  return frame
}

/** @throws StrettoError BAD_REQUEST */
export function readSettled(frame: Uint8Array): { readonly number: number; readonly result: Packed } {
  if (frame.length < 12) throw malformed()
  return { number: readU32(frame, 8), result: unpack(frame.subarray(12)) }
}

export function packAdmin(request: AdminRequest): Packed {
  switch (request.op) {
    case 'members':
      return [request.op]
    case 'join':
      return [request.op, request.id, request.incarnation, request.address, request.learner]
    case 'move':
      return [request.op, request.id, request.incarnation, request.address]
    case 'transfer':
      return [request.op, request.id]
    case 'upgrade':
      return [request.op, request.force]
    case 'plan':
      return [request.op, packAdmin(request.change)]
    case 'add':
      return [request.op, request.id, request.address, request.learner]
    case 'remove':
      return [request.op, request.id]
    case 'promote':
      return [request.op, request.id, request.own]
    case 'replace':
      return [request.op, request.id, request.address]
  }
}

/** @throws StrettoError BAD_REQUEST for what is none, in words */
export function readAdminRequest(value: Packed): AdminRequest {
  const [op, first, second, third, fourth] = listOf(value)
  switch (op) {
    case 'members':
      return { op }
    case 'join':
    case 'move': {
      if (typeof second !== 'string' || !incarnationPattern.test(second)) throw malformed()
      const self = { id: idOf(first), incarnation: second, address: addressOf(third) }
      return op === 'move' ? { op, ...self } : { op, ...self, learner: flagOf(fourth) }
    }
    case 'transfer':
      return { op, id: first === null ? null : idOf(first) }
    case 'upgrade':
      return { op, force: flagOf(first) }
    case 'plan': {
      const change = readAdminRequest(first ?? null)
      if (change.op !== 'add' && change.op !== 'remove' && change.op !== 'promote' && change.op !== 'replace') {
        throw new StrettoError('BAD_REQUEST', 'only a change of the members can be planned')
      }
      return { op, change }
    }
    case 'add':
      return { op, id: idOf(first), address: addressOf(second), learner: flagOf(third) }
    case 'remove':
      return { op, id: idOf(first) }
    case 'promote':
      return { op, id: idOf(first), own: flagOf(second) }
    case 'replace':
      return { op, id: idOf(first), address: second === null ? null : addressOf(second) }
    default:
      throw new StrettoError('BAD_REQUEST', 'this node does not know what was asked of it')
  }
}

export function packMembers(members: readonly MemberStatus[]): Packed {
  return members.map(({ id, incarnation, address, role, leader, silentMs, lacks }) => {
    return [id, incarnation, address, role === 'voter', leader, silentMs, lacks, role === 'waiting']
  })
}

/** @throws StrettoError BAD_REQUEST */
export function readMembers(value: Packed): MemberStatus[] {
  return listOf(value).map(item => {
    const [id, incarnation, address, voter, leader, silentMs = null, lacks = null, waits] = listOf(item)
    if (typeof id !== 'string' || typeof incarnation !== 'string' || typeof address !== 'string') throw malformed()
    if (silentMs !== null && !isCount(silentMs)) throw malformed()
    if (lacks !== null && !isCount(lacks)) throw malformed()
    const role = waits === true ? 'waiting' : voter === true ? 'voter' : 'learner'
    return { id, incarnation, address, role, leader: leader === true, silentMs, lacks }
  })
}

export function packJoined({ clusterId, voter, staysLearner }: Joined): Packed {
  return [clusterId, voter, staysLearner]
}

/** @throws StrettoError BAD_REQUEST */
export function readJoined(value: Packed): Joined {
  const [clusterId, voter, staysLearner] = listOf(value)
  if (typeof clusterId !== 'string' || !/^[0-9a-f]{32}$/.test(clusterId)) throw malformed()
  return { clusterId, voter: voter === true, staysLearner: staysLearner === true }
}

export function packVersions({ inForce, voters }: MachineVersions): Packed {
  return [inForce, voters.map(({ id, max }) => [id, max])]
}

/** @throws StrettoError BAD_REQUEST */
export function readVersions(value: Packed): MachineVersions {
  const [inForce, voters] = listOf(value)
  return {
    inForce: countOf(inForce),
    voters: listOf(voters).map(voter => {
      const [id, max = null] = listOf(voter)
      return { id: idOf(id), max: max === null ? null : countOf(max) }
    })
  }
}

export function packPlan(plan: Plan): Packed {
  const { voters, votersAfter, tolerates, toleratesAfter, toleratesNow, toleratesNowAfter, refused, risks } = plan
  return [voters, votersAfter, tolerates, toleratesAfter, toleratesNow, toleratesNowAfter, refused, risks]
}

/** @throws StrettoError BAD_REQUEST */
export function readPlan(value: Packed): Plan {
  const [voters, votersAfter, tolerates, toleratesAfter, toleratesNow, toleratesNowAfter, refused, risks] =
    listOf(value)
  if (refused !== null && typeof refused !== 'string') throw malformed()
  return {
    voters: textsOf(voters),
    votersAfter: textsOf(votersAfter),
    tolerates: countOf(tolerates),
    toleratesAfter: countOf(toleratesAfter),
    toleratesNow: countOf(toleratesNow),
    toleratesNowAfter: countOf(toleratesNowAfter),
    refused,
    risks: textsOf(risks)
  }
}

function listOf(value: Packed | undefined): readonly Packed[] {
  if (!Array.isArray(value)) throw malformed()
  return value as Packed[]
}

function textsOf(value: Packed | undefined): string[] {
  const texts = listOf(value)
  for (const text of texts) if (typeof text !== 'string') throw malformed()
  return texts as string[]
}

function idOf(value: Packed | undefined): string {
  if (typeof value !== 'string' || !nodeIdPattern.test(value))
    throw new StrettoError('BAD_REQUEST', 'this is no node id')
  return value
}

const addressPattern = /^[^\s/@?#]+:[1-9][0-9]{0,4}$/

function addressOf(value: Packed | undefined): string {
  if (typeof value !== 'string' || value.length > addressBytesMax || !addressPattern.test(value)) {
    throw new StrettoError('BAD_REQUEST', 'this is no address: write host:port')
  }
  return value
}

function flagOf(value: Packed | undefined): boolean {
  if (typeof value !== 'boolean') throw malformed()
  return value
}

function countOf(value: Packed | undefined): number {
  if (value === undefined || !isCount(value)) throw malformed()
  return value
}

function isCount(value: Packed): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function malformed(): StrettoError {
  return new StrettoError('BAD_REQUEST', 'a malformed admin frame')
}
