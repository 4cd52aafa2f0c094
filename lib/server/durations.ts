// Durations as people write them: `150ms`, `5s`, `2m`, `1.5h`.
import { UsageError } from './usage-error.ts'

const unitMs: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000]
])

/** The longest time that a timer of this platform can hold: 2^31 - 1 ms, a little under 25 days. */
export const durationMsMax = 2_147_483_647

/**
 * Milliseconds of a duration, rounded to a whole number; a bare number is no duration, because nobody could say of what.
 * @throws UsageError
 */
export function parseDuration(text: string): number {
  const match = /^(\d{1,15}(?:\.\d{1,9})?)(ms|s|m|h|d)$/.exec(text.trim())
  if (match === null)
    throw new UsageError(`'${text}' is not a duration: write a number and a unit, such as 150ms, 5s or 2m`)
  const ms = Math.round(Number(match[1]) * unitMs.get(match[2]!)!)
  if (ms > durationMsMax) throw new UsageError(`'${text}' is longer than 24 days, the longest duration there is`)
  return ms
}

/** A duration for people, in the unit that leaves the fewest digits: `0.42ms`, `250ms`, `1.5s`, `3m 20s`. */
export function formatDuration(ms: number): string {
  if (ms < 10) return `${Number(ms.toFixed(2))}ms`
  if (ms < 1_000) return `${Math.round(ms)}ms`
  if (ms < 60_000) return `${Number((ms / 1_000).toFixed(1))}s`
  const seconds = Math.floor(ms / 1_000)
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m ${seconds % 60}s`
  const hours = Math.floor(seconds / 3_600)
  if (hours < 24) return `${hours}h ${Math.floor((seconds % 3_600) / 60)}m`
  return `${Math.floor(hours / 24)}d ${hours % 24}h`
}
