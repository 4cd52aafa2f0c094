// One watch: what changes, in order, each change once. It goes on by itself at any node, from where it has got to.
import { StrettoError } from '../base/errors.ts'
import { frameKind, type Refused, writeSmall } from '../wire/client.ts'
import { readEntry } from '../wire/kv/questions.ts'
import { costOfChange, packWatch, type Change as WireChange } from '../wire/kv/watches.ts'
import { readEntries, writeWatch } from '../wire/watch.ts'
import { Wait } from './call.ts'
import type { Connection } from './connection.ts'
import { type Context, Patience } from './context.ts'
import type { Corner } from './corner.ts'
import { UndecodableValue } from './encoding.ts'
import { numberOf, unpackAnswer } from './entry.ts'
import { mayRetry, type Path, unexpected, type Waiter } from './requests.ts'
import { type Batch, changeOf, type WatchTerms } from './watch-options.ts'

/** What the node may send ahead of the consumer, bytes; new credit goes out for every quarter that was taken. */
export const aheadBytesMax = 262_144
const creditStep = aheadBytesMax / 4

/** All watches of the client. */
export interface WatchOwner {
  readonly context: Context
  /** Gives it its number. */
  start(watch: OpenWatch): void
  end(watch: OpenWatch): void
  /** The watch has something to say in the next turn. */
  due(watch: OpenWatch): void
}

/** What `watch` gives: batches, each of one revision. It ends with `return` (so with `break`), its signal or an error. */
export interface Watch<V> extends AsyncIterableIterator<Batch<V>, undefined>, AsyncDisposable {
  /** All up to this revision has come from the cluster; null until it is known where the watch begins. */
  readonly revision: number | null
}

interface Waiting {
  readonly batch: Batch<unknown>
  /** Of the credit that the node was given. */
  readonly cost: number
}

/** The present entries, as far as they have come. */
interface Told {
  readonly revision: number
  after: Uint8Array | null
}

export class OpenWatch implements Waiter, AsyncIterableIterator<Batch<never>, undefined> {
  /** All up to this revision has come; null until it is known where the watch begins. */
  revision: number | null
  /** What it goes by in frames; 0 before it has begun. */
  number = 0
  readonly #watches: WatchOwner
  readonly #context: Context
  readonly #corner: Corner
  readonly #terms: WatchTerms
  readonly #patience = new Patience()
  readonly #pulls: Wait[] = []
  #waiting: Waiting[] = []
  #waitingCost = 0
  #path: Connection | null = null
  /** Bytes taken by the consumer for which the node has no credit yet. */
  #owed = 0
  #retryAt = 0
  /** The present entries are still to come. */
  #initial: boolean
  #told: Told | null = null
  #over = false
  #error: { readonly reason: unknown } | null = null

  constructor(watches: WatchOwner, corner: Corner, terms: WatchTerms) {
    this.#watches = watches
    this.#context = watches.context
    this.#corner = corner
    this.#terms = terms
    this.revision = terms.after
    this.#initial = terms.initial
  }

  start(): void {
    const { signal } = this.#terms
    if (signal?.aborted === true) return this.fail(signal.reason)
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    this.#watches.start(this)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<never> {
    const pull = new Wait()
    this.#pulls.push(pull)
    this.#serve()
    return pull.promise
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    this.#stop()
    this.#waiting = []
    this.#serve()
    return Promise.resolve({ done: true, value: undefined })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  /** Ends it: what has come is still given, then the reason. */
  fail(reason: unknown): void {
    if (this.#over) return
    this.#error = { reason }
    this.#stop()
    this.#serve()
  }

  /** Speaks to its node, or to the one on this path. False where it has to wait. */
  turn(path: Connection | null, now: number): boolean {
    if (this.#over) return true
    if (this.#path === null) {
      if (path === null || now < this.#retryAt) return false
      this.#ask(path)
      return true
    }
    if (this.#owed >= creditStep) {
      this.#path.send(writeSmall(frameKind.credit, this.number, this.#owed))
      this.#owed = 0
    }
    return true
  }

  lost(connection: Connection): void {
    if (this.#path !== connection) return
    this.#path = null
    this.#watches.due(this)
  }

  /** A page of the present entries. */
  answered(frame: Uint8Array, from: Path): void {
    if (frame[4] !== frameKind.entries) throw unexpected()
    if (this.#path !== from) return
    const { anew, last, body } = readEntries(frame)
    const fields = unpackAnswer(body)
    const revision = numberOf(fields[0])
    this.#patience.answered()
    if (anew) {
      this.#told = null
      this.#initial = true
      this.#push({ revision, changes: [], reset: true }, 0)
    }
    this.#told ??= { revision, after: null }
    if (!this.#initial || this.#told.revision !== revision) throw unexpected()
    const entries = fields.slice(1).map(readEntry)
    const final = entries.at(-1)
    if (final === undefined) this.#owed += body.length
    else {
      this.#told.after = new Uint8Array(final.key)
      this.#take(
        revision,
        entries.map(entry => ({ kind: 0, entry, previous: null })),
        body.length
      )
    }
    if (!last) return
    this.#initial = false
    this.#told = null
    this.revision = Math.max(revision, this.revision ?? 0)
    this.#push({ revision, changes: [], synced: true }, 0)
  }

  /** All changes of a revision that this watch wants. */
  changed(revision: number, changes: readonly WireChange[], from: Path): void {
    if (this.#path !== from || this.#over) return
    let cost = 0
    for (const { entry, previous } of changes) {
      const before = this.#terms.previous ? (previous?.value?.length ?? 0) : 0
      cost += costOfChange(entry.key.length, entry.value?.length ?? 0, before)
    }
    if (this.#initial || revision <= (this.revision ?? 0)) {
      this.#owed += cost
      return
    }
    this.#patience.answered()
    this.revision = revision
    this.#take(revision, changes, cost)
  }

  /** All up to this revision has come. */
  progressed(revision: number, from: Path): void {
    if (this.#path !== from || this.#over || this.#initial || revision < (this.revision ?? 0)) return
    this.#patience.answered()
    this.revision = revision
    if (this.#terms.progressMs === 0 || revision <= (this.#terms.after ?? 0)) return
    // One that nobody has taken says no more than the one after it.
    if (this.#waiting.at(-1)?.batch.progress === true) this.#waiting.pop()
    this.#push({ revision, changes: [], progress: true }, 0)
  }

  refused(refused: Refused, from: Path): void {
    const path = this.#path
    if (path === null || path !== from) return
    this.#path = null
    if (!mayRetry(refused)) return this.fail(new StrettoError(refused.code, refused.text))
    // It may be out of touch with the others: another node may know more.
    if (refused.code === 'UNAVAILABLE') this.#context.links.complain(path)
    const delay = this.#patience.refused(this.#context, path, refused.retryAfterMs)
    this.#retryAt = this.#context.env.now() + delay
    this.#context.env.after(delay, () => this.#context.takeTurn())
    this.#watches.due(this)
  }

  readonly #onAbort = (): void => {
    this.#waiting = []
    this.fail(this.#terms.signal?.reason)
  }

  #ask(path: Connection): void {
    const { clusterId } = this.#terms
    if (clusterId !== null && path.welcome?.clusterId !== clusterId) {
      return this.fail(
        new StrettoError('BAD_REQUEST', `this is not the cluster ${clusterId}, whose revision was named`)
      )
    }
    this.#path = path
    const room = aheadBytesMax - this.#waitingCost
    this.#owed = Math.min(0, room)
    const initial = this.#initial && this.#told === null
    const body = packWatch({ ...this.#terms, initial, after: this.revision, scan: this.#told })
    const fresh = this.#initial || this.revision === null
    path.send(writeWatch({ number: this.number, fresh, credit: Math.max(0, room), body }))
  }

  #take(revision: number, changes: readonly WireChange[], cost: number): void {
    try {
      const read = changes.map(change => changeOf(change, this.#corner, this.#terms.previous && !this.#initial))
      this.#push({ revision, changes: read }, cost)
    } catch (error) {
      if (!(error instanceof UndecodableValue)) throw error
      this.fail(new StrettoError('BAD_REQUEST', error.message, { cause: error.cause }))
    }
  }

  #push(batch: Batch<unknown>, cost: number): void {
    if (this.#over) return
    this.#waiting.push({ batch, cost })
    this.#waitingCost += cost
    this.#serve()
  }

  #serve(): void {
    while (this.#pulls.length > 0) {
      const first = this.#waiting.shift()
      if (first !== undefined) {
        this.#pulls.shift()!.succeed({ done: false, value: first.batch })
        this.#taken(first.cost)
      } else if (this.#error !== null) {
        const { reason } = this.#error
        this.#error = null
        this.#pulls.shift()!.fail(reason)
      } else if (this.#over) {
        this.#pulls.shift()!.succeed({ done: true, value: undefined })
      } else return
    }
  }

  #taken(cost: number): void {
    this.#waitingCost -= cost
    this.#owed += cost
    if (!this.#over && this.#owed >= creditStep) this.#watches.due(this)
  }

  #stop(): void {
    if (this.#over) return
    this.#over = true
    this.#terms.signal?.removeEventListener('abort', this.#onAbort)
    if (this.number === 0) return
    this.#watches.end(this)
    if (this.#path === null) return
    this.#path.send(writeSmall(frameKind.cancel, this.number))
    this.#context.takeTurn()
  }
}
