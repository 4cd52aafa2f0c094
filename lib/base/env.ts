// The only door to time, chance and "later". A process has one real Env; the simulator has one for each node.

export interface Env {
  /** Monotonic milliseconds with a fraction, from an origin of its own; never wall-clock time. */
  now(): number
  /** Calls `wake` once, `ms` or more milliseconds from now. */
  after(ms: number, wake: () => void): Cancel
  /** Calls `turn` once the events that are already waiting have been handled: where work is batched. */
  soon(turn: () => void): void
  /** A uniform integer in [0, below), `below` at most 2^32. */
  random(below: number): number
}

/** Takes a timer back; harmless when it has fired. */
export type Cancel = () => void

/** How an answer comes back inside the house: once, later, never inside the call. On success `error` is null. */
export type Done<T = void> = (error: Error | null, result: T) => void
