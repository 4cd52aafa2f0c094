// Who can have left what somebody has found: by name, and by the order in which operations were called and answered.
import type { Item } from './item.ts'
import type { Key, Traces } from './sequential-model.ts'

/** One thing that an operation has found. */
export interface Found<I, O> {
  readonly name: string
  /** Those that may have left it; null where they are too many to look at. */
  readonly sources: readonly Item<I, O>[] | null
  /** The one that must have left it. */
  readonly only: Item<I, O> | null
  /** Somebody may have, or it was there from the beginning. */
  readonly possible: boolean
}

/** Of more than these nothing is told. */
const sourcesMax = 16
const looksMax = 256

export class Sources<I, O> {
  readonly #leaves: (input: I) => readonly string[]
  readonly #finds: (input: I, output: O | undefined) => readonly string[]
  readonly #initially: ReadonlySet<string>
  /** By name, each in the order of calls. */
  readonly #sources: ReadonlyMap<string, readonly Item<I, O>[]>
  readonly #finders: ReadonlyMap<string, readonly Item<I, O>[]>
  readonly #placeOf: (name: string) => string
  readonly #replacements: ReadonlyMap<string, Replacements<I, O>>
  readonly #found = new Map<Item<I, O>, readonly Found<I, O>[]>()

  constructor(items: readonly Item<I, O>[], traces: Traces<never, I, O>, keys: readonly Key[]) {
    this.#leaves = input => traces.leaves(input)
    this.#finds = (input, output) => traces.finds(input, output)
    this.#initially = new Set(traces.initially(keys))
    const inOrder = items.toSorted((a, b) => a.invoked - b.invoked)
    this.#sources = byName(inOrder, ({ input }) => traces.leaves(input))
    this.#finders = byName(inOrder, ({ input, output }) => traces.finds(input, output))
    this.#placeOf = name => traces.placeOf?.(name) ?? ''
    const certain = inOrder.filter(item => item.certain)
    const changes = byName(certain, ({ input }) => [...new Set(traces.leaves(input).map(this.#placeOf))])
    this.#replacements = new Map(Array.from(changes, ([place, items]) => [place, new Replacements(items)]))
  }

  /** Others may have found what it leaves. */
  isNoticed(source: Item<I, O>): boolean {
    return this.#leaves(source.input).some(name => {
      const finders = this.#finders.get(name) ?? []
      const until = this.#goneAfter(name, source)
      let looks = 0
      for (let at = finders.length - 1; at >= 0; at--) {
        if (mayMeet(source, finders[at]!, until) || ++looks > looksMax) return true
      }
      return false
    })
  }

  /** What it has found may have been there. */
  isPossible(finder: Item<I, O>): boolean {
    return this.foundBy(finder).every(({ possible }) => possible)
  }

  foundBy(finder: Item<I, O>): readonly Found<I, O>[] {
    let found = this.#found.get(finder)
    if (found === undefined) {
      found = this.#finds(finder.input, finder.output).map(name => this.#find(name, finder))
      this.#found.set(finder, found)
    }
    return found
  }

  #find(name: string, finder: Item<I, O>): Found<I, O> {
    const all = this.#sources.get(name) ?? []
    const sources: Item<I, O>[] = []
    let looks = 0
    for (let at = all.length - 1; at >= 0; at--) {
      const source = all[at]!
      if (mayMeet(source, finder, this.#goneAfter(name, source))) sources.push(source)
      if (sources.length > sourcesMax || ++looks > looksMax) return { name, sources: null, only: null, possible: true }
    }
    const start = this.#replacements.get(this.#placeOf(name))?.start ?? Number.POSITIVE_INFINITY
    const isFirst = this.#initially.has(name) && finder.invoked < start
    const only = !isFirst && sources.length === 1 ? sources[0]! : null
    return { name, sources, only, possible: isFirst || sources.length > 0 }
  }

  /** When something must have replaced what `source` left under this name. */
  #goneAfter(name: string, source: Item<I, O>): number {
    return this.#replacements.get(this.#placeOf(name))?.after(source) ?? Number.POSITIVE_INFINITY
  }
}

/** The source can come before the finder, with nothing between them that must have replaced what it left. */
function mayMeet<I, O>(source: Item<I, O>, finder: Item<I, O>, goneAfter: number): boolean {
  return source !== finder && source.invoked < finder.ended && finder.invoked < goneAfter
}

/** The certain changes of one place: until when what an operation has left there can have been there. */
class Replacements<I, O> {
  /** The certain changes, in the order of their calls. */
  readonly #invoked: Float64Array
  /** The first end of these and all later ones. */
  readonly #firstEnd: Float64Array

  constructor(changing: readonly Item<I, O>[]) {
    this.#invoked = Float64Array.from(changing, ({ invoked }) => invoked)
    this.#firstEnd = new Float64Array(changing.length + 1).fill(Number.POSITIVE_INFINITY)
    for (let at = changing.length - 1; at >= 0; at--) {
      this.#firstEnd[at] = Math.min(changing[at]!.ended, this.#firstEnd[at + 1]!)
    }
  }

  /** The first end of any. */
  get start(): number {
    return this.#firstEnd[0]!
  }

  /** The first end of those called after `source` had ended. */
  after({ ended }: Item<I, O>): number {
    let low = 0
    let high = this.#invoked.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#invoked[middle]! > ended) high = middle
      else low = middle + 1
    }
    return this.#firstEnd[low]!
  }
}

function byName<I, O>(
  items: readonly Item<I, O>[],
  namesOf: (item: Item<I, O>) => readonly string[]
): Map<string, Item<I, O>[]> {
  const lists = new Map<string, Item<I, O>[]>()
  for (const item of items) {
    for (const name of namesOf(item)) {
      const list = lists.get(name)
      if (list === undefined) lists.set(name, [item])
      else list.push(item)
    }
  }
  return lists
}
