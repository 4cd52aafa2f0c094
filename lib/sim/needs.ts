// What operations still to be placed have to find, and who could still leave it: a search that takes away the last is over.
import type { Item } from './foresight.ts'
import type { Traces } from './sequential-model.ts'

type Names = readonly number[]

/** Keeps count while operations are placed and put back. Certain ones by number, unknown ones by kind. */
export class Needs<S, I, O> {
  readonly #traces: Traces<S, I, O>
  readonly #numbers = new Map<string, number>()
  readonly #left: readonly Names[]
  readonly #found: readonly Names[]
  readonly #leftByKind: readonly Names[]
  readonly #foundByKind: readonly Names[]
  /** The kinds that find anything at all. */
  readonly findingKinds: readonly number[]
  /** By name: how many unplaced certain operations find it, */
  readonly #finders: Int32Array
  /** and how many unplaced ones, certain or not, may leave it. */
  readonly #sources: Int32Array
  /** By name: the kinds that leave it. */
  readonly #kinds: readonly Names[]
  /** By name: whether an unknown operation may find it. */
  readonly #foundByUnknown: Uint8Array

  constructor(items: readonly Item<I, O>[], kinds: readonly (readonly Item<I, O>[])[], traces: Traces<S, I, O>) {
    this.#traces = traces
    const numbered = (names: readonly string[]): Names => names.map(name => this.#numberOf(name))
    this.#left = items.map(({ input }) => numbered(traces.leaves(input)))
    this.#found = items.map(({ input, output }) => numbered(traces.finds(input, output)))
    this.#leftByKind = kinds.map(([first]) => numbered(traces.leaves(first!.input)))
    this.#foundByKind = kinds.map(([first]) => numbered(traces.finds(first!.input, undefined)))
    this.findingKinds = [...this.#foundByKind.keys()].filter(kind => this.#foundByKind[kind]!.length > 0)
    this.#finders = new Int32Array(this.#numbers.size)
    this.#sources = new Int32Array(this.#numbers.size)
    this.#foundByUnknown = new Uint8Array(this.#numbers.size)
    const leaving: number[][] = Array.from({ length: this.#numbers.size }, () => [])
    this.#left.forEach((_, number) => this.#count(this.#left[number]!, this.#found[number]!, 1))
    kinds.forEach((kind, at) => {
      for (const name of this.#leftByKind[at]!) {
        this.#sources[name]! += kind.length
        leaving[name]!.push(at)
      }
      for (const name of this.#foundByKind[at]!) this.#foundByUnknown[name] = 1
    })
    this.#kinds = leaving
  }

  placed(number: number): void {
    this.#count(this.#left[number]!, this.#found[number]!, -1)
  }

  putBack(number: number): void {
    this.#count(this.#left[number]!, this.#found[number]!, 1)
  }

  used(kind: number): void {
    this.#count(this.#leftByKind[kind]!, [], -1)
  }

  unused(kind: number): void {
    this.#count(this.#leftByKind[kind]!, [], 1)
  }

  /** Something that has to be found, and that `input`, placed now, has taken away from `state` for good. */
  isLost(state: S, input: I): boolean {
    for (const name of this.#traces.hides(state, input)) {
      const number = this.#numbers.get(name)
      if (number !== undefined && this.#finders[number]! > 0 && this.#sources[number] === 0) return true
    }
    return false
  }

  /** Something may still find what the kind leaves. */
  isNeeded(kind: number): boolean {
    return this.#leftByKind[kind]!.some(name => this.#finders[name]! > 0 || this.#foundByUnknown[name] === 1)
  }

  /** The kinds that leave what a certain operation finds. */
  kindsFor(number: number): readonly number[] {
    return this.#found[number]!.flatMap(name => this.#kinds[name]!)
  }

  /** The kinds that leave what another kind finds. */
  kindsForKind(kind: number): readonly number[] {
    return this.#foundByKind[kind]!.flatMap(name => this.#kinds[name]!)
  }

  #count(left: Names, found: Names, by: number): void {
    for (const name of left) this.#sources[name]! += by
    for (const name of found) this.#finders[name]! += by
  }

  #numberOf(name: string): number {
    let number = this.#numbers.get(name)
    if (number === undefined) {
      number = this.#numbers.size
      this.#numbers.set(name, number)
    }
    return number
  }
}
