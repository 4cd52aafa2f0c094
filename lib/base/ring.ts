// A bounded queue, first in first out, that says when it is full instead of growing.
import { assert } from './assert.ts'

export class Ring<T> {
  readonly countMax: number
  readonly #slots: (T | undefined)[]
  #head = 0
  #count = 0

  constructor(countMax: number) {
    assert(countMax > 0, 'a ring holds at least one item')
    this.countMax = countMax
    this.#slots = new Array<T | undefined>(countMax)
  }

  get count(): number {
    return this.#count
  }

  get full(): boolean {
    return this.#count === this.countMax
  }

  /** Adds an item at the end. Asking first whether there is room is the caller's duty. */
  push(item: T): void {
    assert(!this.full, 'pushed into a full ring')
    this.#slots[(this.#head + this.#count) % this.countMax] = item
    this.#count++
  }

  /** The oldest item, undefined when there is none. */
  peek(): T | undefined {
    return this.#count === 0 ? undefined : this.#slots[this.#head]
  }

  /** Takes the oldest item out, undefined when there is none. */
  shift(): T | undefined {
    if (this.#count === 0) return undefined
    const item = this.#slots[this.#head]
    this.#slots[this.#head] = undefined
    this.#head = (this.#head + 1) % this.countMax
    this.#count--
    return item
  }

  clear(): void {
    while (this.#count > 0) this.shift()
    this.#head = 0
  }
}
