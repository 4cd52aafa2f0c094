// Walks over a simulated database in the order of its keys, as it was when the walk began.
import type { Answer } from './answer.ts'
import type { Row, Rows } from './sim-database.ts'

export interface CursorParts<T> {
  readonly rows: Iterator<Row>
  readonly limit: number
  /** No more is given at a time once it is exceeded; LevelDB's 16 KiB when absent. */
  readonly bytesMax: number | undefined
  readonly give: (row: Row) => T
  /** Lets the look at the rows take its time. */
  readonly read: <R>(look: () => R) => Answer<R>
}

const bytesMaxDefault = 16_384

export class SimCursor<T> {
  readonly #parts: CursorParts<T>
  #left: number
  #closed = false

  constructor(parts: CursorParts<T>) {
    this.#parts = parts
    this.#left = parts.limit
  }

  /** At most `size`; none only at the end. */
  nextv(size: number): Answer<T[]> {
    return this.#parts.read(() => this.#take(size, this.#parts.bytesMax ?? bytesMaxDefault))
  }

  all(): Answer<T[]> {
    return this.#parts.read(() => this.#take(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY))
  }

  close(): Answer<void> {
    return this.#parts.read(() => {
      this.#closed = true
    })
  }

  #take(size: number, bytesMax: number): T[] {
    const { rows, give } = this.#parts
    const taken: T[] = []
    let bytes = 0
    while (!this.#closed && taken.length < size && this.#left > 0 && bytes <= bytesMax) {
      const next = rows.next()
      if (next.done === true) break
      bytes += next.value.key.length + next.value.value.length
      this.#left--
      taken.push(give(next.value))
    }
    return taken
  }
}

/** The rows from `gte` up to and without `lt`. `rows` does not change any more. */
export function* rowsIn(rows: Rows, gte: string, lt: string, reverse: boolean): Generator<Row, void> {
  if (rows.size === 0) return
  if (reverse) {
    for (const [text, row] of rows.entriesReversed(lt, undefined, true)) {
      if (text < gte) return
      yield row
    }
    return
  }
  for (const [text, row] of rows.entries(gte)) {
    if (text >= lt) return
    yield row
  }
}
