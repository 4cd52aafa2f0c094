// Asking what became of writes: for the user who kept an operation id, and for the client's own abandoned writes.
import { writeU32, writeU64 } from '../base/bytes.ts'
import { codeOfNumber, StrettoError } from '../base/errors.ts'
import { commandHeadBytes, recordAt, recordKind, writeCommandHead } from '../record/record.ts'
import { type Applied, frameKind, type Refused, readApplied } from '../wire/client.ts'
import { guessedAnswer, type ReadAnswer } from './answers.ts'
import { Call } from './call.ts'
import type { Connection } from './connection.ts'
import { type Context, Patience, patienceMs } from './context.ts'
import type { Corner } from './corner.ts'
import type { Draft } from './draft.ts'
import { NoResult, ResultGone } from './encoding.ts'
import { type AppliedResult, type Resolution } from './entry.ts'
import { mayRetry, unexpected, type Waiter } from './requests.ts'
import { operationIdOf, parseOperationId } from './session.ts'
import { tickOf } from './wheel.ts'
import { appliedButUnread, timedOut, type Verdict } from './write.ts'

/** How many answers about abandoned writes are kept for a user who asks later. */
const keptMax = 4096
const backgroundPatienceMs = 5000
/** How long after a refusal for good, as for want of space, the client asks again for itself. */
const backgroundRetryMs = 1000

type Answer = readonly Verdict[] | 'expired'

export class Resolves {
  readonly #context: Context
  readonly #patience = new Patience()
  readonly #open = new Set<Resolving>()
  /** By operation id; the oldest goes first. */
  readonly #kept = new Map<string, Verdict | 'expired'>()
  /** How the answers of this client's own abandoned writes are read, by operation id; the oldest goes first. */
  readonly #readers = new Map<string, ReadAnswer>()
  #retryAt = 0

  constructor(context: Context) {
    this.#context = context
  }

  /**
   * Asks until it is answered, whatever is refused meanwhile; `settled` is told when nothing of the draft can be applied any
   * more. Before that the floor must not pass it, or the cluster would forget what nobody has been told.
   */
  background(draft: Draft, settled: (draft: Draft) => void): void {
    const { session, serial, writes } = draft
    const serials = writes.map((_, at) => serial + at)
    for (const [at, { read }] of writes.entries()) {
      dropOldest(this.#readers)
      this.#readers.set(operationIdOf(session, serial + at), read)
    }
    const hear = (answer: Answer): void => {
      for (const [at, one] of serials.entries()) this.#keep(operationIdOf(session, one), verdictAt(answer, at))
      settled(draft)
    }
    this.#start(new Resolving(this, this.#context, session.id, serials, Number.POSITIVE_INFINITY, hear))
  }

  /** An abandoned draft is answered after all, and the cluster may forget it now: whoever asks is told from memory. */
  heard({ session, serial }: Draft, verdicts: readonly Verdict[]): void {
    for (const at of verdicts.keys()) this.#keep(operationIdOf(session, serial + at), verdictAt(verdicts, at))
  }

  /** @throws StrettoError BAD_REQUEST */
  ask(operationId: string, corner: Corner, deadline: number, signal?: AbortSignal): Promise<never> {
    const { session, serial } = parseOperationId(operationId)
    const read = this.#readers.get(operationId) ?? guessedAnswer(corner)
    const hear = (answer: Answer): void => {
      const verdict = verdictAt(answer, 0)
      // Meanwhile the client may have heard of it by itself and let the cluster forget it.
      this.#tell(resolving, verdict === 'expired' ? (this.#kept.get(operationId) ?? verdict) : verdict, read)
    }
    const resolving = new Resolving(this, this.#context, session, [serial], deadline, hear)
    const kept = this.#kept.get(operationId)
    if (kept !== undefined) {
      this.#tell(resolving, kept, read)
    } else {
      this.#start(resolving)
      if (signal !== undefined) resolving.heed(signal)
    }
    return resolving.promise
  }

  turn(path: Connection, now: number): void {
    if (now < this.#retryAt) return
    for (const resolving of this.#open) if (resolving.path !== path) resolving.send(path, now)
  }

  lost(connection: Connection): void {
    for (const resolving of this.#open) if (resolving.path === connection) resolving.path = null
  }

  close(reason: StrettoError): void {
    for (const resolving of this.#open) if (!resolving.isBackground) resolving.fail(reason)
    this.#open.clear()
  }

  /** Users who wait; what goes on in the background does not count. */
  get waitingCount(): number {
    let count = 0
    for (const resolving of this.#open) if (!resolving.isBackground) count++
    return count
  }

  answered(resolving: Resolving, answer: Answer): void {
    this.#patience.answered()
    this.end(resolving)
    resolving.hear(answer)
  }

  refused(resolving: Resolving, refused: Refused, from: Connection): void {
    if (refused.code === 'SESSION_EXPIRED') {
      this.answered(resolving, 'expired')
      return
    }
    if (!mayRetry(refused)) {
      if (resolving.isBackground) resolving.retryAfter(backgroundRetryMs)
      else {
        this.end(resolving)
        resolving.fail(new StrettoError(refused.code, refused.text))
      }
      return
    }
    resolving.path = null
    const delay = this.#patience.refused(this.#context, from, refused.retryAfterMs)
    this.#retryAt = this.#context.env.now() + delay
    this.#context.env.after(delay, () => this.#context.takeTurn())
  }

  end(resolving: Resolving): void {
    this.#open.delete(resolving)
    this.#context.ended()
    this.#context.requests.remove(resolving.number)
    this.#context.wheel.remove(resolving)
  }

  #start(resolving: Resolving): void {
    resolving.number = this.#context.requests.add(resolving)
    this.#open.add(resolving)
    if (!resolving.isBackground) this.#context.wheel.add(resolving, tickOf(resolving.deadline))
    this.#context.takeTurn()
  }

  #keep(operationId: string, verdict: Verdict | 'expired'): void {
    if (verdict === 'expired' && this.#kept.has(operationId)) return
    dropOldest(this.#kept)
    this.#kept.set(operationId, verdict)
  }

  #tell(resolving: Resolving, verdict: Verdict | 'expired', read: ReadAnswer): void {
    try {
      resolving.succeed(resolutionOf(verdict, read))
    } catch (error) {
      if (!(error instanceof NoResult)) throw error
      resolving.fail(appliedButUnread(error))
    }
  }
}

/** Makes room for one more. */
function dropOldest(map: Map<string, unknown>): void {
  if (map.size < keptMax) return
  for (const oldest of map.keys()) {
    map.delete(oldest)
    return
  }
}

function resolutionOf(verdict: Verdict | 'expired', read: ReadAnswer): Resolution<unknown> {
  if (verdict === 'expired') return 'expired'
  if (verdict.status !== 0) return 'not-applied'
  const { revision, answer } = verdict
  try {
    return { applied: read(revision, answer) as AppliedResult<unknown> }
  } catch (error) {
    if (error instanceof ResultGone) return { applied: { revision, resultGone: true } }
    throw error
  }
}

/** One resolve record, asked again until it is answered. */
class Resolving extends Call implements Waiter {
  path: Connection | null = null
  readonly deadline: number
  number = 0
  /** Told the answer once. */
  readonly hear: (answer: Answer) => void
  readonly #owner: Resolves
  readonly #context: Context
  readonly #session: Uint8Array
  readonly #serials: readonly number[]

  constructor(
    owner: Resolves,
    context: Context,
    session: Uint8Array,
    serials: readonly number[],
    deadline: number,
    hear: (answer: Answer) => void
  ) {
    super()
    this.hear = hear
    this.#owner = owner
    this.#context = context
    this.#session = session
    this.#serials = serials
    this.deadline = deadline
  }

  /** The client's own: no user waits, so it has no deadline. */
  get isBackground(): boolean {
    return this.deadline === Number.POSITIVE_INFINITY
  }

  send(path: Connection, now: number): void {
    this.path = path
    if (this.isBackground) this.#rearm(now + 2 * backgroundPatienceMs)
    const serials = this.#serials
    const bytes = new Uint8Array(commandHeadBytes + 8 * serials.length)
    for (const [at, serial] of serials.entries()) writeU64(bytes, commandHeadBytes + 8 * at, serial)
    const head = { session: this.#session, count: serials.length, serial: serials[0]!, floor: 0, notAfter: 0 }
    const patience = this.isBackground ? backgroundPatienceMs : patienceMs(this.deadline, now)
    writeCommandHead(bytes, recordKind.resolve, head, patience)
    writeU32(bytes, recordAt.term, this.number)
    path.send(bytes)
  }

  /** Until then, or until its link breaks, it counts as on its way. */
  retryAfter(ms: number): void {
    this.#rearm(this.#context.env.now() + ms)
  }

  #rearm(at: number): void {
    this.#context.wheel.remove(this)
    this.#context.wheel.add(this, tickOf(at))
  }

  answered(frame: Uint8Array): void {
    if (frame[4] !== frameKind.applied) throw unexpected()
    const applied = readApplied(frame)
    const { length } = this.#serials
    if (applied.each !== null && applied.each.length !== length) throw unexpected()
    this.#owner.answered(this, verdictsOf(applied, length))
  }

  refused(refused: Refused, from: Connection): void {
    if (this.path === from) this.#owner.refused(this, refused, from)
  }

  override expire(): void {
    if (this.isBackground) {
      // The node has kept silent about it for longer than it was asked to try, or has refused it a while ago.
      this.path = null
      this.#context.takeTurn()
      return
    }
    this.abandoned()
    this.fail(timedOut('unknown', null, this.#context.links.lastFailure))
  }

  protected override abandoned(): void {
    this.#owner.end(this)
  }
}

/** What an answer says of each of `count` commands, to be kept. */
export function verdictsOf({ each, revision }: Applied, count: number): Verdict[] {
  return Array.from({ length: count }, (_, at) => {
    const verdict = each?.[at] ?? null
    return verdict === null ? { status: 0, revision: revision + at, answer: null } : ownVerdict(verdict)
  })
}

/** The frame is only lent: an answer that is kept is copied. */
function ownVerdict(verdict: Verdict): Verdict {
  return verdict.answer === null ? verdict : { ...verdict, answer: new Uint8Array(verdict.answer) }
}

/** `expired`: the whole session is forgotten, or this serial of it. */
function verdictAt(answer: Answer, at: number): Verdict | 'expired' {
  const verdict = answer === 'expired' ? answer : answer[at]!
  return verdict === 'expired' || codeOfNumber(verdict.status) === 'SESSION_EXPIRED' ? 'expired' : verdict
}
