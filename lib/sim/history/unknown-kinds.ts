// The unknown operations of a search, those that do the same together: of each kind the earliest called is used first.
import type { Item } from './item.ts'
import type { Model } from './sequential-model.ts'

export class UnknownKinds<S, I, O> {
  /** How many of each kind are used. */
  readonly used: Uint16Array
  /** In the order of their calls. */
  readonly #kinds: readonly (readonly Item<I, O>[])[]
  /** By name: the kinds that leave it. */
  readonly #leaving = new Map<string, number[]>()
  /** What each has to find in order to have an effect. */
  readonly #finding: readonly (readonly string[])[]

  constructor(unknown: readonly Item<I, O>[], model: Model<S, I, O>) {
    const kinds = new Map<unknown, Item<I, O>[]>()
    for (const item of unknown.toSorted((a, b) => a.invoked - b.invoked)) {
      const name = model.kindOf?.(item.input) ?? item
      const kind = kinds.get(name)
      if (kind === undefined) kinds.set(name, [item])
      else kind.push(item)
    }
    this.#kinds = [...kinds.values()]
    this.used = new Uint16Array(this.#kinds.length)
    this.#finding = this.#kinds.map(([first]) => model.traces?.finds(first!.input, undefined) ?? [])
    this.#kinds.forEach(([first], kind) => {
      for (const name of model.traces?.leaves(first!.input) ?? []) {
        const leaving = this.#leaving.get(name)
        if (leaving === undefined) this.#leaving.set(name, [kind])
        else leaving.push(kind)
      }
    })
  }

  get size(): number {
    return this.#kinds.length
  }

  /** The kinds of which one can come before `place`. */
  ready(place: number): number[] {
    const ready: number[] = []
    for (let kind = 0; kind < this.#kinds.length; kind++) if (this.#isReady(kind, place)) ready.push(kind)
    return ready
  }

  /** The same, of the kinds that leave what other kinds find, or one of these names. */
  readyToLeave(names: readonly string[], place: number): number[] {
    const ready = new Set<number>()
    const want = (name: string): void => {
      for (const kind of this.#leaving.get(name) ?? []) if (this.#isReady(kind, place)) ready.add(kind)
    }
    names.forEach(want)
    this.#finding.forEach((finds, finder) => {
      if (finds.length > 0 && this.#isReady(finder, place)) finds.forEach(want)
    })
    return [...ready]
  }

  /** The next to be used. */
  next(kind: number): Item<I, O> {
    return this.#kinds[kind]![this.used[kind]!]!
  }

  #isReady(kind: number, place: number): boolean {
    const next = this.#kinds[kind]![this.used[kind]!]
    return next !== undefined && next.invoked < place
  }
}
