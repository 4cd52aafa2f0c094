// What every Log must do, on LevelDB or in memory: compared with a plain array of blocks, step by step.
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import type { Test } from 'tap'
import type { Log, Opened } from '../../lib/log/log.ts'
import { type Base, type Block, type ChainedId, type HardState, lastOf } from '../../lib/raft/types.ts'
import { block, call, endOf, membership, membershipBlock, persist } from '../help/log-blocks.ts'

/** A disk with a founded, empty log on it. */
export interface LogRig {
  /** A new life of the log, not yet open. */
  life(): Promise<Log>
  end(): Promise<void>
}

type Step =
  | { readonly kind: 'append'; readonly counts: readonly number[]; readonly term: number; readonly wait: boolean }
  | { readonly kind: 'cut'; readonly back: number; readonly count: number }
  | { readonly kind: 'membership' }
  | { readonly kind: 'vote' }
  | { readonly kind: 'read'; readonly at: number; readonly bytesMax: number; readonly wait: boolean }
  | { readonly kind: 'rebase'; readonly forward: number }
  | { readonly kind: 'install'; readonly ahead: number }
  | { readonly kind: 'reopen' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      counts: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 }),
      term: fc.integer({ min: 0, max: 1 }),
      wait: fc.boolean()
    })
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut' as const), back: fc.nat(6), count: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('membership' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('vote' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      at: fc.nat(1000),
      bytesMax: fc.integer({ min: 1, max: 2000 }),
      wait: fc.boolean()
    })
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('rebase' as const), forward: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('install' as const), ahead: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) }
)

/** The log as it should be, and the log. */
class Comparison {
  readonly #rig: LogRig
  #log!: Log
  #base: Base
  #blocks: Block[] = []
  #hard: HardState = { term: 0, vote: null }
  #term = 1
  #cuts = 0
  #writes: Promise<unknown>[] = []
  /** What a read that nobody waited for has shown. */
  #broken: Error | null = null

  constructor(rig: LogRig, base: Base) {
    this.#rig = rig
    this.#base = base
  }

  get #tail(): ChainedId {
    const last = this.#blocks.at(-1)
    return last === undefined ? chained(this.#base) : endOf(last)
  }

  async open(): Promise<void> {
    this.#log = await this.#rig.life()
    const opened = await call<Opened>(done => this.#log.open(done))
    const { restored } = opened
    this.#same(opened.findings, [], 'nothing is wrong')
    this.#same(restored.trusted, true, 'it is trusted')
    this.#same(restored.hard, this.#hard, 'hard state')
    this.#same(opened.base, this.#base, 'base')
    this.#same(chained(opened.tail), chained(this.#tail), 'tail')
    this.#same([restored.last.index, restored.last.term], [this.#tail.index, this.#tail.term], 'last')
    const firsts = this.#blocks.filter((block, at) => block.term !== this.#blocks[at - 1]?.term)
    this.#same(
      restored.terms,
      firsts.map(({ term, first }) => ({ term, index: first })),
      'terms'
    )
    const changes = this.#blocks.filter(block => block.membership !== null)
    const expected = changes.map(({ first, membership }) => ({ index: first, membership }))
    this.#same(
      restored.memberships,
      [{ index: this.#base.index, membership: this.#base.membership }, ...expected],
      'members'
    )
    this.#cuts = this.#log.cuts
    this.#look()
  }

  async take(step: Step): Promise<void> {
    switch (step.kind) {
      case 'append':
        this.#term += step.term
        this.#write(null, step.counts)
        if (step.wait) await this.#settle()
        break
      case 'cut': {
        const kept = this.#blocks.length - step.back
        if (kept < 0 || step.back === 0) return
        this.#blocks.length = kept
        this.#cuts++
        this.#term++
        this.#write(
          this.#tail.index,
          Array.from({ length: step.count }, () => 2)
        )
        break
      }
      case 'membership':
        this.#blocks.push(membershipBlock(this.#tail, this.#term, this.#tail.index))
        this.#pushWrite({ blocks: this.#blocks.slice(-1) })
        break
      case 'vote':
        this.#hard = { term: this.#term, vote: this.#tail.index % 2 === 0 ? null : 'n1.00000000000000aa' }
        this.#pushWrite({ hard: this.#hard })
        break
      case 'read': {
        const from = this.#base.index + 1 + (step.at % (this.#tail.index - this.#base.index + 1))
        if (step.wait || this.#log.hot(from, step.bytesMax) !== null) await this.#read(from, step.bytesMax)
        else this.#beginRead(from, step.bytesMax)
        break
      }
      case 'rebase': {
        await this.#settle()
        const dropped = this.#blocks.splice(0, step.forward).at(-1)
        if (dropped !== undefined) await this.#rebase({ ...this.#base, ...endOf(dropped) })
        break
      }
      case 'install':
        this.#term++
        this.#cuts++
        this.#blocks = []
        await this.#rebase({
          index: this.#log.tail.index + 1 + step.ahead,
          term: this.#term,
          chain: this.#term * 77,
          membership,
          machineVersion: 2,
          state: this.#base.state + 1
        })
        break
      case 'reopen':
        await this.close()
        await this.open()
    }
    this.#look()
  }

  async close(): Promise<void> {
    await this.#settle()
    await call<void>(done => this.#log.close(done))
  }

  async #rebase(base: Base): Promise<void> {
    this.#base = base
    this.#writes.push(call<void>(done => this.#log.rebase(base, done)))
  }

  #write(cut: number | null, counts: readonly number[]): void {
    const fresh: Block[] = []
    for (const count of counts) {
      const next = block(this.#tail, this.#term, count, 30 * count)
      fresh.push(next)
      this.#blocks.push(next)
    }
    this.#pushWrite({ cut, blocks: fresh })
  }

  #pushWrite(change: Parameters<typeof persist>[0]): void {
    this.#writes.push(call<void>(done => this.#log.write(persist(change), done)))
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#writes)
    this.#writes = []
    if (this.#broken !== null) throw this.#broken
  }

  /** What can be seen at once. */
  #look(): void {
    this.#same(chained(this.#log.tail), chained(this.#tail), 'tail')
    this.#same(this.#log.cuts, this.#cuts, 'cuts')
    this.#same(this.#log.base, this.#base, 'base')
    let bytes = 0
    for (const block of this.#blocks) bytes += block.bytes.length
    this.#same(this.#log.bytes, bytes, 'bytes')
  }

  /** A cold read that whatever comes next may overtake: after a cut it has found nothing, else what is there. */
  #beginRead(from: number, bytesMax: number): void {
    const cuts = this.#cuts
    const answered = (found: readonly Block[] | null): void => {
      try {
        if (this.#cuts !== cuts) this.#same(found, null, 'of a cold read that a cut has overtaken')
        else if (found === null) throw new Error('a cold read found nothing')
        else this.#equal(found, this.#expected(from, bytesMax).slice(0, found.length))
      } catch (error) {
        this.#broken ??= error as Error
      }
    }
    // Compared inside the call: when a promise is heard, the log may have gone on.
    this.#writes.push(
      call<void>(done =>
        this.#log.cold(from, bytesMax, (error, found) => {
          if (error === null) answered(found)
          done(error)
        })
      )
    )
  }

  #expected(from: number, bytesMax: number): Block[] {
    const at = this.#blocks.findIndex(block => lastOf(block) >= from)
    const expected: Block[] = []
    let bytes = 0
    for (const block of at === -1 ? [] : this.#blocks.slice(at)) {
      bytes += block.bytes.length
      if (expected.length > 0 && bytes > bytesMax) break
      expected.push(block)
    }
    return expected
  }

  async #read(from: number, bytesMax: number): Promise<void> {
    const expected = this.#expected(from, bytesMax)
    const hot = this.#log.hot(from, bytesMax)
    if (hot !== null) this.#equal(hot, expected)
    const cold = await call<readonly Block[] | null>(done => this.#log.cold(from, bytesMax, done))
    if (cold === null) throw new Error('a cold read found nothing')
    // What is not yet durable may be left out at the end.
    this.#equal(cold, expected.slice(0, cold.length))
    if (expected.length > 0 && cold.length === 0) throw new Error('a cold read came back empty')
    this.#same(this.#log.hot(this.#base.index, 1), null, 'nothing at the base')
    const below = await call<readonly Block[] | null>(done => this.#log.cold(this.#base.index, 1, done))
    this.#same(below, null, 'what is compacted is gone')
  }

  #equal(found: readonly Block[], expected: readonly Block[]): void {
    this.#same(found.map(bytesOf), expected.map(bytesOf), 'blocks')
    for (const [at, block] of found.entries()) this.#same(chained(endOf(block)), chained(endOf(expected[at]!)), 'ends')
  }

  /** One assertion a property would be lost among thousands: only a difference is told. */
  #same(found: unknown, expected: unknown, about: string): void {
    if (!isDeepStrictEqual(found, expected))
      throw new Error(`${about}: ${JSON.stringify(found)} is not ${JSON.stringify(expected)}`)
  }
}

function bytesOf(block: Block): string {
  return Buffer.from(block.bytes).toString('hex')
}

function chained({ index, term, chain }: ChainedId): ChainedId {
  return { index, term, chain }
}

export function logSuite(t: Test, make: (hotBytesMax: number) => Promise<LogRig>, founded: Base, runs: number): void {
  t.test('it is what an array of blocks would be, over any steps', async t => {
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 30 }),
      fc.constantFrom(1, 500, 1_000_000),
      async (steps, hotBytesMax) => {
        const rig = await make(hotBytesMax)
        const comparison = new Comparison(rig, founded)
        try {
          await comparison.open()
          for (const step of steps) await comparison.take(step)
          await comparison.close()
          await comparison.open()
          await comparison.close()
        } finally {
          await rig.end()
        }
      }
    )
    await fc.assert(property, { numRuns: runs })
    t.pass(`${runs} sequences`)
  })

  t.test('a block that does not continue the chain ends this life', async t => {
    const rig = await make(1000)
    const log = await rig.life()
    await call<Opened>(done => log.open(done))
    const told: Error[] = []
    log.watch(error => told.push(error))
    const first = block(log.tail, 1)
    const other = block({ ...endOf(first), chain: endOf(first).chain ^ 1 }, 1)
    const good = call<void>(done => log.write(persist({ blocks: [first] }), done))
    const bad = call<void>(done => log.write(persist({ blocks: [other] }), done))
    const late = call<void>(done => log.write(persist({ blocks: [] }), done))
    await t.rejects(Promise.all([good, bad]), { code: 'CORRUPT' })
    await t.rejects(bad, { code: 'CORRUPT' })
    await t.rejects(late, { code: 'CORRUPT' })
    t.match(told, [{ code: 'CORRUPT' }])
    t.equal(told.length, 1)
    const toldLater = await new Promise<Error>(resolve => log.watch(resolve))
    t.equal(toldLater, told[0])
    await call<void>(done => log.close(done))
    await rig.end()
  })

  t.test('a cold read is null when the log was cut meanwhile', async t => {
    const rig = await make(1)
    const log = await rig.life()
    await call<Opened>(done => log.open(done))
    const first = block(log.tail, 1)
    const second = block(endOf(first), 1)
    await call<void>(done => log.write(persist({ blocks: [first, second] }), done))
    const reading = call<readonly Block[] | null>(done => log.cold(1, 1000, done))
    const writing = call<void>(done => log.write(persist({ cut: 1, blocks: [block(endOf(first), 2)] }), done))
    t.equal(await reading, null)
    await writing
    t.equal((await call<readonly Block[] | null>(done => log.cold(1, 1000, done)))?.at(-1)?.term, 2)
    await call<void>(done => log.close(done))
    await rig.end()
  })

  t.test('what was written is hot at once, also in the place of what was cut', async t => {
    const rig = await make(1)
    const log = await rig.life()
    await call<Opened>(done => log.open(done))
    const first = block(log.tail, 1)
    const old = block(endOf(first), 1, 3)
    await call<void>(done => log.write(persist({ blocks: [first, old] }), done))
    t.equal(log.hot(1, 1), null, 'durable, and the window is small')
    const fresh = block(endOf(first), 2)
    const writing = call<void>(done => log.write(persist({ cut: 1, blocks: [fresh] }), done))
    t.same(log.hot(2, 1), [fresh])
    t.same(log.hot(3, 1), [])
    await writing
    await call<void>(done => log.close(done))
    await rig.end()
  })

  t.test('after close everything is refused', async t => {
    const rig = await make(1)
    const log = await rig.life()
    await call<Opened>(done => log.open(done))
    const writing = call<void>(done => log.write(persist({ blocks: [block(log.tail, 1)] }), done))
    const closing = call<void>(done => log.close(done))
    await t.rejects(
      call<void>(done => log.write(persist({}), done)),
      { code: 'STOPPED' }
    )
    await t.resolves(Promise.all([writing, closing]))
    await rig.end()
  })
}
