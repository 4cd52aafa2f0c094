// Reads of a node that does not lead: numbered, asked of the leader, asked again after a change of leader (thesis 6.4).
import type { Random } from '../base/random.ts'

export class AskedReads {
  /** When an unanswered question is asked again; Infinity when none is open. */
  askAgainAt = Number.POSITIVE_INFINITY
  /** Tickets that have not been asked for, then by number those that have. */
  #unasked: number[] = []
  #asked: { readonly number: number; readonly tickets: readonly number[] }[] = []
  #number: number

  /** Numbers begin at a random place: an answer to an earlier life of this node must not confirm a read of this one. */
  constructor(random: Random) {
    this.#number = random.next() * 0x1_0000
  }

  get count(): number {
    let count = this.#unasked.length
    for (const { tickets } of this.#asked) count += tickets.length
    return count
  }

  get unasked(): boolean {
    return this.#unasked.length > 0
  }

  add(ticket: number): void {
    this.#unasked.push(ticket)
  }

  /** Numbers all that was not asked yet, as one question. */
  ask(now: number, againMs: number): number {
    this.#asked.push({ number: ++this.#number, tickets: this.#unasked })
    this.#unasked = []
    this.askAgainAt = Math.min(this.askAgainAt, now + againMs)
    return this.#number
  }

  /** The tickets that the answer to `number` confirms: those asked with it or before it: its index is younger. */
  answered(number: number): readonly number[] {
    const tickets: number[] = []
    if (!this.#asked.some(question => question.number === number)) return tickets
    while ((this.#asked[0]?.number ?? Number.POSITIVE_INFINITY) <= number) tickets.push(...this.#asked.shift()!.tickets)
    if (this.#asked.length === 0) this.askAgainAt = Number.POSITIVE_INFINITY
    return tickets
  }

  /** Another leader, or no answer: everything is to be asked again. */
  restart(): void {
    if (this.#asked.length > 0) this.#unasked = [...this.#asked.flatMap(question => question.tickets), ...this.#unasked]
    this.#asked = []
    this.askAgainAt = Number.POSITIVE_INFINITY
  }

  /** Takes all tickets out: this node leads now and answers them itself. */
  release(): readonly number[] {
    this.restart()
    const tickets = this.#unasked
    this.#unasked = []
    return tickets
  }
}
