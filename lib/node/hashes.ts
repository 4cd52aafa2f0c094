// When states are compared: a leader proposes hash records at intervals, and every voter tells it its own value at the last one.
//
// A voter that has applied a hash record sends its value there to the leader, in the lane of forwarded requests. The next
// hash record brings what the leader has gathered, and each replica judges itself by it (`machine/divergence.ts`). Where a
// value does not come in time, that vote is missing in one comparison; running hashes never forget, so the next shows it.
import { StrettoError } from '../base/errors.ts'
import { type Comparison, draftHash, readHash } from '../machine/divergence.ts'
import type { ReplicatedMachine } from '../machine/replicated-machine.ts'
import type { Raft } from '../raft/doors.ts'
import type { Index, MemberKey, Term } from '../raft/types.ts'
import { recordAt, recordHeaderBytes, recordKind } from '../record/record.ts'
import type { Transport } from '../transport/transport.ts'
import type { Counters } from './counters.ts'
import type { NodeLimits } from './limits.ts'

export interface HashesParts {
  readonly raft: Raft
  readonly machine: Pick<ReplicatedMachine, 'applied' | 'hash'>
  readonly transport: Pick<Transport, 'forward'>
  readonly limits: Pick<NodeLimits, 'hashRecords' | 'hashBytes' | 'hashAfterMs'>
  readonly counters: Counters
  /** Something that an operator should know, in a sentence. */
  readonly found: (line: string) => void
  /** The state of this node differs from that of a majority: it must not be used any more. */
  readonly diverged: (error: StrettoError) => void
}

/** What a member has told: its value at the hash record `of`, null where it did not know it; and whether it knows it now. */
interface Told {
  readonly of: Index
  readonly value: number | null
  readonly known: boolean
}

export class Hashes {
  readonly #parts: HashesParts
  readonly #told = new Map<MemberKey, Told>()
  /** The hash record whose value this node has sent last, and to the leader of which term. */
  #sent: { readonly of: Index; readonly term: Term } = { of: 0, term: 0 }
  /** What this node has proposed last as a leader: in which term, and after which hash record. */
  #proposed: { readonly term: Term; readonly after: Index } = { term: 0, after: 0 }
  /** Since when there is something to be compared; null when there is not. */
  #since: number | null = null
  #compared: Comparison | null = null
  /** Who differed when an operator was told last. */
  #spoken = ''

  constructor(parts: HashesParts) {
    this.#parts = parts
  }

  /** After each apply, before it is answered. True where the state of this node must not be used any more. */
  look(): boolean {
    const { machine, counters } = this.#parts
    const { comparison, diverged } = machine.hash
    if (diverged !== null) {
      counters.divergences++
      const text = `the state differs from that of a majority since before index ${diverged.index}, and is made anew`
      this.#parts.diverged(new StrettoError('CORRUPT', text, { fate: 'unknown' }))
      return true
    }
    if (comparison !== null && comparison !== this.#compared) this.#tell(comparison)
    this.#report()
    return false
  }

  /** A voter sends its value at the last hash record to whoever leads; to the next leader again, once its no-op is applied. */
  #report(): void {
    const { raft, machine, transport } = this.#parts
    const { role, leader, term, self, membership } = raft.status
    const { markIndex: of, markValue, known } = machine.hash
    if (of === 0 || role === 'leader' || leader === null) return
    if (this.#sent.of === of && this.#sent.term === term) return
    this.#sent = { of, term }
    if (!membership.voters.includes(self) && membership.outgoing?.includes(self) !== true) return
    const votes = markValue === null ? [] : [{ from: self, value: markValue }]
    // A vote that is lost is missed once, and nobody waits for it.
    transport.forward(leader, draftHash({ begins: !known, voters: 0, of, votes }), () => {})
  }

  /** True where a draft that `from` has forwarded is no request of a client, but its value. */
  told(from: MemberKey, draft: Uint8Array): boolean {
    if (draft.length < recordHeaderBytes || draft[recordAt.kind] !== recordKind.hash) return false
    const report = readHash(draft, 0, draft.length)
    if (report === null) return true
    const { of, begins, votes } = report
    this.#told.set(from, { of, value: votes[0]?.value ?? null, known: !begins })
    return true
  }

  /** The draft of the record that a leader has to propose now; null for none. */
  order(now: number): Uint8Array | null {
    const { raft, machine, counters } = this.#parts
    const { status } = raft
    if (!this.#due(now) || !status.accepts) return null
    const { markIndex: of } = machine.hash
    // With a record of its own term it has applied the hash records of leaders before: none stands between.
    if (machine.applied.term !== status.term) return null
    if (this.#proposed.term === status.term && this.#proposed.after === of) return null
    this.#proposed = { term: status.term, after: of }
    counters.hashRecords++
    return this.#draft(of)
  }

  /** Alone there is nobody to compare with; and where nothing has happened, nothing to compare. */
  #due(now: number): boolean {
    const { raft, machine, limits } = this.#parts
    const { records, bytes, covers } = machine.hash
    if (raft.status.membership.members.length < 2 || (records === 0 && !covers)) {
      this.#since = null
      return false
    }
    this.#since ??= now
    const due = records >= limits.hashRecords || bytes >= limits.hashBytes || now - this.#since >= limits.hashAfterMs
    return due
  }

  #draft(of: Index): Uint8Array {
    const { membership, self } = this.#parts.raft.status
    const { markValue, known } = this.#parts.machine.hash
    this.#told.set(self, { of, value: markValue, known })
    // Of both halves of a joint configuration: a majority of all of them is needed.
    const voters = new Set([...membership.voters, ...(membership.outgoing ?? [])])
    const votes: { from: MemberKey; value: number }[] = []
    let unknown = false
    for (const [from, told] of this.#told) {
      if (!voters.has(from)) this.#told.delete(from)
      else if (told.of === of) {
        unknown ||= !told.known
        if (told.value !== null) votes.push({ from, value: told.value })
      }
    }
    this.#since = null
    const differ = votes.some(({ value }) => value !== votes[0]!.value)
    // To begin anew forgets a difference, so that is left until it has been seen to.
    return draftHash({ begins: unknown && !differ, voters: voters.size, of, votes })
  }

  #tell(comparison: Comparison): void {
    this.#compared = comparison
    const { index, majority, differing } = comparison
    const names = differing.map(nodeIdOf).toSorted().join(', ')
    if (names === this.#spoken) return
    this.#spoken = names
    if (names === '') return
    const who = majority === null ? `the states of ${names} differ` : `the state of ${names} differs from all others`
    this.#parts.found(
      `${who} since before index ${index}${majority === null ? ', and no majority tells who is right' : ''}`
    )
  }
}

function nodeIdOf(key: MemberKey): string {
  return key.slice(0, key.lastIndexOf('.'))
}
