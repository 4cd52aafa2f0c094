// What the machines of all nodes have executed: in one order, with one result, and each call at most once.
import type { Index } from '../../raft/types.ts'
import { Violation } from '../ghost/violation.ts'
import type { Execution } from '../ghost/witness.ts'
import type { Seen } from './seen.ts'

export class Executions {
  /** The records that were ever executed by anybody, in order. */
  readonly #order: Index[] = []
  readonly #digests: number[] = []
  /** Where each serial of each session was executed. */
  readonly #calls = new Map<string, Map<number, Index>>()
  /** The last serial of each session that was executed: clients ask for their calls to take effect in call order. */
  readonly #last = new Map<string, number>()

  /** How many records have been executed. */
  get count(): number {
    return this.#order.length
  }

  /** A machine goes on after `durable`. */
  opened(seen: Seen, durable: Index): void {
    let low = 0
    let high = this.#order.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#order[middle]! <= durable) low = middle + 1
      else high = middle
    }
    seen.next = low
    seen.executed = durable
  }

  /** True where nobody has executed it before. */
  executed(seen: Seen, execution: Execution): boolean {
    const { index, digest } = execution
    const { id, node } = seen.node
    if (index <= seen.executed) throw new Violation('IA1', `${id} executes ${index} after ${seen.executed}`)
    const commit = node?.raft.status.commit
    if (commit !== undefined && index > commit)
      throw new Violation('IA1', `${id} executes ${index} above its commit index ${commit}`)
    const expected = this.#order[seen.next]
    if (expected === undefined) this.#first(execution)
    else if (expected !== index)
      throw new Violation('IA1', `${id} executes ${index} where others have executed ${expected}`)
    else if (this.#digests[seen.next] !== digest)
      throw new Violation('IA3', `${id} comes to another answer at ${index} than others`)
    seen.next++
    seen.executed = index
    return expected === undefined
  }

  #first({ index, digest, session, serial, count, executed }: Execution): void {
    this.#order.push(index)
    this.#digests.push(digest)
    if (session === null) return
    let serials = this.#calls.get(session)
    if (serials === undefined) this.#calls.set(session, (serials = new Map()))
    for (let at = 0; at < count; at++) {
      if (executed !== null && executed[at] !== true) continue
      const known = serials.get(serial + at)
      if (known !== undefined)
        throw new Violation('IO1', `serial ${serial + at} is executed at ${known} and again at ${index}`)
      serials.set(serial + at, index)
      const last = this.#last.get(session) ?? 0
      if (serial + at < last)
        throw new Violation('IO3', `serial ${serial + at} is executed after ${last} of its session, at ${index}`)
      this.#last.set(session, serial + at)
    }
  }
}
