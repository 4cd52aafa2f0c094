// One line of text for any input, message, ready or status: for scripts, traces and logs.
import { unreachable } from '../base/assert.ts'
import type { ChangeOutcome, Input, Persist, Ready, Status } from './doors.ts'
import type { Envelope, Message, Reject } from './message.ts'
import { type Block, type LogId, lastOf, type MemberKey, type Membership } from './types.ts'

/** The node id alone: what people call a member. */
export function describeMember(key: MemberKey | null): string {
  if (key === null) return 'none'
  const dot = key.indexOf('.')
  return dot < 0 ? key : key.slice(0, dot)
}

/** `index@term`. */
export function describeLogId({ index, term }: LogId): string {
  return `${index}@${term}`
}

export function describeInput(input: Input): string {
  switch (input.kind) {
    case 'time':
      return 'time'
    case 'receive':
      return `receive ${describeEnvelope(input.envelope)}`
    case 'propose':
      return `propose ${describeBlock(input.block)}`
    case 'read':
      return `read ${input.ticket}`
    case 'transfer':
      return `transfer to ${describeMember(input.to)}`
    case 'change':
      return `change ${input.ticket} to ${describeMembership(input.target)}`
    case 'unreachable':
    case 'link-closed':
      return `${input.kind} ${describeMember(input.peer)}`
    case 'greeted':
      return `greeted ${describeMember(input.peer)} boot=${input.boot}`
    case 'persisted':
      return `persisted ${input.mark}`
    case 'compacted':
      return `compacted ${describeLogId(input.base)}`
    case 'unable':
      return 'unable'
    case 'fit':
      return input.fit ? 'fit' : 'unfit'
    case 'resign':
      return 'resign'
    default:
      return unreachable(input)
  }
}

/** `n1 -> n2 @3 append prev=4@1 blocks=5-6@3 commit=4 round=0`; @3 is the term of the envelope. */
export function describeEnvelope({ from, to, term, message }: Envelope): string {
  return `${describeMember(from)} -> ${describeMember(to)} @${term} ${describeMessage(message)}`
}

function describeMessage(message: Message): string {
  switch (message.kind) {
    case 'vote':
      return `${message.pre ? 'pre-' : ''}vote${message.force ? ' forced' : ''} last=${describeLogId(message.last)}`
    case 'vote-reply': {
      const verdict = message.granted ? 'granted' : `refused${message.reason === null ? '' : ` (${message.reason})`}`
      return `${message.pre ? 'pre-' : ''}vote ${verdict}`
    }
    case 'append': {
      const blocks = message.blocks.length === 0 ? '' : ` blocks=${message.blocks.map(describeBlock).join(',')}`
      const round = message.round === 0 ? '' : ` round=${message.round}`
      return `append prev=${describeLogId(message.prev)}${blocks} commit=${message.commit}${round}`
    }
    case 'append-reply': {
      const round = message.round === 0 ? '' : ` round=${message.round}`
      const lease = message.leaseMs === 0 ? '' : ` lease=${message.leaseMs}`
      return `match=${message.match}${describeReject(message.reject)}${round}${lease}`
    }
    case 'timeout-now':
      return 'timeout-now'
    case 'read-index':
      return 'read-index'
    case 'read-index-reply':
      return `read-index ${message.index ?? 'refused'}`
    case 'snapshot':
      return `snapshot last=${describeLogId(message.meta.last)}`
    case 'snapshot-reply':
      return `snapshot installed=${message.installed}`
    default:
      return unreachable(message)
  }
}

/** `5-6@3`, or `5@3` for one record; `m` after it when it brings a membership. */
export function describeBlock(block: Block): string {
  const span = block.count === 1 ? `${block.first}` : `${block.first}-${lastOf(block)}`
  return `${span}@${block.term}${block.membership === null ? '' : 'm'}`
}

export function describeMembership({ voters, outgoing, learners }: Membership): string {
  const parts = [`voters=${describeMembers(voters)}`]
  if (outgoing !== null) parts.push(`outgoing=${describeMembers(outgoing)}`)
  if (learners.length > 0) parts.push(`learners=${describeMembers(learners)}`)
  return parts.join(' ')
}

export function describePersist({ mark, hard, cut, blocks, trust }: Persist): string {
  const parts = [`persist ${mark}:`]
  if (hard !== null) parts.push(`term=${hard.term} vote=${describeMember(hard.vote)}`)
  if (cut !== null) parts.push(`cut=${cut}`)
  if (blocks.length > 0) parts.push(`blocks=${blocks.map(describeBlock).join(',')}`)
  if (trust) parts.push('trust')
  return parts.join(' ')
}

export function describeReady({ persist, send, commit, reads, refused, changes, offer, changed }: Ready): string {
  const parts: string[] = []
  if (changed) parts.push('changed')
  if (persist !== null) parts.push(describePersist(persist))
  for (const envelope of send) parts.push(`send ${describeEnvelope(envelope)}`)
  if (commit !== null) parts.push(`commit ${commit}`)
  for (const { ticket, index } of reads) parts.push(`read ${ticket} at ${index}`)
  for (const { ticket, leader } of refused) parts.push(`refused ${ticket}, leader ${describeMember(leader)}`)
  for (const change of changes) parts.push(describeChange(change))
  if (offer !== null) parts.push(`offered a snapshot of ${describeLogId(offer.meta.last)}`)
  return parts.join('; ')
}

export function describeChange(change: ChangeOutcome): string {
  switch (change.kind) {
    case 'settled':
      return `change ${change.ticket} settled at ${change.index}`
    case 'refused':
      return `change ${change.ticket} refused: ${change.text}`
    case 'lost':
      return `change ${change.ticket} lost`
    default:
      return unreachable(change)
  }
}

export function describeStatus(status: Status): string {
  const parts = [
    `${describeMember(status.self)}@${status.term} ${status.role}`,
    `leader=${describeMember(status.leader)}`,
    `last=${describeLogId(status.last)} durable=${status.durable} commit=${status.commit}`
  ]
  if (status.base.index > 0) parts.push(`base=${describeLogId(status.base)}`)
  if (!status.trusted) parts.push('untrusted')
  for (const peer of status.peers) parts.push(`${describeMember(peer)}:${status.mode(peer)}/${status.match(peer)}`)
  return parts.join(' ')
}

function describeMembers(keys: readonly MemberKey[]): string {
  return keys.map(describeMember).join(',')
}

function describeReject(reject: Reject | null): string {
  return reject === null ? '' : ` reject=${reject.index} hint=${describeLogId(reject.hint)}`
}
