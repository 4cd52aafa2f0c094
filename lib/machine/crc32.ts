// CRC-32 without Node, for what is saved whole: the rooms that may not import anything count it themselves.

const polynomial = 0xedb88320

const table = new Uint32Array(256)
for (let byte = 0; byte < 256; byte++) {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = (value & 1) === 0 ? value >>> 1 : (value >>> 1) ^ polynomial
  table[byte] = value
}

/** Of `bytes`, after others whose CRC was `before`: what `crc32` of `node:zlib` gives. */
export function crc32(bytes: Uint8Array, before = 0): number {
  let value = ~before
  for (let at = 0; at < bytes.length; at++) value = table[(value ^ bytes[at]!) & 0xff]! ^ (value >>> 8)
  return ~value >>> 0
}
