// What the checks of a simulation see of a disk, compared with what the next life opens; and damage, which must be noticed.
import fc from 'fast-check'
import { t } from 'tap'
import { foundingBase } from '../../lib/log/found-log.ts'
import type { Card } from '../../lib/log/keys.ts'
import type { LevelLog } from '../../lib/log/level-log.ts'
import type { Opened } from '../../lib/log/log.ts'
import type { Persist } from '../../lib/raft/doors.ts'
import { type Base, type Block, type ChainedId, lastOf } from '../../lib/raft/types.ts'
import type { DiskView } from '../../lib/sim/disk/view.ts'
import { block, chainOf, endOf, founding, identity, persist } from '../help/log-blocks.ts'
import { key, keysIn, put, SimDiskBed, synced } from '../help/sim-disk-bed.ts'

const runs = Number(process.env['FC_RUNS'] ?? 60)
const base = foundingBase(founding)

type Step =
  | { readonly kind: 'append'; readonly counts: readonly number[]; readonly ms: number }
  | { readonly kind: 'cut'; readonly back: number; readonly ms: number }
  | { readonly kind: 'rebase' | 'install' | 'vote'; readonly ms: number }
  | { readonly kind: 'lose' | 'kill' | 'cut-power' }

const ms = fc.constantFrom(0, 0, 0.3, 1, 50)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      counts: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
      ms
    })
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut' as const), back: fc.integer({ min: 1, max: 5 }), ms }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('rebase' as const, 'install' as const, 'vote' as const), ms })
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('lose' as const, 'kill' as const, 'cut-power' as const) })
  }
)

/** A log that is written to without waiting, and lives that follow each other. */
class Story {
  readonly bed: SimDiskBed
  #log!: LevelLog
  #blocks: Block[] = []
  #base: Base = base
  #term = 1

  constructor(seed: number) {
    this.bed = new SimDiskBed(seed, { tornChance: 0.3 })
    this.#open()
  }

  get view(): DiskView {
    return this.bed.disk.view
  }

  take(step: Step): void {
    switch (step.kind) {
      case 'append':
        this.#append(step.counts)
        break
      case 'cut': {
        const kept = this.#blocks.slice(0, -step.back)
        if (kept.length === this.#blocks.length) return
        this.#blocks = kept
        this.#term++
        this.#write({ cut: this.#end.index, blocks: this.#next([1, 2]) })
        break
      }
      case 'vote':
        this.#write({ hard: { term: ++this.#term, vote: null } })
        break
      case 'rebase': {
        const dropped = this.#blocks.shift()
        if (dropped !== undefined) this.#rebase({ ...this.#base, ...endOf(dropped) })
        break
      }
      case 'install':
        this.#blocks = []
        this.#rebase({ ...this.#base, index: this.#log.tail.index + 3, term: ++this.#term, chain: 77 * this.#term })
        break
      case 'lose':
        return this.lose()
      case 'kill':
      case 'cut-power':
        this.bed.crash(step.kind === 'cut-power')
        this.#open()
        return
    }
    this.bed.time.run(step.ms)
  }

  /** The power fails: what the view has promised is what is opened. */
  lose(): void {
    const { view } = this
    const { hard, mark, base, last } = view
    const ends = Array.from({ length: (last?.index ?? 0) + 3 }, (_, index) => view.endAt(index))
    this.bed.loseAll()
    const opened = this.#open()
    same([opened.restored.hard, opened.restored.mark], [hard, mark], 'memory')
    same([opened.base, chained(opened.tail)], [base, chained(last!)], 'base and last')
    const expected = ends.map(() => null as object | null)
    for (const end of [chained(opened.base), ...this.#blocks.map(endOf)]) expected[end.index] = plain(end)
    same(
      ends.map(end => end && plain(end)),
      expected,
      'ends of blocks'
    )
  }

  #open(): Opened {
    const { log, opened } = this.bed.openLog()
    if (!opened.restored.trusted) throw new Error(opened.findings.join())
    this.#log = log
    this.#base = opened.base
    this.#blocks = []
    this.#term = Math.max(opened.restored.hard.term, opened.tail.term)
    const { tail } = opened
    while (this.#end.index < tail.index) {
      const found = this.bed.call<readonly Block[] | null>(done => log.cold(this.#end.index + 1, 1e9, done))
      this.#blocks.push(...found!)
    }
    return opened
  }

  get #end(): ChainedId {
    const last = this.#blocks.at(-1)
    return last === undefined ? chained(this.#base) : endOf(last)
  }

  #append(counts: readonly number[]): void {
    this.#write({ blocks: this.#next(counts) })
  }

  #next(counts: readonly number[]): Block[] {
    return counts.map(count => {
      const next = block(this.#end, this.#term, count)
      this.#blocks.push(next)
      return next
    })
  }

  #write(change: Partial<Persist>): void {
    this.#log.write(persist(change), () => {})
  }

  #rebase(base: Base): void {
    this.#base = base
    this.#log.rebase(base, () => {})
  }
}

function chained({ index, term, chain }: ChainedId): ChainedId {
  return { index, term, chain }
}

function plain({ term, chain }: { readonly term: number; readonly chain: number }): object {
  return { term, chain }
}

/** One assertion a story would be lost among thousands: only a difference is told. */
function same(found: unknown, expected: unknown, about: string): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)]
  if (a !== b) throw new Error(`${about}: ${a} is not ${b}`)
}

t.test('the view is what the next life opens when all is lost that was not synced', async t => {
  const property = fc.property(fc.nat(), fc.array(step, { minLength: 1, maxLength: 25 }), (seed, steps) => {
    const story = new Story(seed)
    for (const each of steps) story.take(each)
    story.lose()
  })
  fc.assert(property, { numRuns: runs })
  t.pass(`${runs} stories`)
})

t.test('before the first start there is nothing, and a founded log begins at its base', async t => {
  const bed = new SimDiskBed(1)
  const { view } = bed.disk
  t.same([view.memory, view.incarnation, view.base, view.last, view.endAt(0)], [null, '', null, null, null])
  t.same(
    [view.hard, view.mark],
    [
      { term: 0, vote: null },
      { index: 0, term: 0, chain: 0 }
    ]
  )
  bed.openLog()
  const { index, term, chain } = base
  t.same([view.incarnation, view.base, view.last], [identity.incarnation, base, { index, term, chain }])
  bed.disk.wipe()
  t.same([view.memory, view.base, view.endAt(0)], [null, null, null])
})

t.test('each block is told of when it is handed to the database, before it is there', async t => {
  const stored: Card[] = []
  let issued = 0
  const bed = new SimDiskBed(2, {}, { stored: card => stored.push(card), issued: () => issued++ })
  const { log } = bed.openLog()
  const blocks = chainOf(base, 1, 2)
  const before = issued
  log.write(persist({ blocks }), () => {})
  t.same(
    stored.map(({ first, chain }) => ({ first, chain })),
    blocks.map(({ first, chain }) => ({ first, chain }))
  )
  t.equal(issued, before + 1)
  t.equal(bed.disk.view.endAt(1), null)
  bed.time.run(10)
  t.match(bed.disk.view.endAt(1), { term: 1, chain: blocks[0]!.chain })
})

/** A log of some lives and cuts, all of it durable and promised, closed. */
function settledLog(seed: number): SimDiskBed {
  const bed = new SimDiskBed(seed)
  const { log } = bed.openLog()
  let end: ChainedId = base
  const write = (change: Partial<Persist>): void => bed.call<void>(done => log.write(persist(change), done))
  for (let number = 0; number < 12; number++) {
    const blocks = chainOf(end, 1 + number, 1 + bed.below(3))
    write({ blocks })
    end = endOf(blocks.at(-1)!)
    if (bed.below(4) > 0) continue
    const left = blocks.length > 1 ? endOf(blocks[0]!) : { ...end }
    if (left.index === end.index) continue
    // Overwritten by as many records in blocks of the same shape.
    const fresh = blocks.slice(1).map(old => {
      const next = block(left, 2 + number, lastOf(old) - old.first + 1)
      Object.assign(left, endOf(next))
      return next
    })
    write({ cut: endOf(blocks[0]!).index, blocks: fresh })
    end = left
  }
  bed.time.run(100)
  bed.call<void>(done => log.close(done))
  const { log: again, opened } = bed.openLog()
  // Opening has made a table of all: the next ones are those that the write-ahead file can lose.
  const late = chainOf(opened.tail, 20, 6)
  for (const each of late) bed.call<void>(done => again.write(persist({ blocks: [each] }), done))
  const cut = chainOf(endOf(late[3]!), 21, 3)
  bed.call<void>(done => again.write(persist({ cut: lastOf(late[3]!), blocks: cut }), done))
  bed.time.run(100)
  bed.call<void>(done => again.close(done))
  bed.disk.crash(bed.below)
  return bed
}

for (const kind of ['log-hole', 'log-undo', 'log-tail', 'log-bit'] as const) {
  t.test(`${kind}: the next life finds it, ends before it, and is untrusted`, async t => {
    let found = 0
    for (let seed = 0; seed < 30; seed++) {
      const bed = settledLog(seed)
      const damage = bed.disk.rot(kind, bed.below)
      if (damage === null) {
        t.fail(`nothing to damage, seed ${seed}`)
        continue
      }
      const { mark } = bed.disk.view
      const { opened } = bed.openLog()
      if (opened.restored.trusted || opened.findings.length === 0) t.fail(`not noticed, seed ${seed}`)
      if (damage.from > mark.index) t.fail(`it begins above the mark, seed ${seed}`)
      // What had been overwritten may be back in its place.
      const exact = kind === 'log-hole' || kind === 'log-bit'
      if (exact && opened.tail.index !== damage.from - 1) t.fail(`another end, seed ${seed}`)
      found++
    }
    t.equal(found, 30)
  })
}

t.test('one damaged slot is made up for by the other', async t => {
  for (let seed = 0; seed < 30; seed++) {
    const bed = settledLog(seed)
    const { hard, mark, last } = bed.disk.view
    if (bed.disk.rot('slot', bed.below) === null) t.fail('nothing to damage')
    const { opened } = bed.openLog()
    t.same([opened.restored.hard, opened.restored.trusted], [hard, true])
    t.same(chained(opened.tail), last)
    t.ok(opened.restored.mark.index <= mark.index, 'that, or the mark before')
  }
  t.end()
})

t.test('one bit of one row of the state is another', async t => {
  const bed = new SimDiskBed(3)
  t.equal(bed.disk.rot('state-bit', bed.below), null, 'there is nothing yet')
  const life = () => bed.disk.mount(bed.time.env('n1')).state('state-1')
  const state = life()
  bed.wait(state.open())
  const batch = state.batch()
  for (const name of ['a', 'b', 'c']) batch.put(key(name), key(name))
  bed.wait(batch.write({ sync: true }))
  bed.wait(state.close())
  t.match(bed.disk.rot('state-bit', bed.below), { kind: 'state-bit' })
  const next = life()
  bed.wait(next.open())
  const values = bed.wait(next.getMany([key('a'), key('b'), key('c')]))
  let bits = 0
  for (const [at, value] of values.entries()) {
    for (let rest = value![0]! ^ (97 + at); rest > 0; rest >>= 1) bits += rest & 1
  }
  t.equal(bits, 1)
  t.equal(bed.disk.fired['bit-rot'], 1)
})

t.test('without a log there is nothing to damage in it', async t => {
  const bed = new SimDiskBed(4)
  const level = bed.level()
  bed.wait(level.batch(put('a'), synced))
  bed.wait(level.close())
  for (const kind of ['log-hole', 'log-undo', 'log-tail', 'log-bit', 'slot'] as const) {
    t.equal(bed.disk.rot(kind, bed.below), null)
  }
  t.same(keysIn(bed, bed.level()), ['a'])
})
