// The key-value machine: recent state in memory, all of it in LevelDB, flushed generation by generation.
//
// What is applied goes into the active generation of the memory table. A flush freezes it and writes it as one synced
// batch with the sidecar and the applied id, so that a crash leaves exactly the state of the last flush; meanwhile the
// next generation fills. What is not in memory is read before a batch is executed, never during it.
import { assert } from '../base/assert.ts'
import type { Done, Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { Feed, FeedSink } from '../machine/feed.ts'
import type {
  Batch,
  LogReader,
  Outcomes,
  SnapshotSink,
  SnapshotSource,
  Source,
  StateMachine
} from '../machine/machine.ts'
import { type Index, type LogId, logOrigin } from '../raft/types.ts'
import { type Command, kvVersionMax, type Operation } from '../wire/kv/commands.ts'
import { readScan, type Scan } from '../wire/kv/questions.ts'
import { isRenewal, readCommands } from '../wire/kv/read-commands.ts'
import { ApplyCall } from './apply.ts'
import { Compaction } from './compaction.ts'
import { asFault } from './fault.ts'
import { Flush } from './flush.ts'
import { readGenerations } from './generations.ts'
import { Later } from './later.ts'
import { loadLeases } from './leases/load-leases.ts'
import { MemoryTable } from './memory-table.ts'
import type { Changes, ChangesAsked } from './past/changes.ts'
import { findHorizon, type HorizonTerms } from './past/horizon.ts'
import { Past } from './past/past.ts'
import { checkRevision, Query } from './query.ts'
import { KvRestore } from './restore.ts'
import { RowReader } from './row-reader.ts'
import { type Head, headKey, orderKey, readHead, readOrder } from './rows.ts'
import { OpenScan, RefusedScan } from './scan.ts'
import { takeSnapshot } from './snapshot.ts'
import { holdsRows, levelFault, type StateLevel, settle } from './state-level.ts'
import { WatchHub } from './watch/hub.ts'

export interface KvOptions {
  /** While a flush is under way and as much again has been applied, `apply` waits for its end. */
  readonly tableBytesMax: number
  /** Entries that are on disk too, kept in memory to be found without reading. */
  readonly cleanCacheBytesMax: number
}

export const kvDefaults: KvOptions = { tableBytesMax: 33_554_432, cleanCacheBytesMax: 67_108_864 }

type Opened = { readonly durable: LogId; readonly sidecar: Uint8Array | null }

export class KvMachine implements StateMachine {
  readonly versionMax = kvVersionMax
  readonly #level: StateLevel
  readonly #env: Env
  readonly #options: KvOptions
  readonly #later: Later
  readonly #table: MemoryTable
  readonly #reader: RowReader
  readonly #past: Past
  readonly #compaction: Compaction
  readonly #hub: WatchHub
  /** The machine version in force. */
  #version = 1
  /** Revision of the newest generation on disk, 0 for none. */
  #newest = 0
  #applying = false
  #flushing = false
  /** An apply that waits until the flush under way has made room. */
  #held: (() => void) | null = null
  /** Why nothing is served any more. */
  #ended: Error | null = null

  /** `level` need not be open, and is closed by `close`. */
  constructor(level: StateLevel, env: Env, options: KvOptions = kvDefaults) {
    this.#level = level
    this.#env = env
    this.#options = options
    this.#later = new Later(env)
    this.#table = new MemoryTable(options.cleanCacheBytesMax)
    this.#reader = new RowReader(level)
    this.#past = new Past({ level, env, table: this.#table, reader: this.#reader })
    this.#compaction = new Compaction({
      level,
      env,
      records: this.#past.records,
      refused: revision => this.#refuseBelow(revision),
      ended: () => this.#ended,
      failed: error => this.#end(error)
    })
    this.#hub = new WatchHub({
      env,
      table: this.#table,
      scan: asked => this.#openScan(asked),
      past: asked => this.changes(asked)
    })
  }

  /** CORRUPT where what is on disk is damaged or not whole, BAD_REQUEST where a newer version has written it. */
  open(done: Done<Opened>): void {
    const failed = (error: Error) => done(levelFault('opened', error), nothing)
    const read = ([row, order]: readonly (Uint8Array | undefined)[]) => {
      if (row === undefined) return this.#openEmpty(done)
      let head: Head
      try {
        head = readHead(row)
        if (order !== undefined) this.#table.ordered = readOrder(order)
      } catch (error) {
        return done(asFault(error), nothing)
      }
      readGenerations(this.#level, head, (error, newest) => {
        if (error !== null) return done(error, nothing)
        loadLeases(this.#level, this.#table.leases, error => {
          if (error === null) done(null, this.#take(head, newest))
          else done(error, nothing)
        })
      })
    }
    settle(this.#level.open(), () => settle(this.#level.getMany([headKey, orderKey]), read, failed), failed)
  }

  /** Without a head there must be no other row: they would be those of a snapshot that did not come to its end. */
  #openEmpty(done: Done<Opened>): void {
    holdsRows(this.#level, (error, holds) => {
      const fault = holds
        ? new StrettoError('CORRUPT', 'the state is not whole: a snapshot did not come to its end')
        : null
      done(error ?? fault, nothing)
    })
  }

  version(inForce: number): void {
    assert(!this.#applying, 'the version changes between two applies')
    this.#version = inForce
  }

  check(commands: Uint8Array, count: number): StrettoError | null {
    try {
      readCommands(commands, count, this.#version)
      return null
    } catch (error) {
      return asFault(error)
    }
  }

  grows(commands: Uint8Array, count: number): boolean {
    return readCommands(commands, count, this.#version).some(mayGrow)
  }

  /** Renewals by themselves. */
  isUrgent(commands: Uint8Array, count: number): boolean {
    return count === 1 && isRenewal(commands)
  }

  get dueAt(): number {
    return this.#table.leases.dueAt
  }

  apply(batches: readonly Batch[], done: Done<readonly Outcomes[]>): void {
    assert(!this.#applying, 'one apply at a time')
    this.#applying = true
    if (this.#flushing && this.#table.active.bytes >= this.#options.tableBytesMax) {
      this.#held = () => this.#apply(batches, done)
      return
    }
    this.#apply(batches, done)
  }

  query(request: Uint8Array, done: Done<Uint8Array>, time = 0): void {
    let query: Query
    try {
      query = new Query({ ...this.#parts, time }, request, done)
    } catch (error) {
      const fault = asFault(error)
      return this.#later.call(() => done(fault, new Uint8Array(0)))
    }
    this.#later.call(() => {
      if (this.#ended !== null) done(this.#ended, new Uint8Array(0))
      else query.run()
    })
  }

  scan(request: Uint8Array): Source {
    try {
      return this.#openScan(readScan(request))
    } catch (error) {
      return new RefusedScan(this.#later, asFault(error))
    }
  }

  feed(sink: FeedSink): Feed {
    return this.#hub.feed(sink)
  }

  #openScan(scan: Scan): Source {
    try {
      if (this.#ended !== null) return new RefusedScan(this.#later, this.#ended)
      checkRevision(this.#table, scan.atRevision)
      return new OpenScan(this.#parts, scan)
    } catch (error) {
      return new RefusedScan(this.#later, asFault(error))
    }
  }

  lend(log: LogReader): void {
    this.#past.lend(log)
    this.#compaction.begins(log.base)
  }

  passed(index: Index): void {
    this.#table.active.addEffects({ index, revisionBefore: this.#table.revision, each: [] })
  }

  /** @throws StrettoError COMPACTED, FUTURE_REVISION */
  changes(asked: ChangesAsked): Changes {
    checkRevision(this.#table, asked.upTo)
    return this.#past.changes(asked, () => this.#compaction.settled)
  }

  flush(upTo: LogId, sidecar: Uint8Array, done: Done): void {
    assert(!this.#flushing, 'one flush at a time')
    this.#flushing = true
    this.#compaction.pause()
    const generation = this.#table.freeze()
    const { revision, cache, ordered } = this.#table
    const compacted = Math.max(this.#compaction.revision, this.#table.compacted)
    const head = { revision, compacted, applied: upTo, sidecar }
    const parts = {
      level: this.#level,
      env: this.#env,
      cache,
      reader: this.#reader,
      keepUpTo: this.#compaction.keepUpTo,
      previous: this.#newest,
      ordered,
      ended: () => this.#ended
    }
    const flush = new Flush(parts, generation, head, error => {
      this.#flushing = false
      if (error === null && generation.versions.size > 0) this.#newest = head.revision
      if (error === null) this.#flushed(head)
      else this.#end(error)
      this.#resume()
      done(error)
    })
    flush.start()
  }

  #flushed(head: Head): void {
    this.#table.flushed()
    this.#refuseBelow(head.compacted)
    this.#compaction.resume(head.compacted, this.#table.ordered)
  }

  #refuseBelow(revision: number): void {
    this.#table.compacted = Math.max(this.#table.compacted, revision)
  }

  snapshot(done: Done<SnapshotSource | null>): void {
    assert(!this.#flushing, 'a snapshot is taken between two flushes')
    if (this.#ended !== null) {
      const reason = this.#ended
      return this.#later.call(() => done(reason, null))
    }
    takeSnapshot({ level: this.#level, env: this.#env, ended: () => this.#ended }, done)
  }

  restore(): SnapshotSink {
    return new KvRestore({ level: this.#level, env: this.#env, ended: () => this.#ended })
  }

  /** The revision to compact at where the past is bounded; 0 for none. May answer inside the call. */
  horizon(terms: HorizonTerms, done: Done<number>): void {
    findHorizon(this.#level, this.#past.records, terms, done)
  }

  leaves(base: Index, done: Done): void {
    this.#compaction.leave(base, done)
  }

  /** Of the log, by an order to compact. */
  get released(): Index {
    return this.#compaction.released
  }

  compacted(base: Index): void {
    this.#compaction.raise(base)
  }

  get unflushedBytes(): number {
    return this.#table.unflushedBytes
  }

  /** Revision of the store. */
  get revision(): number {
    return this.#table.revision
  }

  /** From which revision on the state can be read; 0 before the first compaction. */
  get compactedRevision(): number {
    return this.#table.compacted
  }

  /** Bytes of the clean cache, by its own account. */
  get cacheBytes(): number {
    return this.#table.cache.bytes
  }

  /** Scans and counts that are open. */
  get openScans(): number {
    return this.#table.viewCount
  }

  /** Versions with older ones behind them, which open scans still need. */
  get keptVersions(): number {
    return this.#table.keptCount
  }

  close(done: Done): void {
    this.#end(new StrettoError('STOPPED', 'the key-value machine is closed', { fate: 'unknown' }))
    this.#resume()
    settle(
      this.#level.close(),
      () => done(null),
      error => done(levelFault('closed', error))
    )
  }

  get #parts() {
    const { lookup } = this.#past
    return { level: this.#level, env: this.#env, later: this.#later, table: this.#table, reader: this.#reader, lookup }
  }

  #apply(batches: readonly Batch[], done: Done<readonly Outcomes[]>): void {
    const parts = { ...this.#parts, version: this.#version, ended: () => this.#ended }
    const call = new ApplyCall(parts, batches, (error, outcomes) => {
      if (error !== null) this.#end(error)
      this.#applying = false
      done(error, outcomes)
    })
    if (call.ready) this.#later.call(() => call.run())
    else call.run()
  }

  #resume(): void {
    const held = this.#held
    this.#held = null
    if (held !== null) this.#later.call(held)
  }

  #take(head: Head, newest: number): Opened {
    this.#newest = newest
    this.#table.revision = head.revision
    this.#table.compacted = head.compacted
    this.#compaction.opened(head.compacted)
    return { durable: head.applied, sidecar: head.sidecar }
  }

  /** The first reason stays: the state on disk may lack what memory has, or is damaged. */
  #end(reason: Error): void {
    this.#ended ??= reason
    this.#hub.close(
      new StrettoError('UNAVAILABLE', 'this life of the node has ended', { cause: reason, retryAfterMs: 100 })
    )
  }
}

/** Also a transaction may free room: where nothing in it stores a value. */
function mayGrow(command: Command | Operation): boolean {
  switch (command.op) {
    case 'delete':
    case 'deleteRange':
    case 'compact':
    case 'renew':
    case 'revoke':
    case 'get':
    case 'range':
      return false
    case 'txn':
      return command.onTrue.some(mayGrow) || command.onFalse.some(mayGrow)
    default:
      return true
  }
}

const nothing: Opened = { durable: logOrigin, sidecar: null }
