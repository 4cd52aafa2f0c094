// Before the log is cut: the values of what stood at the compaction revision and has been replaced since. They go into the
// rows of the history that name them, at leisure.
import type { Done } from '../../base/env.ts'
import type { Index } from '../../raft/types.ts'
import { type Packed } from '../../record/pack.ts'
import { asFault } from '../fault.ts'
import { type Walk, type WalkParts, walkRows } from '../row-walk.ts'
import { historyRange, type RowRange, revisionOfHistory, writePacked } from '../rows.ts'
import { levelFault, settle } from '../state-level.ts'
import type { Version } from '../version.ts'
import { historyKeyText, isNamed, newestUpTo, readHistory, versionFrom } from './history-rows.ts'
import { byRecord, type RecordReader } from './record-reader.ts'

/** Versions that are looked up together: each time, what goes of the log is read through once. */
const versionsMax = 32_768
/** Values that are written together. */
const batchBytesMax = 1_048_576

export interface KeepParts extends WalkParts {
  readonly records: RecordReader
}

/** A row of the history, and the version in it whose value is to be kept. */
interface Wanted {
  readonly rowKey: Uint8Array
  readonly version: Version
}

/**
 * All versions that stood at `revision`, have been replaced, and came with a record up to `base`: what the log does not hold
 * or cannot be read there is passed over, and will be told as compacted. `done` comes when what was kept is durable.
 */
export function keepHistory(parts: KeepParts, revision: number, base: Index, done: Done): void {
  new Keeping(parts, revision, base, done).run(historyRange)
}

class Keeping {
  readonly #parts: KeepParts
  readonly #revision: number
  readonly #base: Index
  readonly #done: Done

  constructor(parts: KeepParts, revision: number, base: Index, done: Done) {
    this.#parts = parts
    this.#revision = revision
    this.#base = base
    this.#done = done
  }

  run(range: RowRange): void {
    const wanted: Wanted[] = []
    const walk: Walk = {
      range,
      values: true,
      judge: ([rowKey, row]) => {
        const version = this.#wantedOf(rowKey, row)
        if (version !== null) wanted.push({ rowKey, version })
        return wanted.length === versionsMax ? 'stop' : 'keep'
      }
    }
    walkRows(this.#parts, walk, error => {
      if (error !== null) return this.#done(error)
      const last = wanted.length === versionsMax ? wanted.at(-1)! : null
      wanted.sort((a, b) => byRecord(a.version, b.version))
      this.#keep(wanted, () => {
        if (last === null) this.#done(null)
        else this.run({ gte: after(last.rowKey), lt: range.lt })
      })
    })
  }

  #wantedOf(rowKey: Uint8Array, row: Uint8Array): Version | null {
    if (revisionOfHistory(rowKey) <= this.#revision) return null
    let version: Version
    try {
      const fields = readHistory(rowKey, row)
      const at = newestUpTo(fields, this.#revision)
      if (at === -1) return null
      version = versionFrom(historyKeyText(rowKey), fields, at)
    } catch (error) {
      // Damage is told to whoever reads it.
      asFault(error)
      return null
    }
    return isNamed(version) && version.index <= this.#base ? version : null
  }

  /** `wanted` in the order of their records. */
  #keep(wanted: readonly Wanted[], done: () => void): void {
    if (wanted.length === 0) return done()
    let taken = 0
    let bytes = 0
    const take = (version: Version): boolean => {
      taken++
      bytes += Math.max(0, version.length)
      return bytes < batchBytesMax
    }
    const versions = wanted.map(({ version }) => version)
    this.#parts.records.values(versions, take, error => {
      const found = wanted.slice(0, taken).filter(({ version }) => !isNamed(version))
      const rest = wanted.slice(error === null ? taken : taken + 1)
      const { whenFree } = this.#parts
      whenFree(() => this.#write(found, () => whenFree(() => this.#keep(rest, done))))
    })
  }

  /** Synced each time: LevelDB begins a new file now and then, and a later synced write does not take an older one along. */
  #write(found: readonly Wanted[], done: () => void): void {
    if (found.length === 0) return done()
    const { level, failed } = this.#parts
    const put = (rows: readonly (Uint8Array | undefined)[]): void => {
      const batch = level.batch()
      try {
        for (const [number, { rowKey, version }] of found.entries()) {
          const row = rows[number]
          if (row !== undefined) batch.put(rowKey, withValue(rowKey, row, version))
        }
      } catch (error) {
        return this.#done(asFault(error))
      }
      settle(batch.write({ sync: true }), done, error => failed(levelFault('written', error)))
    }
    const keys = found.map(({ rowKey }) => rowKey)
    settle(level.getMany(keys), put, error => this.#done(levelFault('read', error)))
  }
}

/** The row with the value in it. Values that were kept for earlier compactions are not needed any more. */
function withValue(rowKey: Uint8Array, row: Uint8Array, version: Version): Uint8Array {
  const fields = readHistory(rowKey, row)
  const at = newestUpTo(fields, version.modRevision)
  const changed = fields.map((field, place): Packed => (place < at && field instanceof Uint8Array ? 0 : field))
  changed[at + 4] = version.value
  return writePacked(rowKey, changed)
}

/** The first key after `key`. */
function after(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
}
