// The certain operations that the search has not placed yet, in the order of their calls; what is taken out goes back in.

/** A list over the numbers from 0 to `size` - 1, from which numbers are taken, and put back in the opposite order. */
export class Unplaced {
  readonly end: number
  left: number
  readonly #next: Int32Array
  readonly #previous: Int32Array
  /** Sixteen to a word, so that a word is a character of a key. */
  readonly #placed: Uint16Array

  constructor(size: number) {
    this.end = size
    this.left = size
    // The last place is the ring's own: after the last number, and before the first.
    this.#next = Int32Array.from({ length: size + 1 }, (_, at) => (at === size ? 0 : at + 1))
    this.#previous = Int32Array.from({ length: size + 1 }, (_, at) => (at === 0 ? size : at - 1))
    this.#placed = new Uint16Array((size >> 4) + 1)
  }

  /** The first number left, or `end`. */
  get first(): number {
    return this.#next[this.end]!
  }

  /** The number left after this one, or `end`; also of a number that has been taken last. */
  after(number: number): number {
    return this.#next[number]!
  }

  take(number: number): void {
    const next = this.#next[number]!
    const previous = this.#previous[number]!
    this.#next[previous] = next
    this.#previous[next] = previous
    this.#placed[number >> 4]! |= 1 << (number & 15)
    this.left--
  }

  /** Only in the opposite order of taking. */
  putBack(number: number): void {
    this.#next[this.#previous[number]!] = number
    this.#previous[this.#next[number]!] = number
    this.#placed[number >> 4]! &= ~(1 << (number & 15))
    this.left++
  }

  /** The same for two sets of numbers taken only where they are equal. No number at or above `bound` has been taken. */
  key(bound: number): string {
    const low = this.first >> 4
    let key = String.fromCharCode(low & 0xffff, low >> 16)
    for (let word = low; word <= bound >> 4; word++) key += String.fromCharCode(this.#placed[word]!)
    return key
  }
}
