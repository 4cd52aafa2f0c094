// The log without a disk: the model that the real one is compared with, and the log of fast simulations.
import { assert } from '../base/assert.ts'
import type { Cancel, Done, Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { Persist } from '../raft/doors.ts'
import {
  type Base,
  type Block,
  type ChainedId,
  compareLogIds,
  type HardState,
  type Index,
  lastOf,
  type MembershipAt
} from '../raft/types.ts'
import { Catalogue } from './catalogue.ts'
import { corrupt, refuse } from './faults.ts'
import { HotWindow } from './hot-window.ts'
import { cardOf } from './keys.ts'
import type { Log, Opened } from './log.ts'
import type { StateOf } from './recovery.ts'
import { distrust, hollowness } from './trust.ts'

const hotBytesMaxDefault = 33_554_432

/** What is durable, and outlives a crash. Tests may damage it between two lives. */
export class LogImage {
  base: Base
  blocks: Block[] = []
  hard: HardState = { term: 0, vote: null }
  mark: ChainedId
  boot = 0

  /** A founded log without records. */
  constructor(base: Base) {
    this.base = base
    this.mark = { index: base.index, term: base.term, chain: base.chain }
  }
}

export interface MemoryLogParts {
  readonly image: LogImage
  readonly env: Env
  /** How long a write takes, and a cold read, in milliseconds; none when absent. */
  readonly delayMs?: () => number
  readonly stateOf?: StateOf
  readonly hotBytesMax?: number
}

/** One indivisible change of the image. */
type Step = (image: LogImage) => void

interface Job {
  readonly steps: readonly Step[]
  readonly tail: ChainedId
  readonly trust: boolean
  readonly done: Done
}

/** One life of a log: opened once, over with `close`, `crash` or `fail`. */
export class MemoryLog implements Log {
  readonly #image: LogImage
  readonly #env: Env
  readonly #delayMs: () => number
  readonly #stateOf: StateOf | null
  readonly #hot: HotWindow
  #base: Base
  #catalogue: Catalogue
  #cuts = 0
  #durable: Index = 0
  #trusted = false
  #waiting: { readonly job: Job; readonly cut: ChainedId | null }[] = []
  #running: readonly Job[] | null = null
  #timer: Cancel | null = null
  #fault: StrettoError | null = null
  #failed: ((error: Error) => void) | null = null
  #crashed = false
  #closing: Done | null = null

  constructor(parts: MemoryLogParts) {
    this.#image = parts.image
    this.#env = parts.env
    this.#delayMs = parts.delayMs ?? (() => 0)
    this.#stateOf = parts.stateOf ?? null
    this.#hot = new HotWindow(parts.hotBytesMax ?? hotBytesMaxDefault)
    this.#base = parts.image.base
    this.#catalogue = new Catalogue(this.#base)
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

  open(done: Done<Opened>): void {
    const image = this.#image
    image.boot++
    const memberships: MembershipAt[] = [{ index: image.base.index, membership: image.base.membership }]
    for (const block of image.blocks) {
      this.#catalogue.push(cardOf(block))
      if (block.membership !== null) memberships.push({ index: block.first, membership: block.membership })
    }
    this.#durable = this.tail.index
    const answer = (error: Error | null, state: Parameters<typeof distrust>[2]): void => {
      if (this.#crashed) return
      if (error) return refuse(done, error)
      const { base, hard, mark } = image
      const { tail } = this
      const reasons = distrust(this.#catalogue, mark, state)
      const trusted = reasons.length === 0
      const hollow = hollowness(this.#catalogue, state)
      const findings = hollow === null ? reasons : [...reasons, hollow]
      this.#trusted = trusted
      if (trusted) image.mark = tail
      const commit = trusted ? Math.max(state?.index ?? base.index, base.index) : base.index
      const terms = this.#catalogue.terms()
      const restored = { hard, base, last: tail, terms, memberships, mark, trusted, hollow: hollow !== null, commit }
      done(null, { restored, base, tail, findings })
    }
    if (this.#stateOf === null) this.#env.soon(() => answer(null, null))
    else this.#stateOf(image.base, answer)
  }

  write(persist: Persist, done: Done): void {
    if (this.#refused(done)) return
    const { hard, trust } = persist
    const steps: Step[] = []
    if (hard !== null) steps.push(image => void (image.hard = hard))
    const cut = persist.cut === null ? null : this.#cut(persist.cut)
    if (cut !== null) steps.push(image => this.#lower(image, cut))
    let first = true
    for (const block of persist.blocks) {
      const { tail } = this
      if (block.first !== tail.index + 1 || block.previousChain !== tail.chain || block.term < tail.term) {
        this.fail(corrupt(`a block that begins at ${block.first} does not continue the log`))
        return void this.#refused(done)
      }
      this.#catalogue.push(cardOf(block))
      this.#hot.push(block)
      const cutFirst = first ? cut : null
      steps.push(image => {
        if (cutFirst !== null) cutBlocks(image, cutFirst.index)
        image.blocks.push(block)
      })
      first = false
    }
    if (first && cut !== null) steps.push(image => cutBlocks(image, cut.index))
    this.#hot.trim(this.#durable)
    this.#enqueue({ steps, tail: this.tail, trust, done }, cut)
  }

  rebase(base: Base, done: Done): void {
    if (this.#refused(done)) return
    assert(base.index >= this.#base.index, 'the base of a log only moves up')
    const held = this.#catalogue.idAt(base.index)
    const keeps = held !== null && held.term === base.term && held.chain === base.chain
    const cut = keeps || this.#image.mark.index < base.index ? null : this.#catalogue.start
    const steps: Step[] = []
    if (cut !== null) steps.push(image => this.#lower(image, cut))
    if (!keeps && this.#cut(this.#catalogue.start.index) === null) this.#cuts++
    steps.push(image => {
      image.base = base
      image.blocks = keeps ? image.blocks.filter(block => block.first > base.index) : []
    })
    this.#base = base
    this.#catalogue.dropThrough({ index: base.index, term: base.term, chain: base.chain })
    this.#hot.dropThrough(base.index)
    this.#durable = Math.max(this.#durable, base.index)
    this.#enqueue({ steps, tail: this.tail, trust: false, done }, cut)
  }

  /** Returns the end that is left; null when there is nothing above `index`. */
  #cut(index: Index): ChainedId | null {
    if (index >= this.tail.index) return null
    const left = this.#catalogue.idAt(index)
    assert(left !== null, 'a log is cut between two blocks')
    this.#catalogue.cutAfter(index)
    this.#hot.cutAfter(index)
    this.#durable = Math.min(this.#durable, index)
    this.#cuts++
    return left
  }

  /** A mark never stands above what is about to be cut; while the log is not trusted it is not lowered. */
  #lower(image: LogImage, cut: ChainedId): void {
    if (this.#trusted && cut.index < image.mark.index) image.mark = cut
  }

  #enqueue(job: Job, cut: ChainedId | null): void {
    this.#waiting.push({ job, cut })
    if (this.#running === null) this.#run()
  }

  #run(): void {
    if (this.#waiting.length === 0) return this.#closeWhenIdle()
    const jobs = this.#waiting.map(({ job }) => job)
    this.#waiting = []
    this.#running = jobs
    this.#timer = this.#env.after(this.#delayMs(), () => this.#written(jobs))
  }

  #written(jobs: readonly Job[]): void {
    const image = this.#image
    this.#running = null
    for (const job of jobs) for (const step of job.steps) step(image)
    const { tail } = jobs[jobs.length - 1]!
    let durable = tail.index
    for (const { cut } of this.#waiting) if (cut !== null) durable = Math.min(durable, cut.index)
    this.#durable = Math.max(durable, this.#base.index)
    this.#hot.trim(this.#durable)
    if (jobs.some(job => job.trust)) this.#trusted = true
    if (this.#trusted || compareLogIds(tail, image.mark) > 0) image.mark = tail
    this.#run()
    for (const job of jobs) job.done(null)
  }

  idAt(index: Index): ChainedId | null {
    return this.#catalogue.idAt(index)
  }

  endBefore(bytes: number, records: number, limit: Index): ChainedId {
    return this.#catalogue.endBefore(bytes, records, limit)
  }

  hot(from: Index, bytesMax: number): readonly Block[] | null {
    if (from > this.tail.index) return []
    return this.#hot.from(from, bytesMax)
  }

  cold(from: Index, bytesMax: number, done: Done<readonly Block[] | null>): void {
    if (this.#refused(error => done(error, null))) return
    const { cuts } = this
    this.#env.after(this.#delayMs(), () => {
      if (this.#crashed) return
      if (this.#cuts !== cuts || from <= this.#base.index) return done(null, null)
      const near = this.hot(from, bytesMax)
      if (near !== null) return done(null, near)
      // Above it there may still be blocks in the image that have been cut, but not yet durably.
      const { blocks } = this.#image
      const end = blocks.findIndex(block => lastOf(block) > this.#durable)
      done(null, blocksFrom(end === -1 ? blocks : blocks.slice(0, end), from, bytesMax))
    })
  }

  /**
   * The disk refuses from now on: what is not yet durable gets the error; `close` is all that is left to do. With `random`
   * some of that is in the image all the same, as in a crash.
   */
  fail(error: StrettoError, random: (below: number) => number = () => 0): void {
    if (this.#fault !== null) return
    this.#fault = error
    const jobs = this.#unsynced()
    this.#keepSome(jobs, random)
    this.#forget()
    this.#env.soon(() => {
      for (const job of jobs) job.done(error)
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

  /**
   * The process dies: nothing is answered any more, and of what was not yet durable `random` chooses how many of the
   * indivisible changes, in order, have reached the image all the same. Gives how many have not.
   */
  crash(random: (below: number) => number): number {
    this.#crashed = true
    const lost = this.#keepSome(this.#unsynced(), random)
    this.#forget()
    this.#fault = new StrettoError('STOPPED', 'the log is closed')
    return lost
  }

  #keepSome(jobs: readonly Job[], random: (below: number) => number): number {
    const steps = jobs.flatMap(job => job.steps)
    const kept = random(steps.length + 1)
    for (const step of steps.slice(0, kept)) step(this.#image)
    return steps.length - kept
  }

  close(done: Done): void {
    this.#closing = done
    this.#closeWhenIdle()
  }

  #unsynced(): Job[] {
    return [...(this.#running ?? []), ...this.#waiting.map(({ job }) => job)]
  }

  #forget(): void {
    this.#timer?.()
    this.#running = null
    this.#waiting = []
  }

  #refused(done: Done): boolean {
    const stopped = this.#closing === null ? null : new StrettoError('STOPPED', 'the log is closed')
    const error = this.#fault ?? stopped
    if (error !== null && !this.#crashed) this.#env.soon(() => done(error))
    return error !== null
  }

  #closeWhenIdle(): void {
    const done = this.#closing
    if (done === null || this.#running !== null || this.#waiting.length > 0) return
    this.#env.soon(() => done(null))
  }
}

function cutBlocks(image: LogImage, index: Index): void {
  while (image.blocks.length > 0 && lastOf(image.blocks[image.blocks.length - 1]!) > index) image.blocks.pop()
}

function blocksFrom(blocks: readonly Block[], from: Index, bytesMax: number): readonly Block[] {
  let low = 0
  let high = blocks.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if (blocks[middle]!.first <= from) low = middle
    else high = middle - 1
  }
  let end = low + 1
  let bytes = blocks[low]!.bytes.length
  while (end < blocks.length && bytes + blocks[end]!.bytes.length <= bytesMax) bytes += blocks[end++]!.bytes.length
  return blocks.slice(low, end)
}
