// The simulated disk: what was measured of LevelDB holds of it too, and what it loses is what a disk may lose.
import fc from 'fast-check'
import { t } from 'tap'
import { Random } from '../../lib/base/random.ts'
import { levelFault } from '../../lib/kv/state-level.ts'
import { openFault, writeFault } from '../../lib/log/faults.ts'
import { foundingBase } from '../../lib/log/found-log.ts'
import type { Slots } from '../../lib/log/slots.ts'
import { SimDisk } from '../../lib/sim/disk/disk.ts'
import type { SimLevel } from '../../lib/sim/disk/sim-level.ts'
import { hurried } from '../help/hurried-time.ts'
import { founding } from '../help/log-blocks.ts'
import { lifeOf, simParts } from '../help/log-life.ts'
import { key, keysIn, put, SimDiskBed, synced, unsynced } from '../help/sim-disk-bed.ts'
import { VirtualTime } from '../help/virtual-time.ts'
import { kvRig } from '../kv/bed.ts'
import { logSuite } from '../suite/log.ts'
import { machineSuite } from '../suite/machine.ts'

const runs = Number(process.env['FC_RUNS'] ?? 60)
const seeds = Array.from({ length: 40 }, (_, seed) => seed)
const everything = { gte: new Uint8Array(0), lt: new Uint8Array(4).fill(255) }

/** What is there in the next life, for each seed, sorted and without repetition. */
function endings(story: (bed: SimDiskBed) => readonly string[]): string[] {
  const found = new Set(seeds.map(seed => story(new SimDiskBed(seed)).join(' ')))
  return [...found].toSorted()
}

t.test('a power cut takes any of the writes that were not synced, a killed process none', async t => {
  const story = (powerCut: boolean) => (bed: SimDiskBed) => {
    const level = bed.level()
    bed.wait(level.batch(put('a'), unsynced))
    bed.wait(level.batch(put('b'), synced))
    bed.wait(level.batch(put('c', 'd'), unsynced))
    bed.wait(level.batch(put('e'), unsynced))
    bed.crash(powerCut)
    return keysIn(bed, bed.level())
  }
  t.same(
    endings(story(true)),
    ['a b', 'a b c d', 'a b c d e', 'a b e'],
    'the synced one has taken the one before with it'
  )
  t.same(endings(story(false)), ['a b c d e'])
})

t.test('what is under way at a crash is there whole or not at all', async t => {
  const story = (powerCut: boolean) => (bed: SimDiskBed) => {
    const level = bed.level()
    level.batch(put('a', 'b'), synced)
    level.batch(put('c', 'd'), synced)
    bed.crash(powerCut)
    return keysIn(bed, bed.level())
  }
  t.same(endings(story(true)), ['', 'a b', 'a b c d', 'c d'])
  t.same(endings(story(false)), ['', 'a b', 'a b c d'], 'they are written in order')
})

t.test('closing syncs nothing, and opening makes durable what it finds', async t => {
  const story = (opened: boolean) => (bed: SimDiskBed) => {
    const level = bed.level()
    bed.wait(level.batch(put('a'), unsynced))
    bed.wait(level.close())
    if (opened) bed.level()
    bed.crash(true)
    return keysIn(bed, bed.level())
  }
  t.same(endings(story(false)), ['', 'a'])
  t.same(endings(story(true)), ['a'])
})

t.test('a process that is killed leaves to the system what a later power cut may take', async t => {
  const story = (bed: SimDiskBed): string[] => {
    bed.wait(bed.level().batch(put('a'), unsynced))
    bed.crash(false)
    bed.crash(true)
    return keysIn(bed, bed.level())
  }
  t.same(endings(story), ['', 'a'])
})

t.test(
  'after a failed append later writes are answered, and gone at the next opening, or there behind a hole',
  async t => {
    const story = (knob: 'full' | 'ioErrorChance', crash: boolean) => (bed: SimDiskBed) => {
      const { knobs } = bed.disk
      const level = bed.level()
      bed.wait(level.batch(put('a'), synced))
      if (knob === 'full') knobs.full = true
      else knobs.ioErrorChance = 1
      t.match(bed.error(level.batch(put('b'), synced)), { code: 'LEVEL_IO_ERROR' })
      Object.assign(knobs, { full: false, ioErrorChance: 0 })
      bed.wait(level.batch(put('c'), synced))
      bed.wait(level.batch(put('d'), synced))
      t.same(keysIn(bed, level), ['a', 'c', 'd'], 'readers see what was answered')
      if (crash) bed.crash(false)
      else bed.wait(level.close())
      return keysIn(bed, bed.level())
    }
    t.same(endings(story('full', true)), ['a'], 'a full disk leaves a file in which nothing more is found')
    t.same(endings(story('full', false)), ['a'], 'closing in good order saves nothing')
    t.same(endings(story('ioErrorChance', true)), ['a', 'a b c d', 'a c d'])
  }
)

t.test('opening anew at the first error loses nothing of what is answered afterwards', async t => {
  const story = (bed: SimDiskBed): string[] => {
    const level = bed.level()
    bed.disk.knobs.full = true
    t.ok(bed.error(level.batch(put('a'), synced)))
    bed.wait(level.close())
    bed.disk.knobs.full = false
    bed.wait(bed.level().batch(put('b'), synced))
    bed.crash(true)
    return keysIn(bed, bed.level())
  }
  t.same(endings(story), ['b'])
})

t.test('after a failed sync every write is rejected until it is opened anew, and what failed may be there', async t => {
  const story = (bed: SimDiskBed): string[] => {
    const { knobs } = bed.disk
    const level = bed.level()
    bed.wait(level.batch(put('a'), unsynced))
    knobs.syncErrorChance = 1
    t.match(bed.error(level.batch(put('b'), synced)), { code: 'LEVEL_IO_ERROR' })
    knobs.syncErrorChance = 0
    t.ok(bed.error(level.batch(put('c'), unsynced)))
    t.ok(bed.error(level.batch(put('c'), synced)))
    t.same(keysIn(bed, level), ['a'], 'readers do not see it')
    bed.wait(level.close())
    const next = bed.level()
    bed.wait(next.batch(put('d'), synced))
    return keysIn(bed, next)
  }
  t.same(endings(story), ['a b d', 'a d'])
})

t.test('it is opened by one at a time, and errors are known for what they are', async t => {
  const bed = new SimDiskBed(1)
  const level = bed.level()
  t.equal(bed.error(level.open()), null, 'who has it open may open it again')
  const other = bed.disk.mount(bed.time.env('n1')).log()
  t.match(openFault('the log', bed.error(other.open())!), { fault: 'locked' })
  t.ok(bed.error(other.get(key('a'))), 'it is not open')
  bed.wait(level.close())
  t.ok(bed.error(level.get(key('a'))))
  t.equal(bed.error(other.open()), null)
  bed.disk.knobs.full = true
  const refused = bed.error(other.batch(put('a'), synced))!
  t.match(writeFault('the log', refused), { code: 'NO_SPACE', fate: 'unknown' })
  t.match(levelFault('written', refused), { code: 'NO_SPACE' })
  bed.wait(other.close())
  const opened = seeds.map(() => {
    const level = bed.disk.mount(bed.time.env('n1')).log()
    const error = bed.error(level.open())
    if (error === null) bed.wait(level.close())
    else t.match(openFault('the log', error), { fault: 'io', code: 'NO_SPACE' })
    return error === null
  })
  t.same(new Set(opened), new Set([true, false]), 'a full disk may refuse to open')
  t.ok(bed.disk.fired['full-disk'] > 1)
})

t.test('after a crash nothing of the life before is answered', async t => {
  const bed = new SimDiskBed(2)
  const level = bed.level()
  const ended: string[] = []
  const hear = (name: string, answer: PromiseLike<unknown>): void => {
    answer.then(
      () => ended.push(name),
      () => ended.push(name)
    )
  }
  hear('batch', level.batch(put('a'), synced))
  hear('get', level.get(key('a')))
  bed.crash(false)
  hear('late', level.batch(put('b'), synced))
  bed.time.run(1000)
  t.same(ended, [])
  t.notOk(keysIn(bed, bed.level()).includes('b'))
})

t.test('answers take as long as the disk is slow, and come when it hangs no more', async t => {
  const bed = new SimDiskBed(3, {
    writeMsMin: 1,
    writeMsMax: 2,
    syncMsMin: 5,
    syncMsMax: 6,
    readMsMin: 3,
    readMsMax: 4
  })
  const level = bed.level()
  const took = (start: () => PromiseLike<unknown>): number => {
    const before = bed.time.now
    bed.wait(start())
    return bed.time.now - before
  }
  const within = (ms: number, min: number, max: number): void => {
    t.ok(ms >= min && ms <= max, `${ms} ms is from ${min} to ${max}`)
  }
  within(
    took(() => level.batch(put('a'), unsynced)),
    1,
    2
  )
  within(
    took(() => level.batch(put('a'), synced)),
    6,
    8
  )
  within(
    took(() => level.get(key('a'))),
    3,
    4
  )
  bed.disk.knobs.slowFactor = 10
  within(
    took(() => level.batch(put('a'), synced)),
    60,
    80
  )
  bed.disk.knobs.slowFactor = 1
  const answer = level.batch(put('a'), synced)
  bed.disk.knobs.hungUntil = bed.time.now + 500
  const until = bed.disk.knobs.hungUntil
  bed.wait(answer)
  t.equal(bed.time.now, until)
  within(
    took(() => level.get(key('a'))),
    3,
    4
  )
  t.same([bed.disk.fired['slow-disk'], bed.disk.fired['hung-disk']], [1, 1])
})

t.test('chained batches and iterators do as those of LevelDB', async t => {
  const bed = new SimDiskBed(4)
  const level = bed.level()
  const bytes = key('mine')
  const batch = level.batch()
  batch.put(key('b'), bytes)
  batch.put(key('a'), bytes)
  batch.put(key('c'), bytes)
  batch.del(key('a'))
  t.same(keysIn(bed, level), [])
  bed.wait(batch.write({ sync: true }))
  bytes.fill(0)
  t.same(bed.wait(level.get(key('b'))), key('mine'), 'bytes are copied')
  const cursor = level.iterator({ ...everything, reverse: true, values: true, highWaterMarkBytes: 1 })
  bed.wait(level.batch([...put('d'), { type: 'del', key: key('b') }], synced))
  t.same(bed.wait(cursor.nextv(10)), [[key('c'), key('mine')]], 'bounded in bytes')
  t.same(bed.wait(cursor.nextv(10)), [[key('b'), key('mine')]], 'as it was when it was made')
  t.same(bed.wait(cursor.nextv(10)), [])
  bed.wait(cursor.close())
  t.same(bed.wait(level.getMany([key('d'), key('b'), key('c')])), [key('value of d'), undefined, key('mine')])
})

t.test('iterators give what a sorted array would', async t => {
  const names = fc.string({ unit: fc.constantFrom('a', 'b', '\0', 'ÿ'), maxLength: 3 })
  const property = fc.property(
    fc.array(fc.tuple(fc.boolean(), names), { maxLength: 200 }),
    names,
    names,
    fc.boolean(),
    fc.integer({ min: 1, max: 7 }),
    (changes, gte, lt, reverse, size) => {
      const bed = new SimDiskBed(5)
      const level = bed.level()
      const model = new Set<string>()
      const latin = (name: string): Uint8Array => Buffer.from(name, 'latin1')
      const operations = changes.map(([isPut, name]) => {
        if (isPut) model.add(name)
        else model.delete(name)
        return isPut
          ? ({ type: 'put', key: latin(name), value: latin(name) } as const)
          : ({ type: 'del', key: latin(name) } as const)
      })
      bed.wait(level.batch(operations, synced))
      const expected = [...model].filter(name => name >= gte && name < lt).toSorted()
      if (reverse) expected.reverse()
      const range = { gte: latin(gte), lt: latin(lt), reverse, values: true, highWaterMarkBytes: 20 }
      const cursor = level.iterator(range)
      const found: string[] = []
      for (;;) {
        const entries = bed.wait(cursor.nextv(size))
        if (entries.length === 0) break
        for (const [name] of entries) found.push(Buffer.from(name).toString('latin1'))
      }
      return found.join('|') === expected.join('|')
    }
  )
  fc.assert(property, { numRuns: runs })
  t.pass(`${runs} databases`)
})

type Step =
  | { readonly kind: 'write'; readonly sync: boolean; readonly keys: number; readonly wait: boolean }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'reopen' | 'kill' | 'cut' }
  | { readonly kind: 'errors'; readonly io: number; readonly sync: number; readonly full: boolean }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      sync: fc.boolean(),
      keys: fc.integer({ min: 1, max: 3 }),
      wait: fc.boolean()
    })
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('reopen' as const, 'kill' as const, 'cut' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('errors' as const),
      io: fc.constantFrom(0, 0.3),
      sync: fc.constantFrom(0, 0.3),
      full: fc.boolean()
    })
  }
)

/** Writes each of a few keys of its own, and what became of it. */
interface Written {
  readonly keys: readonly string[]
  /** Answered without an error, synced, and nothing of its opening had failed before. */
  kept: boolean
}

class Comparison {
  readonly #bed: SimDiskBed
  #level: SimLevel
  readonly #written: Written[] = []
  #sound = true
  #number = 0

  constructor(seed: number) {
    this.#bed = new SimDiskBed(seed)
    this.#level = this.#bed.level()
  }

  take(step: Step): void {
    const bed = this.#bed
    const { knobs } = bed.disk
    if (step.kind === 'write') this.#write(step)
    else if (step.kind === 'wait') bed.time.run(step.ms)
    else if (step.kind === 'errors') {
      Object.assign(knobs, { ioErrorChance: step.io, syncErrorChance: step.sync, full: step.full })
    } else {
      if (step.kind === 'reopen') bed.wait(this.#level.close())
      else bed.crash(step.kind === 'cut')
      Object.assign(knobs, { ioErrorChance: 0, syncErrorChance: 0, full: false })
      this.#sound = true
      this.#level = bed.level()
      this.#check()
    }
  }

  #write({ sync, keys, wait }: Extract<Step, { kind: 'write' }>): void {
    const number = this.#number++
    const written: Written = { keys: Array.from({ length: keys }, (_, at) => `${number}-${at}`), kept: false }
    this.#written.push(written)
    const before = this.#written.slice(0, number)
    const answer = this.#level.batch(put(...written.keys), sync ? synced : unsynced)
    const sound = (): boolean => this.#sound
    answer.then(
      () => {
        if (sync && sound()) written.kept = true
      },
      () => {
        this.#sound = false
      }
    )
    if (wait && this.#bed.error(answer) === null && sync && this.#sound) {
      // Those that were answered before it are synced with it.
      const seen = new Set(keysIn(this.#bed, this.#level))
      for (const each of before) each.kept ||= each.keys.every(name => seen.has(name))
    }
  }

  #check(): void {
    const found = new Set(keysIn(this.#bed, this.#level))
    for (const { keys, kept } of this.#written) {
      const there = keys.filter(name => found.has(name)).length
      if (there !== 0 && there !== keys.length) throw new Error(`half of ${keys.join()} is there`)
      if (kept && there === 0) throw new Error(`${keys.join()} was synced and is gone`)
    }
    // What an opening has found stays.
    for (const each of this.#written) each.kept = found.has(each.keys[0]!)
  }
}

t.test('crashes and errors at any point: what was synced is there, and every write is whole or absent', async t => {
  const property = fc.property(fc.nat(), fc.array(step, { maxLength: 40 }), (seed, steps) => {
    const comparison = new Comparison(seed)
    for (const each of [...steps, { kind: 'cut' } as const]) comparison.take(each)
  })
  fc.assert(property, { numRuns: runs * 3 })
  t.pass(`${runs * 3} stories`)
})

t.test(
  'of two slots a power cut leaves the old, the new, or a torn one, and a failed sync is never made up for',
  async t => {
    const sector = (fill: number): Uint8Array => new Uint8Array(512).fill(fill)
    const story = (seed: number, fail: boolean): string => {
      const bed = new SimDiskBed(seed, { tornChance: 0.3 })
      const life = (): Slots => bed.disk.mount(bed.time.env('n1')).slots()
      const slots = life()
      t.same(
        bed.call(done => slots.read(done)),
        [null, null]
      )
      bed.call<void>(done => slots.write(0, sector(1), true, done))
      bed.disk.knobs.syncErrorChance = fail ? 1 : 0
      const { error } = bed.outcome<void>(done => slots.write(1, sector(2), fail, done))
      t.equal(error !== null, fail)
      bed.disk.knobs.syncErrorChance = 0
      if (fail) bed.call<void>(done => slots.write(0, sector(3), true, done))
      bed.crash(true)
      const [first, second] = bed.call<readonly (Uint8Array | null)[]>(done => life().read(done))
      t.same(first, sector(fail ? 3 : 1))
      if (second == null) return 'old'
      return second.every(byte => byte === 2) ? 'new' : 'torn'
    }
    for (const fail of [false, true]) {
      t.same(new Set(seeds.map(seed => story(seed, fail))), new Set(['old', 'new', 'torn']))
    }
  }
)

t.test('a directory, a state and all else live on, until the disk is wiped', async t => {
  const bed = new SimDiskBed(6)
  const life = () => bed.disk.mount(bed.time.env('n1'))
  const mounted = life()
  bed.call<void>(done => mounted.prepare(done))
  bed.call<void>(done => mounted.directory.create('state-1', done))
  const state = mounted.state('state-1')
  bed.wait(state.open())
  const batch = state.batch()
  batch.put(key('a'), key('1'))
  bed.wait(batch.write({ sync: true }))
  bed.crash(true)
  const next = life()
  t.same(
    bed.call(done => next.directory.list(done)),
    ['state-1']
  )
  const again = next.state('state-1')
  bed.wait(again.open())
  t.same(bed.wait(again.get(key('a'))), key('1'))
  bed.wait(again.close())
  bed.call<void>(done => next.directory.remove('state-1', done))
  const fresh = next.state('state-1')
  bed.wait(fresh.open())
  t.equal(bed.wait(fresh.get(key('a'))), undefined, 'removed with its directory')
  bed.disk.wipe()
  t.same(
    bed.call(done => life().directory.list(done)),
    []
  )
  t.equal(bed.disk.fired['wiped-disk'], 1)
})

t.test('the same seed and the same calls give the same answers at the same times', async t => {
  const story = (): string => {
    const bed = new SimDiskBed(7, { ioErrorChance: 0.2, syncErrorChance: 0.1 })
    const told: string[] = []
    for (let life = 0; life < 10; life++) {
      const level = bed.disk.mount(bed.time.env('n1')).log() as SimLevel
      told.push(String(bed.error(level.open())))
      for (let number = 0; number < 10; number++) {
        told.push(`${bed.error(level.batch(put(`${life}${number}`), synced))?.message} ${bed.time.now}`)
      }
      bed.crash(life % 2 === 0)
    }
    return told.join('\n')
  }
  t.equal(story(), story())
})

machineSuite(t, 'the key-value machine on a simulated disk', async () => {
  const time = new VirtualTime(9)
  const disk = new SimDisk({ random: part => new Random(9, part), now: () => time.now })
  const env = hurried(time, 'n1')
  const chance = new Random(9, 'crash')
  return kvRig({
    level: place => disk.mount(env).state(place),
    env,
    crash: () => {
      disk.knobs.lostWrites = true
      disk.crash(below => chance.below(below))
    },
    remove: () => {}
  })
})

t.test('the log on a simulated disk', async t => {
  logSuite(
    t,
    async hotBytesMax => {
      const time = new VirtualTime(8)
      const disk = new SimDisk({ random: part => new Random(8, part), now: () => time.now })
      return { life: () => lifeOf(simParts(disk, hurried(time, 'n1')), null, hotBytesMax), end: async () => undefined }
    },
    foundingBase(founding),
    runs
  )
})
