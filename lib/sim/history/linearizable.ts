// Is a history one that a single machine could have produced? If not: the shortest beginning of it that is not.
import { type Foreseen, foresee } from './foresight.ts'
import type { Operation } from './history.ts'
import { type Item, itemsOf } from './item.ts'
import { OrderSearch } from './order-search.ts'
import { type Partition, partitionsOf } from './partitions.ts'
import type { Key, Model } from './sequential-model.ts'

export interface Verdict<S, I, O> {
  /** Null: not decided within the bound. */
  readonly valid: boolean | null
  readonly operations: number
  /** Parts of the history that have no key in common and were judged apart. */
  readonly partitions: number
  /** How much was searched. */
  readonly configurations: number
  readonly counterexample?: Counterexample<S, I, O>
}

export interface Counterexample<S, I, O> {
  /** What the part of the history is about; empty where the model names no keys. */
  readonly keys: readonly Key[]
  /** The operations called up to the answer of the last, in the order of their calls. Without that answer they can be ordered. */
  readonly operations: readonly Operation<I, O>[]
  /** The one that could not have been answered as it was. */
  readonly stuck: Operation<I, O>
  /** Some of the states to which all others may have led, at most eight. */
  readonly states: readonly S[]
}

export interface CheckOptions {
  /** Configurations to be searched for each part of the history before it is given up as undecided. */
  readonly configurationsMax?: number
}

export const configurationsMaxDefault = 1_000_000

/** States are told for people: no more is searched for them. */
const statesConfigurationsMax = 10_000

/** Judges the history. Of several parts that are not linearizable the first is told. */
export function checkLinearizable<S, I, O>(
  operations: readonly Operation<I, O>[],
  model: Model<S, I, O>,
  { configurationsMax = configurationsMaxDefault }: CheckOptions = {}
): Verdict<S, I, O> {
  const parts = partitionsOf(operations, model)
  const counts = { operations: operations.length, partitions: parts.length }
  let valid: boolean | null = true
  let configurations = 0
  for (const part of parts) {
    const check = new PartCheck(part, model, configurationsMax)
    const result = check.upTo(Number.POSITIVE_INFINITY)
    configurations += result.configurations
    if (result.valid === false) {
      return { valid: false, ...counts, configurations, counterexample: check.shortest(result) }
    }
    if (result.valid === null) valid = null
  }
  return { valid, ...counts, configurations }
}

interface Result<I, O> {
  readonly valid: boolean | null
  readonly configurations: number
  /** The operation that stood in the way of going further. */
  readonly stuck: Item<I, O> | null
}

class PartCheck<S, I, O> {
  readonly #operations: readonly Operation<I, O>[]
  readonly #keys: readonly Key[]
  readonly #model: Model<S, I, O>
  readonly #configurationsMax: number

  constructor({ operations, keys }: Partition<I, O>, model: Model<S, I, O>, configurationsMax: number) {
    this.#operations = operations
    this.#keys = keys
    this.#model = model.simplerFor?.(operations.map(({ input }) => input)) ?? model
    this.#configurationsMax = configurationsMax
  }

  /** Judges the history up to and with that place. */
  upTo(place: number): Result<I, O> {
    const foreseen = this.#foresee(itemsOf(this.#operations, this.#model, place))
    if ('impossible' in foreseen) return { valid: false, configurations: 0, stuck: foreseen.impossible }
    const search = new OrderSearch(foreseen.items, this.#model, foreseen.sources)
    const valid = search.run(this.#configurationsMax)
    return { valid, configurations: search.configurations, stuck: search.furthest }
  }

  /** A history is linearizable only if each beginning is, so the shortest one that is not can be found by halving. */
  shortest(whole: Result<I, O>): Counterexample<S, I, O> {
    const answered = this.#operations
      .filter(operation => operation.outcome === 'ok')
      .toSorted((a, b) => a.ended - b.ended)
    let sound = -1
    let known = answered.length - 1
    // Most often it is where the search could go no further.
    const guess = answered.findIndex(operation => operation === whole.stuck?.operation)
    let next = guess
    while (known - sound > 1) {
      const at = next > sound && next < known ? next : (sound + known) >> 1
      next = at === guess ? guess - 1 : -1
      if (this.upTo(answered[at]!.ended).valid === false) known = at
      else sound = at
    }
    const stuck = answered[known]!
    const operations = this.#operations.filter(({ invoked }) => invoked < stuck.ended)
    return { keys: this.#keys, operations, stuck, states: this.#statesBefore(stuck) }
  }

  #statesBefore(stuck: Operation<I, O>): readonly S[] {
    const items = itemsOf(this.#operations, this.#model, stuck.ended).filter(({ operation }) => operation !== stuck)
    const foreseen = this.#foresee(items)
    return 'impossible' in foreseen
      ? []
      : new OrderSearch(foreseen.items, this.#model, foreseen.sources).states(statesConfigurationsMax)
  }

  #foresee(items: readonly Item<I, O>[]): Foreseen<I, O> {
    const { traces } = this.#model
    return traces === undefined ? { items, sources: null } : foresee(items, traces, this.#keys)
  }
}
