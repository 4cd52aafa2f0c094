// One call of the user: its promise, its deadline and its signal, in one object and without a closure.
import { Timed } from './wheel.ts'

type Resolve = (value: unknown) => void
type Reject = (reason: unknown) => void

let takenResolve: Resolve = nothing
let takenReject: Reject = nothing

function nothing(): void {}

function take(resolve: Resolve, reject: Reject): void {
  takenResolve = resolve
  takenReject = reject
}

/** Settles once: by an answer, by its deadline, by its signal or by the end of the client. */
export abstract class Call extends Timed {
  settled = false
  /** What it resolves to is lost on the way through frames: the method that was called says it. */
  readonly promise: Promise<never>
  readonly #resolve: Resolve
  readonly #reject: Reject
  #signal: AbortSignal | null = null
  #onAbort: (() => void) | null = null

  constructor() {
    super()
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one place where that type is asserted
    this.promise = new Promise(take) as Promise<never>
    this.#resolve = takenResolve
    this.#reject = takenReject
  }

  /** The wait is over although there is no answer: the call is settled already. */
  protected abstract abandoned(): void

  /** From now on the signal ends the wait; at once when it has been given already. */
  heed(signal: AbortSignal): void {
    if (signal.aborted) {
      this.#abort(signal)
      return
    }
    this.#signal = signal
    this.#onAbort = () => this.#abort(signal)
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  succeed(result: unknown): void {
    if (this.settled) return
    this.settled = true
    if (this.#signal !== null) this.#ignoreSignal()
    this.#resolve(result)
  }

  fail(reason: unknown): void {
    if (this.settled) return
    this.settled = true
    if (this.#signal !== null) this.#ignoreSignal()
    this.#reject(reason)
  }

  #abort(signal: AbortSignal): void {
    if (this.settled) return
    this.fail(signal.reason)
    this.abandoned()
  }

  #ignoreSignal(): void {
    if (this.#onAbort !== null) this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#signal = null
    this.#onAbort = null
  }
}

/** A call whose deadline and signal are kept elsewhere. */
export class Wait extends Call {
  override expire(): void {}

  protected override abandoned(): void {}
}
