// Walks the rows of the history in the order of their keys, and tells for each key what they say of one revision.
import type { Done } from '../../base/env.ts'
import { revisionOfHistory } from '../rows.ts'
import type { RowPair } from '../snapshot-stream.ts'
import { levelFault, type StateLevel, settle, unheard } from '../state-level.ts'
import { keyText, type Version } from '../version.ts'
import { historyKeyText, historyOf, newestUpTo, readHistory, versionFrom } from './history-rows.ts'

const readBytesMax = 262_144
const rowsAtOnce = 256

/** A key with a history, and what stood there at the revision; null for nothing that the history knows. */
export interface Told {
  readonly key: string
  readonly version: Version | null
}

export class HistoryCursor {
  readonly #iterator
  readonly #reverse: boolean
  readonly #revision: number
  #rows: readonly RowPair[] = []
  #row = 0
  #exhausted = false
  /** The key whose rows are being gone through, and the one of them that names what stood there. */
  #key: string | null = null
  #naming: RowPair | null = null

  /** LevelDB fixes what is shown when this is made. */
  constructor(
    level: StateLevel,
    range: { readonly from: Uint8Array; readonly to: Uint8Array | null; readonly reverse: boolean },
    revision: number
  ) {
    this.#reverse = range.reverse
    this.#revision = revision
    this.#iterator = level.iterator({
      ...historyOf(keyText(range.from), range.to === null ? null : keyText(range.to)),
      reverse: range.reverse,
      values: true,
      highWaterMarkBytes: readBytesMax
    })
  }

  /** The next key; null at the end; undefined when `fill` has to be called first. @throws StrettoError CORRUPT */
  take(): Told | null | undefined {
    while (this.#row < this.#rows.length) {
      const pair = this.#rows[this.#row]!
      const key = historyKeyText(pair[0])
      if (this.#key !== null && key !== this.#key) return this.#tell()
      this.#key = key
      // The first that was still in place after the revision; from the end it comes last.
      const later = revisionOfHistory(pair[0]) > this.#revision
      if (later && (this.#reverse || this.#naming === null)) this.#naming = pair
      this.#row++
    }
    if (!this.#exhausted) return undefined
    return this.#key === null ? null : this.#tell()
  }

  fill(done: Done): void {
    const brought = (rows: readonly RowPair[]): void => {
      this.#rows = rows
      this.#row = 0
      this.#exhausted = rows.length === 0
      done(null)
    }
    settle(this.#iterator.nextv(rowsAtOnce), brought, error => done(levelFault('read', error)))
  }

  close(): void {
    settle(this.#iterator.close(), unheard, unheard)
  }

  #tell(): Told {
    const key = this.#key!
    const naming = this.#naming
    this.#key = null
    this.#naming = null
    if (naming === null) return { key, version: null }
    const fields = readHistory(naming[0], naming[1])
    const at = newestUpTo(fields, this.#revision)
    const version = at === -1 ? null : versionFrom(key, fields, at)
    return { key, version: version?.version === 0 ? null : version }
  }
}
