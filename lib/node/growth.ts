// What grows the log and the state, on a leader whose disk fills: slowed down first, then refused. All else passes.
import { toHex } from '../base/bytes.ts'
import type { ReplicatedMachine } from '../machine/replicated-machine.ts'
import { commandAt, sessionIdBytes } from '../record/record.ts'
import type { Counters } from './counters.ts'
import type { NodeLimits } from './limits.ts'
import { type Request, tooLate } from './proposals.ts'
import { type Refusal, refusal } from './result.ts'
import { isShort, type Room } from './room.ts'

export interface GrowthParts {
  readonly room: Room
  readonly machine: Pick<ReplicatedMachine, 'grows'>
  readonly limits: Pick<NodeLimits, 'heldBytesMax'>
  readonly counters: Counters
}

/** What is left is spread over so long: the less there is, the slower it goes. */
const growthSpreadMs = 60_000
/** But never slower than this, so that each request comes to its turn. */
const growthBytesPerSecondMin = 65_536
/** A client that was refused for want of space may ask again after this. */
const noSpaceRetryMs = 1_000
const overloadRetryMs = 100

/** A request that waits for its turn. */
interface Slowed {
  readonly request: Request
  readonly grows: boolean
  readonly session: string
}

export class Growth {
  readonly #parts: GrowthParts
  #slowed: Slowed[] = []
  #slowedBytes = 0
  /** How many of a session wait: its next ones wait behind them, or they would be executed out of their order. */
  readonly #sessions = new Map<string, number>()
  /** Bytes that may go on now; below 0 after a request that was larger. */
  #budget = 0
  #filledAt = 0

  constructor(parts: GrowthParts) {
    this.#parts = parts
  }

  get count(): number {
    return this.#slowed.length
  }

  get bytes(): number {
    return this.#slowedBytes
  }

  /** A request that waits here may go on now, or is to be refused. */
  get ready(): boolean {
    return this.#slowed.length > 0 && (this.#budget > 0 || this.#parts.room.admission !== 'low')
  }

  /** As time passes, more may go on. */
  refill(now: number): void {
    const { room } = this.#parts
    if (room.admission !== 'low') return
    const perMs = Math.max(growthBytesPerSecondMin / 1_000, room.leftBytes / growthSpreadMs)
    const gained = Math.min(now - this.#filledAt, 1_000) * perMs
    this.#budget = Math.min(this.#budget + gained, perMs * 1_000)
    this.#filledAt = now
  }

  /** Those that may be proposed now, in order. The others wait here, or have been answered. */
  sift(requests: readonly Request[]): readonly Request[] {
    const level = this.#parts.room.admission
    if (level === 'ample' && this.#slowed.length === 0) return requests
    return requests.filter(request => this.#passes(request))
  }

  /** Those that have waited and may go on now, in order, as many as `bytesMax` allows but at least one. */
  due(bytesMax: number): Request[] {
    const due: Request[] = []
    let bytes = 0
    while (this.ready) {
      const { request, grows, session } = this.#slowed[0]!
      const { length } = request.draft
      if (due.length > 0 && bytes + length > bytesMax) break
      this.#slowed.shift()
      this.#gone(request, session)
      if (grows && this.#refuses(request)) continue
      if (grows) this.#budget -= length
      bytes += length
      due.push(request)
    }
    return due
  }

  /** All that waits: this node does not lead any more, so the next leader has to judge. */
  takeAll(): Request[] {
    const all = this.#slowed.map(({ request }) => request)
    this.#slowed = []
    this.#slowedBytes = 0
    this.#sessions.clear()
    return all
  }

  /** Answers the requests whose time is over: they were never proposed. Returns how many. */
  expire(now: number): number {
    const late = this.#slowed.filter(({ request }) => request.deadline <= now)
    if (late.length === 0) return 0
    this.#slowed = this.#slowed.filter(({ request }) => request.deadline > now)
    for (const { request, session } of late) this.#gone(request, session)
    for (const { request } of late) request.done(tooLate)
    return late.length
  }

  #passes(request: Request): boolean {
    const { room, machine, limits, counters } = this.#parts
    const session = toHex(request.draft.subarray(commandAt.session, commandAt.session + sessionIdBytes))
    const behind = this.#sessions.has(session)
    const grows = machine.grows(request.draft)
    if (grows && this.#refuses(request)) return false
    const waits = behind || (grows && room.admission === 'low' && this.#budget <= 0)
    if (!waits) {
      if (grows) this.#budget -= request.draft.length
      return true
    }
    if (this.#slowedBytes + request.draft.length > limits.heldBytesMax) {
      counters.refusedOverload++
      request.done(refusal('OVERLOADED', 'not-applied', 'too many bytes wait, as the disk fills', overloadRetryMs))
      return false
    }
    counters.slowed++
    this.#slowed.push({ request, grows, session })
    this.#slowedBytes += request.draft.length
    this.#sessions.set(session, (this.#sessions.get(session) ?? 0) + 1)
    return false
  }

  /** True where a request that grows is refused; it has been answered then. */
  #refuses(request: Request): boolean {
    const { room, counters } = this.#parts
    if (!isShort(room.admission)) return false
    counters.refusedSpace++
    request.done(noSpace)
    return true
  }

  #gone({ draft }: Request, session: string): void {
    this.#slowedBytes -= draft.length
    const left = this.#sessions.get(session)! - 1
    if (left === 0) this.#sessions.delete(session)
    else this.#sessions.set(session, left)
  }
}

const noSpace: Refusal = refusal(
  'NO_SPACE',
  'not-applied',
  'the disk is nearly full: delete something, or make room; deletes are taken in',
  noSpaceRetryMs
)
