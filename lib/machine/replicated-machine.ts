// Exactly once: walks the committed records, has the inner machine execute what may be executed, and keeps what became of
// it beside the machine's state.
//
// What it does is a function of the log alone, whatever blocks share one call: where a decision hangs on something that is
// not yet executed, the walk stops, the inner machine executes what is gathered, and the walk goes on. A client sends such
// a record only after an answer, or again after a lost one; so batches are hardly ever cut finer than the leader cut them.
import { AssertionError, assert } from '../base/assert.ts'
import { readU16, readU32, readU64 } from '../base/bytes.ts'
import type { Done } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import { type Block, type Index, type LogId, logOrigin } from '../raft/types.ts'
import { blockHeaderBytes, commandAt, draftFault, recordAt, recordHeaderBytes, recordKind } from '../record/record.ts'
import { type Answer, beyondWindow } from './answer.ts'
import { Decisions, type Place } from './decisions.ts'
import { readHash } from './divergence.ts'
import type { LogReader, SnapshotSource, StateMachine } from './machine.ts'
import { readSetting, readVersion } from './order.ts'
import { serialWindow } from './session.ts'
import { type SessionLimits, SessionTable, sessionLimits } from './session-table.ts'
import { decodeSidecar, encodeSidecar, newerSidecar, type StoredMembership } from './sidecar.ts'
import { type Diverged, mix, StateHash } from './state-hash.ts'

export interface ReplicatedMachineOptions {
  /** The highest machine version that this program can run: that of the inner machine where it is absent. */
  readonly versionMax?: number
  readonly sessions: SessionLimits
}

export const replicatedMachineDefaults: ReplicatedMachineOptions = { sessions: sessionLimits }

export class ReplicatedMachine {
  readonly #inner: StateMachine
  readonly #versionMax: number
  readonly #table: SessionTable
  readonly #decisions: Decisions
  readonly #settings = new Map<string, Uint8Array>()
  /** The running hash of the state, and what it has shown. */
  readonly hash = new StateHash()
  #applied: LogId = logOrigin
  #time = 0
  #version = 1
  #membership: StoredMembership | null = null
  #flushing = false

  // Where the walk of the `apply` under way stands.
  #done: Done<readonly Answer[]> | null = null
  #blocks: readonly Block[] = []
  #block = 0
  #record = 0
  #at = 0
  #index: Index = 0
  #unable: number | null = null

  constructor(inner: StateMachine, options: ReplicatedMachineOptions = replicatedMachineDefaults) {
    this.#inner = inner
    this.#versionMax = options.versionMax ?? inner.versionMax ?? 1
    this.#table = new SessionTable(options.sessions)
    this.#decisions = new Decisions(this.#table, index => inner.passed?.(index))
  }

  /** The last record applied; during an apply, the last before it. */
  get applied(): LogId {
    return this.#applied
  }

  /** Cluster time of the state, milliseconds: the largest stamp applied. */
  get time(): number {
    return this.#time
  }

  /** The machine version that the log has asked for last. */
  get version(): number {
    return this.#version
  }

  /** The highest machine version that this program can run. */
  get versionMax(): number {
    return this.#versionMax
  }

  /** The machine version that log or state ask for and this program cannot run; null where there is none. */
  get unable(): number | null {
    return this.#unable
  }

  /** A majority of the voters has come to another state; null where none is known to have. Only another state ends it. */
  get diverged(): Diverged | null {
    return this.hash.diverged
  }

  get settings(): ReadonlyMap<string, Uint8Array> {
    return this.#settings
  }

  /** The last membership record applied. */
  get membership(): StoredMembership | null {
    return this.#membership
  }

  get sessionCount(): number {
    return this.#table.count
  }

  /** Memory that sessions take, by the table's own account. */
  get sessionBytes(): number {
    return this.#table.bytes
  }

  /** Bytes that only memory holds: what asks for a flush. */
  get unflushedBytes(): number {
    return this.#inner.unflushedBytes
  }

  /**
   * Opens the inner machine and takes up where its last flush ended: at `durable`. CORRUPT where state and sidecar do not
   * belong together, BAD_REQUEST where a newer program has written them in another form. A state of a machine version
   * that this program cannot run is opened, but neither asked nor changed: `unable` says so.
   */
  open(done: Done<{ readonly durable: LogId }>): void {
    this.#inner.open((error, opened) => {
      done(error ?? this.#restore(opened.durable, opened.sidecar), { durable: this.#applied })
    })
  }

  /** What is wrong with a draft record as a client sent it, or null: called on the leader before it is stamped. */
  check(draft: Uint8Array): StrettoError | null {
    const fault = draftFault(draft)
    if (fault !== null) return new StrettoError('BAD_REQUEST', fault)
    if (draft[recordAt.kind] === recordKind.resolve) return null
    const serial = readU64(draft, commandAt.serial)
    const count = readU16(draft, commandAt.count)
    const floor = readU64(draft, commandAt.floor)
    if (serial <= floor) return new StrettoError('BAD_REQUEST', 'a serial at or below the last one acknowledged')
    if (serial + count - 1 > floor + serialWindow) return new StrettoError('BAD_REQUEST', beyondWindow.text)
    return this.#inner.check(draft.subarray(commandAt.commands), count)
  }

  /** Whether a draft record that `check` has passed may make the state larger: called on the leader. */
  grows(draft: Uint8Array): boolean {
    if (draft[recordAt.kind] !== recordKind.command) return false
    const count = readU16(draft, commandAt.count)
    return this.#inner.grows?.(draft.subarray(commandAt.commands), count) ?? true
  }

  /** Whether a draft record keeps something alive, and so goes before others. */
  isUrgent(draft: Uint8Array): boolean {
    if (draft[recordAt.kind] !== recordKind.command) return false
    return this.#inner.isUrgent?.(draft.subarray(commandAt.commands), readU16(draft, commandAt.count)) ?? false
  }

  /** Cluster time in milliseconds after which a leader has to write an expiry record; Infinity for never. */
  get dueAt(): number {
    return this.#inner.dueAt ?? Number.POSITIVE_INFINITY
  }

  /**
   * Applies whole committed blocks, in log order; records at or below `applied` are passed over. One call at a time.
   * Gives an answer for each command and resolve record, in order. UNAVAILABLE: the log asks for a machine version that
   * this program cannot run; `applied` is the record before it, and whoever goes on meets it again.
   */
  apply(blocks: readonly Block[], done: Done<readonly Answer[]>): void {
    assert(this.#done === null, 'one apply at a time')
    assert(this.#version <= this.#versionMax, 'a state of a version that this program cannot run is not changed')
    this.#done = done
    this.#blocks = blocks
    this.#block = 0
    this.#record = 0
    this.#at = blockHeaderBytes
    this.#index = this.#applied.index
    this.#unable = null
    this.#walk()
  }

  /** Makes all that is applied durable together with the sidecar. Gives the last record contained. Not during an apply. */
  flush(done: Done<LogId>): void {
    assert(!this.#flushing, 'one flush at a time')
    const upTo = this.#applied
    this.#flushing = true
    this.#inner.flush(upTo, this.sidecar(), error => {
      this.#flushing = false
      done(error, upTo)
    })
  }

  /** A flush is under way: no snapshot can be taken now. */
  get flushing(): boolean {
    return this.#flushing
  }

  /**
   * The state as the last flush made it durable, whatever has been applied since; null before the first flush. Not while
   * `flushing`; an apply may be under way.
   */
  snapshot(done: Done<SnapshotSource | null>): void {
    assert(!this.#flushing, 'a snapshot is taken between two flushes')
    this.#inner.snapshot(done)
  }

  /** Gives the inner machine the log to read in; before the first `apply`. */
  lend(log: LogReader): void {
    this.#inner.lend?.(log)
  }

  /** The log is to be cut after `base`: calls back when the machine has what it still needs of it elsewhere. */
  leaves(base: Index, done: Done): void {
    if (this.#inner.leaves === undefined) done(null)
    else this.#inner.leaves(base, done)
  }

  /** The log up to here is not needed by the machine any more, by an order; 0 where there is none. */
  get released(): Index {
    return this.#inner.released ?? 0
  }

  /** The log begins after `base`: what names places at or below may be let go of. Said once in each life, and as it rises. */
  compacted(base: Index): void {
    this.#inner.compacted(base)
  }

  /** The core's part of the state as bytes (layout: `sidecar.ts`): equal on all replicas that have applied the same log. */
  sidecar(): Uint8Array {
    assert(this.#done === null, 'the state is whole only between two applies')
    return encodeSidecar({
      applied: this.#applied,
      time: this.#time,
      machineVersion: this.#version,
      membership: this.#membership,
      settings: this.#settings,
      horizon: this.#table.horizon,
      hash: this.hash.store(),
      sessions: this.#table.sessions()
    })
  }

  close(done: Done): void {
    this.#inner.close(done)
  }

  #restore(durable: LogId, bytes: Uint8Array | null): Error | null {
    if (bytes === null) {
      return durable.index === 0
        ? null
        : new StrettoError('CORRUPT', 'a state without its sessions', { fate: 'unknown' })
    }
    const newer = newerSidecar(bytes)
    if (newer !== null) return newer
    const sidecar = decodeSidecar(bytes)
    if (sidecar === null || sidecar.applied.index !== durable.index || sidecar.applied.term !== durable.term) {
      return new StrettoError('CORRUPT', 'the sessions beside the state are not those of the state', {
        fate: 'unknown'
      })
    }
    this.#applied = sidecar.applied
    this.#time = sidecar.time
    this.#version = sidecar.machineVersion
    this.#membership = sidecar.membership
    for (const [name, value] of sidecar.settings) this.#settings.set(name, value)
    this.#table.restore(sidecar.sessions, sidecar.horizon)
    this.hash.restore(sidecar.hash)
    if (this.#version > this.#versionMax) this.#unable = this.#version
    else this.#inner.version?.(this.#version)
    return null
  }

  /** Record after record, until one has to wait for the inner machine or none is left. */
  #walk(): void {
    for (; this.#block < this.#blocks.length; this.#block++) {
      const block = this.#blocks[this.#block]!
      assert(block.first <= this.#index + 1, 'blocks are applied without a gap')
      for (; this.#record < block.count; this.#record++) {
        const length = readU32(block.bytes, this.#at)
        const index = block.first + this.#record
        if (index > this.#index) {
          if (!this.#take(block, length, index)) {
            assert(this.#decisions.batches.length > 0, 'a record waits only for what is pending')
            return this.#execute(false)
          }
          if (this.#unable !== null) return this.#execute(true)
          this.#index = index
        }
        this.#at += length
      }
      this.#record = 0
      this.#at = blockHeaderBytes
    }
    this.#execute(true)
  }

  /** Has one record decided. False: what is gathered must be executed first. */
  #take(block: Block, length: number, index: Index): boolean {
    if (this.#decisions.full) return false
    const at = this.#at
    const { bytes } = block
    // Stamps never fall along the log; were one to fall, the machine still would not see it.
    this.#time = Math.max(this.#time, readU64(bytes, at + recordAt.time))
    this.#table.expire(this.#time)
    const place: Place = { block, at, length, index, time: this.#time }
    const kind = bytes[at + recordAt.kind]!
    if (kind === recordKind.hash) return this.#compare(place)
    // What stands before it is executed by the rules of before.
    if (kind === recordKind.version && this.#decisions.batches.length > 0) return false
    if (kind !== recordKind.noop) this.hash.count(length)
    switch (kind) {
      case recordKind.command:
        return this.#decisions.command(place)
      case recordKind.resolve:
        return this.#decisions.resolve(place)
      case recordKind.expiry:
        this.#decisions.expiry(place)
        return true
      case recordKind.membership:
        assert(length > recordHeaderBytes, 'a membership record holds a membership')
        this.#membership = { index, bytes: new Uint8Array(bytes.subarray(at + recordHeaderBytes, at + length)) }
        return true
      case recordKind.version:
        this.#setVersion(readVersion(bytes, at, length))
        return true
      case recordKind.setting:
        this.#set(readSetting(bytes, at, length))
        return true
      case recordKind.noop:
        return true
      default:
        throw new AssertionError('a record of a kind this program does not know: it would leave this replica behind')
    }
  }

  /** A hash record changes no state; it compares what all before it have come to, so nothing may be pending then. */
  #compare({ block, at, length, index, time }: Place): boolean {
    if (this.#decisions.batches.length > 0) return false
    this.hash.add(this.#decisions.hash())
    const { horizon, count } = this.#table
    const facts = mix(mix(mix(mix(0, horizon), count), time), this.#version)
    this.hash.mark(index, readHash(block.bytes, at, length), facts)
    return true
  }

  #setVersion(version: number): void {
    if (version > this.#versionMax) {
      this.#unable = version
      return
    }
    this.#version = version
    this.#inner.version?.(version)
  }

  #set(setting: { readonly name: string; readonly value: Uint8Array }): void {
    if (setting.value.length === 0) this.#settings.delete(setting.name)
    else this.#settings.set(setting.name, setting.value)
  }

  #execute(last: boolean): void {
    this.#inner.apply(this.#decisions.batches, (error, outcomes) => {
      // The state may be half changed: this life of the machine is over, and `done` stays set so that nothing follows.
      if (error !== null) return this.#done!(error, [])
      this.#decisions.settle(outcomes)
      if (last) this.#finish()
      else this.#walk()
    })
  }

  #finish(): void {
    const done = this.#done!
    const last = this.#unable !== null ? this.#blocks[this.#block] : this.#blocks.at(-1)
    if (last !== undefined && this.#index > this.#applied.index) {
      this.#applied = { term: this.#termOf(last), index: this.#index }
    }
    this.#blocks = []
    this.hash.add(this.#decisions.hash())
    const answers = this.#decisions.take()
    this.#done = null
    done(this.#unable !== null ? unableToRun(this.#unable) : null, answers)
  }

  /** The term of the last record applied, which stands in `last` or, where that begins after it, in the block before. */
  #termOf(last: Block): number {
    return last.first <= this.#index ? last.term : this.#blocks[this.#block - 1]!.term
  }
}

/** What whoever asks a node with such a log is told. */
export function unableToRun(version: number): StrettoError {
  return new StrettoError(
    'UNAVAILABLE',
    `machine version ${version} is in force, which this program cannot run: upgrade it`
  )
}
