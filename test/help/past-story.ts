// A key-value machine on a simulated disk with a log beside it, and a plain model of all that ever stood: for what it tells of
// its past.
import type { Env } from '../../lib/base/env.ts'
import { StrettoError } from '../../lib/base/errors.ts'
import { KvMachine } from '../../lib/kv/kv-machine.ts'
import type { KeyChange, Revision } from '../../lib/kv/past/changes.ts'
import type { LogReader, Outcomes } from '../../lib/machine/machine.ts'
import { type Block, type Index, type LogId, lastOf } from '../../lib/raft/types.ts'
import { type Packed, pack, unpack } from '../../lib/record/pack.ts'
import { type Command } from '../../lib/wire/kv/commands.ts'
import { packRequest, packScan, type Scan } from '../../lib/wire/kv/questions.ts'
import { bytes, type Plain, plain, Records, text } from '../kv/bed.ts'
import { SimDiskBed } from './sim-disk-bed.ts'

/** Blocks one after the other, of which the beginning is let go. */
export class FakeLog implements LogReader {
  base: Index = 0
  readonly #env: Env
  readonly #blocks: Block[] = []
  reads = 0

  constructor(env: Env) {
    this.#env = env
  }

  push(block: Block): void {
    this.#blocks.push(block)
  }

  /** Of the last block. */
  get blockBytes(): number {
    return this.#blocks.at(-1)!.bytes.length
  }

  /** The ends of its blocks. */
  get ends(): Index[] {
    return this.#blocks.map(lastOf).filter(end => end > this.base)
  }

  endBefore(bytes: number): Index {
    let left = bytes
    for (const block of this.#blocks.toReversed()) {
      left -= block.bytes.length
      if (left < 0) return Math.max(this.base, lastOf(block))
    }
    return this.base
  }

  read(from: Index, bytesMax: number, done: (error: Error | null, blocks: readonly Block[] | null) => void): void {
    this.reads++
    // Judged when it is answered: what is cut meanwhile is gone.
    this.#env.soon(() => {
      if (from <= this.base) return done(null, null)
      const at = this.#blocks.findIndex(block => lastOf(block) >= from)
      if (at === -1) throw new Error(`index ${from} has not been applied`)
      const found: Block[] = []
      let size = 0
      for (const block of this.#blocks.slice(at)) {
        size += block.bytes.length
        if (found.length > 0 && size > bytesMax) break
        found.push(block)
      }
      done(null, found)
    })
  }
}

/** What became of a key, in texts. */
export interface PlainChange {
  readonly revision: number
  readonly key: string
  readonly now: Plain | null
  readonly before: Plain | null
}

/** What one command did to the entries. */
export type Effect = ReadonlyMap<string, string | null>

/** All that ever stood. */
export class PastModel {
  /** By revision: the entries as they were at it. */
  readonly states: ReadonlyMap<string, Plain>[] = [new Map(), new Map()]
  readonly changes: PlainChange[] = []

  get revision(): number {
    return this.states.length - 1
  }

  /** One revision, where anything changes. */
  step(effect: Effect): void {
    const before = this.states.at(-1)!
    const now = new Map(before)
    const revision = this.revision + 1
    for (const [key, value] of effect) {
      const old = before.get(key) ?? null
      if (value === null && old === null) continue
      const entry: Plain | null =
        value === null
          ? null
          : { key, value, create: old?.create ?? revision, mod: revision, version: (old?.version ?? 0) + 1 }
      if (entry === null) now.delete(key)
      else now.set(key, entry)
      this.changes.push({ revision, key, now: entry, before: old })
    }
    if (this.changes.at(-1)?.revision === revision) this.states.push(now)
  }

  at(revision: number): ReadonlyMap<string, Plain> {
    return this.states[revision]!
  }
}

export class PastStory {
  readonly bed: SimDiskBed
  readonly env: Env
  records = new Records()
  readonly model = new PastModel()
  readonly log: FakeLog
  readonly options = { tableBytesMax: 1_000_000, cleanCacheBytesMax: 1500 }
  machine: KvMachine
  /** Last record on disk. */
  flushed: LogId = { term: 0, index: 0 }
  #flushing = false
  /** Told of each block before it is applied. */
  onBlock: (block: Block) => void = () => {}
  #blocks: { readonly block: Block; readonly commands: readonly Command[] }[] = []

  constructor(seed = 1) {
    this.bed = new SimDiskBed(seed)
    this.env = this.bed.time.env('n1')
    this.log = new FakeLog(this.env)
    this.machine = this.#open()
  }

  #open(): KvMachine {
    const level = this.bed.disk.mount(this.bed.time.env('n1')).state('state-1')
    const machine = new KvMachine(level, this.bed.time.env('n1'), this.options)
    this.flushed = this.bed.call<{ readonly durable: LogId }>(done => machine.open(done)).durable
    machine.version(2)
    machine.lend(this.log)
    if (this.log.base > 0) machine.compacted(this.log.base)
    return machine
  }

  /** The power fails; what was not flushed is applied again. */
  crash(): void {
    this.bed.crash(true)
    this.#flushing = false
    this.machine = this.#open()
    for (const { block, commands } of this.#blocks) if (lastOf(block) > this.flushed.index) this.#run(commands, block)
  }

  /** One record. What it does is for the caller to tell the model. */
  apply(commands: readonly Command[]): readonly Outcomes[] {
    const batch = this.records.commands(commands)
    this.log.push(batch.block)
    this.onBlock(batch.block)
    this.#blocks.push({ block: batch.block, commands })
    return this.bed.call(done => this.machine.apply([batch], done))
  }

  /** An order to compact, with its status. */
  order(revision: number): number {
    const [outcomes] = this.apply([{ op: 'compact', revision }])
    return outcomes!.each?.[0]?.status ?? 0
  }

  /** A record of one command, with what it does. */
  step(effect: Effect, command: Command): void {
    this.apply([command])
    this.model.step(effect)
  }

  /** A record that no batch brings. */
  pass(commands: readonly Command[]): void {
    const batch = this.records.commands(commands)
    this.log.push(batch.block)
    this.#blocks.push({ block: batch.block, commands: [] })
    this.machine.passed(batch.index)
  }

  #run(commands: readonly Command[], block: Block): void {
    if (commands.length === 0) return this.machine.passed(block.first)
    const again = new Records()
    const batch = { ...again.commands(commands), index: block.first, block }
    const at = 32
    const whole = { ...batch, at, commands: block.bytes.subarray(at + 76) }
    this.bed.call(done => this.machine.apply([whole], done))
  }

  beginFlush(): void {
    if (this.#flushing) return
    this.#flushing = true
    const { last } = this.records
    const machine = this.machine
    machine.flush(last, bytes('sidecar'), error => {
      if (machine !== this.machine) return
      if (error !== null) throw error
      this.#flushing = false
      this.flushed = last
    })
  }

  flush(): void {
    this.bed.time.until(() => !this.#flushing)
    this.beginFlush()
    this.bed.time.until(() => !this.#flushing)
  }

  settle(): void {
    this.bed.time.run(60_000)
  }

  /** Cuts the log after `base`, a record on disk, as a node does. */
  cut(base: Index): void {
    this.bed.call<void>(done => this.machine.leaves(base, done))
    this.log.base = base
    this.machine.compacted(base)
  }

  get(key: string, revision: number) {
    const question = pack([packRequest({ op: 'get', key: bytes(key), atRevision: revision })])
    return this.#ask(question, fields => plain(fields[1]))
  }

  count(from: string, to: string | null, revision: number) {
    const bounds = { from: bytes(from), to: to === null ? null : bytes(to) }
    return this.#ask(pack([packRequest({ op: 'count', ...bounds, atRevision: revision })]), fields => fields[1])
  }

  #ask<T>(question: Uint8Array, read: (fields: readonly Packed[]) => T): T | string {
    const outcome = this.bed.outcome<Uint8Array>(done => this.machine.query(question, done))
    return outcome.error === null ? read(unpack(outcome.result) as Packed[]) : codeOf(outcome.error)
  }

  /** Pages of a range, `between` two of which something may happen. */
  range(scan: Partial<Scan>, bytesMax: number, between: () => void = () => {}): Plain[] | string {
    const whole = { from: bytes(''), to: null, limit: 0, reverse: false, keysOnly: false, atRevision: 0, ...scan }
    const source = this.machine.scan(packScan(whole))
    const entries: Plain[] = []
    for (;;) {
      const page = this.bed.outcome<{ bytes: Uint8Array; last: boolean }>(done => source.page(bytesMax, done))
      if (page.error !== null) return codeOf(page.error)
      const [revision, ...found] = unpack(page.result.bytes) as [number, ...Packed[]]
      if (whole.atRevision !== 0 && revision !== whole.atRevision) throw new Error(`a page of revision ${revision}`)
      for (const each of found) entries.push(plain(each)!)
      if (page.result.last) return entries
      between()
    }
  }

  changes(
    asked: { after: number; upTo: number; previous?: boolean; wants?: (key: string) => boolean },
    bytesMax = 1e6,
    between: () => void = () => {}
  ): PlainChange[] | string {
    const found: PlainChange[] = []
    try {
      const walk = this.machine.changes({ wants: () => true, previous: false, ...asked })
      let upTo = asked.after
      for (;;) {
        const part = this.bed.outcome<{ each: readonly Revision[]; upTo: number; last: boolean }>(done =>
          walk.next(bytesMax, done)
        )
        if (part.error !== null) return codeOf(part.error)
        for (const { revision, changes } of part.result.each) {
          if (revision <= upTo || revision > part.result.upTo) throw new Error(`revision ${revision} out of order`)
          for (const change of changes) found.push(plainChange(revision, change))
        }
        upTo = part.result.upTo
        if (part.result.last) return found
        between()
      }
    } catch (error) {
      return codeOf(error as Error)
    }
  }
}

function plainChange(revision: number, change: KeyChange): PlainChange {
  const { key, deleted, value, createRevision, version, previous } = change
  const now = deleted ? null : { key, value: text(value!), create: createRevision, mod: revision, version }
  if (previous === null) return { revision, key, now, before: null }
  const { modRevision: mod, createRevision: create } = previous
  return { revision, key, now, before: { key, value: text(previous.value), create, mod, version: previous.version } }
}

function codeOf(error: Error): string {
  if (!(error instanceof StrettoError)) throw error
  return error.code
}
