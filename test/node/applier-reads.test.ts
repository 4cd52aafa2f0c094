// Cold reads of the applier while the end of the log is cut and written anew: what is applied is the log that stays.
import fc from 'fast-check'
import { t } from 'tap'
import { Applier } from '../../lib/node/applier.ts'
import { newCounters } from '../../lib/node/counters.ts'
import type { Index } from '../../lib/raft/types.ts'
import { cutBlock } from '../../lib/record/block.ts'
import { draft, FakeLog, HandMachine, quickLimits } from '../help/node-parts.ts'

const runs = Number(process.env['FC_RUNS'] ?? 300)

type Step =
  | { readonly kind: 'append' | 'cut'; readonly count: number }
  | { readonly kind: 'commit'; readonly by: number }
  | { readonly kind: 'forget' | 'read' | 'applied' }

const count = fc.integer({ min: 1, max: 3 })
const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('append' as const), count }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('commit' as const), by: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut' as const), count }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('forget' as const, 'read' as const, 'applied' as const) }) }
)

class Bed {
  readonly #log = new FakeLog()
  readonly #machine = new HandMachine()
  readonly #applied: string[] = []
  readonly #failures: Error[] = []
  /** `cuts` of the log as each read began that has not ended. */
  readonly #begunAt: number[] = []
  readonly #applier: Applier
  #commit: Index = 0
  #term = 1
  overtaken = 0

  constructor() {
    const parts = {
      log: this.#log,
      machine: this.#machine.replicated,
      counters: newCounters(),
      limits: { ...quickLimits, appendBytesMax: 600 },
      applied: (answers: readonly { readonly index: Index; readonly term: number }[]) => {
        for (const { index, term } of answers) this.#applied.push(`${index}@${term}`)
      },
      flushed: () => {},
      damaged: () => {},
      hollow: false,
      failed: (error: Error) => void this.#failures.push(error)
    }
    this.#applier = new Applier(parts, 0)
  }

  take(step: Step): void {
    const { blocks } = this.#log
    switch (step.kind) {
      case 'append':
        this.#append(step.count)
        break
      case 'cut':
        // What is committed stays, and with it the whole of its block.
        blocks.splice(blocks.findLastIndex(({ first }) => first <= this.#commit) + 1)
        this.#log.cuts++
        this.#term++
        this.#append(step.count)
        break
      case 'commit':
        this.#advance(Math.min(this.#commit + step.by, this.#log.tail.index))
        break
      case 'forget':
        this.#log.hotFrom = this.#log.tail.index + 1
        break
      case 'read':
        this.#endRead()
        break
      case 'applied':
        if (this.#machine.applies.length > 0) this.#machine.applied()
        this.#advance(this.#commit)
    }
    const { coldReads, cuts } = this.#log
    while (this.#begunAt.length < coldReads.length) this.#begunAt.push(cuts)
  }

  /** All is committed and applied. */
  settle(): void {
    const { length } = this.#log.blocks
    this.take({ kind: 'commit', by: Number.POSITIVE_INFINITY })
    for (let turn = 0; turn < 3 * length; turn++) {
      this.take({ kind: 'read' })
      this.take({ kind: 'applied' })
    }
  }

  /** What is wrong with what has been applied, or null. */
  judge(): string | null {
    if (this.#failures.length > 0) return this.#failures[0]!.message
    const whole = this.#log.blocks.flatMap(({ first, count, term }) =>
      Array.from({ length: count }, (_, at) => `${first + at}@${term}`)
    )
    return this.#applied.join() === whole.join() ? null : `${this.#applied.join()} is not ${whole.join()}`
  }

  #append(count: number): void {
    const drafts = Array.from({ length: count }, () => draft())
    this.#log.blocks.push(cutBlock(0, this.#term, this.#log.tail, 0, drafts))
  }

  #advance(commit: Index): void {
    this.#commit = commit
    this.#applier.advance(commit, commit, 0)
  }

  /** As every log does: nothing where it has been cut meanwhile. */
  #endRead(): void {
    const read = this.#log.coldReads.shift()
    if (read === undefined) return
    const isOvertaken = this.#begunAt.shift() !== this.#log.cuts
    if (isOvertaken) this.overtaken++
    read.done(null, isOvertaken ? null : this.#log.from(read.from, 600))
  }
}

t.test('however the log is cut while it is read, what is applied is what stays, once and in order', async t => {
  let overtaken = 0
  fc.assert(
    fc.property(fc.array(stepArbitrary, { minLength: 10, maxLength: 60 }), steps => {
      const bed = new Bed()
      for (const step of steps) bed.take(step)
      bed.settle()
      overtaken += bed.overtaken
      const wrong = bed.judge()
      if (wrong !== null) throw new Error(wrong)
    }),
    { numRuns: runs }
  )
  t.ok(overtaken > runs / 10, `${overtaken} reads were overtaken by a cut`)
})
