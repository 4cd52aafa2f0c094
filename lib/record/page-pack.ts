// `pack.ts` for a web page, where it takes its place: the same bytes and the same refusals, from a tenth of the code, more
// slowly than msgpackr.
import { StrettoError } from '../base/errors.ts'
import { depthMax, type Packed } from './packed.ts'

export { depthMax, type Packed } from './packed.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** The bytes of `value`. They are the caller's own; `reserve` bytes are left free before them. */
export function pack(value: Packed, reserve = 0): Uint8Array {
  const writer = new Writer(reserve)
  writer.value(value)
  return writer.bytes.slice(0, writer.at)
}

class Writer {
  bytes = new Uint8Array(256)
  at: number
  #view = new DataView(this.bytes.buffer)

  constructor(reserve: number) {
    this.at = reserve
  }

  value(value: Packed): void {
    if (value === null) this.#byte(0xc0)
    else if (typeof value === 'boolean') this.#byte(value ? 0xc3 : 0xc2)
    else if (typeof value === 'number') this.#number(value)
    else if (typeof value === 'string') {
      const text = encoder.encode(value)
      this.#head(text.length, 0xa0, 31, 0xd9)
      this.#copy(text)
    } else if (value instanceof Uint8Array) {
      this.#head(value.length, 0, -1, 0xc4)
      this.#copy(value)
    } else {
      this.#head(value.length, 0x90, 15, 0xdb)
      for (const each of value) this.value(each)
    }
  }

  /** A length: with the token itself, or after it in 1, 2 or 4 bytes. Arrays have no token for one byte. */
  #head(length: number, small: number, smallMax: number, token: number): void {
    if (length <= smallMax) this.#byte(small | length)
    else if (length < 0x100 && token !== 0xdb) this.#sized(token, 1, length)
    else if (length < 0x1_0000) this.#sized(token + 1, 2, length)
    else this.#sized(token + 2, 4, length)
  }

  #number(value: number): void {
    const whole = Number.isInteger(value)
    if (whole && value >= 0 && value < 0x80) this.#byte(value)
    else if (whole && value >= 0 && value < 0x100) this.#sized(0xcc, 1, value)
    else if (whole && value >= 0 && value < 0x1_0000) this.#sized(0xcd, 2, value)
    else if (whole && value >= 0 && value < 0x1_0000_0000) this.#sized(0xce, 4, value)
    else if (whole && value < 0 && value >= -0x20) this.#byte(value & 0xff)
    else if (whole && value < 0 && value >= -0x80) this.#sized(0xd0, 1, value)
    else if (whole && value < 0 && value >= -0x8000) this.#sized(0xd1, 2, value)
    else if (whole && value < 0 && value >= -0x8000_0000) this.#sized(0xd2, 4, value)
    else {
      this.#byte(0xcb)
      this.#room(8)
      this.#view.setFloat64(this.at, value)
      this.at += 8
    }
  }

  #byte(byte: number): void {
    this.#room(1)
    this.bytes[this.at++] = byte
  }

  #sized(token: number, size: 1 | 2 | 4, value: number): void {
    this.#byte(token)
    this.#room(4)
    if (size === 1) this.bytes[this.at] = value
    else if (size === 2) this.#view.setUint16(this.at, value)
    else this.#view.setUint32(this.at, value)
    this.at += size
  }

  #copy(bytes: Uint8Array): void {
    this.#room(bytes.length)
    this.bytes.set(bytes, this.at)
    this.at += bytes.length
  }

  #room(length: number): void {
    if (this.at + length <= this.bytes.length) return
    const wider = new Uint8Array(2 * (this.at + length))
    wider.set(this.bytes)
    this.bytes = wider
    this.#view = new DataView(wider.buffer)
  }
}

/**
 * The value in `bytes`. Byte strings are views into `bytes`: copy what is kept.
 * @throws StrettoError BAD_REQUEST for anything that is not exactly one value of the allowed kinds, at most `depthMax` deep
 */
export function unpack(bytes: Uint8Array): Packed {
  const reader = new Reader(bytes)
  const value = reader.value(0)
  if (reader.at < bytes.length) throw new StrettoError('BAD_REQUEST', 'bytes after the end')
  return value
}

class Reader {
  at = 0
  readonly #bytes: Uint8Array
  readonly #view: DataView

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  value(depth: number): Packed {
    const token = this.#bytes[this.#take(1)]!
    if (token < 0x80) return token
    if (token >= 0xe0) return token - 0x100
    if (token >= 0xa0 && token < 0xc0) return this.#text(token & 31)
    if (token >= 0x90 && token < 0xa0) return this.#array(token & 15, depth)
    switch (token) {
      case 0xc0:
        return null
      case 0xc2:
      case 0xc3:
        return token === 0xc3
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.#part(this.#count(1 << (token - 0xc4)))
      case 0xca:
        return this.#view.getFloat32(this.#take(4))
      case 0xcb:
        return this.#view.getFloat64(this.#take(8))
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#count(1 << (token - 0xcc))
      case 0xcf:
        return Number(this.#view.getBigUint64(this.#take(8)))
      case 0xd0:
        return this.#view.getInt8(this.#take(1))
      case 0xd1:
        return this.#view.getInt16(this.#take(2))
      case 0xd2:
        return this.#view.getInt32(this.#take(4))
      case 0xd3:
        return Number(this.#view.getBigInt64(this.#take(8)))
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#count(1 << (token - 0xd9)))
      case 0xdc:
      case 0xdd:
        return this.#array(this.#count(token === 0xdc ? 2 : 4), depth)
      default:
        throw new StrettoError('BAD_REQUEST', 'a kind of value that is not accepted')
    }
  }

  #array(length: number, depth: number): Packed {
    if (length > 0 && depth === depthMax) throw new StrettoError('BAD_REQUEST', 'values nested too deeply')
    if (length > this.#bytes.length - this.at) throw endsEarly()
    const values: Packed[] = []
    for (let at = 0; at < length; at++) values.push(this.value(depth + 1))
    return values
  }

  #text(length: number): string {
    return decoder.decode(this.#part(length))
  }

  #part(length: number): Uint8Array {
    const from = this.#take(length)
    return this.#bytes.subarray(from, from + length)
  }

  #count(size: number): number {
    const from = this.#take(size)
    let value = 0
    for (let at = from; at < from + size; at++) value = value * 256 + this.#bytes[at]!
    return value
  }

  /** Where so many bytes begin, which are there. */
  #take(length: number): number {
    const from = this.at
    if (from + length > this.#bytes.length) throw endsEarly()
    this.at += length
    return from
  }
}

function endsEarly(): StrettoError {
  return new StrettoError('BAD_REQUEST', 'bytes that end too early')
}
