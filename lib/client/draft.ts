// A draft record: the writes that share one frame, one place in the log and one answer.
import { writeU32, writeU64 } from '../base/bytes.ts'
import { type Packed, pack } from '../record/pack.ts'
import { commandAt, commandHeadBytes, inOrderFlag, recordAt, recordKind, writeCommandHead } from '../record/record.ts'
import { type Applied, frameKind, type Refused, readApplied } from '../wire/client.ts'
import type { Connection } from './connection.ts'
import { patienceMs } from './context.ts'
import { unexpected, type Waiter } from './requests.ts'
import type { Session } from './session.ts'
import { Timed } from './wheel.ts'
import type { Gathered, Write } from './write.ts'

export interface DraftOwner {
  applied(draft: Draft, applied: Applied): void
  refusedDraft(draft: Draft, refused: Refused, from: Connection): void
  lateDraft(draft: Draft): void
  /** All its writes were given up one by one. */
  unwanted(draft: Draft): void
}

export class Draft extends Timed implements Waiter, Gathered {
  readonly session: Session
  readonly serial: number
  readonly writes: readonly Write[]
  readonly deadline: number
  /** Number of the request; kept over all attempts. */
  number = 0
  bytes: Uint8Array
  /** Where the present attempt is on its way; null: there is none. */
  path: Connection | null = null
  attempts = 0
  /** An earlier attempt ended without word of its fate. */
  uncertain = false
  /** What became of it is known. */
  done = false
  /** Nobody waits for it: it is not sent again, and a resolve record asks what became of it. */
  abandoned = false
  /** Writes that have not been given up. */
  waiting: number
  readonly #owner: DraftOwner

  constructor(owner: DraftOwner, session: Session, writes: readonly Write[], notAfter: number) {
    super()
    this.#owner = owner
    this.session = session
    this.serial = session.nextSerial
    this.writes = writes
    this.waiting = writes.length
    this.deadline = writes[0]!.deadline
    session.nextSerial += writes.length
    const commands: Packed[] = []
    for (let at = 0; at < writes.length; at++) {
      const write = writes[at]!
      commands.push(write.command)
      write.draft = this
    }
    this.bytes = pack(commands, commandHeadBytes)
    const head = { session: session.id, count: writes.length, serial: this.serial, floor: session.floor, notAfter }
    writeCommandHead(this.bytes, recordKind.command, head, 0)
  }

  get last(): number {
    return this.serial + this.writes.length - 1
  }

  /** It may have been applied, or may still be. */
  get mayApply(): boolean {
    return this.uncertain || this.path !== null
  }

  send(path: Connection, now: number): void {
    if (this.path !== null) this.uncertain = true
    // The bytes of an earlier attempt may still be on their way: only a copy is changed.
    if (this.attempts > 0) this.bytes = new Uint8Array(this.bytes)
    this.attempts++
    this.path = path
    this.bytes[recordAt.flags] = inOrderFlag
    writeU32(this.bytes, recordAt.term, this.number)
    writeU64(this.bytes, recordAt.index, patienceMs(this.deadline, now))
    // Serials that have been let go of since the last attempt are not to be waited for.
    writeU64(this.bytes, commandAt.floor, this.session.floor)
    path.send(this.bytes)
  }

  answered(frame: Uint8Array): void {
    if (frame[4] !== frameKind.applied) throw unexpected()
    const applied = readApplied(frame)
    if (applied.each !== null && applied.each.length !== this.writes.length) throw unexpected()
    this.#owner.applied(this, applied)
  }

  refused(refused: Refused, from: Connection): void {
    if (this.path === from) this.#owner.refusedDraft(this, refused, from)
  }

  gaveUp(): void {
    this.waiting--
    if (this.waiting === 0 && !this.done) this.#owner.unwanted(this)
  }

  override expire(): void {
    this.#owner.lateDraft(this)
  }
}
