// Who watches a key: found by the key itself, by each prefix of it that is watched, and among the other ranges.

/** Keys as latin1 text, in whose order the order of bytes is kept. */
export interface Span {
  readonly from: string
  /** Exclusive; null for no end. */
  readonly to: string | null
}

export class Interest<W extends Span> {
  readonly #keys = new Map<string, Set<W>>()
  /** By their length, then by the prefix. */
  readonly #prefixes = new Map<number, Map<string, Set<W>>>()
  readonly #others = new Set<W>()

  add(watch: W): void {
    if (isKey(watch)) return put(this.#keys, watch.from, watch)
    const prefix = prefixOf(watch)
    if (prefix === null) {
      this.#others.add(watch)
      return
    }
    let same = this.#prefixes.get(prefix.length)
    if (same === undefined) this.#prefixes.set(prefix.length, (same = new Map()))
    put(same, prefix, watch)
  }

  delete(watch: W): void {
    if (isKey(watch)) return take(this.#keys, watch.from, watch)
    const prefix = prefixOf(watch)
    if (prefix === null) {
      this.#others.delete(watch)
      return
    }
    const same = this.#prefixes.get(prefix.length)
    if (same === undefined) return
    take(same, prefix, watch)
    if (same.size === 0) this.#prefixes.delete(prefix.length)
  }

  /** Calls `each` once for each watch of the key. */
  find(key: string, each: (watch: W) => void): void {
    for (const watch of this.#keys.get(key) ?? none) each(watch)
    for (const [length, same] of this.#prefixes) {
      if (length > key.length) continue
      for (const watch of same.get(key.slice(0, length)) ?? none) each(watch)
    }
    for (const watch of this.#others) if (holds(watch, key)) each(watch)
  }
}

export function holds({ from, to }: Span, key: string): boolean {
  return key >= from && (to === null || key < to)
}

const none: readonly never[] = []

/** Is it one key alone, up to the first key after it? */
function isKey({ from, to }: Span): boolean {
  return to !== null && to.length === from.length + 1 && to.endsWith('\0') && to.startsWith(from)
}

/** The prefix that exactly these keys begin with; null where there is none. */
function prefixOf({ from, to }: Span): string | null {
  return to === endOfPrefix(from) ? from : null
}

/** The first key after all that begin with `prefix`; null where there is none. */
function endOfPrefix(prefix: string): string | null {
  let length = prefix.length
  while (length > 0 && prefix.charCodeAt(length - 1) === 0xff) length--
  if (length === 0) return null
  return prefix.slice(0, length - 1) + String.fromCharCode(prefix.charCodeAt(length - 1) + 1)
}

function put<W>(sets: Map<string, Set<W>>, name: string, watch: W): void {
  const set = sets.get(name)
  if (set === undefined) sets.set(name, new Set([watch]))
  else set.add(watch)
}

function take<W>(sets: Map<string, Set<W>>, name: string, watch: W): void {
  const set = sets.get(name)
  if (set === undefined) return
  set.delete(watch)
  if (set.size === 0) sets.delete(name)
}
