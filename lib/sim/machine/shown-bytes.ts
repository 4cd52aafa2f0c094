// Bytes of an application in a line of text: as the text that they most likely are, or else in hexadecimal.
import { toHex } from '../../base/bytes.ts'

const textMax = 60
const bytesMax = 24

export function shownBytes(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes.subarray(0, textMax)) {
    if (byte < 0x20 || byte > 0x7e) return hexOf(bytes)
    text += String.fromCharCode(byte)
  }
  return `'${text}${bytes.length > textMax ? '...' : ''}'`
}

function hexOf(bytes: Uint8Array): string {
  return `0x${toHex(bytes.subarray(0, bytesMax))}${bytes.length > bytesMax ? `... (${bytes.length} bytes)` : ''}`
}
