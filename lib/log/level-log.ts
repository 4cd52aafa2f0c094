// The replicated log on LevelDB: a block is a value, a turn is one synced batch, and what waits is merged into the next.
import { assert } from '../base/assert.ts'
import type { Done, Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { Persist } from '../raft/doors.ts'
import { type Base, type Block, type ChainedId, compareLogIds, type HardState, type Index } from '../raft/types.ts'
import { writeBase } from './base-record.ts'
import type { Catalogue } from './catalogue.ts'
import type { Directory } from './directory.ts'
import { corrupt, openFault, refuse, writeFault } from './faults.ts'
import { HotWindow } from './hot-window.ts'
import { baseKey, blockBound, blockKey, type Card, cardOf } from './keys.ts'
import { compactRange, type Level, type LevelOperation, settle, synced, unsynced } from './level.ts'
import type { Log, Opened } from './log.ts'
import type { MemoryKeeper } from './memory-keeper.ts'
import { type Recovered, Recovery, readBlockOf, type StateOf } from './recovery.ts'

const what = 'the log'
const hotBytesMaxDefault = 33_554_432
const sweepKeysMax = 1024

export interface LevelLogParts {
  /** Makes the database, not yet open: called once, by `open`. */
  readonly level: () => Level
  /** Open, of a founded node, and the log's own from now on: it is closed with the log. */
  readonly memory: MemoryKeeper
  /** Where the state directories are. */
  readonly directory: Directory
  readonly env: Env
  /** Null: the state is not asked, and the whole log is verified at once. */
  readonly stateOf: StateOf | null
  /** Bound of the hot window in bytes; 32 MiB when absent. */
  readonly hotBytesMax?: number
}

/** A write that is not yet durable. */
interface Job {
  readonly operations: LevelOperation[]
  readonly hard: HardState | null
  /** The end that is left by its cut, null for none: the mark must not stand above it meanwhile. */
  readonly cut: ChainedId | null
  /** The log's end after it. */
  readonly tail: ChainedId
  readonly trust: boolean
  /** Up to here blocks may be freed once it is durable, since it moves the base; 0 for none. */
  readonly frees: Index
  readonly done: Done
}

/** One life of a log: opened once, and over with its first error. */
export class LevelLog implements Log {
  readonly #env: Env
  readonly #parts: LevelLogParts
  readonly #memory: MemoryKeeper
  readonly #hot: HotWindow
  #level!: Level
  #base!: Base
  #catalogue!: Catalogue
  #clusterId = ''
  #trusted = false
  #unverified: Index = 0
  #cuts = 0
  /** What is at or below it is on disk as the catalogue has it. */
  #durable: Index = 0
  #waiting: Job[] = []
  #running: readonly Job[] | null = null
  #reading = 0
  /** Below the base on disk there may be blocks up to here; 0 when there are none. */
  #freeable: Index = 0
  #sweeping = false
  #fault: StrettoError | null = null
  #failed: ((error: Error) => void) | null = null
  #closing: Done | null = null

  constructor(parts: LevelLogParts) {
    this.#parts = parts
    this.#env = parts.env
    this.#memory = parts.memory
    this.#hot = new HotWindow(parts.hotBytesMax ?? hotBytesMaxDefault)
    this.#memory.onFault = fault => this.#end(fault)
  }

  get base(): Base {
    return this.#base
  }

  get tail(): ChainedId {
    return this.#catalogue.tail
  }

  get cuts(): number {
    return this.#cuts
  }

  get bytes(): number {
    return this.#catalogue.bytes
  }

  /** Blocks up to here were not read by `open`: what the scrub is for. */
  get unverified(): Index {
    return this.#unverified
  }

  /** Errors: OpenError, after which everything has been closed again. */
  open(done: Done<Opened>): void {
    this.#level = this.#parts.level()
    const { directory, stateOf } = this.#parts
    const fail = (error: Error): void => {
      const fault = openFault(what, error)
      this.#fault = fault
      this.close(() => refuse(done, fault))
    }
    settle(this.#level.open(), error => {
      if (error) return fail(error)
      const recovery = new Recovery(this.#level, directory, this.#memory.memory, stateOf, (error, recovered) => {
        if (error) return fail(error)
        done(null, this.#start(recovered))
      })
      recovery.run()
    })
  }

  #start(recovered: Recovered): Opened {
    const { base, catalogue, memberships, trusted, hollow, commit, findings } = recovered
    const { hard, mark, clusterId } = this.#memory.memory
    this.#base = base
    this.#catalogue = catalogue
    this.#clusterId = clusterId!
    this.#trusted = trusted
    this.#unverified = recovered.unverified
    this.#durable = catalogue.tail.index
    // A sound log may be promised up to its end at once; that it is no longer the promised one must not be forgotten.
    if (trusted) this.#memory.promise(catalogue.tail)
    if (recovered.leftovers) this.#freeable = base.index
    this.#sweep()
    const { tail } = catalogue
    const restored = { hard, base, last: tail, terms: catalogue.terms(), memberships, mark, trusted, hollow, commit }
    return { restored, base, tail, findings }
  }

  write(persist: Persist, done: Done): void {
    if (this.#refused(done)) return
    const operations: LevelOperation[] = []
    const cut = persist.cut === null ? null : this.#cut(persist.cut, operations)
    for (const block of persist.blocks) {
      const { tail } = this.#catalogue
      if (block.first !== tail.index + 1 || block.previousChain !== tail.chain || block.term < tail.term) {
        this.#end(corrupt(`a block that begins at ${block.first} does not continue the log`))
        return void this.#refused(done)
      }
      this.#append(block, operations)
    }
    this.#hot.trim(this.#durable)
    const { hard, trust } = persist
    this.#enqueue({ operations, hard, cut, tail: this.#catalogue.tail, trust, frees: 0, done })
  }

  #append(block: Block, operations: LevelOperation[]): void {
    const card = cardOf(block)
    this.#catalogue.push(card)
    this.#hot.push(block)
    operations.push({ type: 'put', key: blockKey(card), value: block.bytes })
  }

  /** Returns the end that is left; null when there is nothing above `index`. */
  #cut(index: Index, operations: LevelOperation[]): ChainedId | null {
    const catalogue = this.#catalogue
    if (index >= catalogue.tail.index) return null
    const left = catalogue.idAt(index)
    assert(left !== null, 'a log is cut between two blocks')
    for (let row = catalogue.rowOf(index + 1); row < catalogue.end; row++) {
      operations.push({ type: 'del', key: blockKey(catalogue.card(row)) })
    }
    catalogue.cutAfter(index)
    this.#hot.cutAfter(index)
    this.#durable = Math.min(this.#durable, index)
    this.#unverified = Math.min(this.#unverified, index)
    this.#cuts++
    return left
  }

  rebase(base: Base, done: Done): void {
    if (this.#refused(done)) return
    assert(base.index >= this.#base.index, 'the base of a log only moves up')
    const operations: LevelOperation[] = []
    const held = this.#catalogue.idAt(base.index)
    const keeps = held !== null && held.term === base.term && held.chain === base.chain
    let cut: ChainedId | null = null
    if (!keeps) {
      // Until the new base is durable the old one is the only record that both logs share: the mark waits there.
      if (this.#memory.memory.mark.index >= base.index) cut = this.#catalogue.start
      this.#giveWay(base, operations)
    }
    operations.push({ type: 'put', key: baseKey(), value: writeBase({ base, clusterId: this.#clusterId }) })
    this.#base = base
    this.#catalogue.dropThrough({ index: base.index, term: base.term, chain: base.chain })
    this.#hot.dropThrough(base.index)
    this.#durable = Math.max(this.#durable, base.index)
    this.#unverified = Math.max(this.#unverified, base.index)
    const { tail } = this.#catalogue
    this.#enqueue({ operations, hard: null, cut, tail, trust: false, frees: base.index, done })
  }

  /** Takes out every block: those above the new base in its own batch, the rest later. */
  #giveWay(base: Base, operations: LevelOperation[]): void {
    const catalogue = this.#catalogue
    for (let row = catalogue.head; row < catalogue.end; row++) {
      if (catalogue.idOf(row).index > base.index) operations.push({ type: 'del', key: blockKey(catalogue.card(row)) })
    }
    catalogue.cutAfter(catalogue.start.index)
    this.#hot.cutAfter(catalogue.start.index)
    this.#durable = base.index
    this.#unverified = base.index
    this.#cuts++
  }

  #enqueue(job: Job): void {
    this.#waiting.push(job)
    this.#pump()
  }

  /** All that waits becomes one batch. First the slots: what the batch makes true must not be denied by them. */
  #pump(): void {
    if (this.#running !== null || this.#fault !== null) return
    if (this.#waiting.length === 0) return this.#closeWhenIdle()
    const jobs = this.#waiting
    this.#waiting = []
    this.#running = jobs
    let hard: HardState | null = null
    let low: ChainedId | null = null
    for (const job of jobs) {
      hard = job.hard ?? hard
      if (job.cut !== null && (low === null || job.cut.index < low.index)) low = job.cut
    }
    const lowers = low !== null && this.#trusted && low.index < this.#memory.memory.mark.index
    if (hard === null && !lowers) return this.#writeBatch(jobs)
    const change = { ...(hard !== null && { hard }), ...(lowers && { mark: low! }) }
    this.#memory.save(change, error => {
      if (error) this.#end(error)
      else this.#writeBatch(jobs)
    })
  }

  #writeBatch(jobs: readonly Job[]): void {
    const operations = jobs.length === 1 ? jobs[0]!.operations : jobs.flatMap(job => job.operations)
    if (operations.length === 0) return this.#env.soon(() => this.#written(jobs))
    settle(this.#level.batch(operations, synced), error => {
      if (error) this.#end(error)
      else this.#written(jobs)
    })
  }

  #written(jobs: readonly Job[]): void {
    if (this.#fault !== null) return
    this.#running = null
    const { tail } = jobs[jobs.length - 1]!
    let durable = tail.index
    for (const { cut } of this.#waiting) if (cut !== null) durable = Math.min(durable, cut.index)
    this.#durable = Math.max(durable, this.#base.index)
    this.#hot.trim(this.#durable)
    if (jobs.some(job => job.trust)) this.#trusted = true
    if (this.#trusted || compareLogIds(tail, this.#memory.memory.mark) > 0) this.#memory.promise(tail)
    for (const { frees } of jobs) this.#freeable = Math.max(this.#freeable, frees)
    this.#pump()
    for (const job of jobs) job.done(null)
    this.#sweep()
  }

  idAt(index: Index): ChainedId | null {
    return this.#catalogue.idAt(index)
  }

  endBefore(bytes: number, records: number, limit: Index): ChainedId {
    return this.#catalogue.endBefore(bytes, records, limit)
  }

  hot(from: Index, bytesMax: number): readonly Block[] | null {
    if (from > this.#catalogue.tail.index) return []
    return this.#hot.from(from, bytesMax)
  }

  cold(from: Index, bytesMax: number, done: Done<readonly Block[] | null>): void {
    if (this.#refused(error => done(error, null))) return
    const near = from <= this.#base.index ? null : this.hot(from, bytesMax)
    if (near !== null || from <= this.#base.index) return this.#env.soon(() => done(null, near))
    const catalogue = this.#catalogue
    const { cuts } = this
    const cards: Card[] = []
    const head = catalogue.rowOf(from)
    let { chain } = catalogue.beforeOf(head)
    let bytes = 0
    for (let row = head; row < catalogue.end && catalogue.idOf(row).index <= this.#durable; row++) {
      bytes += catalogue.lengthOf(row)
      if (row > head && bytes > bytesMax) break
      cards.push(catalogue.card(row))
    }
    assert(cards.length > 0, 'what is not in memory is on disk')
    this.#reading++
    settle(this.#level.getMany(cards.map(blockKey)), (error, values) => {
      this.#reading--
      this.#closeWhenIdle()
      if (error) return done(error, null)
      if (this.cuts !== cuts || from <= this.#base.index) return done(null, null)
      const blocks: Block[] = []
      for (const [number, card] of cards.entries()) {
        const value = values[number]
        const block = value === undefined ? null : readBlockOf(card, chain, value)
        if (block === null) {
          const last = card.first + card.count - 1
          return done(corrupt(`the block of the records ${card.first} to ${last} is damaged on disk`), null)
        }
        blocks.push(block)
        chain = block.chain
      }
      done(null, blocks)
    })
  }

  /** Frees what lies below the base on disk, a part at a time, so that writes pass between. */
  #sweep(): void {
    if (this.#freeable === 0 || this.#sweeping || this.#fault !== null || this.#closing !== null) return
    this.#sweeping = true
    // A block that begins at or below the base ends there too, or the log would begin inside it.
    const range = { gte: blockBound(0), lt: blockBound(this.#freeable + 1) }
    const options = { ...range, limit: sweepKeysMax, fillCache: false }
    this.#freeable = 0
    const part = (): void => {
      settle(this.#level.keys(options).all(), (error, keys) => {
        if (error || this.#closing !== null || this.#fault !== null) return this.#swept(error)
        if (keys.length === 0) return compactRange(this.#level, range.gte, range.lt, error => this.#swept(error))
        const deletes = keys.map((key): LevelOperation => ({ type: 'del', key }))
        settle(this.#level.batch(deletes, unsynced), error => (error ? this.#swept(error) : part()))
      })
    }
    part()
  }

  #swept(error: Error | null): void {
    this.#sweeping = false
    if (error) this.#end(error)
    this.#closeWhenIdle()
    this.#sweep()
  }

  #refused(done: Done): boolean {
    const stopped = this.#closing === null ? null : new StrettoError('STOPPED', 'the log is closed')
    const error = this.#fault ?? stopped
    if (error !== null) this.#env.soon(() => done(error))
    return error !== null
  }

  /** Ends this life: what is not yet durable gets the error, nothing more is written. */
  #end(error: Error): void {
    if (this.#fault !== null) return
    const fault = writeFault(what, error)
    this.#fault = fault
    const jobs = [...(this.#running ?? []), ...this.#waiting]
    this.#running = null
    this.#waiting = []
    this.#env.soon(() => {
      for (const job of jobs) job.done(fault)
      this.#tell()
      this.#closeWhenIdle()
    })
  }

  watch(failed: (error: Error) => void): void {
    this.#failed = failed
    if (this.#fault !== null) this.#env.soon(() => this.#tell())
  }

  #tell(): void {
    const failed = this.#failed
    this.#failed = null
    failed?.(this.#fault!)
  }

  close(done: Done): void {
    assert(this.#closing === null, 'a log is closed once')
    this.#closing = done
    this.#closeWhenIdle()
  }

  /** LevelDB does not survive being closed under its own work, so that ends first. */
  #closeWhenIdle(): void {
    if (this.#closing === null || this.#running !== null || this.#waiting.length > 0) return
    if (this.#reading > 0 || this.#sweeping) return
    const done = this.#closing
    this.#reading = Number.POSITIVE_INFINITY
    settle(this.#level.close(), levelError => {
      this.#memory.close(memoryError => done(levelError ?? memoryError))
    })
  }
}
