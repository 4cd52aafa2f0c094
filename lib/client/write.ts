// One write of the user, from the call to the result.
import { codeOfNumber, type ErrorCode, type ErrorDetails, type Fate, StrettoError } from '../base/errors.ts'
import type { Packed } from '../record/pack.ts'
import type { Applied } from '../wire/client.ts'
import { plainAnswer, type ReadAnswer } from './answers.ts'
import { Call } from './call.ts'
import type { Corner } from './corner.ts'
import { NoResult, UndecodableValue } from './encoding.ts'
import { entryOrNull, unpackAnswer } from './entry.ts'

export type Verdict = NonNullable<NonNullable<Applied['each']>[number]>

/** Who is told that a write will not be waited for any more. */
export interface WriteOwner {
  gaveUp(write: Write): void
  /** The deadline passed while the write was waiting to be sent. */
  late(write: Write): void
}

export class Write extends Call {
  readonly owner: WriteOwner
  readonly read: ReadAnswer
  /** Where the entry that failed its condition is read; null where there are no entries. */
  readonly corner: Corner | null
  /** For the frame. */
  readonly command: Packed
  /** About how many bytes it takes in the frame. */
  readonly bytes: number
  /** In milliseconds of the Env's clock. */
  readonly calledAt: number
  readonly deadline: number
  /** Cluster time after the call when it is applied no more, in milliseconds; 0: whenever. */
  readonly notAfterMs: number
  /** Where it stands: in the queue, or in this draft. */
  draft: Gathered | null = null
  /** It has been moved to a new session once, because the old one was gone. */
  renewed = false

  constructor(owner: WriteOwner, terms: WriteTerms) {
    super()
    this.owner = owner
    this.read = terms.read
    this.corner = terms.corner
    this.command = terms.command
    this.bytes = terms.bytes
    this.calledAt = terms.calledAt
    this.deadline = terms.deadline
    this.notAfterMs = terms.notAfterMs
  }

  override expire(): void {
    this.owner.late(this)
  }

  protected override abandoned(): void {
    this.owner.gaveUp(this)
  }

  /** It was executed and has nothing to say but its revision. */
  appliedPlainly(revision: number): void {
    if (this.read === plainAnswer) this.succeed({ revision })
    else this.#applied(revision, null)
  }

  /** @throws StrettoError BAD_REQUEST for an answer that is none */
  judged(verdict: Verdict, operationId: string): void {
    if (this.settled) return
    if (verdict.status === 0) this.#applied(verdict.revision, verdict.answer)
    else this.fail(refusalOf(verdict, operationId, this.corner))
  }

  #applied(revision: number, answer: Uint8Array | null): void {
    try {
      this.succeed(this.read(revision, answer))
    } catch (error) {
      if (!(error instanceof NoResult)) throw error
      this.fail(appliedButUnread(error))
    }
  }
}

/** The write has been applied: nothing may do it again. */
export function appliedButUnread({ code, message, cause }: NoResult): StrettoError {
  return new StrettoError(code, `applied, but ${message}`, { fate: 'unknown', cause })
}

export interface WriteTerms {
  readonly read: ReadAnswer
  readonly corner: Corner | null
  readonly command: Packed
  readonly bytes: number
  readonly calledAt: number
  readonly deadline: number
  readonly notAfterMs: number
}

/** The draft record that a write stands in. */
export interface Gathered {
  /** One of its writes is not waited for any more. */
  gaveUp(): void
}

function refusalOf(verdict: Verdict, operationId: string, corner: Corner | null): StrettoError {
  const code = codeOfNumber(verdict.status)
  if (code === 'CONDITION_FAILED') return conditionFailed(verdict, corner, operationId)
  const fate = code === 'SESSION_EXPIRED' ? 'unknown' : 'not-applied'
  return new StrettoError(code, refusalTexts[code] ?? `refused: ${code}`, { fate, operationId })
}

const refusalTexts: Readonly<Partial<Record<ErrorCode, string>>> = {
  TIMED_OUT: 'not applied: it came after its `notAfter`, or was taken back by `resolve`',
  SESSION_EXPIRED: 'the cluster no longer knows what became of this write',
  BAD_REQUEST: 'not applied: the value is no whole number that can be counted, or the request was malformed',
  TOO_LARGE: 'not applied: the request or its answer would be too large',
  LEASE_NOT_FOUND: 'not applied: there is no such lease, or it has ended'
}

function conditionFailed(verdict: Verdict, corner: Corner | null, operationId: string): StrettoError {
  const details: { -readonly [name in keyof ErrorDetails]: ErrorDetails[name] } = { operationId }
  if (verdict.answer !== null && corner !== null) {
    const [packed] = unpackAnswer(verdict.answer)
    try {
      details.current = entryOrNull(packed, corner)
    } catch (error) {
      if (!(error instanceof UndecodableValue)) throw error
      details.cause = error.cause
    }
  }
  return new StrettoError('CONDITION_FAILED', 'the entry was not at the revision asked for', details)
}

export function timedOut(fate: Fate, operationId: string | null, why: string): StrettoError {
  const text =
    fate === 'unknown' ? 'no answer in time: it may have been applied, or may still be' : 'not applied in time'
  return new StrettoError('TIMED_OUT', `${text} (${why})`, operationId === null ? { fate } : { fate, operationId })
}
