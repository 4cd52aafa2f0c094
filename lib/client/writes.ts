// Writes: gathered into records, numbered, sent in call order, sent again after a break, and settled exactly once.
import { type Fate, numberOfCode, StrettoError } from '../base/errors.ts'
import type { Applied, Refused, Welcome } from '../wire/client.ts'
import type { Connection } from './connection.ts'
import { type Context, Patience, saw } from './context.ts'
import { Draft, type DraftOwner } from './draft.ts'
import { mayRetry } from './requests.ts'
import { type Resolves, verdictsOf } from './resolves.ts'
import { operationIdOf, Session } from './session.ts'
import { tickOf } from './wheel.ts'
import { timedOut, type Write, type WriteOwner } from './write.ts'

export const draftBytesMax = 65_536
export const flightBytesMax = 16_777_216
export const queueBytesMax = 67_108_864
/** An unused session is left before the cluster forgets it, which is after an hour. */
const sessionIdleMsMax = 1_800_000

export class Writes implements WriteOwner, DraftOwner {
  readonly #context: Context
  readonly #resolves: Resolves
  readonly #patience = new Patience()
  /** Calls that stand in no record yet, from `#head` on, in call order. */
  #queue: Write[] = []
  #head = 0
  /** From here on the queued calls have no place in the wheel yet. */
  #untimed = 0
  #queuedBytes = 0
  /** Records in order of serial, the first one not done. */
  #drafts: Draft[] = []
  #flightBytes = 0
  #session: Session | null = null
  #openedBy: Welcome | null = null
  #usedAt = 0
  /** Records of an expired session whose writes were not applied: they come first in the next, in order of serial. */
  #renewed: Draft[] = []
  #path: Connection | null = null
  /** A record was refused: nothing new is sent before it, or the order would be lost. */
  #paused = false
  #retryAt = 0

  constructor(context: Context, resolves: Resolves) {
    this.#context = context
    this.#resolves = resolves
  }

  /** Somebody waits for a write. */
  get busy(): boolean {
    return (
      this.#queuedBytes > 0 || this.#drafts.some(draft => !draft.abandoned && !draft.done) || this.#renewed.length > 0
    )
  }

  add(write: Write): void {
    if (this.#queuedBytes + write.bytes > queueBytesMax) {
      write.fail(new StrettoError('OVERLOADED', 'too many writes wait: `await` some before the next'))
      return
    }
    this.#queue.push(write)
    this.#queuedBytes += write.bytes
  }

  turn(path: Connection | null, now: number): void {
    if (path !== null) {
      if (path !== this.#path) this.#takePath(path, now)
      else if (this.#paused && now >= this.#retryAt && !this.#inFlight(path)) this.#sendAgain(path, now)
      if (!this.#paused) this.#gather(path, now)
    }
    this.#timeQueued()
  }

  lost(connection: Connection): void {
    if (this.#path === connection) this.#path = null
    for (const draft of this.#drafts) {
      if (draft.path !== connection) continue
      draft.path = null
      draft.uncertain = true
    }
  }

  /** Ends every wait. */
  close(): void {
    this.#takeBackRenewed()
    for (const write of this.#queue) write.fail(stopped('not-applied', null))
    this.#queue = []
    for (const draft of this.#drafts) {
      const fate = draft.mayApply ? 'unknown' : 'not-applied'
      this.#failAll(draft, operationId => stopped(fate, operationId))
    }
    this.#drafts = []
  }

  applied(draft: Draft, applied: Applied): void {
    saw(this.#context, applied.index)
    this.#patience.answered()
    const { writes, serial, session } = draft
    const { each, revision } = applied
    if (each === null) {
      for (let at = 0; at < writes.length; at++) writes[at]!.appliedPlainly(revision + at)
    } else {
      for (let at = 0; at < writes.length; at++) {
        const verdict = each[at]
        if (verdict == null) writes[at]!.appliedPlainly(revision + at)
        else writes[at]!.judged(verdict, verdict.status === 0 ? '' : operationIdOf(session, serial + at))
      }
    }
    if (draft.abandoned) this.#resolves.heard(draft, verdictsOf(applied, writes.length))
    this.#finish(draft)
  }

  refusedDraft(draft: Draft, refused: Refused, from: Connection): void {
    draft.path = null
    if (refused.code === 'SESSION_EXPIRED') {
      this.#sessionExpired(draft)
      return
    }
    if (refused.fate === 'unknown') draft.uncertain = true
    const wasPaused = this.#paused
    this.#paused = true
    this.#context.takeTurn()
    if (mayRetry(refused)) {
      // Those sent after a refused one are refused along with it: that is no reason for more patience.
      if (wasPaused) return
      const delay = this.#patience.refused(this.#context, from, refused.retryAfterMs)
      this.#retryAt = this.#context.env.now() + delay
      this.#context.env.after(delay, () => this.#context.takeTurn())
      return
    }
    const fate = draft.mayApply ? 'unknown' : 'not-applied'
    const hint = refused.retryAfterMs === null ? {} : { retryAfterMs: refused.retryAfterMs }
    this.#failAll(draft, operationId => new StrettoError(refused.code, refused.text, { fate, operationId, ...hint }))
    if (draft.abandoned && !draft.mayApply) {
      const verdict = { status: numberOfCode(refused.code), revision: 0, answer: null }
      this.#resolves.heard(
        draft,
        draft.writes.map(() => verdict)
      )
    }
    this.#letGo(draft)
  }

  lateDraft(draft: Draft): void {
    const why = this.#path === null ? this.#context.links.lastFailure : `asked ${this.#path.endpoint.text}`
    const fate = draft.mayApply ? 'unknown' : 'not-applied'
    this.#failAll(draft, operationId => timedOut(fate, operationId, why))
    this.#letGo(draft)
  }

  late(write: Write): void {
    write.fail(timedOut('not-applied', null, this.#context.links.lastFailure))
    this.gaveUp(write)
  }

  gaveUp(write: Write): void {
    this.#context.wheel.remove(write)
    if (write.draft !== null) {
      write.draft.gaveUp()
      return
    }
    this.#queuedBytes -= write.bytes
    this.#context.takeTurn()
  }

  unwanted(draft: Draft): void {
    this.#letGo(draft)
  }

  #takePath(path: Connection, now: number): void {
    this.#path = path
    this.#sendAgain(path, now)
  }

  /** All that is not answered, in order; after it new records may follow. */
  #sendAgain(path: Connection, now: number): void {
    this.#paused = false
    for (const draft of this.#drafts) if (!draft.done && !draft.abandoned) draft.send(path, now)
  }

  #inFlight(path: Connection): boolean {
    return this.#drafts.some(draft => draft.path === path && !draft.done && !draft.abandoned)
  }

  #gather(path: Connection, now: number): void {
    for (;;) {
      const session = this.#sessionFor(path, now)
      if (session === null || session.room <= 0 || this.#flightBytes >= flightBytesMax) return
      const writes = this.#take(session.room)
      if (writes.length === 0) return
      const { notAfterMs, calledAt } = writes[0]!
      const notAfter = notAfterMs === 0 ? 0 : Math.max(1, path.clusterTime(calledAt + notAfterMs))
      const draft = new Draft(this, session, writes, notAfter)
      draft.number = this.#context.requests.add(draft)
      this.#drafts.push(draft)
      this.#flightBytes += draft.bytes.length
      this.#usedAt = now
      this.#context.wheel.add(draft, tickOf(draft.deadline))
      draft.send(path, now)
    }
  }

  /** The next calls that may share a record: near in time, of one `notAfter`, at most `countMax` and a frame's bytes. */
  #take(countMax: number): Write[] {
    const taken: Write[] = []
    const queue = this.#queue
    let bytes = 0
    let first: Write | null = null
    while (this.#head < queue.length && taken.length < countMax) {
      const write = queue[this.#head]!
      if (!write.settled) {
        if (first === null) first = write
        else if (!mayShare(first, write) || bytes + write.bytes > draftBytesMax) break
        bytes += write.bytes
        taken.push(write)
        this.#context.wheel.remove(write)
      }
      this.#head++
    }
    this.#queuedBytes -= bytes
    this.#dropTaken()
    return taken
  }

  #dropTaken(): void {
    if (this.#head === this.#queue.length) {
      this.#queue = []
      this.#head = 0
      this.#untimed = 0
    } else if (this.#head > 8192 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head)
      this.#untimed = Math.max(0, this.#untimed - this.#head)
      this.#head = 0
    }
  }

  /** Only calls that wait longer than a turn need a deadline of their own. */
  #timeQueued(): void {
    for (let at = Math.max(this.#untimed, this.#head); at < this.#queue.length; at++) {
      const write = this.#queue[at]!
      if (!write.settled && !write.isTimed) this.#context.wheel.add(write, tickOf(write.deadline))
    }
    this.#untimed = this.#queue.length
  }

  /** The session for new records; null while an old one has unanswered records, or no node has told a fresh time. */
  #sessionFor(path: Connection, now: number): Session | null {
    const session = this.#session
    const idle = this.#drafts.length === 0 && now - this.#usedAt > sessionIdleMsMax
    if (session !== null && !session.expired && !idle) return session
    if (this.#drafts.length > 0) return null
    if (session !== null && session.expired && path.welcome === this.#openedBy) {
      path.close('the cluster time it told is too old')
      return null
    }
    this.#openedBy = path.welcome
    this.#session = new Session(path.clusterTime(now), this.#context.env)
    if (this.#renewed.length > 0) this.#takeBackRenewed()
    return this.#session
  }

  #takeBackRenewed(): void {
    this.#renewed.sort((a, b) => a.serial - b.serial)
    const again = this.#renewed.flatMap(draft => draft.writes.filter(write => !write.settled))
    this.#queue = [...again, ...this.#queue.slice(this.#head)]
    this.#head = 0
    this.#untimed = 0
    this.#renewed = []
  }

  #sessionExpired(draft: Draft): void {
    draft.session.expired = true
    const again = draft.attempts > 1
    for (const [at, write] of draft.writes.entries()) {
      if (write.settled) continue
      if (again || write.renewed) {
        const operationId = operationIdOf(draft.session, draft.serial + at)
        write.fail(expired(again ? 'unknown' : 'not-applied', operationId))
        continue
      }
      write.renewed = true
      write.draft = null
      this.#queuedBytes += write.bytes
      this.#context.wheel.add(write, tickOf(write.deadline))
    }
    this.#renewed.push(draft)
    this.#finish(draft)
  }

  #failAll(draft: Draft, reason: (operationId: string) => StrettoError): void {
    for (const [at, write] of draft.writes.entries()) {
      if (!write.settled) write.fail(reason(operationIdOf(draft.session, draft.serial + at)))
    }
    draft.waiting = 0
  }

  /** Nobody waits for it any more. It is never sent again; if it may be applied, the cluster is asked. */
  #letGo(draft: Draft): void {
    this.#context.wheel.remove(draft)
    this.#context.ended()
    if (!draft.mayApply) {
      this.#finish(draft)
      return
    }
    if (draft.abandoned) return
    draft.abandoned = true
    this.#resolves.background(draft, settled => this.#finish(settled))
  }

  /** What became of all its serials is known: the floor may pass it. */
  #finish(draft: Draft): void {
    if (draft.done) return
    draft.done = true
    draft.path = null
    this.#flightBytes -= draft.bytes.length
    this.#context.ended()
    this.#context.requests.remove(draft.number)
    this.#context.wheel.remove(draft)
    let count = 0
    for (const first of this.#drafts) {
      if (!first.done) break
      first.session.floor = first.last
      count++
    }
    if (count === this.#drafts.length) this.#drafts = []
    else if (count > 0) this.#drafts.splice(0, count)
    if (this.#queue.length > this.#head || this.#renewed.length > 0 || this.#paused) this.#context.takeTurn()
  }
}

function mayShare(first: Write, other: Write): boolean {
  if (first.notAfterMs !== other.notAfterMs) return false
  if (first.notAfterMs !== 0 && first.calledAt !== other.calledAt) return false
  return first.deadline === other.deadline || tickOf(first.deadline) === tickOf(other.deadline)
}

function stopped(fate: Fate, operationId: string | null): StrettoError {
  const text = 'the client was closed'
  return new StrettoError('STOPPED', text, operationId === null ? { fate } : { fate, operationId })
}

function expired(fate: Fate, operationId: string): StrettoError {
  const text = 'the cluster has forgotten the session of this client'
  return new StrettoError('SESSION_EXPIRED', text, { fate, operationId })
}
