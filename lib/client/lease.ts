// A lease that this client keeps alive, and the signal that says when it can no longer be relied on.
import { type ErrorCode, StrettoError } from '../base/errors.ts'
import type { CallOptions } from './options.ts'

/** Granted by `db.lease`, and kept alive by the client. Keys that are put with it go when it ends. */
export interface Lease extends AsyncDisposable {
  readonly id: number
  /** Milliseconds. */
  readonly ttl: number
  /**
   * Aborted before the lease can have ended, by the clock of this computer alone: it could not be renewed in time. Also by
   * `revoke`, and by the end of the client. What relies on the lease must stop then.
   */
  readonly lost: AbortSignal
  /** For so many milliseconds it lasts for sure, whatever happens; 0 once it is lost. */
  readonly remaining: number
  /** Ends it now, and deletes its keys. It is no error where it has ended before. */
  revoke(options?: CallOptions): Promise<void>
  /** Revokes it; where that fails, it ends by itself, its ttl after the last renewal. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Who keeps it alive. */
export interface LeaseKeeper {
  now(): number
  letGo(lease: KeptLease, options: CallOptions): Promise<void>
}

/**
 * So much of its ttl before the end a lease counts as lost: the clocks of two computers differ by far less in their pace, and
 * a timer may come late.
 */
const marginShare = 0.1

export class KeptLease implements Lease {
  readonly id: number
  readonly ttl: number
  readonly #keeper: LeaseKeeper
  readonly #controller = new AbortController()
  /** When the last renewal that was acknowledged, or the grant, was asked for. */
  #askedAt: number

  constructor(keeper: LeaseKeeper, id: number, ttl: number, askedAt: number) {
    this.#keeper = keeper
    this.id = id
    this.ttl = ttl
    this.#askedAt = askedAt
  }

  get lost(): AbortSignal {
    return this.#controller.signal
  }

  get remaining(): number {
    return this.lost.aborted ? 0 : Math.max(0, this.lostAt - this.#keeper.now())
  }

  /** When `lost` is aborted, unless it is renewed before. */
  get lostAt(): number {
    return this.#askedAt + this.ttl * (1 - marginShare)
  }

  /** When it has to be renewed. */
  get renewAt(): number {
    return this.#askedAt + this.ttl / 3
  }

  /** From when on it is renewed along with others. */
  get mayRenewAt(): number {
    return this.#askedAt + this.ttl / 6
  }

  /** A renewal that was asked for at `askedAt` has been acknowledged. */
  renewed(askedAt: number): void {
    this.#askedAt = Math.max(this.#askedAt, askedAt)
  }

  /** Nobody renews it any more. */
  end(code: ErrorCode, text: string): void {
    if (!this.lost.aborted) this.#controller.abort(new StrettoError(code, text, { fate: 'unknown' }))
  }

  revoke(options: CallOptions = {}): Promise<void> {
    return this.#keeper.letGo(this, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.revoke()
    } catch (error) {
      if (!(error instanceof StrettoError)) throw error
    }
  }
}
