// Cuts a failing case down to what it needs: fewer clients, nodes and faults, then plainer ones, as long as it still fails.
import { StrettoError } from '../../base/errors.ts'
import type { RunReport } from '../run.ts'
import { type Case, runCase } from './case.ts'
import {
  plainerAmounts,
  plainerDuration,
  plainerTimes,
  shorter,
  smallerClusters,
  smallerWorkloads,
  targetsOf,
  until
} from './steps.ts'

/** What a run has told that matters here. */
export type Outcome = Pick<RunReport, 'violation' | 'virtualMs'>

export type ShrinkStage = 'confirm' | 'workload' | 'nodes' | 'faults' | 'targets' | 'times'

export interface ShrinkProgress {
  readonly stage: ShrinkStage
  /** Runs so far, of so many at most. */
  readonly runs: number
  readonly runsMax: number
  /** The smallest case so far that fails in the same way. */
  readonly smallest: Case
}

export interface ShrinkOptions {
  /** At most so many runs; 400 when left out. */
  readonly runsMax?: number
  /**
   * What has become smaller takes another course by chance. When nothing more can be left out with the seed it has, each
   * bold step is tried with so many seeds, from 1 on; 3 when left out, 0 for the given seed only.
   */
  readonly seeds?: number
  /** Runs a case; by itself when left out. It must be a function of the case. */
  readonly run?: (tried: Case) => Promise<Outcome>
  /** Told after each run. */
  readonly progress?: (progress: ShrinkProgress) => void
  /** Asked before each run: true leaves it at what has been reached. */
  readonly stop?: () => boolean
}

export interface Shrunk {
  /** Fails as the first one did; its `invariant` says how. */
  readonly case: Case
  readonly violation: { readonly invariant: string; readonly message: string }
  readonly runs: number
  /** False where the runs were used up, or `stop` has said so, before nothing more could be left out. */
  readonly minimal: boolean
}

/**
 * The smallest case found that breaks the same invariant. Every step is a run, the order of steps is fixed: the same case
 * always becomes the same one.
 * @throws StrettoError BAD_REQUEST for a case that breaks nothing
 */
export async function shrinkCase(found: Case, options: ShrinkOptions = {}): Promise<Shrunk> {
  const shrinking = new Shrinking(found, options)
  await shrinking.all()
  return shrinking.shrunk
}

const runsMaxDefault = 400
const seedsDefault = 3

class Shrinking {
  readonly #options: ShrinkOptions
  readonly #runsMax: number
  readonly #tried = new Set<string>()
  #smallest: Case
  #stage: ShrinkStage = 'confirm'
  #violation: Shrunk['violation'] | null = null
  /** When it broke, virtual milliseconds. */
  #brokenMs = 0
  #runs = 0
  /** With so many further seeds each bold step is tried now. */
  #seeds = 0
  #stopped = false

  constructor(found: Case, options: ShrinkOptions) {
    this.#smallest = found
    this.#options = options
    this.#runsMax = options.runsMax ?? runsMaxDefault
  }

  get shrunk(): Shrunk {
    const violation = this.#violation!
    const smallest = { ...this.#smallest, invariant: violation.invariant }
    return { case: smallest, violation, runs: this.#runs, minimal: !this.#stopped }
  }

  async all(): Promise<void> {
    if (!(await this.#try(this.#smallest))) {
      const what = this.#smallest.invariant ?? 'any invariant'
      throw new StrettoError('BAD_REQUEST', `the case does not break ${what}, so there is nothing to shrink`)
    }
    // A step that could not be made may be possible after a later one, so all are tried until none helps.
    for (const seeds of [0, this.#options.seeds ?? seedsDefault]) {
      this.#seeds = seeds
      for (let before: Case | null = null; before !== this.#smallest && !this.#stopped; ) {
        before = this.#smallest
        await this.#round()
      }
    }
  }

  /** Clients first, because they make most of what happens; then what is left is cut down to single faults. */
  async #round(): Promise<void> {
    this.#stage = 'workload'
    await this.#end()
    await this.#greedily(smallerWorkloads)
    await this.#greedily(shorter)
    this.#stage = 'nodes'
    await this.#greedily(smallerClusters)
    this.#stage = 'faults'
    await this.#fewerFaults()
    this.#stage = 'targets'
    await this.#eachFault(targetsOf)
    this.#stage = 'times'
    await this.#eachFault(plainerTimes)
    await this.#greedily(plainerDuration)
    await this.#eachFault(plainerAmounts)
  }

  /** Nothing that comes after the violation has led to it. */
  async #end(): Promise<void> {
    const endMs = Math.ceil((this.#brokenMs + 1) / 100) * 100
    if (endMs < this.#smallest.durationMs) await this.#try(until(this.#smallest, endMs))
  }

  /** Goes on from the first candidate that still fails, until none does. */
  async #greedily(candidates: (found: Case) => Iterable<Case>): Promise<void> {
    for (let found = true; found; ) {
      found = false
      for (const candidate of candidates(this.#smallest)) {
        found = await this.#try(candidate)
        if (found || this.#stopped) break
      }
    }
  }

  /** Delta debugging: takes away halves, then quarters, in the end single ones, until each one left is needed. */
  async #fewerFaults(): Promise<void> {
    const { length } = this.#smallest.schedule
    if (length === 0 || (await this.#try({ ...this.#smallest, schedule: [] }))) return
    for (let size = Math.ceil(length / 2); size >= 1 && !this.#stopped; ) {
      const removed = await this.#without(size)
      if (size > 1) size = Math.ceil(size / 2)
      else if (!removed) return
    }
  }

  /** Tries to do without each run of so many faults; the last ones first, since most often the first ones matter. */
  async #without(size: number): Promise<boolean> {
    let removed = false
    for (let end = this.#smallest.schedule.length; end > 0; end -= size) {
      const { schedule } = this.#smallest
      const rest = [...schedule.slice(0, Math.max(0, end - size)), ...schedule.slice(end)]
      if (await this.#try({ ...this.#smallest, schedule: rest })) removed = true
    }
    return removed
  }

  async #eachFault(candidates: (found: Case, at: number) => Iterable<Case>): Promise<void> {
    for (let at = 0; at < this.#smallest.schedule.length; at++) await this.#greedily(found => candidates(found, at))
  }

  /** True, and it is the smallest, where it fails in the same way. */
  async #try(candidate: Case): Promise<boolean> {
    if (await this.#fails(candidate)) return true
    if (this.#stage === 'targets' || this.#stage === 'times') return false
    for (let seed = 1; seed <= this.#seeds; seed++) if (await this.#fails({ ...candidate, seed })) return true
    return false
  }

  /** Runs a case that was not run before. */
  async #fails(candidate: Case): Promise<boolean> {
    const text = JSON.stringify(candidate)
    if (this.#tried.has(text) || this.#stopped) return false
    if (this.#runs > 0 && (this.#runs >= this.#runsMax || this.#options.stop?.() === true)) {
      this.#stopped = true
      return false
    }
    this.#tried.add(text)
    this.#runs++
    const { violation, virtualMs } = await (this.#options.run ?? runCase)(candidate)
    const same = violation !== null && this.#isSame(violation)
    if (same) {
      this.#smallest = candidate
      this.#violation = violation
      this.#brokenMs = virtualMs
    }
    this.#options.progress?.({ stage: this.#stage, runs: this.#runs, runsMax: this.#runsMax, smallest: this.#smallest })
    return same
  }

  #isSame(violation: Shrunk['violation']): boolean {
    const known = this.#violation
    if (known === null) return violation.invariant === (this.#smallest.invariant ?? violation.invariant)
    if (violation.invariant !== known.invariant) return false
    // One code stands for all assertions: the text, which is constant, says which one it is.
    return violation.invariant !== 'IX1' || firstLine(violation.message) === firstLine(known.message)
  }
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]!
}
