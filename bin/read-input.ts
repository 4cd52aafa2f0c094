// The standard input of a command, whole and bounded.
import { StrettoError } from '../lib/base/errors.ts'

/** @throws StrettoError TOO_LARGE */
export async function readInput(bytesMax: number): Promise<Uint8Array> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of process.stdin as AsyncIterable<Buffer>) {
    length += part.length
    if (length > bytesMax) throw new StrettoError('TOO_LARGE', `the standard input is above ${bytesMax} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts)
}
