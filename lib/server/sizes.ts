// Sizes as people write them: `512B`, `64KiB`, `1.5MiB`.
import { UsageError } from './usage-error.ts'

const unitBytes: ReadonlyMap<string, number> = new Map([
  ['b', 1],
  ['kib', 1_024],
  ['mib', 1_048_576],
  ['gib', 1_073_741_824],
  ['tib', 1_099_511_627_776],
  ['kb', 1_000],
  ['mb', 1_000_000],
  ['gb', 1_000_000_000],
  ['tb', 1_000_000_000_000]
])

/**
 * Bytes of a size, rounded to a whole number. `KiB` is 1,024 bytes and `kB` 1,000, in any case of letters.
 * @throws UsageError
 */
export function parseSize(text: string): number {
  const match = /^(\d{1,15}(?:\.\d{1,9})?)([a-z]+)$/.exec(text.trim().toLowerCase())
  const unit = match === null ? undefined : unitBytes.get(match[2]!)
  if (match === null || unit === undefined) {
    throw new UsageError(`'${text}' is not a size: write a number and a unit, such as 64KiB or 1.5MiB`)
  }
  const bytes = Math.round(Number(match[1]) * unit)
  if (!Number.isSafeInteger(bytes)) throw new UsageError(`'${text}' is a larger size than can be counted`)
  return bytes
}

/** A size for people: `812 B`, `64 KiB`, `1.5 MiB`. */
export function formatSize(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let step = 0
  while (value >= 1_024 && step < names.length - 1) {
    value /= 1_024
    step++
  }
  return `${Number(value.toFixed(value < 10 ? 1 : 0))} ${names[step]!}`
}
