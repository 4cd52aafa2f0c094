// The manifest of a LevelDB folder: which of its files are in use. A crash leaves others, some of them half written.
import { type LogFileEnd, recordsOf } from './level-log-file.ts'
import { type Position, readVarint } from './varint.ts'

export interface Manifest {
  /** Number of each table in use, and its length. */
  readonly tables: ReadonlyMap<number, number>
  /** Log files with a lower number are done with. */
  readonly firstLog: number
  readonly end: LogFileEnd | null
}

const tag = { comparator: 1, log: 2, next: 3, sequence: 4, pointer: 5, gone: 6, table: 7, previousLog: 9 } as const

/** Null where its records are sound and say nothing that is known. */
export function readManifest(bytes: Buffer): Manifest | null {
  const { records, end } = recordsOf(bytes)
  const tables = new Map<number, number>()
  const logs = { own: 0, previous: 0 }
  for (const record of records) if (!takeEdit(record, tables, logs)) return null
  return { tables, firstLog: logs.previous === 0 ? logs.own : Math.min(logs.own, logs.previous), end }
}

function takeEdit(record: Buffer, tables: Map<number, number>, logs: { own: number; previous: number }): boolean {
  const cursor: Position = { at: 0 }
  const number = (): number => readVarint(record, cursor) ?? Number.NaN
  const skipText = (): void => {
    const length = number()
    cursor.at += length
  }
  while (cursor.at < record.length) {
    switch (number()) {
      case tag.comparator:
        skipText()
        break
      case tag.log:
        logs.own = number()
        break
      case tag.previousLog:
        logs.previous = number()
        break
      case tag.next:
      case tag.sequence:
        number()
        break
      case tag.pointer:
        number()
        skipText()
        break
      case tag.gone:
        number()
        tables.delete(number())
        break
      case tag.table: {
        number()
        tables.set(number(), number())
        skipText()
        skipText()
        break
      }
      default:
        return false
    }
  }
  return cursor.at === record.length
}
