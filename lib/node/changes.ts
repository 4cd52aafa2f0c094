// Who waits for a change of the configuration, and what each is told in the end.
import type { Done } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { ChangeOutcome, Input } from '../raft/doors.ts'
import type { Index, Membership } from '../raft/types.ts'

export class Changes {
  readonly #waiting = new Map<number, Done<Index>>()
  #tickets = 0

  /** What the core is to be told, so that `done` is called in the end. */
  begin(target: Membership, done: Done<Index>): Input {
    const ticket = ++this.#tickets
    this.#waiting.set(ticket, done)
    return { kind: 'change', ticket, target }
  }

  settle(outcomes: readonly ChangeOutcome[]): void {
    for (const outcome of outcomes) {
      const done = this.#waiting.get(outcome.ticket)!
      this.#waiting.delete(outcome.ticket)
      if (outcome.kind === 'settled') done(null, outcome.index)
      else done(faultOf(outcome), 0)
    }
  }

  refuseAll(error: StrettoError): void {
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const done of waiting) done(error, 0)
  }
}

function faultOf(outcome: Exclude<ChangeOutcome, { kind: 'settled' }>): StrettoError {
  if (outcome.kind === 'lost') {
    return new StrettoError('NOT_LEADER', 'leadership was lost before the change was committed', { fate: 'unknown' })
  }
  if (outcome.wait) return new StrettoError('UNAVAILABLE', outcome.text, { retryAfterMs: 100 })
  return new StrettoError('CONDITION_FAILED', outcome.text)
}
