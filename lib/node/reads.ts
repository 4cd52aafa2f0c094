// Reads that wait: first for a read index, then until the state has reached it.
import type { Done } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { Index } from '../raft/types.ts'
import type { Counters } from './counters.ts'
import type { NodeLimits } from './limits.ts'
import type { ReadTerms } from './parts.ts'

/** What any read takes in memory while it waits, about, in bytes. */
const readCost = 512

export interface WaitingRead {
  /** In milliseconds of the node's clock. */
  readonly deadline: number
  /** The state must have reached this index, whatever the read index says. */
  readonly leastIndex: Index
  /** A further condition on the state, looked at again after each apply; null for none. */
  readonly enough: (() => boolean) | null
  /** What it keeps in memory while it waits, its question above all. */
  readonly bytes: number
  readonly done: Done
}

interface ReadBounds {
  readonly limits: Pick<NodeLimits, 'readBytesMax' | 'patienceMsDefault' | 'patienceMsMax'>
  readonly counters: Pick<Counters, 'reads' | 'refusedOverload'>
}

export class Reads {
  /** Asked for in this turn: they share the next ticket. */
  #fresh: WaitingRead[] = []
  #ticket = 0
  readonly #asked = new Map<number, WaitingRead[]>()
  /** Those that know their index, and it. */
  #ready: { readonly index: Index; readonly read: WaitingRead }[] = []
  #count = 0
  #bytes = 0

  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Takes a read in where there is room for it; where not, it has been refused. */
  admit(terms: ReadTerms, { limits, counters }: ReadBounds, now: number, done: Done): boolean {
    const bytes = readCost + (terms.bytes ?? 0)
    if (this.#bytes + bytes > limits.readBytesMax) {
      counters.refusedOverload++
      done(new StrettoError('OVERLOADED', 'too many reads wait here', { retryAfterMs: 50 }))
      return false
    }
    counters.reads++
    const { leastIndex, enough } = terms
    const patienceMs =
      terms.patienceMs === 0 ? limits.patienceMsDefault : Math.min(terms.patienceMs, limits.patienceMsMax)
    const read = { deadline: now + patienceMs, leastIndex, enough, bytes, done }
    if (terms.point === 'linearizable') this.ask(read)
    else this.await(read)
    return true
  }

  ask(read: WaitingRead): void {
    this.#take(read)
    this.#fresh.push(read)
  }

  /** Waits for nothing but the state. */
  await(read: WaitingRead): void {
    this.#take(read)
    this.#ready.push({ index: read.leastIndex, read })
  }

  /** A ticket for all reads asked for since the last call; null when there are none. */
  ticket(): number | null {
    if (this.#fresh.length === 0) return null
    const ticket = ++this.#ticket
    this.#asked.set(ticket, this.#fresh)
    this.#fresh = []
    return ticket
  }

  /** The reads of this ticket may be served once `index` is applied. */
  granted(ticket: number, index: Index): void {
    const reads = this.#asked.get(ticket)
    if (reads === undefined) return
    this.#asked.delete(ticket)
    for (const read of reads) this.#ready.push({ index: Math.max(index, read.leastIndex), read })
  }

  /** They cannot be answered by this leader: they are asked for again. */
  again(ticket: number): void {
    const reads = this.#asked.get(ticket)
    if (reads === undefined) return
    this.#asked.delete(ticket)
    for (const read of reads) this.#fresh.push(read)
  }

  /** Answers what the state has reached. */
  release(applied: Index): void {
    if (this.#ready.length === 0) return
    const served: WaitingRead[] = []
    this.#ready = this.#ready.filter(({ index, read }) => {
      if (index > applied || (read.enough !== null && !read.enough())) return true
      served.push(read)
      return false
    })
    this.#give(served)
    for (const read of served) read.done(null)
  }

  /** Answers those whose time is over. Returns how many. */
  expire(now: number): number {
    const late: WaitingRead[] = []
    const keep = (read: WaitingRead): boolean => {
      if (read.deadline > now) return true
      late.push(read)
      return false
    }
    this.#fresh = this.#fresh.filter(keep)
    this.#ready = this.#ready.filter(({ read }) => keep(read))
    for (const [ticket, reads] of this.#asked) {
      const kept = reads.filter(keep)
      if (kept.length === 0) this.#asked.delete(ticket)
      else if (kept.length < reads.length) this.#asked.set(ticket, kept)
    }
    // Errors are dear, and this comes several times a second.
    if (late.length > 0) {
      this.#fail(late, new StrettoError('TIMED_OUT', 'no leader confirmed the read before its time was over'))
    }
    return late.length
  }

  refuseAll(error: StrettoError): void {
    const all = [...this.#fresh, ...this.#ready.map(({ read }) => read), ...[...this.#asked.values()].flat()]
    this.#fresh = []
    this.#ready = []
    this.#asked.clear()
    this.#fail(all, error)
  }

  #fail(reads: readonly WaitingRead[], error: StrettoError): void {
    this.#give(reads)
    for (const read of reads) read.done(error)
  }

  #take(read: WaitingRead): void {
    this.#count++
    this.#bytes += read.bytes
  }

  #give(reads: readonly WaitingRead[]): void {
    this.#count -= reads.length
    for (const read of reads) this.#bytes -= read.bytes
  }
}
