// A membership as bytes: the body of a membership record, part of the base record, and what the cluster id is a hash of.
import { StrettoError } from '../base/errors.ts'
import { type Member, type MemberKey, type Membership, memberKey } from '../raft/types.ts'
import { type Packed, pack, unpack } from './pack.ts'

export const nodeIdPattern = /^[a-z0-9][a-z0-9-]{0,62}$/
export const incarnationPattern = /^[0-9a-f]{16}$/
const addressBytesMax = 300

/** `[1, voters, outgoing | null, learners, [[id, incarnation, address], ...]]`; member keys as text. */
export function writeMembership(membership: Membership): Uint8Array {
  const members = membership.members.map(member => [member.id, member.incarnation, member.address])
  return pack([1, membership.voters, membership.outgoing, membership.learners, members])
}

/** @throws StrettoError BAD_REQUEST where `bytes` are no membership whose keys and members agree */
export function readMembership(bytes: Uint8Array): Membership {
  const value = unpack(bytes)
  if (!Array.isArray(value) || value[0] !== 1) throw fault()
  const [, voters, outgoing, learners, members] = value as Packed[]
  if (!Array.isArray(members)) throw fault()
  const read = members.map(readMember)
  const known = new Set(read.map(member => member.key))
  if (known.size !== read.length) throw fault()
  return {
    voters: readKeys(voters, known),
    outgoing: outgoing === null ? null : readKeys(outgoing, known),
    learners: readKeys(learners, known),
    members: read
  }
}

function readMember(value: Packed): Member {
  if (!Array.isArray(value)) throw fault()
  const [id, incarnation, address] = value as Packed[]
  if (typeof id !== 'string' || !nodeIdPattern.test(id)) throw fault()
  if (typeof incarnation !== 'string' || !incarnationPattern.test(incarnation)) throw fault()
  if (typeof address !== 'string' || address.length > addressBytesMax) throw fault()
  return { key: memberKey(id, incarnation), id, incarnation, address }
}

function readKeys(value: Packed | undefined, known: ReadonlySet<MemberKey>): MemberKey[] {
  if (!Array.isArray(value)) throw fault()
  const keys = value as Packed[]
  for (const key of keys) if (typeof key !== 'string' || !known.has(key)) throw fault()
  if (new Set(keys).size !== keys.length) throw fault()
  return keys as MemberKey[]
}

function fault(): StrettoError {
  return new StrettoError('BAD_REQUEST', 'a malformed membership')
}
