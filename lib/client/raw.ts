// Entries as they are stored, for the parts of the client that must lose no byte: the value as bytes, the key as a text of
// its bytes, one character each.
import { Corner } from './corner.ts'
import { binary } from './encoding.ts'
import type { Entry } from './entry.ts'
import { OpenRange, plainTerms, type Range, type RangeTerms } from './ranges.ts'
import type { SessionClient } from './session-client.ts'

export type RawEntry = Entry<Uint8Array>

class RawCorner extends Corner {
  override textOf(key: Uint8Array): string {
    return latinOf(key)
  }
}

/** The whole store. */
export const raw: Corner = new RawCorner(new Uint8Array(0), binary)

export function latinOf(key: Uint8Array): string {
  let text = ''
  for (const byte of key) text += String.fromCharCode(byte)
  return text
}

export function bytesOf(latin: string): Uint8Array {
  const key = new Uint8Array(latin.length)
  for (let at = 0; at < latin.length; at++) key[at] = latin.charCodeAt(at)
  return key
}

export type RawRange = Pick<RangeTerms, 'from' | 'to'> & Partial<RangeTerms>

/** All entries of a range at once: only for those that are known to be few. */
export async function collect(
  session: SessionClient,
  range: RawRange
): Promise<{ readonly revision: number; readonly entries: readonly RawEntry[] }> {
  const terms: RangeTerms = { ...plainTerms, timeoutMs: session.timeoutMs, ...range }
  const open: Range<Uint8Array> = new OpenRange(session.context, session.ranges, raw, terms)
  const entries: RawEntry[] = []
  for await (const entry of open) entries.push(entry)
  return { revision: open.revision ?? 0, entries }
}
