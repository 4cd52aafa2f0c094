// LevelDB in virtual time: one life's hold on a simulated database, with answers that come late, or as errors.
import type { Env } from '../../base/env.ts'
import type { StateBatch, StateLevel, StateRange, StateSnapshot } from '../../kv/state-level.ts'
import type { Level, LevelOperation, LevelRange, LevelWrite } from '../../log/level.ts'
import { Answer } from './answer.ts'
import type { Drive } from './knobs.ts'
import { rowsIn, SimCursor } from './sim-cursor.ts'
import { type Operation, type Row, type Rows, type SimDatabase, textOf, type Write } from './sim-database.ts'

export interface SimLevelParts {
  readonly database: SimDatabase
  readonly drive: Drive
  /** Of the life that uses it. */
  readonly env: Env
  /** False once that life is over: from then on nothing happens. */
  readonly alive: () => boolean
  /** A write has been issued, and not happened yet: a process may die here. */
  readonly issued: (write: Write) => void
}

interface Waiting {
  readonly write: Write
  readonly sync: boolean
  readonly answer: Answer<void>
}

const noValue = new Uint8Array(0)

export class SimLevel implements Level, StateLevel {
  readonly #parts: SimLevelParts
  #open = false
  /** One writes at a time, in the order in which they were asked for. */
  #writes: Waiting[] = []
  #reading = 0
  #closing: Answer<void> | null = null

  constructor(parts: SimLevelParts) {
    this.#parts = parts
  }

  /** No error when it is open already. */
  open(): Answer<void> {
    const { database, drive } = this.#parts
    const answer = new Answer<void>()
    this.#later(drive.syncMs, () => {
      if (this.#open) return answer.give()
      const cause = this.#openError()
      if (cause !== null) {
        const code = 'LEVEL_DATABASE_NOT_OPEN'
        return answer.refuse(Object.assign(new Error('Database failed to open', { cause }), { code }))
      }
      database.open(this)
      this.#open = true
      answer.give()
    })
    return answer
  }

  /** What opening makes durable needs space: on a full disk it may be refused. */
  #openError(): Error | null {
    const { database, drive } = this.#parts
    if (database.user !== null) {
      return Object.assign(new Error('IO error: lock: already held by process'), { code: 'LEVEL_LOCKED' })
    }
    const full = drive.knobs.full && drive.chance.chance(0.5) ? drive.spaceError() : null
    return full ?? drive.ioError()
  }

  /** What is under way ends first. Nothing is synced by it. */
  close(): Answer<void> {
    if (this.#closing !== null) return this.#closing
    const answer = new Answer<void>()
    this.#closing = answer
    this.#closeWhenIdle()
    return answer
  }

  #closeWhenIdle(): void {
    const answer = this.#closing
    if (answer === null || this.#writes.length > 0 || this.#reading > 0) return
    const { database, drive } = this.#parts
    this.#later(drive.writeMs, () => {
      if (this.#closing !== answer) return
      this.#open = false
      if (database.user === this) database.user = null
      this.#closing = null
      answer.give()
    })
  }

  get(key: Uint8Array): Answer<Uint8Array | undefined> {
    const text = textOf(key)
    return this.#read(() => this.#valueOf(text))
  }

  getMany(keys: Uint8Array[]): Answer<(Uint8Array | undefined)[]> {
    const texts = keys.map(textOf)
    return this.#read(() => texts.map(text => this.#valueOf(text)))
  }

  #valueOf(text: string): Uint8Array | undefined {
    const row = this.#parts.database.seen.get(text)
    return row && new Uint8Array(row.value)
  }

  /** A thread looks at some moment between the question and the answer. */
  #read<T>(look: () => T): Answer<T> {
    const early = this.#open && this.#parts.drive.chance.chance(0.5) ? { result: look() } : null
    return this.#readLate(() => (early === null ? look() : early.result))
  }

  #readLate<T>(look: () => T): Answer<T> {
    const answer = new Answer<T>()
    const ready = this.#open && this.#closing === null
    this.#reading++
    this.#later(this.#parts.drive.readMs, () => {
      this.#reading--
      this.#closeWhenIdle()
      if (ready) answer.give(look())
      else answer.refuse(notOpen())
    })
    return answer
  }

  batch(): StateBatch
  batch(operations: LevelOperation[], options: LevelWrite): Answer<void>
  batch(operations?: LevelOperation[], options?: LevelWrite): StateBatch | Answer<void> {
    if (operations === undefined) return new SimBatch((write, sync) => this.#write(write, sync))
    const write = operations.map(each => operationOf(each.key, each.type === 'put' ? each.value : null))
    return this.#write(write, options?.sync === true)
  }

  #write(write: Write, sync: boolean): Answer<void> {
    const { database, drive, alive, issued } = this.#parts
    const answer = new Answer<void>()
    if (!alive()) return answer
    if (!this.#open || this.#closing !== null) {
      this.#later(drive.writeMs, () => answer.refuse(notOpen()))
      return answer
    }
    database.begin(write)
    this.#writes.push({ write, sync, answer })
    if (this.#writes.length === 1) this.#writeNext()
    issued(write)
    return answer
  }

  #writeNext(): void {
    const next = this.#writes[0]
    if (next === undefined) return this.#closeWhenIdle()
    const { drive } = this.#parts
    this.#later(next.sync ? drive.syncMs : drive.writeMs, () => {
      const error = this.#put(next)
      this.#writes.shift()
      this.#writeNext()
      if (error === null) next.answer.give()
      else next.answer.refuse(error)
    })
  }

  /** A failed append leaves the database in use, and perhaps a file in which nothing behind it is found. A failed sync ends it. */
  #put({ write, sync }: Waiting): Error | null {
    const { database, drive } = this.#parts
    if (database.refusing) {
      database.end(write, 'lost', false)
      return new Error('IO error: an earlier sync has failed')
    }
    const append = drive.writeError()
    if (append !== null) {
      const misplaced = drive.knobs.full || drive.chance.chance(0.5)
      database.end(write, misplaced || drive.chance.chance(0.5) ? 'lost' : 'hidden', false)
      if (misplaced) database.misplaced = true
      return append
    }
    const failed = sync ? drive.syncError() : null
    if (failed !== null) {
      database.refusing = true
      database.end(write, drive.chance.chance(0.75) ? 'hidden' : 'lost', false)
      return failed
    }
    database.end(write, 'done', sync)
    return null
  }

  compactRange(): Answer<void> {
    const { database, drive } = this.#parts
    const answer = new Answer<void>()
    this.#reading++
    this.#later(drive.syncMs, () => {
      this.#reading--
      this.#closeWhenIdle()
      const error = this.#open
        ? database.refusing
          ? new Error('IO error: an earlier sync has failed')
          : drive.ioError()
        : notOpen()
      if (error !== null) return answer.refuse(error)
      database.settle()
      answer.give()
    })
    return answer
  }

  keys(range: LevelRange): SimCursor<Uint8Array> {
    return this.#cursor(range, row => new Uint8Array(row.key))
  }

  iterator(range: LevelRange | StateRange): SimCursor<[Uint8Array, Uint8Array]> {
    const values = !('values' in range) || range.values
    return this.#cursor(range, row => [new Uint8Array(row.key), values ? new Uint8Array(row.value) : noValue])
  }

  snapshot(): SimSnapshot {
    if (!this.#open || this.#closing !== null) throw notOpen()
    return new SimSnapshot(this.#parts.database.seen.clone())
  }

  #cursor<T>(range: LevelRange | StateRange, give: (row: Row) => T): SimCursor<T> {
    const snapshot = 'snapshot' in range ? range.snapshot : undefined
    const seen = snapshot instanceof SimSnapshot ? snapshot.rows : this.#parts.database.seen.clone()
    const rows = rowsIn(seen, textOf(range.gte), textOf(range.lt), 'reverse' in range && range.reverse)
    const { limit = Number.POSITIVE_INFINITY } = range as LevelRange
    return new SimCursor({ rows, limit, bytesMax: range.highWaterMarkBytes, give, read: look => this.#readLate(look) })
  }

  #later(ms: number, run: () => void): void {
    const { drive, env, alive } = this.#parts
    drive.later(env, ms, () => {
      if (alive()) run()
    })
  }
}

class SimBatch implements StateBatch {
  readonly #write: (write: Write, sync: boolean) => Answer<void>
  readonly #operations: Operation[] = []

  constructor(write: (write: Write, sync: boolean) => Answer<void>) {
    this.#write = write
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#operations.push(operationOf(key, value))
  }

  del(key: Uint8Array): void {
    this.#operations.push(operationOf(key, null))
  }

  write({ sync }: { readonly sync: boolean }): Answer<void> {
    return this.#write(this.#operations, sync)
  }
}

/** The rows as they were; closing it frees nothing here. */
export class SimSnapshot implements StateSnapshot {
  readonly #rows: Rows
  #closed = false

  constructor(rows: Rows) {
    this.#rows = rows
  }

  get rows(): Rows {
    if (!this.#closed) return this.#rows
    throw Object.assign(new Error('Snapshot is not open'), { code: 'LEVEL_SNAPSHOT_NOT_OPEN' })
  }

  ref(): void {
    // Reads have copied their view of it.
  }

  unref(): void {
    // As above.
  }

  close(): Promise<void> {
    this.#closed = true
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Copies, as a disk does: whoever owns the bytes may use them again. */
function operationOf(key: Uint8Array, value: Uint8Array | null): Operation {
  return { text: textOf(key), key: new Uint8Array(key), value: value && new Uint8Array(value) }
}

function notOpen(): Error {
  return Object.assign(new Error('Database is not open'), { code: 'LEVEL_DATABASE_NOT_OPEN' })
}
