// The small way to be replicated: a machine that lives in memory and can save itself whole, made a `StateMachine`.
//
// Commands of a record: one msgpack array of byte strings. What the vault holds (numbers big-endian):
//
//    0  u16  format, 1
//    2  u16  zero
//    4  u32  term of the last record contained
//    8  u64  its index
//   16  u64  revision
//   24  u32  length of the sidecar
//   28       the sidecar, then what the machine saved
import { AssertionError } from '../base/assert.ts'
import { readU16, readU32, readU64, writeU16, writeU32, writeU64 } from '../base/bytes.ts'
import type { Done, Env } from '../base/env.ts'
import { numberOfCode, StrettoError } from '../base/errors.ts'
import { type Index, type LogId, logOrigin } from '../raft/types.ts'
import { unpack } from '../record/pack.ts'
import { commandAt } from '../record/record.ts'
import type { Batch, Outcome, Outcomes, SnapshotSink, SnapshotSource, Source, StateMachine } from './machine.ts'
import { newerFormat } from './newer-format.ts'
import { type Saved, SavedSink, SavedSnapshot } from './saved-snapshot.ts'
import type { Vault } from './vault.ts'

/**
 * A deterministic machine in memory. It must not look at a clock, at chance or at anything outside: all replicas make the
 * same calls of `apply` in the same order, and must come to the same state.
 */
export interface MemoryMachine {
  /**
   * Executes one command and answers it, with nothing or with bytes. A throw refuses the command, so throw before changing
   * anything: the caller gets the code of a `StrettoError`, or BAD_REQUEST, with fate `not-applied`. Throws count among
   * what must be the same on all replicas.
   */
  apply(command: Uint8Array, context: CommandContext): Uint8Array | null | undefined | void
  /** Answers a question without changing anything. */
  query(question: Uint8Array): Uint8Array
  /** The whole state as bytes, which later changes must not alter. */
  save(): Uint8Array
  /** Takes a state up that `save` has given, in place of the present one: at a start, and again after a fault of the disk. */
  load(bytes: Uint8Array): void
}

export interface CommandContext {
  /** The log record that holds the command. */
  readonly index: Index
  /** Cluster time in milliseconds: the only clock there is. */
  readonly time: number
  /** Who sends it: 18 bytes. */
  readonly session: Uint8Array
  /** With the session, names the command: the same one is never executed twice. */
  readonly serial: number
}

const vaultFormat = 1
const headBytes = 28

/** `machine` with its state in `vault`; it answers in a later turn of `env`. */
export function fromMemoryMachine(machine: MemoryMachine, vault: Vault, env: Pick<Env, 'soon'>): StateMachine {
  return new Adapter(machine, vault, env)
}

class Adapter implements StateMachine {
  readonly #machine: MemoryMachine
  readonly #vault: Vault
  readonly #env: Pick<Env, 'soon'>
  /** As in an empty key-value store 1, and one more with each command executed. */
  #revision = 1
  #unflushedBytes = 0
  /** Snapshots that are being read from the vault, and the save that waits for them. */
  #loads = 0
  #held: (() => void) | null = null

  constructor(machine: MemoryMachine, vault: Vault, env: Pick<Env, 'soon'>) {
    this.#machine = machine
    this.#vault = vault
    this.#env = env
  }

  get unflushedBytes(): number {
    return this.#unflushedBytes
  }

  open(done: Done<{ readonly durable: LogId; readonly sidecar: Uint8Array | null }>): void {
    this.#vault.load((error, bytes) => {
      if (error !== null || bytes === null) return done(error, { durable: logOrigin, sidecar: null })
      const saved = readSaved(bytes)
      if (saved === null) return done(unreadable(bytes), { durable: logOrigin, sidecar: null })
      this.#revision = readU64(bytes, 16)
      this.#machine.load(new Uint8Array(bytes.subarray(headBytes + saved.sidecar.length)))
      done(null, { durable: saved.last, sidecar: saved.sidecar })
    })
  }

  check(commands: Uint8Array, count: number): StrettoError | null {
    if (commandsIn(commands, count) !== null) return null
    return new StrettoError('BAD_REQUEST', 'commands that are not one array of byte strings')
  }

  apply(batches: readonly Batch[], done: Done<readonly Outcomes[]>): void {
    const outcomes = batches.map(batch => this.#execute(batch))
    this.#env.soon(() => done(null, outcomes))
  }

  query(request: Uint8Array, done: Done<Uint8Array>): void {
    const answer = this.#answerTo(request)
    this.#env.soon(() => (answer instanceof Error ? done(answer, request) : done(null, answer)))
  }

  /** The answer to a query, in pieces. */
  scan(request: Uint8Array): Source {
    const answer = this.#answerTo(request)
    let at = 0
    return {
      page: (bytesMax, done) => {
        const bytes = answer instanceof Error ? request.subarray(0, 0) : answer.subarray(at, at + Math.max(1, bytesMax))
        at += bytes.length
        const last = answer instanceof Error || at === answer.length
        this.#env.soon(() => done(answer instanceof Error ? answer : null, { bytes, last }))
      },
      close: () => {}
    }
  }

  flush(upTo: LogId, sidecar: Uint8Array, done: Done): void {
    const state = this.#machine.save()
    const bytes = new Uint8Array(headBytes + sidecar.length + state.length)
    writeU16(bytes, 0, vaultFormat)
    writeU32(bytes, 4, upTo.term)
    writeU64(bytes, 8, upTo.index)
    writeU64(bytes, 16, this.#revision)
    writeU32(bytes, 24, sidecar.length)
    bytes.set(sidecar, headBytes)
    bytes.set(state, headBytes + sidecar.length)
    this.#unflushedBytes = 0
    if (this.#loads === 0) this.#vault.save(bytes, done)
    else this.#held = () => this.#vault.save(bytes, done)
  }

  /** What the vault holds; the next flush replaces it only when it has been read. */
  snapshot(done: Done<SnapshotSource | null>): void {
    this.#loads++
    this.#vault.load((error, bytes) => {
      this.#loads--
      const held = this.#loads === 0 ? this.#held : null
      if (held !== null) {
        this.#held = null
        held()
      }
      if (error !== null || bytes === null) return done(error, null)
      const saved = readSaved(bytes)
      if (saved === null) done(unreadable(bytes), null)
      else SavedSnapshot.of(saved, bytes, this.#env, snapshot => done(null, snapshot))
    })
  }

  restore(): SnapshotSink {
    return new SavedSink({ vault: this.#vault, env: this.#env, read: readSaved })
  }

  compacted(): void {
    // Nothing in it names a place in the log.
  }

  close(done: Done): void {
    this.#vault.close(done)
  }

  #execute(batch: Batch): Outcomes {
    if (batch.kind === 'expiry') return { revision: this.#revision, each: null }
    this.#unflushedBytes += batch.commands.length
    const commands = commandsIn(batch.commands, batch.count)
    const { bytes } = batch.block
    const start = batch.at + commandAt.session
    const session = new Uint8Array(bytes.subarray(start, batch.at + commandAt.count))
    const serial = readU64(bytes, batch.at + commandAt.serial)
    const each: (Outcome | null)[] = []
    let first = 0
    let plain = batch.skip === null
    for (let number = 0; number < batch.count; number++) {
      if (batch.skip?.[number] === true) {
        each.push(null)
        continue
      }
      const context = { index: batch.index, time: batch.time, session, serial: serial + number }
      const outcome = this.#executeOne(commands?.[number] ?? null, context)
      if (first === 0) first = outcome.revision
      if (outcome.status !== 0 || outcome.answer !== null) plain = false
      each.push(outcome)
    }
    return { revision: first, each: plain ? null : each }
  }

  #executeOne(command: Uint8Array | null, context: CommandContext): Outcome {
    if (command === null) return { status: numberOfCode('BAD_REQUEST'), revision: this.#revision, answer: null }
    try {
      // A copy, so that the machine may keep or change it: the bytes of the log must stay as they are.
      const answer = this.#machine.apply(new Uint8Array(command), context) ?? null
      this.#revision++
      return { status: 0, revision: this.#revision, answer }
    } catch (error) {
      if (error instanceof AssertionError) throw error
      const code = error instanceof StrettoError ? error.code : 'BAD_REQUEST'
      return { status: numberOfCode(code), revision: this.#revision, answer: null }
    }
  }

  #answerTo(request: Uint8Array): Uint8Array | Error {
    try {
      return this.#machine.query(request)
    } catch (cause) {
      if (cause instanceof AssertionError) throw cause
      if (cause instanceof StrettoError) return cause
      return new StrettoError('BAD_REQUEST', 'the machine refused the question', { cause })
    }
  }
}

/** Null where `bytes` are no saved machine. */
function readSaved(bytes: Uint8Array): Saved | null {
  if (bytes.length < headBytes || readU16(bytes, 0) !== vaultFormat || readU16(bytes, 2) !== 0) return null
  const sidecarBytes = readU32(bytes, 24)
  if (bytes.length < headBytes + sidecarBytes) return null
  const last = { term: readU32(bytes, 4), index: readU64(bytes, 8) }
  return { last, sidecar: bytes.subarray(headBytes, headBytes + sidecarBytes) }
}

function unreadable(bytes: Uint8Array): StrettoError {
  const newer = newerFormat('the saved machine is', bytes, vaultFormat)
  return newer ?? new StrettoError('CORRUPT', 'what the vault holds is no saved machine', { fate: 'unknown' })
}

/** The commands in a record's body, or null unless they are exactly `count` byte strings. */
function commandsIn(bytes: Uint8Array, count: number): readonly Uint8Array[] | null {
  try {
    const value = unpack(bytes)
    if (!Array.isArray(value) || value.length !== count) return null
    const commands: Uint8Array[] = []
    for (const command of value as readonly unknown[]) {
      if (!(command instanceof Uint8Array)) return null
      commands.push(command)
    }
    return commands
  } catch {
    return null
  }
}
