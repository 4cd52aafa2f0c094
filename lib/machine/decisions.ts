// Decides, record by record, what may be executed, gathers that into batches, and fills in the answers afterwards.
//
// A record whose decision hangs on something not yet executed is put off (`command` and `resolve` say false, and have
// changed nothing then): its serials meet pending ones or wait for them, or the table could reach its limit in bytes. So the decisions are
// those of applying each record alone, whatever is batched. The proof for the limit: while there is room for all that the
// batches can bring, settling them drops no session, so it does not matter what else happens to the table before that.
import { assert } from '../base/assert.ts'
import { readU16, readU64 } from '../base/bytes.ts'
import type { Block, Index } from '../raft/types.ts'
import {
  commandAt,
  commandFault,
  commandHeadBytes,
  inOrderFlag,
  recordAt,
  recordHeaderBytes
} from '../record/record.ts'
import {
  type Answer,
  beyondWindow,
  cancelled,
  forgotten,
  malformedRecord,
  outOfTurn,
  type RefusedRecord,
  sessionExpired,
  type Verdict
} from './answer.ts'
import type { Batch, Outcomes } from './machine.ts'
import { cancelWindow, type Session, serialWindow } from './session.ts'
import { growthMax, type SessionTable } from './session-table.ts'
import { hashOfAnswer, hashOfOutcomes } from './state-hash.ts'

/** Where a record stands: `at` in `block.bytes`, stamped `time`. */
export interface Place {
  readonly block: Block
  readonly at: number
  readonly length: number
  readonly index: Index
  readonly time: number
}

/** An answer that is still being filled in. */
interface OpenAnswer {
  readonly index: Index
  readonly term: number
  readonly serial: number
  readonly count: number
  revision: number
  each: Verdict[] | null
  readonly refused: RefusedRecord | null
}

const statusMax = 65_535

export class Decisions {
  readonly #table: SessionTable
  readonly #passed: (index: Index) => void
  #answers: OpenAnswer[] = []
  #batches: Batch[] = []
  /** For each batch the session it belongs to and the answer it fills in; null for an expiry. */
  #sessions: (Session | null)[] = []
  #open: (OpenAnswer | null)[] = []
  /** By what the table may grow at most when the batches have been executed. */
  #growth = 0
  /** What the batches did that no answer says, folded; and how many answers have been folded. */
  #hash = 0
  #folded = 0

  /** `passed` is told of each command record that no batch brings. */
  constructor(table: SessionTable, passed: (index: Index) => void) {
    this.#table = table
    this.#passed = passed
  }

  /** What is to be executed next; `settle` gives its outcomes. */
  get batches(): readonly Batch[] {
    return this.#batches
  }

  /** The batches may bring the table to its limit: settle before anything else is looked at. */
  get full(): boolean {
    return this.#batches.length > 0 && !this.#table.hasRoom(this.#growth)
  }

  /** All answers since the last call, complete once nothing is pending. */
  take(): readonly Answer[] {
    assert(this.#batches.length === 0, 'answers are complete when all is executed')
    const answers = this.#answers
    assert(this.#folded === answers.length, 'what is answered is folded')
    this.#answers = []
    this.#folded = 0
    return answers
  }

  /** What became of all records since the last call, folded into one number (`state-hash.ts`); once nothing is pending. */
  hash(): number {
    assert(this.#batches.length === 0, 'what is pending has no outcome yet')
    let hash = this.#hash
    for (; this.#folded < this.#answers.length; this.#folded++) hash += hashOfAnswer(this.#answers[this.#folded]!)
    this.#hash = 0
    return hash | 0
  }

  /** A command record. False: settle first. */
  command(place: Place): boolean {
    const { block, at, length, time } = place
    const bytes = block.bytes
    if (commandFault(bytes, at, length) !== null) return this.#pass(place, 0, 0, malformedRecord)
    const serial = readU64(bytes, at + commandAt.serial)
    const count = readU16(bytes, at + commandAt.count)
    const floor = readU64(bytes, at + commandAt.floor)
    if (serial + count - 1 > floor + serialWindow) return this.#pass(place, serial, count, beyondWindow)
    const known = this.#table.find(bytes, at + commandAt.session)
    const inOrder = (bytes[at + recordAt.flags]! & inOrderFlag) !== 0
    if (known?.meetsPending(serial, serial + count - 1) === true || this.#crowded(count)) return false
    if (inOrder && known !== undefined && known.pendingTo !== 0 && !known.inTurn(serial)) return false
    const session = this.#table.enter(known, bytes, at + commandAt.session, time)
    if (session === null) return this.#pass(place, serial, count, sessionExpired)
    this.#table.raiseFloor(session, floor)
    if (inOrder && !session.inTurn(serial)) return this.#pass(place, serial, count, outOfTurn)
    const answer = this.#answer(place, serial, count)
    const notAfter = readU64(bytes, at + commandAt.notAfter)
    const late = notAfter !== 0 && notAfter < time
    const skip = !late && session.unseenFrom(serial) ? null : this.#skipped(session, answer, late)
    if (skip?.includes(false) === false) {
      this.#passed(place.index)
      return true
    }
    const commands = bytes.subarray(at + commandHeadBytes, at + length)
    this.#batches.push({ index: place.index, time, kind: 'command', commands, count, skip, block, at })
    this.#sessions.push(session)
    this.#open.push(answer)
    this.#growth += growthMax(count)
    session.pend(serial, serial + count - 1)
    return true
  }

  /** A resolve record: tells what became of each serial, and takes back those that have not come. False: settle first. */
  resolve(place: Place): boolean {
    const { block, at, length, time } = place
    const bytes = block.bytes
    if (commandFault(bytes, at, length) !== null) return this.#refuse(place, 0, 0, malformedRecord)
    const count = readU16(bytes, at + commandAt.count)
    const known = this.#table.find(bytes, at + commandAt.session)
    if (known !== undefined && known.pendingTo !== 0) return false
    if (this.#crowded(count)) return false
    const session = this.#table.enter(known, bytes, at + commandAt.session, time)
    if (session === null) return this.#refuse(place, 0, count, sessionExpired)
    this.#table.raiseFloor(session, readU64(bytes, at + commandAt.floor))
    const each: Verdict[] = []
    for (let number = 0; number < count; number++) {
      each.push(this.#resolveOne(session, readU64(bytes, at + commandAt.commands + 8 * number)))
    }
    this.#answer(place, 0, count).each = each
    return true
  }

  /** An expiry record: the inner machine finds out what is due. */
  expiry(place: Place): void {
    const { block, at, index, time } = place
    const commands = block.bytes.subarray(at + recordHeaderBytes, at + recordHeaderBytes)
    this.#batches.push({ index, time, kind: 'expiry', commands, count: 0, skip: null, block, at })
    this.#sessions.push(null)
    this.#open.push(null)
  }

  /** The outcomes of `batches`, in order: fills in the answers, and remembers them for those who ask again. */
  settle(outcomes: readonly Outcomes[]): void {
    assert(outcomes.length === this.#batches.length, 'each batch has its outcomes')
    for (let number = 0; number < outcomes.length; number++) {
      const session = this.#sessions[number]!
      const answer = this.#open[number]!
      const { revision, each, digest = 0 } = outcomes[number]!
      // An answer says all but the digest; nobody waits for the answer to an expiry.
      if (digest !== 0 || answer === null) {
        this.#hash = (this.#hash + hashOfOutcomes(this.#batches[number]!.index, revision, digest)) | 0
      }
      if (session === null || answer === null) continue
      const skip = this.#batches[number]!.skip
      answer.revision = revision
      if (each === null && skip === null) this.#table.storePlain(session, answer.serial, answer.count, revision)
      else this.#settleEach(session, answer, outcomes[number]!, skip)
    }
    for (const session of this.#sessions) session?.settle()
    this.#batches = []
    this.#sessions = []
    this.#open = []
    this.#growth = 0
  }

  #settleEach(session: Session, answer: OpenAnswer, outcomes: Outcomes, skip: readonly boolean[] | null): void {
    const { count, serial } = answer
    assert(outcomes.each === null || outcomes.each.length === count, 'each command has a place for its outcome')
    answer.each ??= Array.from({ length: count }, () => forgotten)
    let revision = outcomes.revision
    for (let number = 0; number < count; number++) {
      if (skip?.[number] === true) continue
      const outcome = outcomes.each === null ? { status: 0, revision: revision++, answer: null } : outcomes.each[number]
      assert(outcome !== null && outcome !== undefined, 'each command that is executed has an outcome')
      assert(outcome.status >= 0 && outcome.status <= statusMax, 'a status is the number of an error code')
      answer.each[number] = outcome
      this.#table.store(session, serial + number, outcome)
    }
  }

  /** Which commands of a record are not executed, because they came before or come too late; their verdicts are filled in. */
  #skipped(session: Session, answer: OpenAnswer, late: boolean): boolean[] {
    const skip: boolean[] = []
    const each: Verdict[] = []
    for (let number = 0; number < answer.count; number++) {
      const serial = answer.serial + number
      let verdict = serial <= session.floor ? forgotten : session.verdict(serial)
      if (verdict === null && late) {
        this.#table.store(session, serial, cancelled)
        verdict = cancelled
      }
      // The place of one that is executed now is filled again when it has been.
      each.push(verdict ?? forgotten)
      skip.push(verdict !== null)
    }
    answer.each = each
    return skip
  }

  #resolveOne(session: Session, serial: number): Verdict {
    const plausible = Number.isSafeInteger(serial) && serial <= session.floor + cancelWindow
    if (serial <= session.floor || !plausible) return forgotten
    const verdict = session.verdict(serial)
    if (verdict !== null) return verdict
    this.#table.store(session, serial, cancelled)
    return cancelled
  }

  /** With this record the table might reach its limit, and what it then drops must not depend on the batches. */
  #crowded(count: number): boolean {
    return this.#batches.length > 0 && !this.#table.hasRoom(this.#growth + growthMax(count))
  }

  #answer(place: Place, serial: number, count: number, refused: RefusedRecord | null = null): OpenAnswer {
    const { index, block } = place
    const answer = { index, term: block.term, serial, count, revision: 0, each: null, refused }
    this.#answers.push(answer)
    return answer
  }

  /** Refuses a command record. */
  #pass(place: Place, serial: number, count: number, refused: RefusedRecord): true {
    this.#passed(place.index)
    return this.#refuse(place, serial, count, refused)
  }

  #refuse(place: Place, serial: number, count: number, refused: RefusedRecord): true {
    this.#answer(place, serial, count, refused)
    return true
  }
}
