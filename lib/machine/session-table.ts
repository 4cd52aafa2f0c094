// All client sessions: which may open, which have expired, and which must go when there are too many.
//
// A session id is the cluster time at its opening and 80 random bits. A dropped session must never open again, for its
// commands would be executed twice. Two rules keep it out: it is too old (expired), or it was opened before the horizon,
// which rises whenever a session that is not too old is dropped for want of room.
import { assert } from '../base/assert.ts'
import { readU64 } from '../base/bytes.ts'
import type { Verdict } from './answer.ts'
import { keptAnswerBytesMax, runCost, Session, sessionCost } from './session.ts'

/** The same on all replicas, or they diverge: a change is a new machine version. */
export interface SessionLimits {
  readonly countMax: number
  /** By the table's own account. */
  readonly bytesMax: number
  /** Cluster time without a record after which a session expires, in milliseconds. */
  readonly lifetimeMs: number
  /** How far ahead of the log's stamps a session may claim to have been opened. */
  readonly aheadMsMax: number
}

export const sessionLimits: SessionLimits = {
  countMax: 65_536,
  bytesMax: 16_777_216,
  lifetimeMs: 3_600_000,
  aheadMsMax: 60_000
}

export class SessionTable {
  readonly #limits: SessionLimits
  readonly #sessions = new Map<string, Session>()
  #oldest: Session | null = null
  #newest: Session | null = null
  #bytes = 0
  #horizon = 0

  constructor(limits: SessionLimits) {
    assert(limits.countMax > 0, 'a table has room for a session')
    this.#limits = limits
  }

  get count(): number {
    return this.#sessions.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The earliest opening time of a session that may still open. */
  get horizon(): number {
    return this.#horizon
  }

  /** In order of last use, the one used longest ago first. */
  sessions(): readonly Session[] {
    const sessions = []
    for (let session = this.#oldest; session !== null; session = session.newer) sessions.push(session)
    return sessions
  }

  /** It may grow by that many bytes and drop no session for it. */
  hasRoom(bytes: number): boolean {
    return this.#bytes + bytes <= this.#limits.bytesMax
  }

  /** The session whose id stands at `at`. */
  find(bytes: Uint8Array, at: number): Session | undefined {
    return this.#sessions.get(sessionId(bytes, at))
  }

  /**
   * A record of the session at `at` stamped `time` has come; `known` is what `find` gave. Opens the session when it is
   * new; null when it has expired or may not open.
   */
  enter(known: Session | undefined, bytes: Uint8Array, at: number, time: number): Session | null {
    if (known !== undefined) {
      if (known.usedAt + this.#limits.lifetimeMs <= time) return null
      if (time > known.usedAt) known.usedAt = time
      this.#touch(known)
      return known
    }
    const opened = readU64(bytes, at)
    if (opened < this.#horizon || opened + this.#limits.lifetimeMs <= time) return null
    if (opened > time + this.#limits.aheadMsMax) return null
    // Counted from `opened` where that lies ahead: else it would expire while its id could still open once more.
    const session = new Session(sessionId(bytes, at), opened, Math.max(opened, time), 0)
    if (this.#sessions.size === this.#limits.countMax) this.#drop(this.#oldest!)
    this.#add(session)
    this.#makeRoom()
    return session
  }

  raiseFloor(session: Session, floor: number): void {
    if (floor <= session.floor) return
    const before = session.cost
    session.raiseFloor(floor)
    this.#bytes += session.cost - before
  }

  /** Remembers `count` plain successes with rising revisions. */
  storePlain(session: Session, serial: number, count: number, revision: number): void {
    if (session.dropped) return
    const before = session.cost
    session.store(serial, count, 0, revision, null, false)
    this.#bytes += session.cost - before
    this.#makeRoom()
  }

  /** Remembers one verdict, with a copy of its answer unless that is too large. */
  store(session: Session, serial: number, verdict: Verdict): void {
    if (session.dropped) return
    const { status, revision, answer } = verdict
    const gone = answer !== null && answer.length > keptAnswerBytesMax
    const before = session.cost
    session.store(serial, 1, status, revision, answer === null || gone ? null : new Uint8Array(answer), gone)
    this.#bytes += session.cost - before
    this.#makeRoom()
  }

  /** Forgets the sessions that have had no record for a lifetime at `time`. */
  expire(time: number): void {
    const limit = time - this.#limits.lifetimeMs
    while (this.#oldest !== null && this.#oldest.usedAt <= limit) this.#remove(this.#oldest)
  }

  /** Fills an empty table with what a sidecar held, the session used longest ago first. */
  restore(sessions: readonly Session[], horizon: number): void {
    assert(this.#sessions.size === 0, 'only an empty table is restored')
    for (const session of sessions) this.#add(session)
    this.#horizon = horizon
  }

  /** Down to 7/8 of the limit at once, so that a full table is not at its limit with every record. */
  #makeRoom(): void {
    if (this.#bytes <= this.#limits.bytesMax) return
    const low = this.#limits.bytesMax - Math.floor(this.#limits.bytesMax / 8)
    while (this.#bytes > low && this.#oldest !== this.#newest) this.#drop(this.#oldest!)
  }

  #drop(session: Session): void {
    this.#horizon = Math.max(this.#horizon, session.opened + 1)
    this.#remove(session)
  }

  #add(session: Session): void {
    this.#sessions.set(session.id, session)
    this.#bytes += session.cost
    this.#append(session)
  }

  #remove(session: Session): void {
    this.#sessions.delete(session.id)
    this.#bytes -= session.cost
    session.dropped = true
    this.#unlink(session)
  }

  #touch(session: Session): void {
    if (this.#newest === session) return
    this.#unlink(session)
    this.#append(session)
  }

  #append(session: Session): void {
    session.older = this.#newest
    session.newer = null
    if (this.#newest === null) this.#oldest = session
    else this.#newest.newer = session
    this.#newest = session
  }

  #unlink(session: Session): void {
    if (session.older === null) this.#oldest = session.newer
    else session.older.newer = session.newer
    if (session.newer === null) this.#newest = session.older
    else session.newer.older = session.older
  }
}

/** What the table may grow by when a record with `count` commands is decided. */
export function growthMax(count: number): number {
  return sessionCost + count * (runCost + keptAnswerBytesMax)
}

/** The 18 bytes at `at` as text: a key that the engine hashes with a seed of its own, so nobody can make keys collide. */
export function sessionId(bytes: Uint8Array, at: number): string {
  const b = bytes
  return String.fromCharCode(
    b[at]!,
    b[at + 1]!,
    b[at + 2]!,
    b[at + 3]!,
    b[at + 4]!,
    b[at + 5]!,
    b[at + 6]!,
    b[at + 7]!,
    b[at + 8]!,
    b[at + 9]!,
    b[at + 10]!,
    b[at + 11]!,
    b[at + 12]!,
    b[at + 13]!,
    b[at + 14]!,
    b[at + 15]!,
    b[at + 16]!,
    b[at + 17]!
  )
}
