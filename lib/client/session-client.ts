// What every client is made of: links, one session of writes, reads, and the turn in which all of one tick leaves together.
import type { Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { Packed } from '../record/pack.ts'
import type { Net } from '../transport/net.ts'
import { Admins } from './admins.ts'
import type { ReadAnswer } from './answers.ts'
import { Call, Wait } from './call.ts'
import { type Ask, Cluster } from './cluster.ts'
import type { Connection } from './connection.ts'
import type { Context } from './context.ts'
import type { Corner } from './corner.ts'
import { Endpoints } from './endpoints.ts'
import { Links } from './links.ts'
import { type CallOptions, checkNames, type Duration, known, msOf, type WriteOptions } from './options.ts'
import { Ranges } from './ranges.ts'
import { type Read, Reads, type ReadTerms } from './reads.ts'
import { Requests } from './requests.ts'
import { Resolves } from './resolves.ts'
import { Watches } from './watches.ts'
import { tickOf, Wheel } from './wheel.ts'
import { timedOut, Write } from './write.ts'
import { Writes } from './writes.ts'

const timeoutMsDefault = 5000
/** What a command takes in a frame beside its content, about. */
const commandCost = 24

/** The world that a client lives in. */
export interface ClientParts {
  readonly env: Env
  readonly net: Net
}

/** A command to be sent, and how its answer is read. */
export interface Writing {
  readonly read: ReadAnswer
  /** Where the entry that failed a condition is read; null where there are no entries. */
  readonly corner: Corner | null
  readonly command: Packed
  /** What the keys and values in it take. */
  readonly contentBytes: number
}

export interface SessionOptions {
  /** For calls that name none of their own; 5 s by default. */
  readonly timeout?: Duration | undefined
  /** Shown by nodes in logs and counters. */
  readonly name?: string | undefined
  readonly token?: string | undefined
}

/**
 * A client of a cluster, whatever its machine. It connects with the first call, and again by itself. All calls reject with
 * a `StrettoError` (or with the reason of their signal), whose `fate` says whether a write may have been applied. The rooms
 * of the client are built on it; its users see the key-value client, or that of their own machine.
 */
export class SessionClient implements AsyncDisposable {
  /** The members of the cluster. */
  readonly cluster: Cluster
  /** Asks the leader about the cluster itself. */
  readonly ask: Ask
  readonly context: Context
  readonly ranges: Ranges
  readonly watches: Watches
  readonly resolves: Resolves
  /** For calls that name no timeout of their own. */
  readonly timeoutMs: number
  readonly #links: Links
  readonly #writes: Writes
  /** With a session of their own, so that they wait behind nothing. */
  readonly #urgent: Writes
  readonly #reads: Reads
  readonly #admins: Admins
  readonly #readying = new Set<Readying>()
  #turnAsked = false
  /** The clock as it was at the first call of this tick. */
  #tickNow = 0
  #closing: Wait | null = null
  #closed = false

  /** @throws StrettoError BAD_REQUEST */
  constructor({ env, net }: ClientParts, endpoints: readonly string[], options: SessionOptions) {
    this.timeoutMs = msOf(options.timeout ?? timeoutMsDefault, 'timeout')
    const wheel = new Wheel(env)
    const requests = new Requests()
    const { name = 'stretto-js', token = null } = options
    const parts = { env, net, wheel, requests, name, token }
    this.#links = new Links(parts, new Endpoints(endpoints), {
      moved: () => this.#moved(),
      lost: connection => this.#lost(connection)
    })
    const takeTurn = (): void => this.#takeTurn()
    const ended = (): void => {
      if (this.#closing !== null) this.#takeTurn()
    }
    this.context = { env, wheel, requests, links: this.#links, takeTurn, ended, seenIndex: 0 }
    this.resolves = new Resolves(this.context)
    this.#writes = new Writes(this.context, this.resolves)
    this.#urgent = new Writes(this.context, this.resolves)
    this.#reads = new Reads(this.context)
    const admins = new Admins(this.context)
    this.#admins = admins
    this.ask = (request, options, read) =>
      this.attempt(() => admins.ask(request, this.deadline(options), options.signal, read))
    this.cluster = new Cluster(this.ask)
    this.ranges = new Ranges(this.context)
    this.watches = new Watches(this.context)
  }

  /** The cluster that this client has met, 32 hexadecimal digits; null before. It never speaks to another. */
  get clusterId(): string | null {
    return this.#links.clusterId
  }

  /** Resolves once a node of the cluster has answered. */
  ready(options: CallOptions = {}): Promise<void> {
    return this.attempt((): Promise<void> => {
      checkNames(options, known.call)
      if (this.#links.active !== null) return Promise.resolve()
      const readying = new Readying(this.#readying, this.#links)
      this.context.wheel.add(readying, tickOf(this.deadline(options)))
      if (options.signal !== undefined) readying.heed(options.signal)
      return readying.promise
    })
  }

  /** Takes no more calls, waits for those that were made, each until its own deadline, and closes the links. */
  close(): Promise<void> {
    if (this.#closing === null) {
      this.#closing = new Wait()
      this.ranges.close(stopped())
      this.watches.close(stopped())
      this.#takeTurn()
    }
    return this.#closing.promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Faults of a call are rejections, never thrown. */
  attempt<T>(call: () => Promise<T>): Promise<T> {
    try {
      this.refuseIfClosed()
      this.#links.start()
      return call()
    } catch (error) {
      return Promise.reject(error)
    }
  }

  refuseIfClosed(): void {
    if (this.#closing !== null) throw stopped()
  }

  /** When the call made now is given up, in milliseconds of the Env's clock. */
  deadline({ timeout }: CallOptions): number {
    this.#takeTurn()
    return this.#tickNow + (timeout === undefined ? this.timeoutMs : msOf(timeout, 'timeout'))
  }

  sendWrite(writing: Writing, options: WriteOptions = noOptions): Promise<never> {
    return this.#send(this.#writes, writing, options)
  }

  /** For what keeps something alive: it is not in order with other writes. */
  sendUrgent(writing: Writing, options: WriteOptions = noOptions): Promise<never> {
    return this.#send(this.#urgent, writing, options)
  }

  #send(writes: Writes, { read, corner, command, contentBytes }: Writing, options: WriteOptions): Promise<never> {
    const deadline = this.deadline(options)
    const write = new Write(writes, {
      read,
      corner,
      command,
      bytes: contentBytes + commandCost,
      calledAt: this.#tickNow,
      deadline,
      notAfterMs: options.notAfter === undefined ? 0 : msOf(options.notAfter, 'notAfter')
    })
    if (options.signal !== undefined) write.heed(options.signal)
    if (!write.settled) writes.add(write)
    return write.promise
  }

  sendRead(read: Read, terms: ReadTerms, bytes: number, signal: AbortSignal | undefined): Promise<never> {
    if (signal !== undefined) read.heed(signal)
    if (!read.settled) this.#reads.add(read, terms, bytes)
    return read.promise
  }

  #takeTurn(): void {
    if (this.#turnAsked || this.#closed) return
    this.#turnAsked = true
    this.#tickNow = this.context.env.now()
    this.context.env.soon(() => this.#turn())
  }

  #turn(): void {
    this.#turnAsked = false
    if (this.#closed) return
    const now = this.context.env.now()
    this.#urgent.turn(this.#links.active, now)
    this.#writes.turn(this.#links.active, now)
    // Writes give a path up whose node tells a cluster time that is too old: what follows is for the next one.
    const path = this.#links.active
    this.#reads.turn(path, now)
    this.ranges.turn(path, now)
    this.watches.turn(path, now)
    if (path !== null) this.resolves.turn(path, now)
    if (path !== null) this.#admins.turn(path, now)
    this.#links.flush()
    if (this.#closing !== null) this.#closeWhenIdle()
  }

  #moved(): void {
    if (this.#links.active !== null) for (const readying of this.#readying) readying.isReady(this.context.wheel)
    this.#takeTurn()
  }

  #lost(connection: Connection): void {
    this.#urgent.lost(connection)
    this.#writes.lost(connection)
    this.#reads.lost(connection)
    this.ranges.lost(connection)
    this.watches.lost(connection)
    this.resolves.lost(connection)
    this.#admins.lost(connection)
  }

  #closeWhenIdle(): void {
    const writing = this.#urgent.busy || this.#writes.busy || this.resolves.waitingCount > 0
    if (writing || this.#reads.busy || this.#admins.busy) return
    this.#closed = true
    const reason = stopped()
    for (const readying of this.#readying) readying.fail(reason)
    this.#urgent.close()
    this.#writes.close()
    this.#reads.close(reason)
    this.resolves.close(reason)
    this.#admins.close(reason)
    this.#links.close()
    this.context.wheel.stop()
    this.#closing?.succeed(undefined)
  }
}

const noOptions = {}

/** A wait for the first node to answer. */
class Readying extends Call {
  readonly #all: Set<Readying>
  readonly #links: Links

  constructor(all: Set<Readying>, links: Links) {
    super()
    this.#all = all
    this.#links = links
    all.add(this)
  }

  isReady(wheel: Wheel): void {
    wheel.remove(this)
    this.#all.delete(this)
    this.succeed(undefined)
  }

  override expire(): void {
    this.#all.delete(this)
    this.fail(timedOut('not-applied', null, this.#links.lastFailure))
  }

  protected override abandoned(): void {
    this.#all.delete(this)
  }
}

function stopped(): StrettoError {
  return new StrettoError('STOPPED', 'the client is closed')
}
