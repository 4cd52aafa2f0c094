// Exactly-once sessions as plainly as they can be said: one record at a time, one entry per serial, no runs, no batches.
import { toHex } from '../../lib/base/bytes.ts'
import type { SessionLimits } from '../../lib/machine/session-table.ts'

/** Status, revision, bytes of the answer (null for none, -1 for one too large to keep). */
export type Fate = readonly [status: number, revision: number, answer: number | null]

export type ModelRecord =
  | { readonly kind: 'other' }
  | {
      readonly kind: 'command'
      readonly session: Uint8Array
      readonly opened: number
      readonly serial: number
      readonly commands: readonly string[]
      readonly floor: number
      readonly notAfter: number
    }
  | {
      readonly kind: 'resolve'
      readonly session: Uint8Array
      readonly opened: number
      readonly serials: readonly number[]
      readonly floor: number
    }

interface ModelSession {
  readonly opened: number
  usedAt: number
  floor: number
  readonly fates: Map<number, Fate>
}

const timedOut = 3
const expired = 5
const conditionFailed = 6
const badRequest = 10

export class SessionModel {
  /** In order of last use. */
  readonly sessions = new Map<string, ModelSession>()
  horizon = 0
  revision = 1
  dropped = 0
  readonly #limits: SessionLimits

  constructor(limits: SessionLimits) {
    this.#limits = limits
  }

  /** What the record is answered: a fate for each command or serial, a word for a refusal as a whole, null for no answer. */
  apply(record: ModelRecord, time: number): readonly Fate[] | string | null {
    for (const [id, session] of this.sessions) {
      // Sessions of equal last use leave in order, and none overtakes one that claims to be opened later than now.
      if (session.usedAt + this.#limits.lifetimeMs > time) break
      this.sessions.delete(id)
    }
    if (record.kind === 'other') return null
    if (record.kind === 'command') {
      if (record.serial + record.commands.length > Number.MAX_SAFE_INTEGER) return 'BAD_REQUEST'
      if (record.serial + record.commands.length - 1 > record.floor + 4096) return 'BAD_REQUEST'
    }
    const session = this.#enter(toHex(record.session), record.opened, time)
    if (session === null) return 'SESSION_EXPIRED'
    this.#raiseFloor(session, record.floor)
    if (record.kind === 'resolve') return record.serials.map(serial => this.#resolve(session, serial))
    const late = record.notAfter !== 0 && record.notAfter < time
    // The machine executes a record's commands together; only then are their fates stored.
    const said = record.commands.map((_, at) => this.#known(session, record.serial + at, late))
    return said.map((known, at) => {
      if (known !== null) return known
      const fate = this.#execute(record.commands[at]!)
      this.#store(session, record.serial + at, fate[2] !== null && fate[2] > 256 ? [fate[0], fate[1], -1] : fate)
      return fate
    })
  }

  get bytes(): number {
    let bytes = 0
    for (const session of this.sessions.values()) bytes += costOf(session)
    return bytes
  }

  #known(session: ModelSession, serial: number, late: boolean): Fate | null {
    if (serial <= session.floor) return [expired, 0, null]
    const fate = session.fates.get(serial)
    if (fate !== undefined) return fate
    if (!late) return null
    this.#store(session, serial, [timedOut, 0, null])
    return [timedOut, 0, null]
  }

  #resolve(session: ModelSession, serial: number): Fate {
    if (serial <= session.floor || serial > session.floor + 8192) return [expired, 0, null]
    const fate = session.fates.get(serial)
    if (fate !== undefined) return fate
    this.#store(session, serial, [timedOut, 0, null])
    return [timedOut, 0, null]
  }

  #execute(command: string): Fate {
    if (command === 'refuse') return [conditionFailed, this.revision, null]
    if (command === 'nonsense') return [badRequest, this.revision, null]
    this.revision++
    return [0, this.revision, command === 'plain' ? null : Number(command.slice(4))]
  }

  #enter(id: string, opened: number, time: number): ModelSession | null {
    const { lifetimeMs, aheadMsMax, countMax } = this.#limits
    const known = this.sessions.get(id)
    if (known !== undefined) {
      if (known.usedAt + lifetimeMs <= time) return null
      known.usedAt = Math.max(known.usedAt, time)
      this.sessions.delete(id)
      this.sessions.set(id, known)
      return known
    }
    if (opened < this.horizon || opened + lifetimeMs <= time || opened > time + aheadMsMax) return null
    if (this.sessions.size === countMax) this.#dropOldest()
    const session = { opened, usedAt: Math.max(opened, time), floor: 0, fates: new Map<number, Fate>() }
    this.sessions.set(id, session)
    this.#makeRoom()
    return session
  }

  #raiseFloor(session: ModelSession, floor: number): void {
    session.floor = Math.max(session.floor, floor)
    for (const serial of session.fates.keys()) if (serial <= session.floor) session.fates.delete(serial)
  }

  #store(session: ModelSession, serial: number, fate: Fate): void {
    if (![...this.sessions.values()].includes(session)) return
    session.fates.set(serial, fate)
    this.#makeRoom()
  }

  #makeRoom(): void {
    const { bytesMax } = this.#limits
    if (this.bytes <= bytesMax) return
    while (this.bytes > bytesMax - Math.floor(bytesMax / 8) && this.sessions.size > 1) this.#dropOldest()
  }

  #dropOldest(): void {
    const [oldest] = this.sessions
    if (oldest === undefined) throw new Error('dropped from an empty table')
    this.horizon = Math.max(this.horizon, oldest[1].opened + 1)
    this.sessions.delete(oldest[0])
    this.dropped++
  }
}

/** 200 for the session, 64 for each run of serials with one fate, and the bytes of kept answers. */
function costOf(session: ModelSession): number {
  let cost = 200
  let previous: { readonly serial: number; readonly fate: Fate } | null = null
  for (const [serial, fate] of [...session.fates].toSorted(([a], [b]) => a - b)) {
    const rise = fate[0] === 0 ? 1 : 0
    const joined =
      previous !== null &&
      previous.serial + 1 === serial &&
      previous.fate[0] === fate[0] &&
      previous.fate[2] === fate[2] &&
      (fate[2] === null || fate[2] === -1) &&
      previous.fate[1] + rise === fate[1]
    if (!joined) cost += 64 + (fate[2] !== null && fate[2] > 0 ? fate[2] : 0)
    previous = { serial, fate }
  }
  return cost
}
