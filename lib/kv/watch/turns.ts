// A bounded number of things that go on at a time; who comes later waits.

export type Start = (over: () => void) => void

export class Turns {
  readonly #most: number
  #taken = 0
  #waiting: Start[] = []

  constructor(most: number) {
    this.#most = most
  }

  /** Calls `start` when there is a place, perhaps at once. It calls `over` once, when the place is free again. */
  take(start: Start): void {
    if (this.#taken >= this.#most) {
      this.#waiting.push(start)
      return
    }
    this.#taken++
    let held = true
    start(() => {
      if (!held) return
      held = false
      this.#taken--
      const next = this.#waiting.shift()
      if (next !== undefined) this.take(next)
    })
  }
}
