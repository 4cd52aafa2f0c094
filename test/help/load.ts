// Callers that write through one client without end, what each was told, and whether the store keeps to it.
import { StrettoError } from '../../lib/base/errors.ts'
import type { Client } from '../../lib/client/client.ts'

export interface Audit {
  /** Acknowledged puts that are not there, or not as they were written. */
  readonly lost: number
  /** Counters below what was acknowledged, or above that and all unknown outcomes. */
  readonly miscounted: string[]
}

export const countersCount = 8

/** On a busy machine all nodes of a cluster may take longer to come back than a call waits for by itself, milliseconds. */
const timeout = 30_000

export class Load {
  /** Acknowledged. */
  readonly puts = new Map<string, string>()
  readonly added: number[] = Array.from({ length: countersCount }, () => 0)
  readonly addedPerhaps: number[] = Array.from({ length: countersCount }, () => 0)
  readonly errors: StrettoError[] = []
  acknowledged = 0
  /** The longest time without an acknowledgement since `watchGap`. */
  gapMs = 0
  readonly #db: Client<string>
  readonly #name: string
  readonly #callers: Promise<void>[]
  #waiting: { readonly count: number; readonly resolve: () => void }[] = []
  #lastAt = performance.now()
  #stopped = false

  /** `name` begins its keys. */
  constructor(db: Client<string>, callersCount = 64, name = 'load') {
    this.#db = db
    this.#name = name
    this.#callers = Array.from({ length: callersCount }, (_, caller) => this.#call(caller))
  }

  /** When so many more writes have been acknowledged. */
  more(count: number): Promise<void> {
    return new Promise(resolve => this.#waiting.push({ count: this.acknowledged + count, resolve }))
  }

  watchGap(): void {
    this.gapMs = 0
  }

  /** Comes when every caller has had the answer to its last call. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#callers)
  }

  /** Compares what the store holds with what was acknowledged. */
  async audit(db: Client<string>): Promise<Audit> {
    let sound = 0
    for await (const entry of db.range({ prefix: `${this.#name}/` })) {
      if (this.puts.get(entry.key) === entry.value) sound++
    }
    const miscounted: string[] = []
    for (const [number, added] of this.added.entries()) {
      const value = Number((await db.get(`count-${this.#name}/${number}`))?.value ?? 0)
      const most = added + this.addedPerhaps[number]!
      if (value < added || value > most) miscounted.push(`counter ${number}: ${value}, not ${added} to ${most}`)
    }
    return { lost: this.puts.size - sound, miscounted }
  }

  async #call(caller: number): Promise<void> {
    for (let number = 0; !this.#stopped; number++) {
      const counter = number % countersCount
      try {
        if (number % 4 === 3) {
          await this.#db.increment(`count-${this.#name}/${counter}`, 1, { timeout })
          this.added[counter]!++
        } else {
          const key = `${this.#name}/${caller}/${number}`
          await this.#db.put(key, `${caller} wrote ${number}`, { timeout })
          this.puts.set(key, `${caller} wrote ${number}`)
        }
      } catch (error) {
        if (!(error instanceof StrettoError)) throw error
        this.errors.push(error)
        if (number % 4 === 3 && error.fate === 'unknown') this.addedPerhaps[counter]!++
        continue
      }
      this.#acknowledge()
    }
  }

  #acknowledge(): void {
    this.acknowledged++
    const now = performance.now()
    this.gapMs = Math.max(this.gapMs, now - this.#lastAt)
    this.#lastAt = now
    if (this.#waiting.length === 0) return
    const due = this.#waiting.filter(({ count }) => count <= this.acknowledged)
    if (due.length === 0) return
    this.#waiting = this.#waiting.filter(({ count }) => count > this.acknowledged)
    for (const { resolve } of due) resolve()
  }
}
