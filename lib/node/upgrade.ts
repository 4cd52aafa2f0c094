// From one machine version to the next: a leader asks for it once every voter can run it, and who cannot does not lead.
//
// The order is a record of the log, so all replicas change the rules at the same record. It is written only while every
// voter is linked and has offered the version in its greeting: a version that a quorum alone can run would leave too few
// to go on when one of those fails. An operator who cannot wait for a voter may have that written all the same. A node that
// meets the order of a version which it cannot run (an older program, put back afterwards) applies nothing more, says so,
// and goes on to vote and to hold the log.
import type { StrettoError } from '../base/errors.ts'
import { draftVersion } from '../machine/order.ts'
import { type ReplicatedMachine, unableToRun } from '../machine/replicated-machine.ts'
import type { Raft } from '../raft/doors.ts'
import { hasQuorum } from '../raft/quorum.ts'
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

interface Order {
  readonly term: Term
  readonly version: number
}

export class Upgrade {
  readonly #parts: UpgradeParts
  /** Of the members that are linked now. */
  readonly #offers = new Map<MemberKey, Versions>()
  /** What this node has asked for as a leader, and in which term. */
  #asked: Order = { term: 0, version: 0 }
  /** What an operator has asked for. */
  #forced: Order = { term: 0, version: 0 }
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
    return covers(this.#offers.get(peer), this.#parts.machine.version)
  }

  get inForce(): number {
    return this.#parts.machine.version
  }

  /** The highest version that a member can run; null where it is not linked. */
  offer(member: MemberKey): number | null {
    const { raft, machine } = this.#parts
    return member === raft.status.self ? machine.versionMax : (this.#offers.get(member)?.[1] ?? null)
  }

  /**
   * Has this leader order the highest version that a quorum of the voters can run. The others vote and hold the log from then
   * on, until they run a program that can. Gives the version; null where it is in force.
   */
  force(): number | null {
    const { raft, machine } = this.#parts
    const { membership, self, term } = raft.status
    for (let version = machine.versionMax; version > machine.version; version--) {
      const canRun = (key: MemberKey): boolean => key === self || covers(this.#offers.get(key), version)
      if (!hasQuorum(membership, canRun)) continue
      this.#forced = { term, version }
      return version
    }
    return null
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
    const forced = this.#forced.term === status.term ? this.#forced.version : 0
    const version = Math.max(this.#shared(), forced)
    if (version <= machine.version) return null
    this.#asked = { term: status.term, version }
    return draftVersion(version)
  }

  /** A voter that is to come has not been asked, and one that is to go need not be. */
  get #changing(): boolean {
    const { raft } = this.#parts
    const { membership, owesMembership, commit } = raft.status
    return membership.outgoing !== null || owesMembership !== null || raft.membershipAt(commit) !== membership
  }

  /** The highest version that this node and all voters can run; 0 where one of them is not heard, or there is none. */
  #shared(): number {
    const { raft, machine } = this.#parts
    const { membership, self } = raft.status
    let [lowest, highest] = [0, machine.versionMax]
    for (const voter of membership.voters) {
      if (voter === self) continue
      const offer = this.#offers.get(voter)
      if (offer === undefined) return 0
      lowest = Math.max(lowest, offer[0])
      highest = Math.min(highest, offer[1])
    }
    return lowest <= highest ? highest : 0
  }
}

function covers(offer: Versions | undefined, version: number): boolean {
  return offer !== undefined && offer[0] <= version && version <= offer[1]
}
