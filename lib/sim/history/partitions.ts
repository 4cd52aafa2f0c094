// A history falls into parts that touch nothing in common: each is judged by itself, and the whole by them (Herlihy and Wing).
import type { Operation } from './history.ts'
import type { Key, Model } from './sequential-model.ts'

export interface Partition<I, O> {
  readonly keys: readonly Key[]
  /** In the order of their calls. */
  readonly operations: readonly Operation<I, O>[]
}

/** The parts, in the order of their first calls. */
export function partitionsOf<S, I, O>(
  operations: readonly Operation<I, O>[],
  model: Model<S, I, O>
): Partition<I, O>[] {
  if (model.keysOf === undefined) return operations.length === 0 ? [] : [{ keys: [], operations }]
  const groups = new Groups()
  const firstKeys = operations.map(({ input }) => groups.join(model.keysOf?.(input) ?? []))
  const parts = new Map<Key, { keys: Key[]; operations: Operation<I, O>[] }>()
  operations.forEach((operation, at) => {
    const first = firstKeys[at]
    if (first === undefined) return
    const name = groups.nameOf(first)
    const part = parts.get(name)
    if (part === undefined) parts.set(name, { keys: [], operations: [operation] })
    else part.operations.push(operation)
  })
  for (const key of groups.keys) parts.get(groups.nameOf(key))!.keys.push(key)
  return [...parts.values()]
}

/** Keys that belong together, each group named after one of them. */
class Groups {
  readonly #above = new Map<Key, Key>()

  /** In the order in which they were first met. */
  get keys(): Iterable<Key> {
    return this.#above.keys()
  }

  /** These belong together. Gives the first of them. */
  join(keys: readonly Key[]): Key | undefined {
    const [first] = keys
    for (const key of keys) {
      if (!this.#above.has(key)) this.#above.set(key, key)
      this.#above.set(this.nameOf(key), this.nameOf(first!))
    }
    return first
  }

  nameOf(key: Key): Key {
    let name = key
    for (let above = this.#above.get(name)!; above !== name; above = this.#above.get(name)!) {
      this.#above.set(name, this.#above.get(above)!)
      name = above
    }
    return name
  }
}
