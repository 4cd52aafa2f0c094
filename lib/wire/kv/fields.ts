// The fields that commands, questions and scans of the key-value machine have in common, judged as they are read.
import { compareBytes } from '../../base/bytes.ts'
import { StrettoError } from '../../base/errors.ts'
import type { Packed } from '../../record/pack.ts'

export const keyBytesMax = 8192
export const valueBytesMax = 1_048_576

/** @throws StrettoError BAD_REQUEST, TOO_LARGE */
export function readKey(value: Packed | undefined): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length === 0) throw malformed('a key that is no bytes, or empty')
  if (value.length > keyBytesMax) throw new StrettoError('TOO_LARGE', `a key above ${keyBytesMax} bytes`)
  return value
}

/** The bounds of a range: `to` is exclusive, null for no end. */
export function readBounds(
  from: Packed | undefined,
  to: Packed | undefined
): { readonly from: Uint8Array; readonly to: Uint8Array | null } {
  if (!(from instanceof Uint8Array) || from.length > keyBytesMax) throw malformed('a bound that is no bytes')
  if (to !== null && !(to instanceof Uint8Array && to.length <= keyBytesMax))
    throw malformed('a bound that is no bytes')
  return { from, to }
}

/** The same where nothing is to be found by mistake: not the wrong way round. */
export function readRange(
  from: Packed | undefined,
  to: Packed | undefined
): { readonly from: Uint8Array; readonly to: Uint8Array | null } {
  const range = readBounds(from, to)
  if (range.to !== null && compareBytes(range.from, range.to) > 0) throw malformed('a range that ends before it begins')
  return range
}

/** A safe integer of at least `least`. @throws StrettoError BAD_REQUEST */
export function readNumber(value: Packed | undefined, what: string, least: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value
  throw malformed(`${what} that is none, or below ${least}`)
}

export function malformed(what: string): StrettoError {
  return new StrettoError('BAD_REQUEST', what)
}
