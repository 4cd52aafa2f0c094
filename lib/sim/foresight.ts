// What can be told of a history before any search: unknown operations that must have happened, and such as nobody noticed.
import type { Operation } from './history.ts'
import type { Key, Model, Traces } from './sequential-model.ts'

/** An operation as the search sees it. */
export interface Item<I, O> {
  readonly operation: Operation<I, O>
  readonly input: I
  /** Undefined where nobody knows. */
  readonly output: O | undefined
  /** It took effect after this place of the history, */
  invoked: number
  /** and before this one. */
  ended: number
  /** It did take effect; else it may have, once. */
  certain: boolean
  /** It leaves something that others may have found. */
  noticed: boolean
  hint: number
}

/** The history up to and with `place`: what had no answer by then is unknown. What never happened is left out. */
export function itemsOf<S, I, O>(
  operations: readonly Operation<I, O>[],
  model: Model<S, I, O>,
  place: number
): Item<I, O>[] {
  const items: Item<I, O>[] = []
  for (const operation of operations) {
    const { input, invoked } = operation
    if (invoked > place || operation.outcome === 'fail') continue
    const certain = operation.outcome === 'ok' && operation.ended <= place
    if (!certain && model.reads(input)) continue
    items.push({
      operation,
      input,
      output: certain ? operation.output : undefined,
      invoked,
      ended: certain ? operation.ended : Number.POSITIVE_INFINITY,
      certain,
      noticed: true,
      hint: operation.hint ?? Number.POSITIVE_INFINITY
    })
  }
  return items
}

/** What is left to be searched, or the item that could not have been answered as it was, wherever the others are placed. */
export type Foreseen<I, O> = { readonly items: readonly Item<I, O>[] } | { readonly impossible: Item<I, O> }

/** More rounds would find the same, or narrow what is narrow enough. */
const roundsMax = 8

/**
 * Leaves out the unknown operations of which nothing was ever found: without them the rest is the same. Where only one
 * operation can have left what another has found, it did happen, and before that one. Changes the items.
 */
export function foresee<S, I, O>(
  items: readonly Item<I, O>[],
  traces: Traces<S, I, O>,
  keys: readonly Key[]
): Foreseen<I, O> {
  const foresight = new Foresight(items, traces, keys)
  for (let round = 0; round < roundsMax; round++) {
    const forgotten = foresight.forget()
    const impossible = foresight.narrow()
    if (impossible !== null) return { impossible }
    if (!forgotten && !foresight.narrowed) break
  }
  return { items: foresight.items }
}

class Foresight<S, I, O> {
  /** Something was learnt in the last round of `narrow`. */
  narrowed = false
  #items: readonly Item<I, O>[]
  readonly #traces: Traces<S, I, O>
  readonly #initially: ReadonlySet<string>
  readonly #sources = new Map<string, Item<I, O>[]>()
  readonly #forgotten = new Set<Item<I, O>>()

  constructor(items: readonly Item<I, O>[], traces: Traces<S, I, O>, keys: readonly Key[]) {
    this.#items = items
    this.#traces = traces
    this.#initially = new Set(traces.initially(keys))
    for (const item of items) {
      for (const name of traces.leaves(item.input)) {
        const sources = this.#sources.get(name)
        if (sources === undefined) this.#sources.set(name, [item])
        else sources.push(item)
      }
    }
  }

  get items(): readonly Item<I, O>[] {
    return this.#items
  }

  /** Forgets unknown operations that leave nothing which any other may have found. */
  forget(): boolean {
    const finders = new Map<string, Item<I, O> | 'several'>()
    for (const item of this.#items) {
      for (const name of this.#traces.finds(item.input, item.output)) {
        finders.set(name, finders.has(name) ? 'several' : item)
      }
    }
    for (const item of this.#items) {
      item.noticed = this.#traces.leaves(item.input).some(name => {
        const finder = finders.get(name)
        return finder !== undefined && finder !== item
      })
      if (!item.noticed && !item.certain) this.#forgotten.add(item)
    }
    const kept = this.#items.filter(item => !this.#forgotten.has(item))
    const forgotten = kept.length < this.#items.length
    this.#items = kept
    return forgotten
  }

  /**
   * Names the only source of each thing found, and narrows both in time. From the last operation to the first, so that what
   * is learnt of one helps with those that it builds on.
   */
  narrow(): Item<I, O> | null {
    this.narrowed = false
    for (let at = this.#items.length - 1; at >= 0; at--) {
      const finder = this.#items[at]!
      if (!finder.certain) continue
      for (const name of this.#traces.finds(finder.input, finder.output)) {
        if (this.#initially.has(name)) continue
        const source = this.#sourceOf(name, finder)
        if (source === null) return finder
        if (source !== 'several') this.#link(source, finder)
      }
    }
    return null
  }

  #sourceOf(name: string, finder: Item<I, O>): Item<I, O> | 'several' | null {
    let only: Item<I, O> | null = null
    for (const source of this.#sources.get(name) ?? []) {
      if (source === finder || source.invoked >= finder.ended || this.#forgotten.has(source)) continue
      if (only !== null) return 'several'
      only = source
    }
    return only
  }

  #link(source: Item<I, O>, finder: Item<I, O>): void {
    if (!source.certain || source.ended > finder.ended || finder.invoked < source.invoked) this.narrowed = true
    source.certain = true
    source.ended = Math.min(source.ended, finder.ended)
    source.hint = Math.min(source.hint, finder.hint)
    finder.invoked = Math.max(finder.invoked, source.invoked)
  }
}
