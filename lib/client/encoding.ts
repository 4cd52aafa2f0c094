// Keys and values between what users hold and bytes.
import { type ErrorCode, StrettoError } from '../base/errors.ts'
import { keyBytesMax, valueBytesMax } from '../wire/kv/fields.ts'

/** How values become bytes and come back. What `decode` of a user's own codec gets is a copy, for it to keep. */
export interface Codec<V> {
  encode(value: V): Uint8Array
  decode(bytes: Uint8Array): V
}

export type Key = string | Uint8Array

const poolBytes = 16_384
const pooledBytesMax = 2048
const plainLoopMax = 64
const encoder = new TextEncoder()
/** A byte order mark belongs to the value. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

let pool = new Uint8Array(poolBytes)
let poolAt = 0

/** `length` bytes of a shared chunk: short texts cost no buffer of their own. */
function room(length: number): void {
  if (poolBytes - poolAt >= length) return
  pool = new Uint8Array(poolBytes)
  poolAt = 0
}

/**
 * UTF-8 of `text`.
 * @throws StrettoError BAD_REQUEST for half a surrogate pair, which UTF-8 cannot say: two texts would become one
 */
export function encodeText(text: string): Uint8Array {
  if (text.length <= plainLoopMax) {
    room(text.length)
    const from = poolAt
    let at = 0
    for (; at < text.length; at++) {
      const unit = text.charCodeAt(at)
      if (unit > 0x7f) break
      pool[from + at] = unit
    }
    if (at === text.length) {
      poolAt = from + at
      return pool.subarray(from, poolAt)
    }
  }
  const bytes = text.length * 3 <= pooledBytesMax ? encodeIntoPool(text) : encoder.encode(text)
  if (bytes.length !== text.length && /\p{Surrogate}/u.test(text)) {
    throw new StrettoError('BAD_REQUEST', 'a text with half a surrogate pair has no UTF-8 form')
  }
  return bytes
}

function encodeIntoPool(text: string): Uint8Array {
  room(text.length * 3)
  const from = poolAt
  poolAt += encoder.encodeInto(text, pool.subarray(from)).written
  return pool.subarray(from, poolAt)
}

export function decodeText(bytes: Uint8Array): string {
  return decoder.decode(bytes)
}

/** A copy, so that the caller may go on using its own bytes. */
function ownBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.length > pooledBytesMax) return new Uint8Array(bytes)
  room(bytes.length)
  const from = poolAt
  pool.set(bytes, from)
  poolAt += bytes.length
  return pool.subarray(from, poolAt)
}

/** @throws StrettoError BAD_REQUEST, TOO_LARGE */
export function encodeKey(key: Key): Uint8Array {
  const bytes = encodeBound(key)
  if (bytes.length === 0) throw new StrettoError('BAD_REQUEST', 'a key must not be empty')
  return bytes
}

/** The beginning or end of a range, which unlike a key may be empty. */
export function encodeBound(key: Key): Uint8Array {
  let bytes: Uint8Array
  if (typeof key === 'string') bytes = encodeText(key)
  else if (key instanceof Uint8Array) bytes = ownBytes(key)
  else throw new StrettoError('BAD_REQUEST', 'a key is a text or a Uint8Array')
  if (bytes.length > keyBytesMax)
    throw new StrettoError('TOO_LARGE', `a key of ${bytes.length} bytes: ${keyBytesMax} at most`)
  return bytes
}

/** The first key after `key`. */
export function keyAfter(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
}

/** @throws StrettoError BAD_REQUEST, TOO_LARGE */
export function encodeValue<V>(codec: Codec<V>, value: V): Uint8Array {
  let bytes: Uint8Array
  try {
    bytes = codec.encode(value)
  } catch (cause) {
    if (cause instanceof StrettoError) throw cause
    throw new StrettoError('BAD_REQUEST', 'the value cannot be encoded', { cause })
  }
  if (!(bytes instanceof Uint8Array)) throw new StrettoError('BAD_REQUEST', 'the value encoding gave no Uint8Array')
  if (bytes.length > valueBytesMax) {
    throw new StrettoError('TOO_LARGE', `a value of ${bytes.length} bytes: ${valueBytesMax} at most`)
  }
  return bytes
}

export const utf8: Codec<string> = {
  encode(value) {
    if (typeof value !== 'string') {
      throw new StrettoError('BAD_REQUEST', "a value that is no text: `valueEncoding: 'json'` or 'bytes' takes others")
    }
    return encodeText(value)
  },
  decode: decodeText
}

export const binary: Codec<Uint8Array> = {
  encode(value) {
    if (!(value instanceof Uint8Array)) throw new StrettoError('BAD_REQUEST', 'a value that is no Uint8Array')
    return ownBytes(value)
  },
  decode: ownCopy
}

export const json: Codec<unknown> = {
  encode(value) {
    const text = JSON.stringify(value) as string | undefined
    if (text === undefined) throw new StrettoError('BAD_REQUEST', 'a value that JSON cannot express')
    return encodeText(text)
  },
  decode: bytes => JSON.parse(decodeText(bytes)) as unknown
}

/** A call was answered, but its result cannot be given: a matter of the caller, not of the node. */
export class NoResult extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, text: string, options?: ErrorOptions) {
    super(text, options)
    this.code = code
  }
}

/** The value encoding of this client cannot read what is stored. */
export class UndecodableValue extends NoResult {
  override readonly name = 'UndecodableValue'

  constructor(cause: unknown) {
    const why = cause instanceof StrettoError ? `: ${cause.message}` : ''
    super('BAD_REQUEST', `the value cannot be decoded${why}`, { cause })
  }
}

/** The write was applied once, but when the client asked again its answer was too large to have been kept. */
export class ResultGone extends NoResult {
  override readonly name = 'ResultGone'

  constructor() {
    super('TOO_LARGE', 'its answer, which got lost, was too large to be kept')
  }
}

/** The codec for what `valueEncoding` names. @throws StrettoError BAD_REQUEST */
export function codecOf(encoding: unknown): Codec<unknown> {
  if (encoding === undefined || encoding === 'utf8') return utf8
  if (encoding === 'json') return json
  if (encoding === 'bytes') return binary
  if (!isCodec(encoding)) {
    throw new StrettoError('BAD_REQUEST', "valueEncoding: 'utf8', 'json', 'bytes' or an object with encode and decode")
  }
  return { encode: value => encoding.encode(value), decode: bytes => encoding.decode(ownCopy(bytes)) }
}

function isCodec(value: unknown): value is Codec<unknown> {
  if (typeof value !== 'object' || value === null) return false
  const { encode, decode } = value as Partial<Codec<unknown>>
  return typeof encode === 'function' && typeof decode === 'function'
}

/** A copy of bytes that are only lent. */
function ownCopy(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes)
}
