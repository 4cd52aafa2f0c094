// Which configuration a request of an operator or of a joining node asks for: the one to propose, or why there is none.
import { type Member, type Membership, memberKey } from '../raft/types.ts'
import type { Knock, MembershipChange, Move } from '../wire/admin.ts'

export type ChangeRequest = MembershipChange | Move | ({ readonly op: 'join' } & Knock)

export type Wanted =
  | { readonly kind: 'target'; readonly target: Membership }
  /** It is so already. */
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly text: string }
  /** A node has to knock first. */
  | { readonly kind: 'awaits'; readonly text: string }

/** `knocking`: a node of this id that asks to be a member, with another disk than the member of that id, if there is one. */
export function wantedOf(request: ChangeRequest, now: Membership, knocking: Knock | null): Wanted {
  const member = now.members.find(({ id }) => id === request.id)
  switch (request.op) {
    case 'join':
      return joined(request, now, member)
    case 'move':
      if (member === undefined || member.incarnation !== request.incarnation) return noMember(request.id)
      return moved(member, request.address, now)
    case 'add':
      if (member === undefined) return awaited(request.id, request.address, now)
      if (member.address === request.address) return done
      return refused(`${member.id} is a member already, at ${member.address}`)
    case 'remove':
      return member === undefined ? noMember(request.id) : wanted(without(now, member))
    case 'promote':
      return member === undefined ? noMember(request.id) : promoted(member, now)
    case 'replace':
      return member === undefined ? noMember(request.id) : replaced(member, request.address, now, knocking)
  }
}

const done: Wanted = { kind: 'done' }

function wanted(target: Membership): Wanted {
  return { kind: 'target', target }
}

function refused(text: string): Wanted {
  return { kind: 'refused', text }
}

function noMember(id: string): Wanted {
  return refused(`no member ${id}`)
}

function joined(knock: Knock, now: Membership, member: Member | undefined): Wanted {
  if (member === undefined) return wantedUnlessTaken(knock.address, now, null, () => withLearner(now, knock))
  if (member.incarnation === knock.incarnation) return moved(member, knock.address, now)
  const { id } = knock
  return refused(`${id} is a member with another disk: admit this one with 'members replace ${id}'`)
}

function moved(member: Member, address: string, now: Membership): Wanted {
  if (member.address === address) return done
  const members = now.members.map(one => (one === member ? { ...one, address } : one))
  return wantedUnlessTaken(address, now, member, () => ({ ...now, members }))
}

function awaited(id: string, address: string, now: Membership): Wanted {
  const taken = takenBy(address, now, null)
  if (taken !== null) return refused(taken)
  return { kind: 'awaits', text: `no node ${id} is waiting: start it with 'stretto start --id ${id} --join ...'` }
}

function promoted({ key }: Member, now: Membership): Wanted {
  if (now.voters.includes(key)) return done
  return wanted({ ...now, voters: [...now.voters, key], learners: now.learners.filter(other => other !== key) })
}

function replaced(member: Member, address: string | null, now: Membership, knock: Knock | null): Wanted {
  const { id } = member
  if (knock === null || knock.incarnation === member.incarnation) {
    const text = `no node ${id} with another disk is waiting: start it with 'stretto start --id ${id} --join ...'`
    return { kind: 'awaits', text }
  }
  if (address !== null && address !== knock.address)
    return refused(`${id} waits at ${knock.address}, not at ${address}`)
  return wantedUnlessTaken(knock.address, now, member, () => withLearner(without(now, member), knock))
}

function wantedUnlessTaken(address: string, now: Membership, own: Member | null, target: () => Membership): Wanted {
  const taken = takenBy(address, now, own)
  return taken === null ? wanted(target()) : refused(taken)
}

function takenBy(address: string, { members }: Membership, own: Member | null): string | null {
  const other = members.find(member => member.address === address && member !== own)
  return other === undefined ? null : `${address} is the address of ${other.id}`
}

function without({ voters, learners, members }: Membership, { key }: Member): Membership {
  return {
    voters: voters.filter(other => other !== key),
    outgoing: null,
    learners: learners.filter(other => other !== key),
    members: members.filter(other => other.key !== key)
  }
}

function withLearner(now: Membership, { id, incarnation, address }: Knock): Membership {
  const key = memberKey(id, incarnation)
  return { ...now, learners: [...now.learners, key], members: [...now.members, { key, id, incarnation, address }] }
}
