// A corner of the store: the prefix that all its keys begin with and that its users do not see, and the encoding of its values.
import { StrettoError } from '../base/errors.ts'
import { keyBytesMax } from '../wire/kv/fields.ts'
import { type Codec, decodeText, encodeBound, encodeKey, encodeValue, type Key, UndecodableValue } from './encoding.ts'
import type { Bounds } from './options.ts'

/** As it goes over the wire: `to` is exclusive, null for no end. */
export interface KeyRange {
  readonly from: Uint8Array
  readonly to: Uint8Array | null
}

export class Corner {
  readonly prefix: Uint8Array
  readonly codec: Codec<unknown>

  constructor(prefix: Uint8Array, codec: Codec<unknown>) {
    this.prefix = prefix
    this.codec = codec
  }

  /** A corner of this one. @throws StrettoError BAD_REQUEST, TOO_LARGE */
  within(prefix: Key, codec: Codec<unknown> = this.codec): Corner {
    return new Corner(this.bound(prefix), codec)
  }

  /** @throws StrettoError BAD_REQUEST, TOO_LARGE */
  key(key: Key): Uint8Array {
    return this.#inside(encodeKey(key))
  }

  /** The beginning or end of a range, which unlike a key may be empty. */
  bound(key: Key): Uint8Array {
    return this.#inside(encodeBound(key))
  }

  /** @throws StrettoError BAD_REQUEST, TOO_LARGE */
  value(value: unknown): Uint8Array {
    return encodeValue(this.codec, value)
  }

  /** @throws UndecodableValue */
  decode(bytes: Uint8Array): unknown {
    try {
      return this.codec.decode(bytes)
    } catch (cause) {
      throw new UndecodableValue(cause)
    }
  }

  /** @throws StrettoError BAD_REQUEST, TOO_LARGE */
  range({ prefix, from, to }: Bounds): KeyRange {
    if (prefix === undefined) {
      return { from: this.bound(from ?? ''), to: to === undefined ? endOfPrefix(this.prefix) : this.bound(to) }
    }
    if (from !== undefined || to !== undefined) {
      throw new StrettoError('BAD_REQUEST', '`prefix` excludes `from` and `to`')
    }
    const first = this.bound(prefix)
    return { from: first, to: endOfPrefix(first) }
  }

  /** A key as the users of this corner know it. */
  textOf(key: Uint8Array): string {
    const { prefix } = this
    if (prefix.length === 0) return decodeText(key)
    for (let at = 0; at < prefix.length; at++) {
      if (key[at] !== prefix[at]) throw new UndecodableValue(new Error('it belongs to a key outside of this namespace'))
    }
    return decodeText(key.subarray(prefix.length))
  }

  #inside(key: Uint8Array): Uint8Array {
    const { prefix } = this
    if (prefix.length === 0) return key
    const length = prefix.length + key.length
    if (length > keyBytesMax) throw new StrettoError('TOO_LARGE', `a key of ${length} bytes: ${keyBytesMax} at most`)
    const whole = new Uint8Array(length)
    whole.set(prefix)
    whole.set(key, prefix.length)
    return whole
  }
}

/** The first key after all that begin with `prefix`; null where there is none. */
export function endOfPrefix(prefix: Uint8Array): Uint8Array | null {
  let length = prefix.length
  while (length > 0 && prefix[length - 1] === 0xff) length--
  if (length === 0) return null
  const end = new Uint8Array(prefix.subarray(0, length))
  end[length - 1]!++
  return end
}
