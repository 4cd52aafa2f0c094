// Leadership handed over because somebody asked: what speaks against it, and how it ends.
import type { Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import { idOf } from '../raft/change.ts'
import type { Status } from '../raft/doors.ts'
import type { Membership } from '../raft/types.ts'

export interface Transfer {
  readonly op: 'transfer'
  readonly id: string | null
}

/** A leader that can hand over begins within this time. */
const beginMsMax = 300

export function transferFault({ id }: Transfer, { members, voters }: Membership): string | null {
  if (id === null) return voters.length > 1 ? null : 'there is no other voter'
  const member = members.find(one => one.id === id)
  if (member === undefined) return `no member ${id}`
  return voters.includes(member.key) ? null : `${id} is a learner`
}

/** Watches the leader that was told to hand over. */
export function transferState(status: Status, env: Env) {
  const toldAt = env.now()
  const { term } = status
  let begun = false
  return {
    /** Id of the new leader; why there is none; null while it is not known. */
    look(deadline: number): string | StrettoError | null {
      const { role, leader, accepts } = status
      const now = env.now()
      if (leader !== null && leader !== status.self) return idOf(leader)
      // The vote went wrong and came back: this node leads in a later term.
      const isBack = role === 'leader' && (status.term > term || (begun && accepts))
      begun ||= role === 'leader' && !accepts
      if (isBack || now >= deadline) {
        return new StrettoError('TIMED_OUT', 'nobody took leadership over in time', {
          fate: begun ? 'unknown' : 'not-applied'
        })
      }
      if (role === 'leader' && !begun && now - toldAt > beginMsMax) {
        return new StrettoError('UNAVAILABLE', 'leadership cannot be handed over now')
      }
      return null
    }
  }
}
