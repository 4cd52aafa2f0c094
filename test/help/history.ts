// What a key-value machine has executed, command by command, held against the model; and every state it has been in.
import { readU64, toHex } from '../../lib/base/bytes.ts'
import type { Done } from '../../lib/base/env.ts'
import type { StrettoError } from '../../lib/base/errors.ts'
import type { Batch, Outcomes, SnapshotSink, SnapshotSource, Source, StateMachine } from '../../lib/machine/machine.ts'
import type { Index, LogId } from '../../lib/raft/types.ts'
import { commandAt, sessionIdBytes } from '../../lib/record/record.ts'
import { type FirstCommand } from '../../lib/wire/kv/commands.ts'
import { readCommands } from '../../lib/wire/kv/read-commands.ts'
import type { Plain } from '../kv/bed.ts'
import { Model, type Said, said } from '../kv/model.ts'

/** One command as the machine executed or refused it. */
export interface Executed {
  readonly index: Index
  readonly session: string
  readonly serial: number
  readonly command: FirstCommand
  readonly said: Said
}

export type State = ReadonlyMap<string, Plain>

/** Outlives the lives of the machine: a record that is applied again after a restart must come to the same. */
export class History {
  readonly executed: Executed[] = []
  readonly #model = new Model()
  readonly #states = new Map<number, State>([[this.#model.revision, new Map()]])
  readonly #told = new Map<Index, string>()

  get revision(): number {
    return this.#model.revision
  }

  /** The entries at a revision; undefined for one that has not been. */
  at(revision: number): State | undefined {
    return this.#states.get(revision)
  }

  record(batch: Batch, outcomes: Outcomes): void {
    const all = said(batch, outcomes)
    const told = JSON.stringify(all)
    const before = this.#told.get(batch.index)
    if (before !== undefined) {
      if (before !== told) throw new Error(`record ${batch.index} came to ${told} when applied again, before ${before}`)
      return
    }
    this.#told.set(batch.index, told)
    const { bytes } = batch.block
    const session = toHex(bytes.subarray(batch.at + commandAt.session, batch.at + commandAt.session + sessionIdBytes))
    const serial = readU64(bytes, batch.at + commandAt.serial)
    for (const [at, command] of (readCommands(batch.commands, batch.count, 1) as FirstCommand[]).entries()) {
      const one = all[at] ?? null
      if (one !== null) this.#execute({ index: batch.index, session, serial: serial + at, command, said: one })
    }
  }

  #execute(executed: Executed): void {
    const expected = this.#model.execute(executed.command)
    const [status, revision, answer] = executed.said
    if (JSON.stringify([status, revision, answer]) !== JSON.stringify(expected)) {
      const { index, command } = executed
      throw new Error(`${command.op} in record ${index}: ${JSON.stringify(executed.said)}, ${JSON.stringify(expected)}`)
    }
    this.executed.push(executed)
    this.#states.set(this.#model.revision, new Map(this.#model.entries))
  }
}

/** A machine that tells a history what it executes. */
export class Witness implements StateMachine {
  readonly #inner: StateMachine
  readonly #history: History
  readonly #flushing: (upTo: LogId) => void

  /** `flushing` is told before a flush begins. */
  constructor(inner: StateMachine, history: History, flushing: (upTo: LogId) => void) {
    this.#inner = inner
    this.#history = history
    this.#flushing = flushing
  }

  get unflushedBytes(): number {
    return this.#inner.unflushedBytes
  }

  open(done: Done<{ readonly durable: LogId; readonly sidecar: Uint8Array | null }>): void {
    this.#inner.open(done)
  }

  get versionMax(): number {
    return this.#inner.versionMax ?? 1
  }

  version(inForce: number): void {
    this.#inner.version?.(inForce)
  }

  check(commands: Uint8Array, count: number): StrettoError | null {
    return this.#inner.check(commands, count)
  }

  apply(batches: readonly Batch[], done: Done<readonly Outcomes[]>): void {
    this.#inner.apply(batches, (error, outcomes) => {
      if (error === null) for (const [at, batch] of batches.entries()) this.#history.record(batch, outcomes[at]!)
      done(error, outcomes)
    })
  }

  query(request: Uint8Array, done: Done<Uint8Array>): void {
    this.#inner.query(request, done)
  }

  scan(request: Uint8Array): Source {
    return this.#inner.scan(request)
  }

  flush(upTo: LogId, sidecar: Uint8Array, done: Done): void {
    this.#flushing(upTo)
    this.#inner.flush(upTo, sidecar, done)
  }

  snapshot(done: Done<SnapshotSource | null>): void {
    this.#inner.snapshot(done)
  }

  restore(): SnapshotSink {
    return this.#inner.restore()
  }

  compacted(base: Index): void {
    this.#inner.compacted(base)
  }

  close(done: Done): void {
    this.#inner.close(done)
  }
}
