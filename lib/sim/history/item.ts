// Operations as the search sees them: what is certain of each, and between which places of the history it took effect.
import type { Operation } from './history.ts'
import type { Model } from './sequential-model.ts'

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
  /** Others may have found what it leaves. */
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
