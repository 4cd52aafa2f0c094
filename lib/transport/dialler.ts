// Tries to reach one address until told to stop: at once, then after a jittered back-off that doubles from 10 ms to 1 s.
import type { Cancel, Env } from '../base/env.ts'
import type { Link, LinkHandler, Net } from './net.ts'

const backOffMsMin = 10
const backOffMsMax = 1000

export class Dialler {
  /** `host:port/path`; a new one counts from the next attempt on. */
  address: string
  readonly #env: Env
  readonly #net: Net
  readonly #wanted: () => boolean
  readonly #handler: () => LinkHandler
  #attempt: Link | null = null
  #waiting: Cancel | null = null
  #failures = 0
  #stopped = false

  /**
   * `wanted` tells whether an attempt is still of use. `handler` makes the handler of each attempt, which calls `failed` or
   * `reached` when it is decided.
   */
  constructor(env: Env, net: Net, address: string, wanted: () => boolean, handler: () => LinkHandler) {
    this.#env = env
    this.#net = net
    this.address = address
    this.#wanted = wanted
    this.#handler = handler
  }

  /** Begins now, unless an attempt is under way or about to begin. */
  dial(): void {
    if (this.#stopped || !this.#wanted() || this.#attempt !== null || this.#waiting !== null) return
    this.#attempt = this.#net.dial(this.address, this.#handler())
  }

  /** The attempt came to nothing: tries again after the back-off. */
  failed(): void {
    this.#attempt = null
    this.again()
  }

  /** The attempt has become a link, which is its owner's from now on. */
  reached(): void {
    this.#attempt = null
  }

  again(): void {
    if (this.#stopped || this.#attempt !== null || this.#waiting !== null) return
    const longest = Math.min(backOffMsMax, backOffMsMin * 2 ** Math.min(this.#failures, 16))
    this.#failures++
    // Between half of it and all of it, so that nodes which lost each other together do not meet at the door together.
    const wait = longest / 2 + this.#env.random(Math.ceil(longest / 2) + 1)
    this.#waiting = this.#env.after(Math.min(wait, longest), () => {
      this.#waiting = null
      this.dial()
    })
  }

  /** A link has lasted: the next back-off begins small again. */
  lasted(): void {
    this.#failures = 0
  }

  stop(): void {
    this.#stopped = true
    this.#waiting?.()
    this.#waiting = null
    this.#attempt?.close()
    this.#attempt = null
  }
}
