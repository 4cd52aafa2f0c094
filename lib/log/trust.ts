// Is this log the one that was promised? The rule by which an opened log is believed or not.
import type { ChainedId, LogId } from '../raft/types.ts'
import type { Catalogue } from './catalogue.ts'

/**
 * Reasons not to trust the log in `catalogue`, a sentence each; empty when there are none. `mark` is the last record this
 * node has promised, `state` the last one contained in its durable state, null where nobody asked.
 */
export function distrust(catalogue: Catalogue, mark: ChainedId, state: LogId | null): string[] {
  const { start, tail } = catalogue
  const reasons = []
  if (mark.index > tail.index) {
    reasons.push(`the log ends at ${text(tail)}, but ${text(mark)} was promised`)
  } else if (mark.index >= start.index) {
    const held = catalogue.idAt(mark.index)
    if (held === null || held.term !== mark.term || held.chain !== mark.chain) {
      reasons.push(`the log holds another record at ${mark.index} than was promised there`)
    }
  }
  if (state === null) return reasons
  if (state.index > tail.index) {
    reasons.push(`the state contains ${text(state)}, but the log ends at ${text(tail)}`)
  } else if (state.index >= start.index && catalogue.termAt(state.index) !== state.term) {
    reasons.push(`the state contains ${text(state)}, but the log holds another record there`)
  }
  return reasons
}

/**
 * Why the state does not belong to the log, which may be sound all the same: it ends before the log begins. Null where it
 * does, or where nobody asked.
 */
export function hollowness({ start }: Catalogue, state: LogId | null): string | null {
  if (state === null || state.index >= start.index) return null
  return `the state contains only ${text(state)}, but the log begins after ${text(start)}: a leader has to bring another`
}

/** `index@term`, as logs of Raft are commonly written. */
export function text(id: LogId): string {
  return `${id.index}@${id.term}`
}
