// Answers that are ready at once and may still not be given inside the call: they are given together, a turn later.
import type { Env } from '../base/env.ts'

export class Later {
  readonly #env: Env
  #waiting: (() => void)[] = []

  constructor(env: Env) {
    this.#env = env
  }

  call(answer: () => void): void {
    this.#waiting.push(answer)
    if (this.#waiting.length === 1) this.#env.soon(() => this.#turn())
  }

  #turn(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const answer of waiting) answer()
  }
}
