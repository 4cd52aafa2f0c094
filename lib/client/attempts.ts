// An optimistic change is tried again when another one came between, after a rest and until its deadline.
import type { StrettoError } from '../base/errors.ts'
import type { CallOptions } from './options.ts'
import type { SessionClient } from './session-client.ts'
import { timedOut } from './write.ts'

const restMsMin = 4
const restMsMax = 256

/** All attempts of one call. */
export class Attempts {
  readonly #session: SessionClient
  readonly #deadline: number
  readonly #signal: AbortSignal | undefined
  #failed = 0

  /** @throws StrettoError BAD_REQUEST */
  constructor(session: SessionClient, options: CallOptions) {
    this.#session = session
    this.#deadline = session.deadline(options)
    this.#signal = options.signal
  }

  /** For a call of the attempt that is made now. @throws StrettoError TIMED_OUT, when there is no time left for one */
  get options(): CallOptions {
    const timeout = this.#deadline - this.#session.context.env.now()
    if (timeout <= 0) throw this.#late()
    return this.#signal === undefined ? { timeout } : { timeout, signal: this.#signal }
  }

  /**
   * After an attempt that came to nothing: the more of them there were, the longer, and never equally long for two.
   * @throws StrettoError TIMED_OUT, when the deadline would pass meanwhile; the reason of the signal
   */
  async rest(): Promise<void> {
    const { env } = this.#session.context
    const most = Math.min(restMsMax, restMsMin * 2 ** Math.min(this.#failed++, 10))
    const ms = 1 + env.random(most)
    this.#signal?.throwIfAborted()
    if (env.now() + ms >= this.#deadline) throw this.#late()
    await new Promise<void>(resolve => void env.after(ms, resolve))
    this.#signal?.throwIfAborted()
  }

  #late(): StrettoError {
    return timedOut('not-applied', null, `others came between ${this.#failed} times`)
  }
}
