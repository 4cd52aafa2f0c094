// Reads the fields of a positional array one after the other, and refuses the first that is not what it should be.
import { integerMax } from '../base/bytes.ts'
import { StrettoError } from '../base/errors.ts'
import type { LogId, MemberKey } from '../raft/types.ts'
import { type Packed, unpack } from '../record/pack.ts'

/** Longest member key: an id of 63 characters, a dot, and 16 digits. */
const memberKeyPattern = /^[a-z0-9][a-z0-9-]{0,62}\.[0-9a-f]{16}$/

export const termMax = 0xffff_ffff

/** Every method returns the next field and throws StrettoError BAD_REQUEST when it is missing or of another shape. */
export class Fields {
  readonly #values: readonly Packed[]
  #at = 0

  constructor(value: Packed | undefined) {
    if (!Array.isArray(value)) throw fault('a list was expected')
    this.#values = value as readonly Packed[]
  }

  static of(bytes: Uint8Array): Fields {
    return new Fields(unpack(bytes))
  }

  get left(): number {
    return this.#values.length - this.#at
  }

  next(): Packed | undefined {
    return this.#values[this.#at++]
  }

  integer(max = integerMax): number {
    const value = this.next()
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > max) {
      throw fault('a whole number in range was expected')
    }
    // A negative zero is a zero.
    return value + 0
  }

  /** Null, or what `read` makes of the field. */
  nullOr<T>(read: () => T): T | null {
    if (this.#values[this.#at] !== null) return read()
    this.#at++
    return null
  }

  boolean(): boolean {
    const value = this.next()
    if (typeof value !== 'boolean') throw fault('a truth value was expected')
    return value
  }

  text(pattern: RegExp): string {
    const value = this.next()
    if (typeof value !== 'string' || !pattern.test(value)) throw fault('a text of a certain form was expected')
    return value
  }

  /** A view into what was unpacked. */
  bytes(lengthMin: number, lengthMax: number): Uint8Array {
    const value = this.next()
    if (!(value instanceof Uint8Array) || value.length < lengthMin || value.length > lengthMax) {
      throw fault('bytes of a certain length were expected')
    }
    return value
  }

  memberKey(): MemberKey {
    return this.text(memberKeyPattern)
  }

  term(): number {
    return this.integer(termMax)
  }

  /** Two fields: term and index. */
  logId(): LogId {
    const term = this.term()
    return { term, index: this.integer() }
  }

  list(countMax: number): readonly Packed[] {
    const value = this.next()
    if (!Array.isArray(value) || value.length > countMax) throw fault('a list of limited length was expected')
    return value as readonly Packed[]
  }

  end(): void {
    if (this.left !== 0) throw fault('a list with another number of fields was expected')
  }
}

export function fault(text: string): StrettoError {
  return new StrettoError('BAD_REQUEST', text)
}
