// When something falls due: a leader proposes an expiry record, which names nothing but its time.
//
// It may come late, by all that holds a leader up, and must not come early. So it waits for the leader's own no-op, with which
// all renewals before it are applied; and what would renew may stand at the door when the time has come: the record is
// written only after a full poll of input, and behind the renewals that wait here (`intake.ts`).
import type { Env } from '../base/env.ts'
import { advanceMsMax } from '../machine/cluster-time.ts'
import type { ReplicatedMachine } from '../machine/replicated-machine.ts'
import type { Raft } from '../raft/doors.ts'
import type { Index, Term } from '../raft/types.ts'
import { draftRecord, recordKind } from '../record/record.ts'
import type { Counters } from './counters.ts'

export interface ExpiryParts {
  readonly env: Pick<Env, 'soon'>
  readonly raft: Raft
  readonly machine: Pick<ReplicatedMachine, 'applied' | 'dueAt'>
  readonly counters: Counters
  readonly wake: () => void
}

const nothing = new Uint8Array(0)

export class Expiry {
  readonly #parts: ExpiryParts
  /** The last record proposed here; the next one waits until it is applied. */
  #proposed: { readonly term: Term; readonly index: Index } = { term: 0, index: 0 }
  /** Whether all input has been taken in that had come when something was first seen due. */
  #polled: 'no' | 'asked' | 'yes' = 'no'

  constructor(parts: ExpiryParts) {
    this.#parts = parts
  }

  /** The draft of the record that a leader has to propose now; null for none. `time`: cluster time of this turn. */
  order(time: number): Uint8Array | null {
    if (!this.#mayPropose || this.#parts.machine.dueAt >= time) {
      if (this.#polled === 'yes') this.#polled = 'no'
      return null
    }
    if (this.#polled === 'yes') {
      this.#polled = 'no'
      this.#parts.counters.expiries++
      return draftRecord(recordKind.expiry, nothing)
    }
    if (this.#polled === 'no') this.#poll()
    return null
  }

  /** What `order` has given stands in the log now. */
  proposed(index: Index): void {
    this.#proposed = { term: this.#parts.raft.status.term, index }
  }

  /** When a leader has to look again, on the clock of the node: cluster time goes on only as turns are taken. */
  wakeAt(now: number, time: number): number {
    const { dueAt } = this.#parts.machine
    if (dueAt === Number.POSITIVE_INFINITY || !this.#mayPropose) return Number.POSITIVE_INFINITY
    return now + Math.min(Math.max(1, dueAt + 1 - time), advanceMsMax)
  }

  get #mayPropose(): boolean {
    const { raft, machine } = this.#parts
    const { status } = raft
    if (status.role !== 'leader' || !status.accepts || machine.applied.term !== status.term) return false
    return this.#proposed.term !== status.term || machine.applied.index >= this.#proposed.index
  }

  /** Two turns of the event loop further all has been read that was there. */
  #poll(): void {
    const { env, wake } = this.#parts
    this.#polled = 'asked'
    env.soon(() =>
      env.soon(() => {
        this.#polled = 'yes'
        wake()
      })
    )
  }
}
