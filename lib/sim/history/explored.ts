// What the search has seen: a configuration is the certain operations placed, the state, and which unknown ones were used.

/** How often each kind of unknown operation was used. */
type Used = Uint16Array

/** Remembers configurations, and those that need not be searched because a better one was. */
export class Explored {
  count = 0
  readonly #seen = new Map<string, Used[] | null>()

  /**
   * False where the same was searched with the same unknown operations used, or with fewer: what can be reached from here
   * could be reached from there, because nobody needs to use an unknown operation.
   */
  add(placed: string, used: Used): boolean {
    const known = this.#seen.get(placed)
    if (known === undefined) {
      this.#seen.set(placed, used.length === 0 ? null : [used.slice()])
    } else {
      if (known === null || known.some(fewer => isWithin(fewer, used))) return false
      const rest = known.filter(more => !isWithin(used, more))
      rest.push(used.slice())
      this.#seen.set(placed, rest)
    }
    this.count++
    return true
  }
}

function isWithin(fewer: Used, more: Used): boolean {
  for (let kind = 0; kind < fewer.length; kind++) if (fewer[kind]! > more[kind]!) return false
  return true
}
