// The sum of many runs: what `simulate` reports and `stretto sim` prints.
import type { FaultClass, FaultCounts, FaultEvent } from './faults.ts'
import type { RunReport } from './run.ts'

export interface SimulateViolation {
  readonly seed: number
  /** The name of the check, or the code of an invariant of stretto itself (docs/INVARIANTS.md). */
  readonly invariant: string
  readonly message: string
  /** What to run to see it again. */
  readonly replay: string
  /** The faults of that run: given as `schedule`, they can be cut down to those that matter. */
  readonly schedule: readonly FaultEvent[]
}

export interface SimulateReport {
  /** How many were run. */
  readonly seeds: number
  readonly virtualMs: number
  readonly events: number
  /** Calls of clients. */
  readonly operations: number
  /** How often each class of fault has struck. */
  readonly faults: FaultCounts
  /** Classes that were asked for and have not struck once: nothing was learnt about them. */
  readonly neverFired: readonly FaultClass[]
  readonly violations: readonly SimulateViolation[]
  /** Of all runs in order: the same for the same code, options and seeds. 8 hexadecimal digits. */
  readonly digest: string
  /** One HTML file, where `trace` was asked for. */
  readonly trace?: string
}

export class Tally {
  readonly #asked: ReadonlySet<FaultClass>
  readonly #faults: FaultCounts = {}
  readonly #violations: SimulateViolation[] = []
  #seeds = 0
  #virtualMs = 0
  #events = 0
  #operations = 0
  #digest = 0x811c9dc5

  /** `asked`: the classes of faults that may strike. */
  constructor(asked: Iterable<FaultClass>) {
    this.#asked = new Set(asked)
  }

  get report(): SimulateReport {
    const faults: FaultCounts = {}
    for (const kind of Object.keys(this.#faults).toSorted() as FaultClass[]) faults[kind] = this.#faults[kind]!
    return {
      seeds: this.#seeds,
      virtualMs: this.#virtualMs,
      events: this.#events,
      operations: this.#operations,
      faults,
      neverFired: [...this.#asked].filter(kind => faults[kind] === undefined),
      violations: [...this.#violations],
      digest: (this.#digest >>> 0).toString(16).padStart(8, '0')
    }
  }

  add(run: RunReport, replay: string): void {
    const { seed, violation, schedule } = run
    this.#seeds++
    this.#virtualMs += run.virtualMs
    this.#events += run.events
    this.#operations += run.operations
    for (const digit of run.digest) this.#digest = Math.imul(this.#digest ^ digit.charCodeAt(0), 0x01000193)
    for (const [kind, count] of Object.entries(run.faults) as [FaultClass, number][]) {
      if (count > 0) this.#faults[kind] = (this.#faults[kind] ?? 0) + count
    }
    if (violation !== null) this.#violations.push({ seed, ...violation, replay, schedule })
  }
}
