// Requests that wait for an answer, by the number that stands in their frames and in the answers.
import { type ErrorCode, StrettoError } from '../base/errors.ts'
import type { Refused } from '../wire/client.ts'

/** The connection that an answer came over. */
export interface Path {
  readonly nodeId: string
  send(frame: Uint8Array): void
}

/** Who waits. `frame` is only lent for the time of the call. */
export interface Waiter {
  /** @throws StrettoError when the frame is not an answer to this: the link it came from is then closed. */
  answered(frame: Uint8Array, from: Path): void
  refused(refused: Refused, from: Path): void
}

export class Requests {
  /** Takes a frame that answers several at once; false for any other. */
  shared: (frame: Uint8Array, from: Path) => boolean = () => false
  readonly #waiters = new Map<number, Waiter>()
  #last = 0

  get count(): number {
    return this.#waiters.size
  }

  /** A number that no other waiting request has, from 1 to 2^32 - 1. */
  add(waiter: Waiter): number {
    do this.#last = this.#last === 0xffff_ffff ? 1 : this.#last + 1
    while (this.#waiters.has(this.#last))
    this.#waiters.set(this.#last, waiter)
    return this.#last
  }

  /** Undefined where the request has been settled: the answer is a late or second one. */
  waiter(number: number): Waiter | undefined {
    return this.#waiters.get(number)
  }

  remove(number: number): void {
    this.#waiters.delete(number)
  }
}

/** A refusal after which the same request may be sent again. */
export function mayRetry(refused: Refused): boolean {
  return retryable.has(refused.code)
}

const retryable: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'NOT_LEADER',
  'UNAVAILABLE',
  'OVERLOADED',
  'STOPPED',
  'TIMED_OUT'
])

export function unexpected(): StrettoError {
  return new StrettoError('BAD_REQUEST', 'an answer of another kind than was asked for')
}
