// What the parts of one client share.
import type { Env } from '../base/env.ts'
import type { Connection } from './connection.ts'
import type { Links } from './links.ts'
import type { Requests } from './requests.ts'
import type { Wheel } from './wheel.ts'

export interface Context {
  readonly env: Env
  readonly wheel: Wheel
  readonly requests: Requests
  readonly links: Links
  /** Asks for a turn, in which what waits is sent. */
  takeTurn(): void
  /** Something is over that a closing client waits for. */
  ended(): void
  /** Highest index of the log that an answer has told of. */
  seenIndex: number
}

/** Milliseconds from now to `tick`'s deadline for a frame: at least 1. */
export function patienceMs(deadline: number, now: number): number {
  return Math.max(1, Math.ceil(deadline - now))
}

export function saw(context: Context, index: number): void {
  if (index > context.seenIndex) context.seenIndex = index
}

const retryMsMin = 10
const retryMsMax = 1000
/** So many refusals in a row, and the client looks for another node. */
const complainAfter = 3

/** How long to wait after refusals: as the node says, and longer with each one in a row. */
export class Patience {
  #refusals = 0

  answered(): void {
    this.#refusals = 0
  }

  /** Milliseconds to wait before the next attempt. */
  refused(context: Context, from: Connection, retryAfterMs: number | null): number {
    this.#refusals++
    if (this.#refusals >= complainAfter && this.#refusals % complainAfter === 0) context.links.complain(from)
    if (this.#refusals === 1 && retryAfterMs !== null) return retryAfterMs
    const delay = Math.min(retryMsMax, retryMsMin * 2 ** Math.min(this.#refusals - 1, 10))
    return Math.max(retryAfterMs ?? 0, delay / 2 + context.env.random(Math.ceil(delay / 2)))
  }
}
