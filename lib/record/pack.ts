// The one way between values and msgpack bytes: arrays, numbers, text, bytes, booleans and null; nothing else comes in.
// Maps and extensions are refused before decoding, so no name of a property ever comes from outside.
import { Packr, RESERVE_START_SPACE } from 'msgpackr'
import { StrettoError } from '../base/errors.ts'
import { depthMax, type Packed } from './packed.ts'

export { depthMax, type Packed } from './packed.ts'

const packr = new Packr({ useRecords: false, int64AsType: 'number', copyBuffers: false, mapsAsObjects: true })

/** The bytes of `value`. They are the caller's own; `reserve` bytes (at most 255) are left free before them. */
export function pack(value: Packed, reserve = 0): Uint8Array {
  return reserve === 0 ? packr.pack(value) : packr.pack(value, RESERVE_START_SPACE + reserve)
}

/**
 * The value in `bytes`. Byte strings are views into `bytes`: copy what is kept.
 * @throws StrettoError BAD_REQUEST for anything that is not exactly one value of the allowed kinds, at most `depthMax` deep
 */
export function unpack(bytes: Uint8Array): Packed {
  const fault = faultOf(bytes)
  if (fault !== null) throw new StrettoError('BAD_REQUEST', fault)
  try {
    return packr.unpack(bytes) as Packed
  } catch (cause) {
    throw new StrettoError('BAD_REQUEST', 'undecodable bytes', { cause })
  }
}

/** Walks over the tokens without decoding them; iterative, so that depth costs no stack. */
function faultOf(bytes: Uint8Array): string | null {
  const left = new Uint32Array(depthMax)
  let depth = 0
  let at = 0
  for (;;) {
    if (at >= bytes.length) return 'bytes that end too early'
    const token = bytes[at++]!
    const children = childrenOf(token, bytes, at)
    if (children === refused) return 'a kind of value that is not accepted'
    at += skipOf(token, bytes, at)
    if (at > bytes.length) return 'bytes that end too early'
    if (children > 0) {
      if (depth === depthMax) return 'values nested too deeply'
      if (children > bytes.length - at) return 'bytes that end too early'
      left[depth++] = children
      continue
    }
    while (depth > 0 && --left[depth - 1]! === 0) depth--
    if (depth === 0) return at === bytes.length ? null : 'bytes after the end'
  }
}

const refused = -1

/** How many values follow inside this one; 0 for a scalar and for an empty array. */
function childrenOf(token: number, bytes: Uint8Array, at: number): number {
  if (token >= 0x90 && token <= 0x9f) return token & 15
  if (token === 0xdc) return big(bytes, at, 2)
  if (token === 0xdd) return big(bytes, at, 4)
  if (token <= 0x7f || token >= 0xe0 || (token >= 0xa0 && token <= 0xbf)) return 0
  if (token === 0xc0 || (token >= 0xc2 && token <= 0xc6) || (token >= 0xca && token <= 0xd3)) return 0
  if (token >= 0xd9 && token <= 0xdb) return 0
  return refused
}

/** How many bytes after the token belong to it, children apart. */
function skipOf(token: number, bytes: Uint8Array, at: number): number {
  if (token >= 0xa0 && token <= 0xbf) return token & 31
  switch (token) {
    case 0xc4:
    case 0xd9:
      return 1 + big(bytes, at, 1)
    case 0xc5:
    case 0xda:
      return 2 + big(bytes, at, 2)
    case 0xc6:
    case 0xdb:
      return 4 + big(bytes, at, 4)
    case 0xcc:
    case 0xd0:
      return 1
    case 0xcd:
    case 0xd1:
    case 0xdc:
      return 2
    case 0xca:
    case 0xce:
    case 0xd2:
    case 0xdd:
      return 4
    case 0xcb:
    case 0xcf:
    case 0xd3:
      return 8
    default:
      return 0
  }
}

function big(bytes: Uint8Array, at: number, size: number): number {
  let value = 0
  for (let offset = 0; offset < size; offset++) value = value * 256 + (bytes[at + offset] ?? 0)
  return value
}
