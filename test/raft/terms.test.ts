// The term trail against a naive log that keeps the term of every record.
import fc from 'fast-check'
import { t } from 'tap'
import { TermTrail } from '../../lib/raft/terms.ts'
import { type LogId, logOrigin } from '../../lib/raft/types.ts'

/** Terms by index; `base` is the index of the first one. */
class NaiveLog {
  terms: number[] = [0]
  base = 0

  get last(): number {
    return this.base + this.terms.length - 1
  }

  termAt(index: number): number {
    return this.terms[index - this.base] ?? -1
  }

  lastWithin(index: number, term: number): LogId | null {
    for (let at = Math.min(index, this.last); at >= this.base; at--) {
      if (this.termAt(at) <= term) return { term: this.termAt(at), index: at }
    }
    return null
  }
}

const operation = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      rise: fc.nat(2),
      count: fc.integer({ min: 1, max: 4 })
    })
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut' as const), place: fc.nat(1000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('compact' as const), place: fc.nat(1000) }) }
)

t.test('the trail answers as a log that keeps every term', async t => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 40 }), operations => {
      const trail = new TermTrail(logOrigin, [], 0)
      const naive = new NaiveLog()
      for (const step of operations) {
        if (step.kind === 'append') {
          const term = Math.max(1, naive.terms.at(-1)! + step.rise)
          naive.terms.push(...Array.from({ length: step.count }, () => term))
          trail.append(term, naive.last)
        } else {
          const index = naive.base + (step.place % naive.terms.length)
          if (step.kind === 'cut') {
            naive.terms.length = index - naive.base + 1
            trail.cut(index)
          } else {
            trail.compact({ term: naive.termAt(index), index })
            naive.terms.splice(0, index - naive.base)
            naive.base = index
          }
        }
        trail.check()
        compare(trail, naive)
      }
    }),
    { numRuns: Number(process.env['FC_RUNS'] ?? 300) }
  )
  t.pass('all schedules agreed')
})

function compare(trail: TermTrail, naive: NaiveLog): void {
  const agree = (a: unknown, b: unknown): void => {
    if (JSON.stringify(a) !== JSON.stringify(b)) throw new Error(`${JSON.stringify(a)} is not ${JSON.stringify(b)}`)
  }
  agree([trail.lastIndex, trail.lastTerm, trail.base.index], [naive.last, naive.terms.at(-1), naive.base])
  for (let index = Math.max(0, naive.base - 1); index <= naive.last + 1; index++) {
    agree(trail.termAt(index), naive.termAt(index))
    for (let term = 0; term <= trail.lastTerm + 1; term++)
      agree(trail.lastWithin(index, term), naive.lastWithin(index, term))
  }
  const restored = new TermTrail(trail.base, trail.starts, trail.lastIndex)
  agree(restored.starts, trail.starts)
}

t.test('where two logs may still be one: a table', async t => {
  // terms:                                   1 1 1 4 4 5 5 6 6 6
  const trail = new TermTrail(
    logOrigin,
    [
      { term: 1, index: 1 },
      { term: 4, index: 4 },
      { term: 5, index: 6 },
      { term: 6, index: 8 }
    ],
    10
  )
  for (const [index, term, expected] of [
    [10, 6, { term: 6, index: 10 }],
    [12, 7, { term: 6, index: 10 }],
    [10, 5, { term: 5, index: 7 }],
    [6, 5, { term: 5, index: 6 }],
    [10, 3, { term: 1, index: 3 }],
    [2, 9, { term: 1, index: 2 }],
    [10, 0, { term: 0, index: 0 }]
  ] as const) {
    t.same(trail.lastWithin(index, term), expected, `${index}@${term}`)
  }
  trail.compact({ term: 4, index: 5 })
  t.equal(trail.lastWithin(10, 3), null, 'before the base')
  t.equal(trail.lastWithin(4, 9), null)
  t.same(trail.lastWithin(5, 4), { term: 4, index: 5 })
})

t.test('what no log can be is refused', async t => {
  t.throws(
    () =>
      new TermTrail(
        logOrigin,
        [
          { term: 2, index: 1 },
          { term: 1, index: 2 }
        ],
        3
      ),
    /terms rise/
  )
  t.throws(() => new TermTrail(logOrigin, [{ term: 1, index: 2 }], 3), /begins at the base/)
  t.throws(() => new TermTrail(logOrigin, [], 3), /each record has a term/)
  t.throws(() => new TermTrail(logOrigin, [{ term: 1, index: 1 }], 0), /ends with the log/)
  const trail = new TermTrail(logOrigin, [{ term: 3, index: 1 }], 2)
  t.throws(() => trail.append(2, 3), /never fall/)
  t.throws(() => trail.append(3, 2), /ends after/)
  t.throws(() => trail.cut(3), /within the log/)
  t.throws(() => trail.compact({ term: 2, index: 1 }), /a record of the log/)
})
