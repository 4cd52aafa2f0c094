// How a life ends so that the next one begins with another state: one that a leader has sent, or an empty one.
import type { Done } from '../base/env.ts'
import type { StrettoError } from '../base/errors.ts'
import type { Log } from '../log/log.ts'
import type { Raft } from '../raft/doors.ts'
import type { Base } from '../raft/types.ts'
import type { Counters } from './counters.ts'
import type { SparePlace } from './snapshot-receiver.ts'

export interface RenewalParts {
  readonly raft: Raft
  readonly log: Log
  readonly counters: Counters
  readonly place: (state: number, done: Done<SparePlace>) => void
  /** Ends the life of the node: callers are answered, and nothing is sent or written any more but what is written here. */
  readonly end: (why: 'snapshot' | 'damage') => void
  readonly renewed: () => void
  readonly failed: (error: Error) => void
}

export class Renewal {
  readonly #parts: RenewalParts

  constructor(parts: RenewalParts) {
    this.#parts = parts
  }

  /** A snapshot is whole beside the state in force: the log gives way to it, and the next life begins with it. */
  install(base: Base): void {
    const { raft, log, counters, end, renewed, failed } = this.#parts
    const { role, commit, hollow } = raft.status
    if (role === 'leader' || (commit >= base.index && !hollow)) return
    counters.snapshotsInstalled++
    end('snapshot')
    log.rebase(base, error => (error === null ? renewed() : failed(error)))
  }

  /**
   * The state is damaged: the next life begins with an empty one, which is filled from the own log where that goes back to
   * the beginning, and else by a leader. Where there is nobody to bring it the damage stays.
   */
  condemn(error: StrettoError): void {
    const { raft, log, place, end, failed } = this.#parts
    const { base } = log
    const { membership, self } = raft.status
    if (base.index > 0 && membership.voters.every(key => key === self)) return failed(error)
    end('damage')
    const state = base.state + 1
    place(state, (fault, spare) => {
      if (fault !== null) return failed(fault)
      spare.keep(fault => {
        if (fault !== null) return failed(fault)
        log.rebase({ ...base, state }, fault => failed(fault ?? error))
      })
    })
  }
}
