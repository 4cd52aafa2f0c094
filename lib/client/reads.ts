// Reads: those of one tick with the same terms share one question; asked again elsewhere when a link ends.
import { unreachable } from '../base/assert.ts'
import { StrettoError } from '../base/errors.ts'
import { type Packed, pack } from '../record/pack.ts'
import {
  type Answered,
  type Consistency,
  frameKind,
  type Refused,
  readAnswered,
  writeQuestion
} from '../wire/client.ts'
import { Call } from './call.ts'
import type { Connection } from './connection.ts'
import { type Context, Patience, patienceMs, saw } from './context.ts'
import type { Corner } from './corner.ts'
import { UndecodableValue } from './encoding.ts'
import { type Entry, entryOrNull, numberOf, type Reading, unpackAnswer } from './entry.ts'
import { mayRetry, unexpected, type Waiter } from './requests.ts'
import { Timed, tickOf } from './wheel.ts'
import { timedOut } from './write.ts'

const questionCountMax = 1024
const questionBytesMax = 65_536
/** What unanswered reads may take in memory, about. */
const readsBytesMax = 67_108_864
const readCost = 300

/** On what terms a question is asked. */
export interface ReadTerms {
  readonly consistency: Consistency
  readonly minRevision: number
  /** 0 for however old. */
  readonly maxAgeMs: number
  readonly deadline: number
}

/**
 * `entry`: Entry or null. `reading`: with what it was served from. `many`: a list of them. `snapshot`: a list with its
 * revision. `count`: a number. `packed`: whatever the answer is.
 */
export type ReadKind = 'entry' | 'reading' | 'many' | 'snapshot' | 'count' | 'packed'

export class Read extends Call {
  readonly kind: ReadKind
  readonly corner: Corner
  readonly requests: readonly Packed[]
  /** The texts of the keys, where they were given as texts. */
  readonly keys: readonly (string | undefined)[]
  question: Question | null = null

  constructor(kind: ReadKind, corner: Corner, requests: readonly Packed[], keys: readonly (string | undefined)[]) {
    super()
    this.kind = kind
    this.corner = corner
    this.requests = requests
    this.keys = keys
  }

  /** Never in a wheel: its question is. */
  override expire(): void {}

  protected override abandoned(): void {
    this.question?.gaveUp()
  }

  /** @throws StrettoError BAD_REQUEST for an answer that is none */
  hear(fields: readonly Packed[], from: number, answered: Answered, servedBy: string): void {
    if (this.settled) return
    try {
      this.succeed(this.#result(fields, from, answered, servedBy))
    } catch (error) {
      if (!(error instanceof UndecodableValue)) throw error
      this.fail(new StrettoError('BAD_REQUEST', error.message, { cause: error.cause }))
    }
  }

  #result(fields: readonly Packed[], from: number, answered: Answered, servedBy: string): unknown {
    const { corner, keys } = this
    switch (this.kind) {
      case 'entry':
        return entryOrNull(fields[from], corner, keys[0])
      case 'many':
        return this.#entries(fields, from)
      case 'snapshot':
        return { revision: numberOf(fields[0]), entries: this.#entries(fields, from) }
      case 'count':
        return numberOf(fields[from])
      case 'packed':
        return fields[from]
      case 'reading':
        return readingOf(entryOrNull(fields[from], corner, keys[0]), numberOf(fields[0]), answered, servedBy)
      default:
        return unreachable(this.kind)
    }
  }

  #entries(fields: readonly Packed[], from: number): (Entry<unknown> | null)[] {
    return this.keys.map((key, at) => entryOrNull(fields[from + at], this.corner, key))
  }
}

function readingOf(
  entry: Entry<unknown> | null,
  revision: number,
  answered: Answered,
  servedBy: string
): Reading<unknown> {
  const { term, index, consistency, ageMs: age } = answered
  return { entry, revision, term, index, servedBy, consistency, age }
}

export class Reads {
  readonly #context: Context
  readonly #patience = new Patience()
  readonly #open = new Set<Question>()
  /** The question that further reads of this tick may join. */
  #joinable: Question | null = null
  #unsent = false
  #retryAt = 0
  #bytes = 0

  constructor(context: Context) {
    this.#context = context
  }

  get busy(): boolean {
    return this.#open.size > 0
  }

  add(read: Read, terms: ReadTerms, bytes: number): void {
    if (this.#bytes + bytes > readsBytesMax) {
      read.fail(new StrettoError('OVERLOADED', 'too many reads wait: `await` some before the next'))
      return
    }
    const last = this.#joinable
    if (last === null || !last.joins(read, terms, bytes)) {
      this.#joinable = this.#begin(terms)
    }
    const question = this.#joinable!
    question.add(read, bytes)
    this.#bytes += bytes + readCost
  }

  turn(path: Connection | null, now: number): void {
    this.#joinable = null
    if (path === null || !this.#unsent || now < this.#retryAt) return
    this.#unsent = false
    for (const question of this.#open) if (question.path === null) question.send(path, now)
  }

  lost(connection: Connection): void {
    for (const question of this.#open) {
      if (question.path !== connection) continue
      question.path = null
      this.#unsent = true
    }
  }

  close(reason: StrettoError): void {
    for (const question of this.#open) for (const read of question.reads) read.fail(reason)
    this.#open.clear()
  }

  answered(question: Question): void {
    this.#patience.answered()
    this.end(question)
  }

  end(question: Question): void {
    if (!this.#open.delete(question)) return
    this.#context.ended()
    if (this.#joinable === question) this.#joinable = null
    this.#bytes -= question.bytes + readCost * question.reads.length
    this.#context.requests.remove(question.number)
    this.#context.wheel.remove(question)
  }

  refused(question: Question, refused: Refused, from: Connection): void {
    if (mayRetry(refused)) {
      const delay = this.#patience.refused(this.#context, from, refused.retryAfterMs)
      this.#retryAt = this.#context.env.now() + delay
      this.#unsent = true
      this.#context.env.after(delay, () => this.#context.takeTurn())
      return
    }
    this.end(question)
    const waiting = question.reads.filter(read => !read.settled)
    if (waiting.length > 1) {
      // One of them may be at fault, or the answers together too large: each is asked alone.
      for (const read of waiting) this.#begin(question.terms).add(read, 0)
      this.#context.takeTurn()
    } else {
      for (const read of waiting) read.fail(new StrettoError(refused.code, refused.text))
    }
  }

  #begin(terms: ReadTerms): Question {
    const question = new Question(this, this.#context, terms)
    this.#open.add(question)
    this.#unsent = true
    this.#context.wheel.add(question, tickOf(terms.deadline))
    return question
  }
}

/** One frame that asks for many. */
export class Question extends Timed implements Waiter {
  readonly terms: ReadTerms
  readonly number: number
  readonly reads: Read[] = []
  path: Connection | null = null
  bytes = 0
  readonly #owner: Reads
  readonly #context: Context
  #requestCount = 0
  #waiting = 0

  constructor(owner: Reads, context: Context, terms: ReadTerms) {
    super()
    this.#owner = owner
    this.#context = context
    this.terms = terms
    this.number = context.requests.add(this)
  }

  /** May `read` be asked with the others? Lists are asked alone: their answers may be large. */
  joins(read: Read, terms: ReadTerms, bytes: number): boolean {
    const { consistency, minRevision, maxAgeMs, deadline } = this.terms
    if (consistency !== terms.consistency || minRevision !== terms.minRevision) return false
    if (maxAgeMs !== terms.maxAgeMs || deadline !== terms.deadline) return false
    if (isList(read) || (this.reads.length > 0 && isList(this.reads[0]!))) return false
    return this.#requestCount < questionCountMax && this.bytes + bytes <= questionBytesMax
  }

  add(read: Read, bytes: number): void {
    this.reads.push(read)
    this.bytes += bytes
    this.#requestCount += read.requests.length
    this.#waiting++
    read.question = this
  }

  send(path: Connection, now: number): void {
    this.path = path
    const requests: Packed[] = []
    for (const read of this.reads) for (const request of read.requests) requests.push(request)
    const { consistency, minRevision: leastRevision, maxAgeMs, deadline } = this.terms
    const leastIndex = consistency === 'session' ? this.#context.seenIndex : 0
    const { number } = this
    const body = pack(requests)
    path.send(
      writeQuestion({
        scan: false,
        number,
        consistency,
        patienceMs: patienceMs(deadline, now),
        leastIndex,
        maxAgeMs,
        leastRevision,
        body
      })
    )
  }

  gaveUp(): void {
    this.#waiting--
    if (this.#waiting === 0) this.#owner.end(this)
  }

  answered(frame: Uint8Array, from: Connection): void {
    if (frame[4] !== frameKind.answered) throw unexpected()
    const answered = readAnswered(frame)
    const fields = unpackAnswer(answered.body)
    if (fields.length !== this.#requestCount + 1) throw unexpected()
    saw(this.#context, answered.index)
    let at = 1
    for (const read of this.reads) {
      read.hear(fields, at, answered, from.nodeId)
      at += read.requests.length
    }
    this.#owner.answered(this)
  }

  refused(refused: Refused, from: Connection): void {
    if (this.path !== from) return
    this.path = null
    this.#owner.refused(this, refused, from)
  }

  override expire(): void {
    this.#owner.end(this)
    const why = this.path === null ? this.#context.links.lastFailure : `asked ${this.path.endpoint.text}`
    for (const read of this.reads) read.fail(timedOutReading(why))
  }
}

function isList({ kind, requests }: Read): boolean {
  return kind === 'many' || (kind === 'snapshot' && requests.length > 1)
}

function timedOutReading(why: string): StrettoError {
  return timedOut('not-applied', null, why)
}
