// Keeps the values that only an entry holds, just before that is replaced: the log has let go of them, and the past needs them.
import type { Done } from '../../base/env.ts'
import { type Packed } from '../../record/pack.ts'
import type { RowReader } from '../row-reader.ts'
import { writePacked } from '../rows.ts'
import { levelFault, type StateLevel, settle } from '../state-level.ts'
import type { Version } from '../version.ts'

/** A row of the history whose oldest version is to carry its value. */
export interface UnkeptRow {
  readonly key: string
  readonly rowKey: Uint8Array
  readonly numbers: readonly number[]
}

const rowsMin = 4
const rowsMax = 1024
/** After a batch above this, fewer rows are read at once. */
const batchBytesMax = 1_048_576

/**
 * Not atomic with the flush that they belong to: each of them says what is true in any case. They are durable when a later
 * batch is that is synced. May answer inside the call where there are none.
 */
export function keepEntries(level: StateLevel, reader: RowReader, rows: readonly UnkeptRow[], done: Done): void {
  const next = (from: number, count: number): void => {
    const part = rows.slice(from, from + count)
    if (part.length === 0) return done(null)
    const batch = level.batch()
    let bytes = 0
    const take = (at: number, entry: Version | null): boolean => {
      const { rowKey, numbers } = part[at]!
      const fields: Packed[] = [...numbers]
      // What is not there is missing in the past only, and is told as compacted.
      if (entry !== null && entry.modRevision === numbers[0]) {
        fields[4] = entry.value
        bytes += entry.length
      }
      batch.put(rowKey, writePacked(rowKey, fields))
      return true
    }
    reader.read(
      part.map(({ key }) => key),
      take,
      error => {
        if (error !== null) return done(error)
        const wanted = bytes > batchBytesMax ? count >>> 1 : count * 2
        const written = (): void => next(from + count, Math.min(rowsMax, Math.max(rowsMin, wanted)))
        settle(batch.write({ sync: false }), written, failure => done(levelFault('written', failure)))
      }
    )
  }
  next(0, 64)
}
