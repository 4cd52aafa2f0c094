// Watches as a machine serves them: between what is applied and the links of those who want to hear of it.
import type { StrettoError } from '../base/errors.ts'

/** Which of the changes of one revision a watch is to get; all of them where `places` is null. */
export interface Receiver {
  readonly number: number
  readonly places: readonly number[] | null
}

/** One link, which carries what its watches are told. */
export interface FeedSink {
  /** False while enough waits to be sent: nothing is queued then, and `Feed.drained` says when there is room again. */
  readonly open: boolean
  /** `changes` are of this one revision, in the machine's language. */
  events(revision: number, changes: Uint8Array, receivers: readonly Receiver[]): void
  /** A page of the present state; `anew`: what the watch knew before does not count; `last`: nothing follows. */
  entries(number: number, page: { readonly anew: boolean; readonly last: boolean; readonly body: Uint8Array }): void
  /** These watches have been told all up to this revision. */
  progress(revision: number, numbers: readonly number[]): void
  /** This watch has ended. */
  ended(number: number, error: StrettoError): void
}

/** The watches of one link, by numbers that its client has chosen. */
export interface Feed {
  /** Those that have not ended. */
  readonly count: number
  /**
   * Begins a watch, which may be sent so many bytes before it is given more; never answers inside the call. The machine has
   * reached the point from which on it is to see everything.
   * @throws StrettoError BAD_REQUEST where `request` is none
   */
  begin(number: number, request: Uint8Array, credit: number): void
  /** Harmless for a watch that has ended. */
  credit(number: number, bytes: number): void
  end(number: number): void
  drained(): void
  close(): void
}
