// Requests on their way into the log: held while there is no leader, forwarded to one, or cut into blocks by one.
import { readU64 } from '../base/bytes.ts'
import type { Index, LogId, Term } from '../raft/types.ts'
import { recordAt } from '../record/record.ts'
import type { NodeLimits } from './limits.ts'
import { type Refusal, refusal, type WriteDone } from './result.ts'

/** A draft record that waits for its turn. */
export interface Request {
  readonly draft: Uint8Array
  /** In milliseconds of the node's clock: not proposed after this. */
  readonly deadline: number
  /** It has been forwarded once and is not forwarded again. */
  readonly forwarded: boolean
  readonly done: WriteDone
}

/** Requests in order of arrival, bounded in bytes. */
export class Held {
  readonly #bytesMax: number
  #requests: Request[] = []
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  get count(): number {
    return this.#requests.length
  }

  /** False when there is no room. */
  add(request: Request): boolean {
    if (this.#bytes + request.draft.length > this.#bytesMax) return false
    this.#requests.push(request)
    this.#bytes += request.draft.length
    return true
  }

  /** Takes the oldest requests out, at most `bytesMax` of them but at least one. */
  take(bytesMax: number): Request[] {
    let bytes = 0
    let count = 0
    for (const request of this.#requests) {
      if (count > 0 && bytes + request.draft.length > bytesMax) break
      bytes += request.draft.length
      count++
    }
    this.#bytes -= bytes
    if (count === this.#requests.length) {
      const all = this.#requests
      this.#requests = []
      return all
    }
    return this.#requests.splice(0, count)
  }

  takeAll(): Request[] {
    return this.take(Number.POSITIVE_INFINITY)
  }

  /** Answers the requests whose time is over: they were never proposed. Returns how many. */
  expire(now: number): number {
    const late = this.#requests.filter(request => request.deadline <= now)
    if (late.length === 0) return 0
    this.#requests = this.#requests.filter(request => request.deadline > now)
    for (const request of late) this.#bytes -= request.draft.length
    for (const request of late) request.done(tooLate)
    return late.length
  }

  /** Answers all, because the node stops. */
  refuseAll(reason: Refusal): void {
    for (const request of this.takeAll()) request.done(reason)
  }
}

export const tooLate = refusal('TIMED_OUT', 'not-applied', 'no leader took the request in before its time was over')

/** How long the client of a draft will wait, in milliseconds. */
export function patienceOf(draft: Uint8Array, limits: NodeLimits): number {
  const asked = readU64(draft, recordAt.index)
  return asked === 0 ? limits.patienceMsDefault : Math.min(asked, limits.patienceMsMax)
}

interface Placed extends LogId {
  readonly done: WriteDone
  readonly bytes: number
}

/** Callers whose records stand in the log of this leader, in order of index, until they are applied. */
export class Waiting {
  #placed: Placed[] = []
  #head = 0
  #bytes = 0

  /** Bytes of the records that are waited for. */
  get bytes(): number {
    return this.#bytes
  }

  get count(): number {
    return this.#placed.length - this.#head
  }

  add(id: LogId, bytes: number, done: WriteDone): void {
    this.#placed.push({ term: id.term, index: id.index, done, bytes })
    this.#bytes += bytes
  }

  /**
   * Who waits for this record; taken out. Who waits for another one in its place is told `gone`. Indexes are asked for in
   * rising order.
   */
  take(index: Index, term: Term, gone: Refusal): WriteDone | null {
    for (;;) {
      const placed = this.#placed[this.#head]
      if (placed === undefined || placed.index > index) return null
      this.#head++
      this.#bytes -= placed.bytes
      if (this.#head > 1024 && this.#head * 2 > this.#placed.length) {
        this.#placed = this.#placed.slice(this.#head)
        this.#head = 0
      }
      if (placed.index === index && placed.term === term) return placed.done
      placed.done(gone)
      if (placed.index === index) return null
    }
  }

  /** Answers all, because this node no longer leads: their records may be committed by the next leader, or be cut. */
  refuseAll(reason: Refusal): void {
    const all = this.#placed.slice(this.#head)
    this.#placed = []
    this.#head = 0
    this.#bytes = 0
    for (const placed of all) placed.done(reason)
  }
}
