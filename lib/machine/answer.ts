// What became of a record that a client may wait for: plain data, one small object where there is nothing special to say.
import { type ErrorCode, type Fate, numberOfCode } from '../base/errors.ts'
import type { Index, Term } from '../raft/types.ts'
import type { Outcome } from './machine.ts'

/** The answer to one command or resolve record. */
export interface Answer {
  readonly index: Index
  readonly term: Term
  /** Serial of the first command; each further one has the next. 0 for a resolve record, whose serials stand in it. */
  readonly serial: number
  /** Number of commands, or of serials asked about. */
  readonly count: number
  /** Revision after the first command that was executed now; 0 when none was. */
  readonly revision: number
  /** One for each command or serial asked about. Null: all were executed plainly, the revision rising by one with each. */
  readonly each: readonly Verdict[] | null
  /** The record as a whole was refused and nothing in it executed; `each` is null then. */
  readonly refused: RefusedRecord | null
}

/**
 * What became of one command, now or when it came first. Status 0: applied, once, at `revision`. SESSION_EXPIRED: it was
 * not executed now, and whether it was before is forgotten. Any other: it was not applied and never will be.
 */
export interface Verdict extends Outcome {
  /** It was applied or refused with an answer that was too large to be kept. */
  readonly gone?: true
}

export interface RefusedRecord {
  readonly code: ErrorCode
  readonly fate: Fate
  readonly text: string
}

/** The verdict on command number `at` of a record that was not refused as a whole. */
export function verdictOf(answer: Answer, at: number): Verdict {
  return answer.each?.[at] ?? { status: 0, revision: answer.revision + at, answer: null }
}

/** What a status other than 0 says about the command. */
export function fateOf(status: number): Fate {
  return status === expiredStatus ? 'unknown' : 'not-applied'
}

export const expiredStatus = numberOfCode('SESSION_EXPIRED')

/** Its answer is no longer kept, and it is not executed again: the client has said that it knows the answer. */
export const forgotten: Verdict = { status: expiredStatus, revision: 0, answer: null }

/** It came after its `notAfter`, or a resolve record took it back before it came: it is never executed. */
export const cancelled: Verdict = { status: numberOfCode('TIMED_OUT'), revision: 0, answer: null }

export const sessionExpired: RefusedRecord = {
  code: 'SESSION_EXPIRED',
  fate: 'unknown',
  text: 'the session is no longer known: nothing was executed now, and what was before is forgotten'
}

export const malformedRecord: RefusedRecord = {
  code: 'BAD_REQUEST',
  fate: 'not-applied',
  text: 'the record is malformed'
}

export const outOfTurn: RefusedRecord = {
  code: 'UNAVAILABLE',
  fate: 'not-applied',
  text: 'an earlier command of the session has not come yet: all that are not answered are to be sent again, in order'
}

export const beyondWindow: RefusedRecord = {
  code: 'BAD_REQUEST',
  fate: 'not-applied',
  text: 'a serial lies more than 4096 beyond the last one acknowledged'
}
