// Errors that tell the fate of the operation: the one thing a caller must know before it may try again.

/** Did it happen? `not-applied`: it did not and never will. `unknown`: it may have happened, or may still. */
export type Fate = 'not-applied' | 'unknown'

export type ErrorCode =
  | 'NOT_LEADER'
  | 'OVERLOADED'
  | 'TIMED_OUT'
  | 'UNAVAILABLE'
  | 'SESSION_EXPIRED'
  | 'CONDITION_FAILED'
  | 'COMPACTED'
  | 'FUTURE_REVISION'
  | 'TOO_LARGE'
  | 'BAD_REQUEST'
  | 'UNAUTHENTICATED'
  | 'PERMISSION_DENIED'
  | 'LEASE_NOT_FOUND'
  | 'LOCK_LOST'
  | 'FENCED'
  | 'NO_SPACE'
  | 'STOPPED'
  | 'CORRUPT'

/** The codes in the order of their numbers on the wire and on disk: the list only ever grows at its end. 0 means "applied". */
export const errorCodes: readonly ErrorCode[] = [
  'NOT_LEADER',
  'OVERLOADED',
  'TIMED_OUT',
  'UNAVAILABLE',
  'SESSION_EXPIRED',
  'CONDITION_FAILED',
  'COMPACTED',
  'FUTURE_REVISION',
  'TOO_LARGE',
  'BAD_REQUEST',
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'LEASE_NOT_FOUND',
  'LOCK_LOST',
  'FENCED',
  'NO_SPACE',
  'STOPPED',
  'CORRUPT'
]

/** The number of `code` on the wire and on disk: 1 or more. */
export function numberOfCode(code: ErrorCode): number {
  return errorCodes.indexOf(code) + 1
}

/** The code with this number, or `UNAVAILABLE` for one that a newer version has added. */
export function codeOfNumber(number: number): ErrorCode {
  return errorCodes[number - 1] ?? 'UNAVAILABLE'
}

const retryableCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'NOT_LEADER',
  'OVERLOADED',
  'TIMED_OUT',
  'UNAVAILABLE',
  'NO_SPACE',
  'STOPPED'
])

export interface ErrorDetails {
  readonly fate?: Fate
  /** Names the write for `resolve`, as text. */
  readonly operationId?: string
  /** Milliseconds after which a retry has a chance. */
  readonly retryAfterMs?: number
  /** The entry that failed a condition, null where there is none. */
  readonly current?: unknown
  readonly cause?: unknown
}

/** What every call of this library rejects with: a stable `code`, a readable text, and the fate of the operation. */
export class StrettoError extends Error {
  override readonly name = 'StrettoError'
  readonly code: ErrorCode
  readonly fate: Fate
  readonly retryable: boolean
  readonly operationId?: string
  readonly retryAfterMs?: number
  readonly current?: unknown

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.fate = details.fate ?? 'not-applied'
    this.retryable = retryableCodes.has(code)
    if (details.operationId !== undefined) this.operationId = details.operationId
    if (details.retryAfterMs !== undefined) this.retryAfterMs = details.retryAfterMs
    if (details.current !== undefined) this.current = details.current
  }
}
