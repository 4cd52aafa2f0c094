// The leases of a client: those that it keeps alive, a third of their ttl after the last renewal, many with one command; and
// what can be asked and done about any lease.
import type { Cancel, Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import { type Command, packCommand, ttlMsMax, ttlMsMin } from '../wire/kv/commands.ts'
import {
  type LeaseRequest,
  type LeaseStatus,
  leasePageMax,
  packLeaseRequest,
  readLeaseAnswer,
  readLeasesAnswer
} from '../wire/kv/lease-questions.ts'
import type { ReadAnswer } from './answers.ts'
import { consistencyOf, leaseIdOf, maxStalenessOf, minRevisionOf } from './conditions.ts'
import { Corner } from './corner.ts'
import { codecOf, decodeText } from './encoding.ts'
import { numberOf, unpackAnswer } from './entry.ts'
import { KeptLease, type Lease, type LeaseKeeper } from './lease.ts'
import {
  type CallOptions,
  checkNames,
  type Duration,
  known,
  type LeaseRef,
  msOf,
  type ReadOptions,
  type WriteOptions
} from './options.ts'
import { Read } from './reads.ts'
import type { SessionClient } from './session-client.ts'

export interface GrantOptions extends WriteOptions {
  /** At least a second. */
  readonly ttl: Duration
}

export interface LeaseOfOptions extends ReadOptions {
  /** Brings the names of its keys too. */
  readonly keys?: boolean | undefined
}

export interface LeaseInfo {
  readonly id: number
  /** Milliseconds. */
  readonly ttl: number
  /** Milliseconds until it ends, as the node that was asked sees it; 0: it is about to. */
  readonly remaining: number
  readonly keyCount: number
}

/** What it needs of the client. */
export type LeaseSession = Pick<SessionClient, 'attempt' | 'deadline' | 'sendWrite' | 'sendUrgent' | 'sendRead'>

/** Ids in one command: its answer is kept for a client that asks again. */
const renewalIdsMax = 256
/** After a renewal that has failed. */
const retryMs = 50

export class Leases implements LeaseKeeper {
  readonly #session: LeaseSession
  readonly #env: Env
  readonly #kept = new Set<KeptLease>()
  #renewing = false
  #retryAt = 0
  #timer: Cancel | null = null
  #closed = false

  /** `session` is at most being made. */
  constructor(session: LeaseSession, env: Env) {
    this.#session = session
    this.#env = env
  }

  /** Grants a lease and keeps it alive until it is revoked or the client is closed. */
  grant(options: GrantOptions): Promise<Lease> {
    return this.#session.attempt(async () => {
      checkNames(options, known.grant)
      const ttlMs = ttlOf(options.ttl)
      const askedAt = this.now()
      const { id, ttl } = await this.#write<Granted>({ op: 'grant', ttlMs }, grantAnswer, options)
      const lease = new KeptLease(this, id, ttl, askedAt)
      // The answer came late: what is left of it is not known.
      if (this.now() >= lease.renewAt) await this.#renewAll([lease])
      if (lease.remaining === 0) throw new StrettoError('UNAVAILABLE', 'the lease was granted too late', unknownFate)
      if (this.#closed) lease.end('STOPPED', closedText)
      else this.#kept.add(lease)
      this.#look()
      return lease
    })
  }

  /** Lets the lease last its ttl from now on, once. Gives the ttl in milliseconds. LEASE_NOT_FOUND where it has ended. */
  renew(lease: LeaseRef, options: WriteOptions = {}): Promise<number> {
    return this.#session.attempt(async () => {
      checkNames(options, known.increment)
      const leaseIds = [leaseIdOf(lease)]
      const [ttl = -1] = await this.#write<readonly number[]>({ op: 'renew', leaseIds }, renewAnswer, options)
      if (ttl === -1) throw new StrettoError('LEASE_NOT_FOUND', 'there is no such lease')
      return ttl
    })
  }

  /** Ends a lease and deletes its keys; gives how many. LEASE_NOT_FOUND where it has ended. */
  revoke(
    lease: LeaseRef,
    options: WriteOptions = {}
  ): Promise<{ readonly revision: number; readonly deleted: number }> {
    return this.#session.attempt(() => {
      checkNames(options, known.increment)
      return this.#write({ op: 'revoke', leaseId: leaseIdOf(lease) }, revokeAnswer, options)
    })
  }

  /** What is left of a lease; null where there is none. `keys` as texts, or bytes where they are no text. */
  ttl(
    lease: LeaseRef,
    options: LeaseOfOptions = {}
  ): Promise<(LeaseInfo & { readonly keys?: readonly (string | Uint8Array)[] }) | null> {
    return this.#session.attempt(async () => {
      checkNames(options, known.leaseOf)
      const id = leaseIdOf(lease)
      const limit = options.keys === true ? leasePageMax : 0
      let afterKey: Uint8Array | null = null
      const keys: (string | Uint8Array)[] = []
      for (;;) {
        const answer = readLeaseAnswer(id, await this.#ask({ op: 'lease', id, afterKey, limit }, options))
        if (answer === null) return null
        for (const key of answer.keys) keys.push(shownKey(key))
        afterKey = answer.keys.at(-1) ?? null
        if (afterKey === null) return options.keys === true ? { ...infoOf(answer), keys } : infoOf(answer)
      }
    })
  }

  /** All leases in order of their ids, page after page, each page as it is at its time. */
  async *list(options: ReadOptions = {}): AsyncGenerator<LeaseInfo, void> {
    checkNames(options, known.leases)
    let afterId = 0
    for (;;) {
      const asked = afterId
      const page = readLeasesAnswer(
        await this.#session.attempt(() => this.#ask({ op: 'leases', afterId: asked, limit: leasePageMax }, options))
      )
      for (const status of page) yield infoOf(status)
      const last = page.at(-1)
      if (last === undefined) return
      afterId = last.id
    }
  }

  now(): number {
    return this.#env.now()
  }

  async letGo(lease: KeptLease, options: CallOptions): Promise<void> {
    this.#kept.delete(lease)
    lease.end('STOPPED', 'the lease has been revoked')
    try {
      await this.revoke(lease, options)
    } catch (error) {
      if (!(error instanceof StrettoError && error.code === 'LEASE_NOT_FOUND')) throw error
    }
  }

  /** Nothing is kept alive any more. */
  close(): void {
    this.#closed = true
    for (const lease of this.#kept) lease.end('STOPPED', closedText)
    this.#kept.clear()
    this.#timer?.()
    this.#timer = null
  }

  /** Renews what has to be, gives up what is lost, and comes back when that is due again. */
  #look(): void {
    this.#timer?.()
    this.#timer = null
    const now = this.now()
    for (const lease of this.#kept) if (lease.lostAt <= now) this.#lose(lease, 'it could not be renewed in time')
    if (!this.#renewing && this.#retryAt <= now) {
      const due = [...this.#kept].some(({ renewAt }) => renewAt <= now)
      if (due) void this.#renewDue(now)
    }
    let at = Number.POSITIVE_INFINITY
    for (const { lostAt, renewAt } of this.#kept) {
      at = Math.min(at, lostAt, this.#renewing ? Number.POSITIVE_INFINITY : Math.max(renewAt, this.#retryAt))
    }
    if (at < Number.POSITIVE_INFINITY) this.#timer = this.#env.after(Math.max(0, at - now), () => this.#look())
  }

  async #renewDue(now: number): Promise<void> {
    this.#renewing = true
    const due = [...this.#kept].filter(({ mayRenewAt }) => mayRenewAt <= now)
    const allCame = await this.#renewAll(due)
    this.#renewing = false
    if (!allCame) this.#retryAt = this.now() + retryMs
    this.#look()
  }

  /** False where not all of it was answered. */
  async #renewAll(leases: readonly KeptLease[]): Promise<boolean> {
    const parts: Promise<boolean>[] = []
    for (let from = 0; from < leases.length; from += renewalIdsMax) {
      parts.push(this.#renewSome(leases.slice(from, from + renewalIdsMax)))
    }
    return (await Promise.all(parts)).every(came => came)
  }

  async #renewSome(leases: readonly KeptLease[]): Promise<boolean> {
    const askedAt = this.now()
    // No later answer is of use.
    const patienceMs = Math.min(...leases.map(({ ttl }) => ttl))
    try {
      const command: Command = { op: 'renew', leaseIds: leases.map(({ id }) => id) }
      const ttls = await this.#write<readonly number[]>(command, renewAnswer, { timeout: patienceMs })
      for (const [at, lease] of leases.entries()) {
        if (ttls[at] === -1) this.#lose(lease, 'it has ended')
        else if (ttls[at] !== undefined) lease.renewed(askedAt)
      }
      return ttls.length === leases.length
    } catch (error) {
      if (!(error instanceof StrettoError)) throw error
      return false
    }
  }

  #lose(lease: KeptLease, why: string): void {
    this.#kept.delete(lease)
    lease.end('LEASE_NOT_FOUND', `the lease is lost: ${why}`)
  }

  /** Renewals go through a session of their own: they wait behind no other write, here and at the nodes. */
  async #write<T>(command: Command, read: ReadAnswer, options: WriteOptions): Promise<T> {
    const { timeout, signal, notAfter } = options
    const writing = { read, corner: null, command: packCommand(command), contentBytes: 0 }
    const terms = { timeout, signal, notAfter }
    return await (command.op === 'renew'
      ? this.#session.sendUrgent(writing, terms)
      : this.#session.sendWrite(writing, terms))
  }

  async #ask(request: LeaseRequest, options: ReadOptions) {
    const terms = {
      consistency: consistencyOf(options),
      minRevision: minRevisionOf(options),
      maxAgeMs: maxStalenessOf(options),
      deadline: this.#session.deadline(options)
    }
    return await this.#session.sendRead(
      new Read('packed', noCorner, [packLeaseRequest(request)], []),
      terms,
      32,
      options.signal
    )
  }
}

interface Granted {
  readonly id: number
  readonly ttl: number
}

const closedText = 'the client is closed: nobody renews the lease'
const unknownFate = { fate: 'unknown' } as const
const noCorner = new Corner(new Uint8Array(0), codecOf('bytes'))

const grantAnswer: ReadAnswer = (_revision, answer): Granted => {
  const [id, ttl] = answer === null ? [] : unpackAnswer(answer)
  return { id: numberOf(id), ttl: numberOf(ttl) }
}

/** None where the answer was too large to be kept for one who asks again. */
const renewAnswer: ReadAnswer = (_revision, answer): readonly number[] => {
  return answer === null ? [] : unpackAnswer(answer).map(numberOf)
}

const revokeAnswer: ReadAnswer = (revision, answer) => {
  return { revision, deleted: answer === null ? 0 : numberOf(unpackAnswer(answer)[0]) }
}

/** @throws StrettoError BAD_REQUEST */
function ttlOf(ttl: Duration): number {
  // It lasts no shorter than it was told to.
  const ttlMs = Math.ceil(msOf(ttl, 'ttl'))
  if (ttlMs >= ttlMsMin && ttlMs <= ttlMsMax) return ttlMs
  throw new StrettoError('BAD_REQUEST', `ttl: at least ${ttlMsMin} ms`)
}

function infoOf({ id, ttlMs, remainingMs, keyCount }: LeaseStatus): LeaseInfo {
  return { id, ttl: ttlMs, remaining: remainingMs, keyCount }
}

function shownKey(key: Uint8Array): string | Uint8Array {
  const text = decodeText(key)
  return text.includes('\ufffd') ? new Uint8Array(key) : text
}
