// What is told to callers, and what is a bug: only an error that names a fate is an answer, anything else goes on up.
import { StrettoError } from '../base/errors.ts'

/** @throws whatever is not a StrettoError */
export function asFault(error: unknown): StrettoError {
  if (error instanceof StrettoError) return error
  throw error
}
