// Requests about the members: each goes to the leader, and is sent again until it is answered or its deadline has passed.
import { StrettoError } from '../base/errors.ts'
import type { Packed } from '../record/pack.ts'
import { readSettled, writeAdmin } from '../wire/admin.ts'
import { frameKind, type Refused } from '../wire/client.ts'
import { Call } from './call.ts'
import type { Connection } from './connection.ts'
import { type Context, Patience, patienceMs } from './context.ts'
import { mayRetry, unexpected, type Waiter } from './requests.ts'
import { tickOf } from './wheel.ts'
import { timedOut } from './write.ts'

export class Admins {
  readonly #context: Context
  readonly #patience = new Patience()
  readonly #open = new Set<AdminCall>()
  #retryAt = 0

  constructor(context: Context) {
    this.#context = context
  }

  get busy(): boolean {
    return this.#open.size > 0
  }

  /** `read` makes the result of what the leader answers; it throws where that is none. */
  ask(
    request: Packed,
    deadline: number,
    signal: AbortSignal | undefined,
    read: (result: Packed) => unknown
  ): Promise<never> {
    const call = new AdminCall(this, this.#context, { request, deadline, read })
    this.#open.add(call)
    this.#context.wheel.add(call, tickOf(deadline))
    this.#context.takeTurn()
    if (signal !== undefined) call.heed(signal)
    return call.promise
  }

  turn(path: Connection, now: number): void {
    if (now < this.#retryAt) return
    for (const call of this.#open) if (call.path === null) call.send(path, now)
  }

  lost(connection: Connection): void {
    for (const call of this.#open) if (call.path === connection) call.lose()
  }

  close(reason: StrettoError): void {
    for (const call of this.#open) call.fail(reason)
    this.#open.clear()
  }

  answered(call: AdminCall): void {
    this.#patience.answered()
    this.end(call)
  }

  refused(call: AdminCall, refused: Refused, from: Connection): void {
    if (!mayRetry(refused)) {
      this.answered(call)
      const { code, text, fate } = refused
      call.fail(new StrettoError(code, text, { fate }))
      return
    }
    const delay = this.#patience.refused(this.#context, from, refused.retryAfterMs)
    this.#retryAt = this.#context.env.now() + delay
    this.#context.env.after(delay, () => this.#context.takeTurn())
  }

  end(call: AdminCall): void {
    if (!this.#open.delete(call)) return
    this.#context.ended()
    this.#context.requests.remove(call.number)
    this.#context.wheel.remove(call)
  }
}

interface AdminTerms {
  readonly request: Packed
  readonly deadline: number
  readonly read: (result: Packed) => unknown
}

class AdminCall extends Call implements Waiter {
  path: Connection | null = null
  readonly number: number
  readonly #owner: Admins
  readonly #context: Context
  readonly #terms: AdminTerms
  /** It was sent, and what became of it will not be heard: the next leader is told so. */
  #again = false
  /** Why it was refused last. */
  #obstacle: string | null = null

  constructor(owner: Admins, context: Context, terms: AdminTerms) {
    super()
    this.#owner = owner
    this.#context = context
    this.#terms = terms
    this.number = context.requests.add(this)
  }

  send(path: Connection, now: number): void {
    this.path = path
    const { number } = this
    const { request, deadline } = this.#terms
    path.send(writeAdmin({ number, patienceMs: patienceMs(deadline, now), again: this.#again, request }))
  }

  lose(): void {
    this.path = null
    this.#again = true
  }

  /** @throws StrettoError BAD_REQUEST for an answer that is none */
  answered(frame: Uint8Array): void {
    if (frame[4] !== frameKind.settled) throw unexpected()
    const result = this.#terms.read(readSettled(frame).result)
    this.#owner.answered(this)
    this.succeed(result)
  }

  refused(refused: Refused, from: Connection): void {
    if (this.path !== from) return
    this.path = null
    if (refused.fate === 'unknown') this.#again = true
    this.#obstacle = refused.text
    this.#owner.refused(this, refused, from)
  }

  override expire(): void {
    const fate = this.#again || this.path !== null ? 'unknown' : 'not-applied'
    this.#owner.end(this)
    this.fail(timedOut(fate, null, this.#obstacle ?? this.#context.links.lastFailure))
  }

  protected override abandoned(): void {
    this.#owner.end(this)
  }
}
