// Blocks, writes and calls for tests of the log.
import type { Done } from '../../lib/base/env.ts'
import type { Founding } from '../../lib/log/found-log.ts'
import type { Persist } from '../../lib/raft/doors.ts'
import { type Block, type ChainedId, lastOf, type Membership } from '../../lib/raft/types.ts'
import { cutBlock } from '../../lib/record/block.ts'
import { writeMembership } from '../../lib/record/membership.ts'
import { draftRecord, recordKind } from '../../lib/record/record.ts'

const key = 'n1.00000000000000aa'

export const membership: Membership = {
  voters: [key],
  outgoing: null,
  learners: [],
  members: [{ key, id: 'n1', incarnation: '00000000000000aa', address: '127.0.0.1:4400' }]
}

export const identity = { id: 'n1', incarnation: '00000000000000aa' }

export const founding: Founding = { clusterId: '0123456789abcdef0123456789abcdef', membership }

/** A block of `count` records of `bodyBytes` each. Equal arguments make equal blocks. */
export function block(previous: ChainedId, term: number, count = 1, bodyBytes = 20): Block {
  const body = new Uint8Array(bodyBytes).fill(previous.index + term)
  const draft = draftRecord(recordKind.noop, body)
  return cutBlock(
    0,
    term,
    previous,
    1000 + previous.index,
    Array.from({ length: count }, () => draft)
  )
}

export function membershipBlock(previous: ChainedId, term: number, voter: number): Block {
  const incarnation = voter.toString(16).padStart(16, '0')
  const id = `v${voter}`
  const member = { key: `${id}.${incarnation}`, id, incarnation, address: 'h:1' }
  const body = writeMembership({ voters: [member.key], outgoing: null, learners: [], members: [member] })
  return cutBlock(0, term, previous, 1000, [draftRecord(recordKind.membership, body)])
}

export function endOf(block: Block): ChainedId {
  return { index: lastOf(block), term: block.term, chain: block.chain }
}

/** `blocks` blocks in a row. */
export function chainOf(previous: ChainedId, term: number, blocks: number, bodyBytes = 20): Block[] {
  const chain: Block[] = []
  let end = previous
  for (let number = 0; number < blocks; number++) {
    const next = block(end, term, 1 + (number % 3), bodyBytes)
    chain.push(next)
    end = endOf(next)
  }
  return chain
}

export function persist(change: Partial<Persist>): Persist {
  return { mark: 0, hard: null, cut: null, blocks: [], trust: false, ...change }
}

/** A call that ends in `Done`, as a promise. */
export function call<T>(start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => start((error, result) => (error ? reject(error) : resolve(result))))
}
