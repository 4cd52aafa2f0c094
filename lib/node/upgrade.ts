// From one machine version to the next: a leader asks for it once every voter can run it, and who cannot does not lead.
//
// The order is a record of the log, so all replicas change the rules at the same record. It is written only while every
// voter is linked and has offered the version in its greeting: a version that a quorum alone can run would leave too few
// to go on when one of those fails. A node that meets the order of a version which it cannot run (an older program, put
// back afterwards) applies nothing more, says so, and goes on to vote and to hold the log.
import type { StrettoError } from '../base/errors.ts'
import { draftVersion } from '../machine/order.ts'
import { type ReplicatedMachine, unableToRun } from '../machine/replicated-machine.ts'
import type { Raft } from '../raft/doors.ts'
import type { MemberKey, Term } from '../raft/types.ts'
import type { Greeting } from '../transport/transport.ts'

export interface UpgradeParts {
  readonly raft: Raft
  readonly machine: Pick<ReplicatedMachine, 'applied' | 'version' | 'versionMax' | 'unable'>
  /** Something that an operator should know, in a sentence. */
  readonly found: (line: string) => void
  /** Nothing is applied here any more: whoever waits for that is told this. */
  readonly halted: (refusal: StrettoError) => void
}

type Versions = Greeting['machine']

export class Upgrade {
  readonly #parts: UpgradeParts
  /** Of the members that are linked now. */
  readonly #offers = new Map<MemberKey, Versions>()
  /** What this node has asked for as a leader, and in which term. */
  #asked: { readonly term: Term; readonly version: number } = { term: 0, version: 0 }
  #refusal: StrettoError | null = null

  constructor(parts: UpgradeParts) {
    this.#parts = parts
  }

  greeted(peer: MemberKey, versions: Versions): void {
    this.#offers.set(peer, versions)
  }

  /** Who comes back may be another program. */
  closed(peer: MemberKey): void {
    this.#offers.delete(peer)
  }

  /** It is linked, and its program can run the version in force. */
  runs(peer: MemberKey): boolean {
    const offer = this.#offers.get(peer)
    const { version } = this.#parts.machine
    return offer !== undefined && offer[0] <= version && version <= offer[1]
  }

  /** Why nothing can be read here; null where this node applies what the log holds. */
  get refusal(): StrettoError | null {
    return this.#refusal
  }

  /** Looks whether this node can still run what the log asks for; where not, the core and the operator are told once. */
  look(now: number): void {
    const { raft, machine, found, halted } = this.#parts
    const { unable } = machine
    if (unable === null || this.#refusal !== null) return
    this.#refusal = unableToRun(unable)
    raft.step({ kind: 'unable' }, now)
    halted(this.#refusal)
    found(
      `machine version ${unable} is asked for, and this program runs up to ${machine.versionMax}: nothing is applied here any more`
    )
  }

  /** The draft of the record that a leader has to propose now; null for none. */
  order(): Uint8Array | null {
    const { raft, machine } = this.#parts
    const { status } = raft
    if (machine.versionMax <= machine.version || status.role !== 'leader' || !status.accepts) return null
    // With a record of its own term it has applied all orders of leaders before.
    if (machine.applied.term !== status.term) return null
    if (this.#asked.term === status.term && this.#asked.version > machine.version) return null
    if (this.#changing) return null
    const version = this.#shared()
    if (version === null || version <= machine.version) return null
    this.#asked = { term: status.term, version }
    return draftVersion(version)
  }

  /** A voter that is to come has not been asked, and one that is to go need not be. */
  get #changing(): boolean {
    const { raft } = this.#parts
    const { membership, owesMembership, commit } = raft.status
    return membership.outgoing !== null || owesMembership !== null || raft.membershipAt(commit) !== membership
  }

  /** The highest version that this node and all voters can run; null where one of them is not heard, or there is none. */
  #shared(): number | null {
    const { raft, machine } = this.#parts
    const { membership, self } = raft.status
    let [lowest, highest] = [0, machine.versionMax]
    for (const voter of membership.voters) {
      if (voter === self) continue
      const offer = this.#offers.get(voter)
      if (offer === undefined) return null
      lowest = Math.max(lowest, offer[0])
      highest = Math.min(highest, offer[1])
    }
    return lowest <= highest ? highest : null
  }
}
