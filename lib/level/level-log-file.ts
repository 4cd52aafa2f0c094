// A log file of LevelDB, or its manifest, which is one too: records in blocks of 32 KiB, each with a check value.
import { maskedCrc32c } from './crc32c.ts'

const blockBytes = 32_768
const headerBytes = 7
const typeAt = 6
/** A record that is whole in its block; else the first, a middle or the last part of one. */
const type = { full: 1, first: 2, last: 4 } as const

/** Where reading ends before the end of the file: `torn` at a record that was never finished, as a crash leaves it. */
export interface LogFileEnd {
  readonly kind: 'torn' | 'damaged' | 'hole'
  readonly at: number
}

/** Calls `take` with each part of a record in order; null where all of the file is sound. */
export function walkLogFile(bytes: Buffer, take: (kind: number, part: Buffer) => void): LogFileEnd | null {
  let at = 0
  while (at < bytes.length) {
    const left = blockBytes - (at % blockBytes)
    if (left < headerBytes) {
      at += left
      continue
    }
    if (at + headerBytes > bytes.length) return { kind: 'torn', at }
    const end = at + headerBytes + bytes.readUInt16LE(at + 4)
    if (end > bytes.length) return { kind: 'torn', at }
    if (bytes[at + typeAt] === 0 && end === at + headerBytes && bytes.readUInt32LE(at) === 0) {
      return bytes.subarray(at).every(byte => byte === 0) ? null : { kind: 'hole', at }
    }
    const isInBlock = end - at <= left
    if (!isInBlock || maskedCrc32c(bytes.subarray(at + typeAt, end)) !== bytes.readUInt32LE(at)) {
      return { kind: 'damaged', at }
    }
    take(bytes[at + typeAt]!, bytes.subarray(at + headerBytes, end))
    at = end
  }
  return null
}

/** The records of a file, put together from their parts, and where reading ended. */
export function recordsOf(bytes: Buffer): { readonly records: readonly Buffer[]; readonly end: LogFileEnd | null } {
  const records: Buffer[] = []
  let parts: Buffer[] = []
  const end = walkLogFile(bytes, (kind, part) => {
    if (kind === type.full || kind === type.first) parts = []
    parts.push(part)
    if (kind === type.full || kind === type.last) records.push(Buffer.concat(parts))
  })
  return { records, end }
}
