// A lease as the machine keeps it: how long it lasts, when it falls due, and the keys that end with it.
import sortedBTree from 'sorted-btree'
import { compareText } from '../ordered-keys.ts'

/** Deadline of a lease that has ended and still has keys: more than one record may delete. */
export const endedDeadline = 0

type Keys = InstanceType<typeof sortedBTree.default<string, undefined>>

export class Lease {
  /** Index of the record that granted it times 4096, and the number of the command in it. */
  readonly id: number
  readonly ttlMs: number
  /** It was made by a put for its key, and ends with the last of its keys. */
  readonly bound: boolean
  /** Cluster time in milliseconds: it falls due once that is past. */
  deadline: number
  /** Most leases have one key: that one needs no more room than its name. */
  #keys: string | Keys | null = null

  constructor(id: number, ttlMs: number, deadline: number, bound: boolean) {
    this.id = id
    this.ttlMs = ttlMs
    this.deadline = deadline
    this.bound = bound
  }

  get ended(): boolean {
    return this.deadline === endedDeadline
  }

  get keyCount(): number {
    if (this.#keys === null) return 0
    return typeof this.#keys === 'string' ? 1 : this.#keys.size
  }

  /** The key is none of it yet. */
  add(key: string): void {
    if (this.#keys === null) {
      this.#keys = key
      return
    }
    if (typeof this.#keys === 'string') {
      const keys = new sortedBTree.default<string, undefined>(undefined, compareText)
      keys.set(this.#keys, undefined)
      this.#keys = keys
    }
    this.#keys.set(key, undefined)
  }

  /** False where it was none of it. */
  delete(key: string): boolean {
    const keys = this.#keys
    if (keys === null || typeof keys === 'string') {
      if (keys !== key) return false
      this.#keys = null
      return true
    }
    const found = keys.delete(key)
    if (keys.size === 0) this.#keys = null
    return found
  }

  /** The first keys after `after` (null: of all) in their order, at most `countMax` of them and `bytesMax` bytes. */
  keysAfter(after: string | null, countMax: number, bytesMax: number): string[] {
    const taken: string[] = []
    let bytes = 0
    let key = this.#next(after)
    while (key !== undefined && taken.length < countMax && bytes + key.length <= bytesMax) {
      taken.push(key)
      bytes += key.length
      key = this.#next(key)
    }
    return taken
  }

  #next(after: string | null): string | undefined {
    const keys = this.#keys
    if (keys === null) return undefined
    if (typeof keys === 'string') return after === null || keys > after ? keys : undefined
    return after === null ? keys.minKey() : keys.nextHigherKey(after)
  }
}
