// What operations still to be placed have to find, and who can still leave it: a search that takes away the last is over.
import type { Item } from './item.ts'
import type { Traces } from './sequential-model.ts'
import type { Sources } from './sources.ts'

/** A certain operation, not placed yet, and one thing that it has to find. */
interface Need {
  readonly name: string
  /** How many may still leave it; infinite where they were too many to look at. */
  sources: number
  open: boolean
}

/** Keeps count while operations are placed and put back. */
export class Needs<S, I, O> {
  readonly #traces: Traces<S, I, O>
  /** What each has to find, and what each may leave for others. */
  readonly #own = new Map<Item<I, O>, readonly Need[]>()
  readonly #others = new Map<Item<I, O>, Need[]>()
  /** By name: open needs, and those of them for which there is no source left but the present state. */
  readonly #open = new Map<string, number>()
  readonly #last = new Map<string, number>()
  /** Names which unknown operations have to find. */
  readonly #wanted = new Set<string>()

  constructor(
    items: readonly Item<I, O>[],
    unknown: readonly Item<I, O>[],
    sources: Sources<I, O>,
    traces: Traces<S, I, O>
  ) {
    this.#traces = traces
    for (const item of [...items, ...unknown]) this.#others.set(item, [])
    for (const item of unknown) for (const name of traces.finds(item.input, undefined)) this.#wanted.add(name)
    for (const item of items) {
      const needs = sources.foundBy(item).map(({ name, sources: from }) => {
        const need = { name, sources: from?.length ?? Number.POSITIVE_INFINITY, open: true }
        for (const source of from ?? []) this.#others.get(source)!.push(need)
        return need
      })
      this.#own.set(item, needs)
      for (const { name, sources: count } of needs) {
        add(this.#open, name, 1)
        if (count === 0) add(this.#last, name, 1)
      }
    }
  }

  placed(item: Item<I, O>): void {
    for (const need of this.#own.get(item) ?? []) {
      need.open = false
      add(this.#open, need.name, -1)
      if (need.sources === 0) add(this.#last, need.name, -1)
    }
    for (const need of this.#others.get(item)!) {
      need.sources--
      if (need.sources === 0 && need.open) add(this.#last, need.name, 1)
    }
  }

  /** Takes `placed` back. */
  putBack(item: Item<I, O>): void {
    for (const need of this.#others.get(item)!) {
      if (need.sources === 0 && need.open) add(this.#last, need.name, -1)
      need.sources++
    }
    for (const need of this.#own.get(item) ?? []) {
      need.open = true
      add(this.#open, need.name, 1)
      if (need.sources === 0) add(this.#last, need.name, 1)
    }
  }

  /** Something has to be found that `input`, placed now, has taken away from `state` for good. */
  isLost(state: S, input: I): boolean {
    return this.#traces.hides(state, input).some(name => (this.#last.get(name) ?? 0) > 0)
  }

  /** Something may still find what `input` leaves. */
  isNeeded(input: I): boolean {
    return this.#traces.leaves(input).some(name => this.#wanted.has(name) || (this.#open.get(name) ?? 0) > 0)
  }
}

function add(counts: Map<string, number>, name: string, by: number): void {
  counts.set(name, (counts.get(name) ?? 0) + by)
}
