// What whoever meets a form of a later release is told: not damage, but a program that is too old for this directory.
import { readU16 } from '../base/bytes.ts'
import { StrettoError } from '../base/errors.ts'

/** Formats are counted one by one: what seems to be a later one than these is something else. */
const formatMax = 255

/**
 * The error where `bytes` begin with the number of a later format than `readable`, as a u16; null where they do not.
 * `what`: the sentence up to its verb.
 */
export function newerFormat(what: string, bytes: Uint8Array, readable: number): StrettoError | null {
  const format = bytes.length < 2 ? 0 : readU16(bytes, 0)
  if (format <= readable || format > formatMax) return null
  const text = `${what} written in format ${format}, and this version reads up to ${readable}: use a newer version`
  return new StrettoError('BAD_REQUEST', text)
}
