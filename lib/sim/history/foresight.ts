// What can be told of a history before any search: unknown operations that must have happened, and such as nobody noticed.
import type { Item } from './item.ts'
import type { Key, Traces } from './sequential-model.ts'
import { Sources } from './sources.ts'

/** What is left to be searched, or an item that could not have been answered as it was, wherever the others are placed. */
export type Foreseen<I, O> =
  | { readonly items: readonly Item<I, O>[]; readonly sources: Sources<I, O> | null }
  | { readonly impossible: Item<I, O> }

/** More rounds would find the same, or narrow what is narrow enough. */
const roundsMax = 8

/**
 * Leaves out the unknown operations of which nobody can have found anything: without them the rest is the same. Where only
 * one operation can have left what another has found, it did happen, and before that one. Changes the items.
 */
export function foresee<S, I, O>(
  all: readonly Item<I, O>[],
  traces: Traces<S, I, O>,
  keys: readonly Key[]
): Foreseen<I, O> {
  let items = all
  for (let round = 0; ; round++) {
    const sources = new Sources(items, traces, keys)
    for (const item of items) item.noticed = sources.isNoticed(item)
    const impossible = items.findLast(item => item.certain && !sources.isPossible(item))
    if (impossible !== undefined) return { impossible }
    const kept = items.filter(item => item.certain || item.noticed)
    const narrowed = narrow(items, sources)
    if (round === roundsMax || (!narrowed && kept.length === items.length)) return { items, sources }
    items = kept
  }
}

/** Narrows finders and their only sources in time. From the last to the first: what is learnt of one helps with the next. */
function narrow<I, O>(items: readonly Item<I, O>[], sources: Sources<I, O>): boolean {
  let narrowed = false
  for (let at = items.length - 1; at >= 0; at--) {
    const finder = items[at]!
    if (!finder.certain) continue
    for (const { only } of sources.foundBy(finder)) {
      if (only === null) continue
      if (!only.certain || only.ended > finder.ended || finder.invoked < only.invoked) narrowed = true
      only.certain = true
      only.ended = Math.min(only.ended, finder.ended)
      only.hint = Math.min(only.hint, finder.hint)
      finder.invoked = Math.max(finder.invoked, only.invoked)
    }
  }
  return narrowed
}
