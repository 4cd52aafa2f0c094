// Looks over the shoulder of one machine: what it executes, in which order, and what it answers, is told to the ghost state.
import { readU64 } from '../../base/bytes.ts'
import type { Done } from '../../base/env.ts'
import type { StrettoError } from '../../base/errors.ts'
import type { Feed, FeedSink } from '../../machine/feed.ts'
import type {
  Batch,
  LogReader,
  Outcomes,
  SnapshotSink,
  SnapshotSource,
  Source,
  StateMachine
} from '../../machine/machine.ts'
import type { Index, LogId } from '../../raft/types.ts'
import { commandAt } from '../../record/record.ts'
import type { SimMachine } from './machines.ts'

/** One record as a machine has executed it. */
export interface Execution {
  readonly index: Index
  /** The session of the record as text; null for what is no client's. */
  readonly session: string | null
  /** Of its first command; each further one has the next. */
  readonly serial: number
  readonly count: number
  /** By the place of each command: it was executed now, and not passed over. */
  readonly executed: readonly boolean[] | null
  /** Of its answers, the same on all replicas. */
  readonly digest: number
}

export interface Onlooker {
  opened(durable: LogId): void
  executed(execution: Execution, batch: Batch, outcomes: Outcomes): void
  /** The state on disk contains all up to here. */
  flushed(upTo: LogId): void
}

export class Witness implements StateMachine {
  readonly revision: () => number
  readonly compactedRevision: () => number
  readonly feed?: (sink: FeedSink) => Feed
  readonly #machine: StateMachine
  readonly #onlooker: Onlooker

  constructor({ machine, revision, compacted = () => 0 }: SimMachine, onlooker: Onlooker) {
    this.#machine = machine
    if (machine.feed !== undefined) this.feed = sink => machine.feed!(sink)
    this.revision = revision
    this.compactedRevision = compacted
    this.#onlooker = onlooker
  }

  get unflushedBytes(): number {
    return this.#machine.unflushedBytes
  }

  open(done: Done<{ readonly durable: LogId; readonly sidecar: Uint8Array | null }>): void {
    this.#machine.open((error, opened) => {
      if (error === null) this.#onlooker.opened(opened.durable)
      done(error, opened)
    })
  }

  get versionMax(): number {
    return this.#machine.versionMax ?? 1
  }

  version(inForce: number): void {
    this.#machine.version?.(inForce)
  }

  get dueAt(): number {
    return this.#machine.dueAt ?? Number.POSITIVE_INFINITY
  }

  leaves(base: Index, done: Done): void {
    if (this.#machine.leaves === undefined) done(null)
    else this.#machine.leaves(base, done)
  }

  get released(): Index {
    return this.#machine.released ?? 0
  }

  isUrgent(commands: Uint8Array, count: number): boolean {
    return this.#machine.isUrgent?.(commands, count) ?? false
  }

  check(commands: Uint8Array, count: number): StrettoError | null {
    return this.#machine.check(commands, count)
  }

  grows(commands: Uint8Array, count: number): boolean {
    return this.#machine.grows?.(commands, count) ?? true
  }

  lend(log: LogReader): void {
    this.#machine.lend?.(log)
  }

  passed(index: Index): void {
    this.#machine.passed?.(index)
  }

  apply(batches: readonly Batch[], done: Done<readonly Outcomes[]>): void {
    this.#machine.apply(batches, (error, outcomes) => {
      if (error === null) {
        for (const [at, batch] of batches.entries()) {
          const found = outcomes[at]!
          this.#onlooker.executed(executionOf(batch, found), batch, found)
        }
      }
      done(error, outcomes)
    })
  }

  query(request: Uint8Array, done: Done<Uint8Array>, time?: number): void {
    this.#machine.query(request, done, time)
  }

  scan(request: Uint8Array): Source {
    return this.#machine.scan(request)
  }

  flush(upTo: LogId, sidecar: Uint8Array, done: Done): void {
    this.#machine.flush(upTo, sidecar, error => {
      if (error === null) this.#onlooker.flushed(upTo)
      done(error)
    })
  }

  snapshot(done: Done<SnapshotSource | null>): void {
    this.#machine.snapshot(done)
  }

  restore(): SnapshotSink {
    return this.#machine.restore()
  }

  compacted(base: Index): void {
    this.#machine.compacted(base)
  }

  close(done: Done): void {
    this.#machine.close(done)
  }
}

function executionOf(batch: Batch, outcomes: Outcomes): Execution {
  const { index, kind, count, skip, block, at } = batch
  let digest = mix(mix(0x811c9dc5, outcomes.revision), count)
  for (const outcome of outcomes.each ?? []) {
    digest = mix(digest, outcome === null ? 7 : outcome.status)
    digest = mix(digest, outcome?.revision ?? 0)
    for (const byte of outcome?.answer ?? nothing) digest = mix(digest, byte)
  }
  const session = kind === 'command' ? textOf(block.bytes, at + commandAt.session, at + commandAt.count) : null
  const serial = session === null ? 0 : readU64(block.bytes, at + commandAt.serial)
  return { index, session, serial, count, executed: skip === null ? null : skip.map(skipped => !skipped), digest }
}

function mix(digest: number, fact: number): number {
  return Math.imul(digest ^ fact, 0x01000193)
}

function textOf(bytes: Uint8Array, from: number, to: number): string {
  let text = ''
  for (let at = from; at < to; at++) text += String.fromCharCode(bytes[at]!)
  return text
}

const nothing = new Uint8Array(0)
