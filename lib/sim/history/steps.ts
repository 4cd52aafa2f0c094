// The steps of a model during one search: each state is there once, and what is costly to find out is found out once.
import type { Item } from './item.ts'
import type { Model } from './sequential-model.ts'

interface Known<S, I, O> {
  /** The state after an item, undefined where it does not fit; the rest has not been asked. */
  readonly after: Map<Item<I, O>, S | undefined>
  /** Two characters, others for each state. */
  readonly code: string
}

/** So many steps are remembered, and others are taken again. */
const stepsMax = 1_000_000

export class Steps<S, I, O> {
  readonly #model: Model<S, I, O>
  readonly #states = new Map<string | number, S>()
  readonly #known = new Map<S, Known<S, I, O>>()
  #count = 0

  constructor(model: Model<S, I, O>) {
    this.#model = model
  }

  init(): S {
    return this.#only(this.#model.init())
  }

  /** The state after `item` in `state`, which has come from here. Two of them are equal only if they are the same. */
  after(state: S, item: Item<I, O>): S | undefined {
    // Of plain values a step costs less than remembering it.
    if (typeof state !== 'object') return this.#take(state, item)
    const { after } = this.#known.get(state)!
    let next = after.get(item)
    if (next !== undefined || after.has(item)) return next
    next = this.#take(state, item)
    if (this.#count < stepsMax) {
      this.#count++
      after.set(item, next)
    }
    return next
  }

  codeOf(state: S): string {
    return this.#known.get(state)!.code
  }

  #take(state: S, { input, output }: Item<I, O>): S | undefined {
    const next = this.#model.step(state, input, output)
    return next === undefined || next === state ? next : this.#only(next)
  }

  #only(state: S): S {
    if (this.#known.has(state)) return state
    const key = this.#model.keyOf(state)
    const same = this.#states.get(key)
    if (same !== undefined) return same
    const number = this.#states.size
    this.#states.set(key, state)
    this.#known.set(state, { after: new Map(), code: String.fromCharCode(number & 0xffff, number >> 16) })
    return state
  }
}
