// Ranges: entries as a stream, all at one revision, in pages that the node sends only as fast as they are taken.
import { StrettoError } from '../base/errors.ts'
import type { Packed } from '../record/pack.ts'
import { type Consistency, frameKind, type Refused, readPage, writeQuestion, writeSmall } from '../wire/client.ts'
import { packScan, readEntry } from '../wire/kv/questions.ts'
import { Wait } from './call.ts'
import type { Connection } from './connection.ts'
import { type Context, Patience, patienceMs } from './context.ts'
import type { Corner } from './corner.ts'
import { keyAfter, UndecodableValue } from './encoding.ts'
import { type Entry, entryOf, keyEntryOf, numberOf, unpackAnswer } from './entry.ts'
import { mayRetry, unexpected, type Waiter } from './requests.ts'
import { Timed, tickOf } from './wheel.ts'
import { timedOut } from './write.ts'

/** What the node may send ahead of the consumer, bytes; new credit goes out for every quarter that was taken. */
const aheadBytesMax = 1_048_576
const creditStep = aheadBytesMax / 4

/** What `range` gives: entries in order of their keys, or from the last to the first. */
export interface Range<V> extends AsyncIterableIterator<Entry<V>, undefined>, AsyncDisposable {
  /** The revision that all entries are of; null until the first is here. */
  readonly revision: number | null
}

/** What `keysOnly` makes of the type of values. */
export type Ranged<V, KeysOnly extends boolean> = KeysOnly extends true ? null : V

export interface RangeTerms {
  readonly from: Uint8Array
  readonly to: Uint8Array | null
  /** 0 for none. */
  readonly limit: number
  readonly reverse: boolean
  readonly keysOnly: boolean
  readonly atRevision: number
  readonly consistency: Consistency
  readonly minRevision: number
  /** 0 for however old. */
  readonly maxAgeMs: number
  /** How long to wait for a page, milliseconds. */
  readonly timeoutMs: number
  readonly signal: AbortSignal | null
}

/** Of a range of which no more than its bounds and its patience are said. */
export const plainTerms = {
  limit: 0,
  reverse: false,
  keysOnly: false,
  atRevision: 0,
  consistency: 'linearizable',
  minRevision: 0,
  maxAgeMs: 0,
  signal: null
} as const

/** All open ranges of a client. */
export class Ranges {
  readonly #open = new Set<OpenRange>()
  readonly #context: Context
  /** Why no more are begun. */
  #closed: StrettoError | null = null

  constructor(context: Context) {
    this.#context = context
  }

  start(range: OpenRange): void {
    if (this.#closed !== null) {
      range.fail(this.#closed)
      return
    }
    this.#open.add(range)
    this.#context.links.start()
    this.#context.takeTurn()
  }

  end(range: OpenRange): void {
    this.#open.delete(range)
  }

  turn(path: Connection | null, now: number): void {
    if (path === null) return
    for (const range of this.#open) range.turn(path, now)
  }

  lost(connection: Connection): void {
    for (const range of this.#open) range.lost(connection)
  }

  close(reason: StrettoError): void {
    this.#closed = reason
    for (const range of this.#open) range.fail(reason)
  }
}

/** What has been decoded and not yet taken: the entries of one page. */
interface Buffered {
  readonly entries: readonly Entry<unknown>[]
  readonly bytes: number
}

/** One range that is being read. It begins with the first `next`, and ends with the last entry, `return` or an error. */
export class OpenRange extends Timed implements Waiter, AsyncIterableIterator<Entry<never>, undefined> {
  /** The revision that all entries are of; null until the first page is here. */
  revision: number | null = null
  readonly #context: Context
  readonly #owner: Ranges
  readonly #corner: Corner
  readonly #terms: RangeTerms
  readonly #patience = new Patience()
  readonly #pulls: Wait[] = []
  #pages: Buffered[] = []
  #at = 0
  #number = 0
  #path: Connection | null = null
  /** Bytes taken by the consumer for which the node has no credit yet. */
  #owed = 0
  #started = false
  #complete = false
  #error: { readonly reason: unknown } | null = null
  #received = 0
  #lastKey: Uint8Array | null = null
  #retryAt = 0

  constructor(context: Context, owner: Ranges, corner: Corner, terms: RangeTerms) {
    super()
    this.#context = context
    this.#owner = owner
    this.#corner = corner
    this.#terms = terms
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<never> {
    if (!this.#started) this.#start()
    const pull = new Wait()
    this.#pulls.push(pull)
    this.#serve()
    return pull.promise
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    this.#stop()
    this.#pages = []
    this.#at = 0
    this.#serve()
    return Promise.resolve({ done: true, value: undefined })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  fail(reason: unknown): void {
    if (this.#complete) return
    this.#error ??= { reason }
    this.#stop()
    this.#serve()
  }

  turn(path: Connection, now: number): void {
    if (this.#complete) return
    if (this.#path === null && now >= this.#retryAt) this.#ask(path, now)
    else if (this.#path !== null && this.#owed >= creditStep) this.#giveCredit(this.#path)
  }

  lost(connection: Connection): void {
    if (this.#path === connection) this.#path = null
  }

  answered(frame: Uint8Array, from: Connection): void {
    if (frame[4] !== frameKind.page) throw unexpected()
    if (from !== this.#path) return
    const page = readPage(frame)
    const fields = unpackAnswer(page.body)
    const revision = numberOf(fields[0])
    if (this.revision !== null && this.revision !== revision)
      throw new StrettoError('BAD_REQUEST', 'a page of another revision')
    this.revision = revision
    this.#patience.answered()
    try {
      this.#take(fields, page.body.length)
    } catch (error) {
      if (!(error instanceof UndecodableValue)) throw error
      this.fail(new StrettoError('BAD_REQUEST', error.message, { cause: error.cause }))
      return
    }
    if (page.last) this.#path = null
    if (page.last || this.#received === this.#terms.limit) this.#stop()
    else this.#rearm()
    this.#serve()
  }

  refused(refused: Refused, from: Connection): void {
    if (this.#path !== from) return
    this.#path = null
    if (mayRetry(refused)) {
      const delay = this.#patience.refused(this.#context, from, refused.retryAfterMs)
      this.#retryAt = this.#context.env.now() + delay
      this.#context.env.after(delay, () => this.#context.takeTurn())
      return
    }
    const broken = this.#received > 0 && this.#terms.atRevision === 0
    if (broken && (refused.code === 'COMPACTED' || refused.code === 'FUTURE_REVISION')) {
      const text = `the range was interrupted, and revision ${this.revision} can no longer be read: begin anew`
      this.fail(new StrettoError('UNAVAILABLE', `${text} (${refused.text})`))
    } else {
      this.fail(new StrettoError(refused.code, refused.text))
    }
  }

  /** Only while somebody waits for an entry: a slow consumer may take its time. */
  override expire(): void {
    this.fail(timedOut('not-applied', null, this.#path === null ? this.#context.links.lastFailure : 'no page came'))
  }

  #start(): void {
    this.#started = true
    if (this.#complete) return
    const { signal } = this.#terms
    if (signal?.aborted === true) {
      this.fail(signal.reason)
      return
    }
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    this.#number = this.#context.requests.add(this)
    this.#owner.start(this)
  }

  readonly #onAbort = (): void => {
    this.#pages = []
    this.#at = 0
    this.fail(this.#terms.signal?.reason)
  }

  #ask(path: Connection, now: number): void {
    this.#path = path
    this.#owed = 0
    if (this.#lastKey === null) this.revision = null
    const { consistency, minRevision, maxAgeMs, timeoutMs } = this.#terms
    const number = this.#number
    const scan = this.#scan()
    // Another node may not have come to the revision that the range is of.
    const goesOn = this.#lastKey !== null
    path.send(
      writeQuestion({
        scan: true,
        number,
        consistency,
        patienceMs: patienceMs(now + timeoutMs, now),
        leastIndex: consistency === 'session' ? this.#context.seenIndex : 0,
        maxAgeMs,
        leastRevision: goesOn ? Math.max(minRevision, scan.atRevision) : minRevision,
        body: packScan(scan)
      })
    )
    path.send(writeSmall(frameKind.credit, number, aheadBytesMax))
  }

  /** What is still missing: after the last key that came, and at the revision of the first page. */
  #scan() {
    const { from, to, limit, reverse, keysOnly, atRevision } = this.#terms
    const last = this.#lastKey
    if (last === null) return { from, to, limit, reverse, keysOnly, atRevision }
    const left = limit === 0 ? 0 : limit - this.#received
    const rest = { limit: left, reverse, keysOnly, atRevision: this.revision! }
    return reverse ? { from, to: last, ...rest } : { from: keyAfter(last), to, ...rest }
  }

  /** Takes the entries of a page in; its first field is the revision. */
  #take(fields: readonly Packed[], bytes: number): void {
    const count = fields.length - 1
    if (count === 0) {
      this.#owed += bytes
      return
    }
    const { keysOnly, limit } = this.#terms
    const entries: Entry<unknown>[] = []
    for (let at = 1; at <= count; at++) {
      entries.push(keysOnly ? keyEntryOf(fields[at], this.#corner) : entryOf(fields[at], this.#corner))
    }
    this.#received += count
    if (limit > 0 && this.#received > limit) throw unexpected()
    this.#lastKey = new Uint8Array(readEntry(fields[count]).key)
    this.#pages.push({ entries, bytes })
  }

  #serve(): void {
    while (this.#pulls.length > 0) {
      const page = this.#pages[0]
      if (page !== undefined) {
        this.#pulls.shift()!.succeed({ done: false, value: page.entries[this.#at++]! })
        if (this.#at === page.entries.length) this.#pageTaken(page)
      } else if (this.#error !== null) {
        const { reason } = this.#error
        this.#error = null
        this.#pulls.shift()!.fail(reason)
      } else if (this.#complete) {
        this.#pulls.shift()!.succeed({ done: true, value: undefined })
      } else {
        if (!this.isTimed) this.#rearm()
        return
      }
    }
    this.#context.wheel.remove(this)
  }

  #pageTaken(page: Buffered): void {
    this.#pages.shift()
    this.#at = 0
    this.#owed += page.bytes
    if (!this.#complete && this.#owed >= creditStep) this.#context.takeTurn()
  }

  #giveCredit(path: Connection): void {
    path.send(writeSmall(frameKind.credit, this.#number, this.#owed))
    this.#owed = 0
  }

  #rearm(): void {
    const { wheel, env } = this.#context
    wheel.remove(this)
    wheel.add(this, tickOf(env.now() + this.#terms.timeoutMs))
  }

  /** No more pages are wanted. */
  #stop(): void {
    if (this.#complete) return
    this.#complete = true
    const { requests, wheel } = this.#context
    this.#terms.signal?.removeEventListener('abort', this.#onAbort)
    wheel.remove(this)
    if (!this.#started) return
    requests.remove(this.#number)
    this.#owner.end(this)
    if (this.#path === null) return
    this.#path.send(writeSmall(frameKind.cancel, this.#number))
    this.#context.takeTurn()
  }
}
