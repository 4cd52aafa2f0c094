// How the answer of a command becomes the result of the call.
import type { Packed } from '../record/pack.ts'
import type { Corner } from './corner.ts'
import { type AppliedResult, entryOrNull, numberOf, unpackAnswer } from './entry.ts'

/**
 * The result of a command that was applied. `answer` is null where it has nothing to say but its revision, or was applied
 * before, when this client did not hear of it, with an answer too large to be kept. The bytes are only lent.
 * Throws UndecodableValue, and StrettoError BAD_REQUEST for an answer that is none.
 */
export type ReadAnswer = (revision: number, answer: Uint8Array | null) => unknown

export const plainAnswer: ReadAnswer = revision => ({ revision })

/** Of an application's own machine. */
export const bytesAnswer: ReadAnswer = (revision, answer) => {
  return { revision, answer: answer === null ? null : new Uint8Array(answer) }
}

/** Of a command that answers with one number. */
export function numberAnswer(name: 'value' | 'deleted' | 'length'): ReadAnswer {
  return (revision, answer) => {
    return answer === null ? { revision, resultGone: true } : { [name]: numberOf(unpackAnswer(answer)[0]), revision }
  }
}

export const valueAnswer = numberAnswer('value')
export const deletedAnswer = numberAnswer('deleted')
export const lengthAnswer = numberAnswer('length')

/** Of a put that asked for the entry before, or for a lease of its own. */
export function putAnswer(corner: Corner, wantsPrevious: boolean): ReadAnswer {
  return (revision, answer) => {
    if (answer === null) return { revision, resultGone: true }
    const [packed, leaseId] = unpackAnswer(answer)
    const previous = wantsPrevious ? { previous: entryOrNull(packed, corner) } : {}
    return { revision, ...previous, ...(leaseId === undefined ? {} : { leaseId: numberOf(leaseId) }) }
  }
}

export function deletedEntryAnswer(corner: Corner): ReadAnswer {
  return (revision, answer) => {
    if (answer === null) return { revision, deleted: 1, resultGone: true }
    const [deleted, previous] = unpackAnswer(answer)
    return { revision, deleted: numberOf(deleted), previous: entryOrNull(previous, corner) }
  }
}

/** The result that an answer tells by its shape, the command itself being unknown. */
export function guessedAnswer(corner: Corner): ReadAnswer {
  return (revision, answer): AppliedResult<unknown> => {
    if (answer === null) return { revision }
    const [first, second] = unpackAnswer(answer)
    if (isResponses(second)) return { revision, succeeded: first === 1 }
    if (second === null || Array.isArray(second)) {
      return { revision, deleted: numberOf(first), previous: entryOrNull(second, corner) }
    }
    return typeof first === 'number' ? { revision, value: first } : { revision, previous: entryOrNull(first, corner) }
  }
}

/** The responses of a transaction, and not an entry, which begins with its key. */
function isResponses(packed: Packed | undefined): boolean {
  return Array.isArray(packed) && !((packed as readonly Packed[])[0] instanceof Uint8Array)
}
