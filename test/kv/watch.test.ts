// Watches of one machine: what each is told is what it asked for, in order, once, whole, whatever its link and credit do.
import fc from 'fast-check'
import { t } from 'tap'
import { Interest } from '../../lib/kv/watch/interest.ts'
import { Ring } from '../../lib/kv/watch/ring.ts'
import { type BedLink, type HeardWatch, WatchBed } from '../help/watch-bed.ts'

const runs = Number(process.env['FC_RUNS'] ?? 300)
const keys = ['a', 'ab', 'b', 'ba', 'c', 'z']
const spans = [
  { from: 'a', to: 'a\0' },
  { from: 'b', to: 'b\0' },
  { from: 'a', to: 'b' },
  { from: '', to: null },
  { from: 'ab', to: 'bb' },
  { from: 'z', to: null }
]
const all = { from: '', to: null }

const values = fc.array(
  fc.record({
    key: fc.constantFrom(...keys),
    value: fc.oneof(
      { arbitrary: fc.nat(99).map(String), weight: 4 },
      { arbitrary: fc.constant(null), weight: 2 },
      { arbitrary: fc.constant('x'.repeat(500)), weight: 1 }
    )
  }),
  { minLength: 1, maxLength: 3 }
)
const step = fc.oneof(
  { arbitrary: fc.record({ do: fc.constant('commit' as const), values, cold: fc.boolean() }), weight: 10 },
  {
    arbitrary: fc.record({
      do: fc.constant('watch' as const),
      link: fc.nat(2),
      span: fc.constantFrom(...spans),
      after: fc.option(fc.integer({ min: -30, max: 5 })),
      initial: fc.boolean(),
      previous: fc.boolean(),
      whole: fc.boolean(),
      types: fc.constantFrom(['put'] as const, ['delete'] as const, ['put', 'delete'] as const),
      credit: fc.constantFrom(0, 100, 1000, 100_000)
    }),
    weight: 4
  },
  { arbitrary: fc.record({ do: fc.constant('credit' as const), watch: fc.nat(), bytes: fc.nat(3000) }), weight: 4 },
  { arbitrary: fc.record({ do: fc.constant('end' as const), watch: fc.nat() }), weight: 1 },
  { arbitrary: fc.record({ do: fc.constant('full' as const), link: fc.nat(2), full: fc.boolean() }), weight: 3 },
  { arbitrary: fc.record({ do: fc.constant('gone' as const), link: fc.nat(2) }), weight: 1 },
  { arbitrary: fc.record({ do: fc.constant('compact' as const), behind: fc.nat(10) }), weight: 1 },
  { arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(0, 0, 1, 300, 5000) }), weight: 6 }
)

t.test('whatever happens, every watch is told all that it asked for, in order and once', t => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), steps => {
      const bed = new WatchBed({ ringBytesMax: 3000, tellingsMax: 2, walksMax: 1 })
      const links: BedLink[] = [bed.link(), bed.link(), bed.link()]
      const watches: { readonly link: BedLink; readonly heard: HeardWatch }[] = []
      for (const each of steps) {
        if (each.do === 'commit') {
          const changed = new Map(each.values.map(({ key, value }) => [key, value]))
          bed.commit(
            [...changed].map(([key, value]) => ({ key, value })),
            each.cold
          )
        } else if (each.do === 'watch') {
          const link = links[each.link]!
          const after = each.after === null ? null : Math.max(0, bed.ghost.revision + each.after)
          const { initial, previous, whole, types, credit } = each
          const heard = link.watch({ ...each.span, after, initial, previous, whole, types, credit, progressMs: 200 })
          watches.push({ link, heard })
        } else if (each.do === 'credit' && watches.length > 0) {
          const { link, heard } = watches[each.watch % watches.length]!
          link.give(heard, each.bytes)
        } else if (each.do === 'end' && watches.length > 0) {
          const [{ link, heard }] = watches.splice(each.watch % watches.length, 1) as [(typeof watches)[number]]
          link.end(heard)
        } else if (each.do === 'full') {
          if (each.full) links[each.link]!.open = false
          else links[each.link]!.opens()
        } else if (each.do === 'gone') {
          const link = links[each.link]!
          link.feed.close()
          for (const watch of watches.filter(one => one.link === link)) watches.splice(watches.indexOf(watch), 1)
          links[each.link] = bed.link()
        } else if (each.do === 'compact') {
          bed.table.compacted = Math.max(bed.table.compacted, bed.table.revision - each.behind)
        } else if (each.do === 'pass') bed.run(each.ms)
      }
      for (const link of links) link.opens()
      for (const { link, heard } of watches) link.give(heard, 10_000_000)
      bed.run(10_000)
      for (const { heard } of watches) {
        if (heard.ended !== null) {
          if (heard.ended.code !== 'COMPACTED' || heard.asked.whole !== true) throw heard.ended
        } else if (heard.judge.revision < bed.ghost.revision) {
          throw new Error(`a watch has come to ${heard.judge.revision} of ${bed.ghost.revision}`)
        }
      }
      const open = watches.filter(({ heard }) => heard.ended === null).length
      if (bed.hub.count !== open) throw new Error(`${bed.hub.count} watches are open, not ${open}`)
      if (open === 0 && bed.table.listener !== null) throw new Error('the table tells of changes that nobody watches')
    }),
    { numRuns: runs }
  )
  t.end()
})

t.test('while nobody watches the table tells nobody, and the ring holds nothing', t => {
  const bed = new WatchBed()
  t.equal(bed.table.listener, null)
  const link = bed.link()
  const watch = link.watch(all)
  t.equal(bed.table.listener, bed.hub)
  bed.put('a', '1')
  bed.run()
  t.ok(bed.hub.ring.bytes > 0)
  link.end(watch)
  t.equal(bed.table.listener, null)
  t.equal(bed.hub.ring.bytes, 0)
  t.end()
})

t.test('many watches of a key on one link share one frame for each revision', t => {
  const bed = new WatchBed()
  const link = bed.link()
  const watches = Array.from({ length: 60 }, () => link.watch({ from: 'k', to: 'k\0' }))
  for (let at = 0; at < 5; at++) bed.put('k', String(at))
  bed.run()
  t.equal(link.frames, 5)
  for (const watch of watches) t.strictSame(watch.revisions, [2, 3, 4, 5, 6])
  t.end()
})

t.test('a watch without credit, or on a full link, keeps nobody waiting and costs no more than its place', t => {
  const bed = new WatchBed({ ringBytesMax: 10_000 })
  const full = bed.link()
  const other = bed.link()
  const slow = other.watch({ ...all, credit: 1 })
  const behind = full.watch(all)
  const quick = other.watch({ ...all, credit: 10_000_000 })
  full.open = false
  for (let at = 0; at < 1000; at++) {
    bed.put('k', `${at}`.padStart(100))
    bed.run()
  }
  t.equal(quick.revisions.length, 1000)
  t.equal(slow.revisions.length, 1, 'what begins within the credit is sent')
  t.equal(behind.revisions.length, 0)
  t.ok(bed.hub.ring.bytes <= 10_000)
  full.opens()
  other.give(slow, 10_000_000)
  full.give(behind, 10_000_000)
  bed.run(100)
  t.strictSame(slow.revisions, quick.revisions)
  t.strictSame(behind.revisions, quick.revisions)
  t.ok(bed.walks > 0, 'from the past')
  t.end()
})

t.test('etcd #15220: nobody is told that he is level before he has heard of all', t => {
  const bed = new WatchBed({ sweepMs: 1 })
  const link = bed.link()
  const watch = link.watch({ ...all, progressMs: 100, credit: 1 })
  for (let at = 0; at < 100; at++) {
    bed.put('k', String(at))
    bed.run(50)
  }
  const before = watch.batches.length
  bed.run(5_000)
  t.equal(watch.batches.length, before, 'a watch that is behind is told nothing')
  link.give(watch, 100_000)
  bed.run(5_000)
  t.ok(watch.batches.at(-1)!.progress)
  t.equal(watch.judge.revision, 101)
  t.end()
})

t.test('etcd #15271: resumed at a node that lags, a watch waits and does not go back', t => {
  const bed = new WatchBed()
  for (let at = 0; at < 10; at++) bed.put('k', String(at))
  const link = bed.link()
  // Another node had told it all up to 15; this one is at 11.
  const watch = link.watch({ ...all, after: 15, progressMs: 100 })
  bed.run(20_000)
  t.strictSame(watch.batches, [], 'neither changes nor how far it is')
  for (let at = 0; at < 10; at++) bed.put('k', String(at))
  bed.run(1_000)
  t.strictSame(watch.revisions, [16, 17, 18, 19, 20, 21])
  t.end()
})

t.test('etcd #17247: a revision that changes several keys comes once, as one', t => {
  const bed = new WatchBed()
  const link = bed.link()
  const whole = link.watch(all)
  const part = link.watch({ from: 'b', to: 'c' })
  bed.commit([
    { key: 'a', value: '1' },
    { key: 'b', value: '2' },
    { key: 'ba', value: '3' }
  ])
  bed.run(1_000)
  t.equal(link.frames, 1)
  t.strictSame(
    whole.batches.filter(({ changes }) => changes.length > 0).map(({ changes }) => changes.length),
    [3]
  )
  t.strictSame(
    part.batches.filter(({ changes }) => changes.length > 0).map(({ changes }) => changes.length),
    [2]
  )
  t.end()
})

t.test('etcd #17529: a starved watch misses nothing, however late it is fed', t => {
  const bed = new WatchBed({ ringBytesMax: 2_000 })
  const link = bed.link()
  const watch = link.watch({ ...all, credit: 100 })
  for (let at = 0; at < 500; at++) {
    bed.put(`k${at % 7}`, String(at))
    if (at % 50 === 0) link.give(watch, 150)
    bed.run(1)
  }
  while (watch.revisions.length < 500) {
    link.give(watch, 200)
    bed.run(1)
  }
  t.strictSame(
    watch.revisions,
    Array.from({ length: 500 }, (_, at) => at + 2)
  )
  t.end()
})

t.test('etcd #20221: a watch of the future hears of nothing older, and is not told how far it is before', t => {
  const bed = new WatchBed()
  bed.put('k', '0')
  const link = bed.link()
  const watch = link.watch({ ...all, after: 6, progressMs: 100 })
  for (let at = 0; at < 3; at++) {
    bed.put('k', String(at))
    bed.run(20_000)
    t.strictSame(watch.batches, [])
  }
  for (const value of ['six', 'seven', 'eight']) bed.put('k', value)
  bed.run(10)
  t.strictSame(watch.revisions, [7, 8])
  t.end()
})

t.test('etcd #18089, #19179: a deletion next to the point of compaction', t => {
  const bed = new WatchBed()
  bed.put('k', '1')
  const deleted = bed.delete('k')
  bed.put('other', '2')
  bed.table.compacted = deleted - 1
  const link = bed.link()
  const watch = link.watch({ ...all, after: deleted - 1 })
  bed.run(10)
  t.strictSame(watch.revisions, [deleted, deleted + 1], 'changes after the point are there')
  bed.table.compacted = deleted
  const late = link.watch({ ...all, after: deleted - 1 })
  const ends = link.watch({ ...all, after: deleted - 1, whole: true })
  bed.run(10)
  t.match(late.batches, [{ reset: true }, { changes: [{ entry: { key: 'other' } }] }, { synced: true }])
  t.equal(ends.ended?.code, 'COMPACTED')
  t.end()
})

t.test('an expired lease is told as the cause', t => {
  const bed = new WatchBed()
  const watch = bed.link().watch(all)
  bed.put('k', '1')
  bed.table.cause = 'expiry'
  bed.delete('k')
  bed.run()
  t.match(watch.batches.at(-1), { changes: [{ type: 'delete', cause: 'expired' }] })
  t.end()
})

t.test('when the machine ends, its watches do', t => {
  const bed = new WatchBed()
  const link = bed.link()
  const watch = link.watch(all)
  bed.hub.close(Object.assign(new Error('over'), { code: 'UNAVAILABLE' }) as never)
  t.equal(watch.ended?.message, 'over')
  t.equal(bed.table.listener, null)
  t.end()
})

t.test('who watches a key is found, among keys, prefixes and other ranges', t => {
  const span = fc.oneof(
    fc.constantFrom(...spans),
    fc.record({
      from: fc.string({ unit: fc.constantFrom('a', 'b', '\0', '\xff'), maxLength: 3 }),
      to: fc.constant(null)
    }),
    fc
      .tuple(
        fc.string({ unit: fc.constantFrom('a', 'b', '\0', '\xff'), maxLength: 3 }),
        fc.string({ unit: fc.constantFrom('a', 'b', '\0', '\xff'), maxLength: 3 })
      )
      .map(([from, to]) => ({ from, to }))
  )
  const key = fc.string({ unit: fc.constantFrom('a', 'b', '\0', '\xff'), minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(fc.array(fc.tuple(span, fc.boolean())), key, (watches, at) => {
      const interest = new Interest<{ from: string; to: string | null }>()
      const added = watches.map(([one]) => ({ ...one }))
      for (const one of added) interest.add(one)
      const left = added.filter((one, place) => {
        if (watches[place]![1]) interest.delete(one)
        return !watches[place]![1]
      })
      const found: unknown[] = []
      interest.find(at, one => found.push(one))
      const expected = left.filter(({ from, to }) => at >= from && (to === null || at < to))
      if (found.length !== expected.length || expected.some(one => !found.includes(one))) throw new Error('not those')
    }),
    { numRuns: runs }
  )
  t.end()
})

t.test('the ring holds the last revisions, within its bytes', t => {
  fc.assert(
    fc.property(fc.array(fc.nat(400), { maxLength: 200 }), fc.nat(5000), (sizes, most) => {
      const ring = new Ring(7)
      for (const [at, size] of sizes.entries()) {
        const value = new Uint8Array(size)
        const rest = { deleted: false, createRevision: 1, version: 1, leaseId: 0, previous: null }
        ring.add(8 + at, 'command', { key: 'k', value, ...rest })
        ring.trim(most, 8 + at)
        if (ring.bytes > most) throw new Error('more than it may')
        if (ring.last !== 8 + at) throw new Error('the last is not the last')
        for (let one = ring.floor + 1; one <= ring.last; one++)
          if (ring.at(one).revision !== one) throw new Error('a gap')
      }
    }),
    { numRuns: runs }
  )
  t.end()
})
