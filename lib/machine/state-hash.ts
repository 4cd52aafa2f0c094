// The running hash of the state: what execution did, folded record by record, so that replicas can tell whether they differ.
//
// The CRC chain covers what the log says; this covers what the machine made of it: revisions, statuses, answers, decisions
// of the sessions, and what the machine itself adds (`Outcomes.digest`). Each record gives one number, and the running value
// is their sum: so it does not matter in which order they are folded, which block they came in, or what was flushed when.
// It is a function of the log alone on sound replicas. It never forgets: once two replicas differ, so do all values that follow.
import { numberOfCode } from '../base/errors.ts'
import type { Index } from '../raft/types.ts'
import type { Answer } from './answer.ts'
import { type Comparison, type HashRecord, judge } from './divergence.ts'

/** Of a longer answer only the two ends are folded, so that an entry of a megabyte costs no more than one of a kilobyte. */
const foldedBytesMax = 1024

/** A function of both that changes about half of all bits when one bit changes; `fact` counts modulo 2^32. */
export function mix(value: number, fact: number): number {
  const mixed = Math.imul(value ^ fact, 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}

/** What became of one record that a client may wait for. */
export function hashOfAnswer(answer: Answer): number {
  const { index, serial, count, revision, each, refused } = answer
  let hash = mix(mix(mix(mix(answerSeed, index), serial), count), revision)
  if (refused !== null) hash = mix(hash, numberOfCode(refused.code))
  if (each === null) return hash
  for (const { status, revision, answer, gone } of each) {
    hash = mix(mix(hash, status), revision)
    if (answer !== null) hash = mixBytes(hash, answer)
    if (gone === true) hash = mix(hash, answerSeed)
  }
  return hash
}

/** What the machine itself says of one record, beside the answer or where there is none. */
export function hashOfOutcomes(index: Index, revision: number, digest: number): number {
  return mix(mix(mix(outcomesSeed, index), revision), digest)
}

/** What of the running hash a flush makes durable with the state. */
export interface StoredHash {
  readonly running: number
  /** False on a node that came by its state without it: it is known from the next record on that begins anew. */
  readonly known: boolean
  /** The last hash record, 0 for none; and the value there, null where it was not known. */
  readonly markIndex: Index
  readonly markValue: number | null
  /** The hash record at which this state was found to differ; 0 for none. */
  readonly divergedAt: Index
}

/** Of a state in which nothing has been executed. */
export const freshHash: StoredHash = { running: 0, known: true, markIndex: 0, markValue: null, divergedAt: 0 }
/** Of a state that was written before there were hashes. */
export const unknownHash: StoredHash = { ...freshHash, known: false }

/** A state that differs from that of the majority. */
export interface Diverged {
  /** The hash record at which a majority had one value, and this node another. */
  readonly index: Index
}

export class StateHash {
  #running = 0
  #known = true
  #markIndex: Index = 0
  #markValue: number | null = null
  #divergedAt: Index = 0
  #comparison: Comparison | null = null
  /** Records and bytes since the last hash record, or since the start; and whether those before it were any. */
  #records = 0
  #bytes = 0
  #covered = false

  /** The index of the last hash record, 0 for none. */
  get markIndex(): Index {
    return this.#markIndex
  }

  /** The value of this node there; null where it does not know it. */
  get markValue(): number | null {
    return this.#markValue
  }

  /** False on a node that came by its state without its running hash, until all begin anew. */
  get known(): boolean {
    return this.#known
  }

  /** Records of clients since then, as far as this life knows. */
  get records(): number {
    return this.#records
  }

  get bytes(): number {
    return this.#bytes
  }

  /** What the last hash record covers has not been compared by another yet. */
  get covers(): boolean {
    return this.#covered
  }

  get diverged(): Diverged | null {
    return this.#divergedAt === 0 ? null : { index: this.#divergedAt }
  }

  /** What the last hash record has shown; null before one with votes has been applied in this life. */
  get comparison(): Comparison | null {
    return this.#comparison
  }

  /** `hash` stands for one record or more. */
  add(hash: number): void {
    this.#running = (this.#running + hash) >>> 0
  }

  /** A record that changes the state has been taken in. */
  count(bytes: number): void {
    this.#records++
    this.#bytes += bytes
  }

  /**
   * The hash record at `index`, all before it being folded; null for one in a form that this program does not know.
   * `facts` stands for what is not the outcome of any one record.
   */
  mark(index: Index, record: HashRecord | null, facts: number): void {
    if (record !== null && record.votes.length > 0 && record.of === this.#markIndex) this.#compare(record)
    // Another form may begin anew where this program does not see it.
    if (record === null) this.#known = false
    this.#markIndex = index
    this.#markValue = this.#known ? mix(mix(this.#running, facts), index) >>> 0 : null
    this.#covered = this.#records > 0
    this.#records = 0
    this.#bytes = 0
    if (record?.begins !== true) return
    this.#running = 0
    this.#known = true
  }

  store(): StoredHash {
    return {
      running: this.#running,
      known: this.#known,
      markIndex: this.#markIndex,
      markValue: this.#markValue,
      divergedAt: this.#divergedAt
    }
  }

  restore(stored: StoredHash): void {
    this.#running = stored.running
    this.#known = stored.known
    this.#markIndex = stored.markIndex
    this.#markValue = stored.markValue
    this.#divergedAt = stored.divergedAt
  }

  /** Only a majority may say that this state is wrong; a node that does not know its value is never judged. */
  #compare(record: HashRecord): void {
    const comparison = judge(record)
    this.#comparison = comparison
    const own = this.#markValue
    if (own === null || comparison.majority === null || own === comparison.majority) return
    if (this.#divergedAt === 0) this.#divergedAt = record.of
  }
}

function mixBytes(value: number, bytes: Uint8Array): number {
  let hash = mix(value, bytes.length)
  if (bytes.length <= foldedBytesMax) return mixRange(hash, bytes, 0, bytes.length)
  hash = mixRange(hash, bytes, 0, foldedBytesMax / 2)
  return mixRange(hash, bytes, bytes.length - foldedBytesMax / 2, bytes.length)
}

/** Four bytes at a time. */
function mixRange(value: number, bytes: Uint8Array, from: number, to: number): number {
  let hash = value
  let at = from
  for (; at + 4 <= to; at += 4) {
    hash = mix(hash, bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24))
  }
  for (; at < to; at++) hash = mix(hash, bytes[at]!)
  return hash
}

const answerSeed = 0x5bd1e995
const outcomesSeed = 0x1b873593
