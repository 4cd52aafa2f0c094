// One client session: what became of each serial above the floor, as runs, so that plain results cost next to nothing.
//
// Invariants: runs rise and do not overlap; each lies above the floor; two neighbours that could be one run are one.
// So the runs are a function of the verdicts alone, in whatever order these came, and equal on all replicas.
import { assert } from '../base/assert.ts'
import type { Verdict } from './answer.ts'

/** A command must not be further above the floor than this. */
export const serialWindow = 4096
/** A resolve may be: the floor the table knows lags behind the client's own, at most by one window. */
export const cancelWindow = 2 * serialWindow
/** Longer answers are not kept. */
export const keptAnswerBytesMax = 256

/** What a session and a run are counted as, in bytes of memory. */
export const sessionCost = 200
export const runCost = 64

/** Consecutive serials with the same fate. Applied ones have rising revisions; one with an answer stands alone. */
export interface Run {
  serial: number
  count: number
  readonly status: number
  /** Of the first serial. */
  revision: number
  readonly answer: Uint8Array | null
  /** There was an answer, too large to keep. */
  readonly gone: boolean
}

export class Session {
  /** The 18 bytes of the session id, one character each. */
  readonly id: string
  /** Cluster time at which the client opened it. */
  readonly opened: number
  /** Stamp of its last record; no earlier than `opened`. */
  usedAt: number
  floor: number
  /** The lowest serial of which nothing is known. */
  next: number
  /** Bytes it counts for. */
  cost = sessionCost
  /** Serials now in the hands of the inner machine; `pendingTo` 0 when there are none. */
  pendingFrom = 0
  pendingTo = 0
  /** What `next` is at least, once the pending ones have been executed. */
  #pendingNext = 0
  /** Dropped from the table: what is still pending is executed but no longer remembered. */
  dropped = false
  /** Neighbours in order of last use. */
  older: Session | null = null
  newer: Session | null = null
  readonly #runs: Run[] = []

  constructor(id: string, opened: number, usedAt: number, floor: number) {
    this.id = id
    this.opened = opened
    this.usedAt = usedAt
    this.floor = floor
    this.next = floor + 1
  }

  get runs(): readonly Run[] {
    return this.#runs
  }

  /** Nothing is known of `serial` nor of any above it. */
  unseenFrom(serial: number): boolean {
    const last = this.#runs.at(-1)
    return serial > this.floor && serial > this.pendingTo && (last === undefined || serial >= last.serial + last.count)
  }

  /** The serials from `first` to `last` meet some that are pending. */
  meetsPending(first: number, last: number): boolean {
    return this.pendingTo !== 0 && first <= this.pendingTo && last >= this.pendingFrom
  }

  /** All serials before this one are known, or will be once the pending ones have been executed. */
  inTurn(serial: number): boolean {
    return serial <= Math.max(this.next, this.#pendingNext)
  }

  pend(first: number, last: number): void {
    if (this.inTurn(first)) this.#pendingNext = Math.max(this.#pendingNext, last + 1)
    if (this.pendingTo === 0 || first < this.pendingFrom) this.pendingFrom = first
    if (last > this.pendingTo) this.pendingTo = last
  }

  settle(): void {
    this.pendingFrom = 0
    this.pendingTo = 0
    this.#pendingNext = 0
  }

  /** What became of a serial above the floor; null when it has not been seen. */
  verdict(serial: number): Verdict | null {
    const run = this.#runs[this.#after(serial) - 1]
    if (run === undefined || serial >= run.serial + run.count) return null
    const revision = run.status === 0 ? run.revision + serial - run.serial : run.revision
    const { status, answer } = run
    return run.gone ? { status, revision, answer, gone: true } : { status, revision, answer }
  }

  /** Remembers the fate of `count` serials that were not seen before; those at or below the floor are passed over. */
  store(
    serial: number,
    count: number,
    status: number,
    revision: number,
    answer: Uint8Array | null,
    gone: boolean
  ): void {
    const below = Math.max(0, this.floor + 1 - serial)
    if (below >= count) return
    const from = serial + below
    const run = { serial: from, count: count - below, status, revision: later(status, revision, below), answer, gone }
    const at = this.#after(from)
    const previous = this.#runs[at - 1]
    const next = this.#runs[at]
    assert(previous === undefined || previous.serial + previous.count <= from, 'a serial is decided once')
    assert(next === undefined || from + run.count <= next.serial, 'a serial is decided once')
    const joinsNext = next !== undefined && continues(run, next)
    if (previous !== undefined && continues(previous, run)) {
      previous.count += run.count
      if (joinsNext) {
        previous.count += next.count
        this.#runs.splice(at, 1)
        this.cost -= runCost
      }
    } else if (joinsNext) {
      next.serial = run.serial
      next.count += run.count
      next.revision = run.revision
    } else {
      if (at === this.#runs.length) this.#runs.push(run)
      else this.#runs.splice(at, 0, run)
      this.cost += costOf(run)
    }
    if (from === this.next) this.#goOn(from)
  }

  /** The client has the answers up to `floor`: they are forgotten, and these serials never executed again. */
  raiseFloor(floor: number): void {
    if (floor <= this.floor) return
    this.floor = floor
    if (floor >= this.next) this.#goOn(floor + 1)
    let over = 0
    for (const run of this.#runs) {
      if (run.serial + run.count - 1 > floor) break
      this.cost -= costOf(run)
      over++
    }
    if (over === 1) this.#runs.shift()
    else if (over > 1) this.#runs.splice(0, over)
    const first = this.#runs[0]
    if (first === undefined || first.serial > floor) return
    const below = floor + 1 - first.serial
    first.serial += below
    first.count -= below
    first.revision = later(first.status, first.revision, below)
  }

  /** `next` is `serial`, or what follows the runs that lie there without a gap. */
  #goOn(serial: number): void {
    this.next = serial
    for (let at = Math.max(0, this.#after(serial) - 1); at < this.#runs.length; at++) {
      const run = this.#runs[at]!
      if (run.serial > this.next) return
      this.next = Math.max(this.next, run.serial + run.count)
    }
  }

  /** Position of the first run that begins above `serial`. */
  #after(serial: number): number {
    let low = 0
    let high = this.#runs.length
    const last = this.#runs[high - 1]
    if (last === undefined || last.serial <= serial) return high
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#runs[middle]!.serial <= serial) low = middle + 1
      else high = middle
    }
    return low
  }
}

function later(status: number, revision: number, by: number): number {
  return status === 0 ? revision + by : revision
}

function continues(run: Run, next: Run): boolean {
  return (
    run.serial + run.count === next.serial &&
    run.status === next.status &&
    run.gone === next.gone &&
    run.answer === null &&
    next.answer === null &&
    later(run.status, run.revision, run.count) === next.revision
  )
}

function costOf(run: Run): number {
  return runCost + (run.answer === null ? 0 : run.answer.length)
}
