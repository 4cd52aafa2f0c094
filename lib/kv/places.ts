// Where replaced versions stand in the log: columns of numbers instead of objects, because a busy key has very many.
import { assert } from '../base/assert.ts'
import type { Version } from './version.ts'

/** Numbers of one place, in the order of a history row (`rows.ts`). */
export const placeNumbers = 6
/** In memory each is followed by the number of the place before it of the same key. */
const stride = placeNumbers + 1
const chunkPlaces = 4096

export class Places {
  readonly #chunks: Float64Array[] = []
  #count = 0

  /** Bytes of memory. */
  get bytes(): number {
    return this.#chunks.length * chunkPlaces * stride * 8
  }

  /** Adds the place of `version` after place number `before` of the same key (0: it is the first); gives its number. */
  add(version: Version, before: number): number {
    const at = this.#count % chunkPlaces
    if (at === 0) this.#chunks.push(new Float64Array(chunkPlaces * stride))
    const chunk = this.#chunks.at(-1)
    assert(chunk !== undefined, 'a place has a chunk')
    const from = at * stride
    chunk[from] = version.modRevision
    chunk[from + 1] = version.createRevision
    chunk[from + 2] = version.version
    chunk[from + 3] = version.leaseId
    chunk[from + 4] = version.index
    chunk[from + 5] = version.command
    chunk[from + 6] = before
    this.#count++
    return this.#count
  }

  /** Number of the newest of the places that end with number `last` whose version is of `revision` or earlier; 0 for none. */
  newestUpTo(last: number, revision: number): number {
    let number = last
    while (number !== 0 && this.#chunkOf(number)[this.#offsetOf(number)]! > revision) {
      number = this.#chunkOf(number)[this.#offsetOf(number) + placeNumbers]!
    }
    return number
  }

  /** The six numbers of one place. */
  at(number: number): number[] {
    const from = this.#offsetOf(number)
    return [...this.#chunkOf(number).subarray(from, from + placeNumbers)]
  }

  /** The last of the places that end with number `last`: as many as `countMax`, oldest first, as in a history row. */
  upTo(last: number, countMax: number): PlacesFound {
    let count = 0
    let before = last
    while (before !== 0 && count < countMax) {
      before = this.#chunkOf(before)[this.#offsetOf(before) + placeNumbers]!
      count++
    }
    const numbers: number[] = []
    numbers.length = count * placeNumbers
    let number = last
    for (let at = (count - 1) * placeNumbers; at >= 0; at -= placeNumbers) {
      const chunk = this.#chunkOf(number)
      const from = this.#offsetOf(number)
      for (let offset = 0; offset < placeNumbers; offset++) numbers[at + offset] = chunk[from + offset]!
      number = chunk[from + placeNumbers]!
    }
    return { numbers, before }
  }

  #chunkOf(number: number): Float64Array {
    return this.#chunks[Math.floor((number - 1) / chunkPlaces)]!
  }

  #offsetOf(number: number): number {
    return ((number - 1) % chunkPlaces) * stride
  }
}

export interface PlacesFound {
  /** Six numbers a place. */
  readonly numbers: number[]
  /** Number of the place before them, 0 when there is none. */
  readonly before: number
}

/** The numbers of a history row for one version. */
export function placeOf(version: Version): readonly number[] {
  const { modRevision, createRevision, leaseId, index, command } = version
  return [modRevision, createRevision, version.version, leaseId, index, command]
}
