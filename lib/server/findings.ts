// What an operator should know, as lines of the log: each at most once a minute, however often it is found.
import type { Logger } from 'pino'
import type { Env } from '../base/env.ts'

const againMs = 60_000
const linesMax = 64

export class Findings {
  readonly #env: Pick<Env, 'now'>
  readonly #log: Logger
  readonly #toldAt = new Map<string, number>()

  constructor(env: Pick<Env, 'now'>, log: Logger) {
    this.#env = env
    this.#log = log
  }

  tell(line: string): void {
    const now = this.#env.now()
    if (now - (this.#toldAt.get(line) ?? Number.NEGATIVE_INFINITY) < againMs) return
    if (this.#toldAt.size >= linesMax) this.#toldAt.clear()
    this.#toldAt.set(line, now)
    this.#log.warn({ event: 'finding' }, line)
  }
}
