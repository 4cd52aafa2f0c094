// Numbers as values: the decimal text of a safe integer, without needless signs or zeros.
import type { NumberCommand } from '../wire/kv/commands.ts'
import type { Version } from './version.ts'

const pattern = /^(?:0|-?[1-9][0-9]*)$/
/** Bytes of the longest one. */
export const numberBytesMax = 17

/** What a command makes of the number of an entry, null for no entry; null where it is none, or would not be one any more. */
export function numberAfter({ op, by }: NumberCommand, entry: Version | null): number | null {
  const before = entry === null ? (op === 'increment' ? 0 : by) : numberOf(entry)
  if (before === null) return null
  // The 0 takes the sign from another one.
  if (op === 'min') return Math.min(before, by) + 0
  if (op === 'max') return Math.max(before, by) + 0
  return Number.isSafeInteger(before + by) ? before + by : null
}

/** A minimum or maximum that the entry has reached already changes nothing; an increment by 0 does. */
export function standsAlready({ op }: NumberCommand, entry: Version | null, after: number): boolean {
  return op !== 'increment' && entry !== null && numberOf(entry) === after
}

export function numberText(value: number): Buffer {
  return Buffer.from(String(value), 'latin1')
}

function numberOf(version: Version): number | null {
  if (version.length > numberBytesMax) return null
  const text = Buffer.from(version.value).toString('latin1')
  const value = Number(text)
  return pattern.test(text) && Number.isSafeInteger(value) ? value : null
}
