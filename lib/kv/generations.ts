// Shows whether all flushes that a state consists of are in it, by the rows of their generations.
//
// A flush is one record of LevelDB's write-ahead file, and LevelDB drops a damaged record in silence while it takes the
// later ones for sound: a state without a flush in its midst would be wrong and look whole. So each generation names the
// one before it, and the head tells the newest. The last flush may be missing: what is left is an earlier state. The chain begins
// at the last generation that names none before it: those below have been let go of, once none of them could get lost any more.
import type { Done } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import { asFault } from './fault.ts'
import { allGenerations, type GenerationRow, type Head, readGeneration, revisionOfGeneration } from './rows.ts'
import type { RowPair } from './snapshot-stream.ts'
import { levelFault, type StateLevel, settle, unheard } from './state-level.ts'

const pageRowsMax = 4096
const pageBytesMax = 262_144

/** Takes the rows in the order of their revisions. */
export class GenerationChain {
  #oldest: GenerationRow | null = null
  #newest: GenerationRow | null = null
  #newestRevision = 0
  /** Revision of a generation that another one names and that is not there; 0 for none. */
  #missing = 0

  /** Of the newest taken, 0 for none. */
  get newest(): number {
    return this.#newestRevision
  }

  /** @throws StrettoError CORRUPT */
  take(key: Uint8Array, row: Uint8Array): void {
    const generation = readGeneration(key, row)
    const { previous } = generation
    if (this.#oldest === null || previous === 0) {
      this.#oldest = generation
      this.#missing = 0
    } else if (previous !== null && previous !== this.#newestRevision && this.#missing === 0) {
      // One that names an earlier one than stands before it: what stands there is none of this state.
      this.#missing = previous > this.#newestRevision ? previous : revisionOfGeneration(key)
    }
    this.#newest = generation
    this.#newestRevision = revisionOfGeneration(key)
  }

  /** What is wrong with a state that has all these generations and this head; null where it is whole. */
  fault({ revision }: Head): StrettoError | null {
    if (this.#missing > 0) return hole(this.#missing)
    const before = this.#oldest?.previous ?? 0
    if (before > 0) return hole(before)
    if (this.#newest === null) return revision > 1 ? hole(revision) : null
    return this.#newest.previous !== null && this.#newestRevision !== revision
      ? hole(Math.max(this.#newestRevision, revision))
      : null
  }
}

/** Gives the revision of the newest generation, 0 where there is none; CORRUPT where a flush is missing. */
export function readGenerations(level: StateLevel, head: Head, done: Done<number>): void {
  const chain = new GenerationChain()
  const range = { ...allGenerations, reverse: false, values: true, highWaterMarkBytes: pageBytesMax }
  const cursor = level.iterator(range)
  const end = (error: Error | null): void => {
    settle(cursor.close(), unheard, unheard)
    done(error ?? chain.fault(head), chain.newest)
  }
  const found = (rows: readonly RowPair[]): void => {
    try {
      for (const [key, row] of rows) chain.take(key, row)
    } catch (error) {
      return end(asFault(error))
    }
    if (rows.length === 0) end(null)
    else page()
  }
  const page = (): void => settle(cursor.nextv(pageRowsMax), found, error => end(levelFault('read', error)))
  page()
}

function hole(revision: number): StrettoError {
  return new StrettoError('CORRUPT', `the state has a hole: the flush at revision ${revision} is missing`)
}
