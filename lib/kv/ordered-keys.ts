// The keys of a generation in order, for scans: a tree that is brought up to date only when one opens.
import sortedBTree from 'sorted-btree'

/** Between two looks at the clock: about a tenth of a millisecond. */
const keysPerLook = 128

export class OrderedKeys {
  readonly #tree = new sortedBTree.default<string, undefined>(undefined, compareText)
  /** Added, and not yet in the tree. */
  #waiting: string[] = []
  #taken = 0

  /** Each key at most once. */
  add(key: string): void {
    this.#waiting.push(key)
  }

  /** Puts waiting keys in order while `more` says so; true when none is left. */
  catchUp(more: () => boolean): boolean {
    const waiting = this.#waiting
    while (this.#taken < waiting.length) {
      const end = Math.min(waiting.length, this.#taken + keysPerLook)
      while (this.#taken < end) this.#tree.set(waiting[this.#taken++]!, undefined)
      if (this.#taken < waiting.length && !more()) return false
    }
    this.#waiting = []
    this.#taken = 0
    return true
  }

  /** The first key at or after `key`. */
  atOrAfter(key: string): string | undefined {
    return this.#tree.getPairOrNextHigher(key)?.[0]
  }

  /** The first key after `key`. */
  after(key: string): string | undefined {
    return this.#tree.nextHigherKey(key)
  }

  /** The last key before `key`; undefined asks for the last of all. */
  before(key: string | undefined): string | undefined {
    return key === undefined ? this.#tree.maxKey() : this.#tree.nextLowerKey(key)
  }
}

export function compareText(a: string, b: string): number {
  if (a < b) return -1
  return a > b ? 1 : 0
}
