// Seeded chance: the same seed and name give the same numbers for ever, on every machine.

/** The state of one stream of random numbers (sfc32 by Chris Doty-Humphrey: passes PractRand, 128 bits of state). */
export class Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  /** A stream of its own for each (seed, name): drawing from one never shifts another. */
  constructor(seed: number, name = '') {
    let hash = 0x811c9dc5 ^ (seed >>> 0)
    for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193)
    this.#a = hash >>> 0
    this.#b = Math.floor(seed / 0x1_0000_0000) >>> 0
    this.#c = seed >>> 0
    for (let round = 0; round < 15; round++) this.next()
  }

  /** A uniform integer in [0, 2^32). */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** A uniform integer in [0, below), `below` from 1 to 2^32. */
  below(below: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * below)
  }

  /** True with this probability, from 0 to 1. */
  chance(probability: number): boolean {
    return this.next() < probability * 0x1_0000_0000
  }
}
