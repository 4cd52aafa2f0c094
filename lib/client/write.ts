// One write of the user, from the call to the result.
import { codeOfNumber, type ErrorCode, type ErrorDetails, type Fate, StrettoError } from '../base/errors.ts'
import type { Packed } from '../record/pack.ts'
import type { Applied } from '../wire/client.ts'
import { Call } from './call.ts'
import type { Codec } from './encoding.ts'
import { entryOrNull, numberOf, UndecodableValue, unpackAnswer } from './entry.ts'

export type Verdict = NonNullable<NonNullable<Applied['each']>[number]>

/** Who is told that a write will not be waited for any more. */
export interface WriteOwner {
  gaveUp(write: Write): void
  /** The deadline passed while the write was waiting to be sent. */
  late(write: Write): void
}

/** What the result of the call looks like. */
export type WriteKind = 'plain' | 'previous' | 'delete' | 'deletePrevious' | 'increment' | 'bytes'

export class Write extends Call {
  readonly owner: WriteOwner
  readonly codec: Codec<unknown>
  readonly kind: WriteKind
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

  constructor(owner: WriteOwner, codec: Codec<unknown>, terms: WriteTerms) {
    super()
    this.owner = owner
    this.codec = codec
    this.kind = terms.kind
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
    if (this.kind === 'plain') this.succeed({ revision })
    else this.#applied(revision, null)
  }

  /** @throws StrettoError BAD_REQUEST for an answer that is none */
  judged(verdict: Verdict, operationId: string): void {
    if (this.settled) return
    if (verdict.status === 0) this.#applied(verdict.revision, verdict.answer)
    else this.fail(refusalOf(verdict, operationId, this.codec))
  }

  #applied(revision: number, answer: Uint8Array | null): void {
    if (this.kind === 'plain') {
      this.succeed({ revision })
      return
    }
    if (this.kind === 'bytes') {
      this.succeed({ revision, answer: answer === null ? null : new Uint8Array(answer) })
      return
    }
    if (answer === null) {
      // Applied before, when this client did not hear of it, with an answer too large to be kept.
      const deleted = this.kind === 'deletePrevious' ? { deleted: 1 } : {}
      this.succeed({ revision, ...deleted, resultGone: true })
      return
    }
    try {
      this.succeed(this.#result(revision, unpackAnswer(answer)))
    } catch (error) {
      if (!(error instanceof UndecodableValue)) throw error
      this.fail(
        new StrettoError('BAD_REQUEST', `applied, but ${error.message}`, { fate: 'unknown', cause: error.cause })
      )
    }
  }

  #result(revision: number, fields: readonly Packed[]): unknown {
    if (this.kind === 'increment') return { value: numberOf(fields[0]), revision }
    if (this.kind === 'previous') return { revision, previous: entryOrNull(fields[0], this.codec) }
    const deleted = numberOf(fields[0])
    return this.kind === 'delete'
      ? { revision, deleted }
      : { revision, deleted, previous: entryOrNull(fields[1], this.codec) }
  }
}

export interface WriteTerms {
  readonly kind: WriteKind
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

function refusalOf(verdict: Verdict, operationId: string, codec: Codec<unknown>): StrettoError {
  const code = codeOfNumber(verdict.status)
  if (code === 'CONDITION_FAILED') return conditionFailed(verdict, codec, operationId)
  const fate = code === 'SESSION_EXPIRED' ? 'unknown' : 'not-applied'
  return new StrettoError(code, refusalTexts[code] ?? `refused: ${code}`, { fate, operationId })
}

const refusalTexts: Readonly<Partial<Record<ErrorCode, string>>> = {
  TIMED_OUT: 'not applied: it came after its `notAfter`, or was taken back by `resolve`',
  SESSION_EXPIRED: 'the cluster no longer knows what became of this write',
  BAD_REQUEST: 'not applied: the value is no whole number that can be counted, or the request was malformed',
  TOO_LARGE: 'not applied: the request or its answer would be too large'
}

function conditionFailed(verdict: Verdict, codec: Codec<unknown>, operationId: string): StrettoError {
  const details: { -readonly [name in keyof ErrorDetails]: ErrorDetails[name] } = { operationId }
  if (verdict.answer !== null) {
    const [packed] = unpackAnswer(verdict.answer)
    try {
      details.current = entryOrNull(packed, codec)
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
