// A state without one of its flushes: LevelDB loses it in silence, and opening says so or shows the state before it.
import assert from 'node:assert/strict'
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { t } from 'tap'
import { toHex } from '../../lib/base/bytes.ts'
import { StrettoError } from '../../lib/base/errors.ts'
import { GenerationChain } from '../../lib/kv/generations.ts'
import { KvMachine } from '../../lib/kv/kv-machine.ts'
import { generationKey, type Head, headKey, writeGeneration, writePacked } from '../../lib/kv/rows.ts'
import { stateLevel } from '../../lib/kv/state-level.ts'
import type { SnapshotSource } from '../../lib/machine/machine.ts'
import type { LogId } from '../../lib/raft/types.ts'
import { type FirstCommand } from '../../lib/wire/kv/commands.ts'
import { SimDiskBed } from '../help/sim-disk-bed.ts'
import { Bed, bytes, del, env, promised, put, Records, temporaryFolder } from './bed.ts'
import { commandArbitrary } from './model.ts'

const runs = Number(process.env['FC_RUNS'] ?? 60)

t.setTimeout(120_000)

/** Rows of generations, each [its revision, that of the one before; null: written before this was told]. */
function faultOf(rows: readonly (readonly [number, number | null])[], head: Partial<Head>): string | null {
  const chain = new GenerationChain()
  for (const [revision, previous] of rows) {
    const key = generationKey(revision)
    const last = { index: revision, term: 1 }
    chain.take(
      key,
      previous === null ? writePacked(key, [last.index, last.term]) : writeGeneration(key, last, previous)
    )
  }
  const fault = chain.fault({ revision: 1, compacted: 0, applied: { index: 9, term: 1 }, sidecar: bytes(''), ...head })
  return fault === null ? null : fault.message
}

void t.test('each generation follows the one before it, and the head is that of the newest', async t => {
  const chain = [[3, 0], [5, 3], [9, 5]] as const // biome-ignore format: a chain on one line
  t.equal(faultOf([], { revision: 1 }), null, 'nothing has ever changed')
  t.equal(faultOf(chain, { revision: 9 }), null)
  t.equal(faultOf([[5, 0], [9, 5]], { revision: 9 }), null, 'the first has been let go of') // biome-ignore format: as above
  t.equal(faultOf([[3, 0], [5, 0], [9, 5]], { revision: 9 }), null, 'it is about to be') // biome-ignore format: as above
  t.equal(faultOf([[9, 0]], { revision: 9, compacted: 9 }), null, 'as a snapshot brings it')
  const holes: [string, readonly (readonly [number, number | null])[], Partial<Head>, number][] = [
    ['the first is missing', chain.slice(1), { revision: 9 }, 3],
    ['the first is missing, whatever may be let go of', chain.slice(1), { revision: 9, compacted: 9 }, 3],
    ['the second', [chain[0], chain[2]], { revision: 9 }, 5],
    ['the second, although it may be let go of', [chain[0], chain[2]], { revision: 9, compacted: 9 }, 5],
    ['the last, and a flush that changed nothing is there', chain.slice(0, 2), { revision: 9 }, 9],
    ['all of them, and a flush that changed nothing is there', [], { revision: 9, compacted: 9 }, 9],
    ['the head is an older one', chain, { revision: 5 }, 9]
  ]
  for (const [name, rows, head, missing] of holes) {
    t.equal(faultOf(rows, head), `the state has a hole: the flush at revision ${missing} is missing`, name)
  }
})

void t.test('rows from before this was told are not judged', async t => {
  t.equal(faultOf([[3, null], [9, null]], { revision: 9 }), null) // biome-ignore format: as above
  t.equal(faultOf([[3, null], [5, null]], { revision: 9 }), null) // biome-ignore format: as above
  t.equal(faultOf([[3, null], [9, 3]], { revision: 9 }), null) // biome-ignore format: as above
  t.match(faultOf([[3, null], [9, 5]], { revision: 9 }), /revision 5 is missing/) // biome-ignore format: as above
})

type Step = readonly FirstCommand[] | number | 'flush' | 'open'

const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.array(commandArbitrary, { minLength: 1, maxLength: 4 }) },
  { weight: 5, arbitrary: fc.constant('flush' as const) },
  { weight: 1, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) },
  { weight: 1, arbitrary: fc.constant('open' as const) }
)

/** A machine on a simulated disk, and all the states that it has brought there. */
class Story {
  readonly bed = new SimDiskBed(1)
  readonly log = new Records()
  /** Head and entries as they were after each flush. */
  readonly states = new Set([''])
  machine = this.open()

  open(): KvMachine {
    const level = this.bed.disk.mount(this.bed.time.env('n1')).state('state-1')
    const machine = new KvMachine(level, this.bed.time.env('n1'))
    this.bed.call(done => machine.open(done))
    return machine
  }

  play(step: Step): void {
    if (step === 'open') {
      this.bed.crash(false)
      this.machine = this.open()
    } else if (step === 'flush') {
      this.bed.call<void>(done => this.machine.flush(this.log.last, bytes('sidecar'), done))
      this.states.add(this.shown)
    } else if (typeof step === 'number') {
      this.machine.compacted(Math.floor(step * this.flushed.index))
      this.bed.time.run(60_000)
    } else {
      const batch = this.log.commands(step)
      this.bed.call(done => this.machine.apply([batch], done))
    }
  }

  get flushed(): LogId {
    const source = this.bed.call<SnapshotSource | null>(done => this.machine.snapshot(done))
    source?.close()
    return source?.last ?? { term: 0, index: 0 }
  }

  /** What is on the disk of heads and entries. */
  get shown(): string {
    const rows = this.bed.disk.states.get('state-1')!.durable.toArray()
    return rows.flatMap(([, { key, value }]) => (key[2]! > 1 ? [] : [`${toHex(key)} ${toHex(value)}`])).join('\n')
  }
}

void t.test('whatever writes are lost from the write-ahead file, a state opens that was flushed, or none', async t => {
  const seen = { corrupt: 0, earlier: 0, same: 0 }
  const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })
  fc.assert(
    fc.property(
      fc.array(stepArbitrary, { maxLength: 30 }),
      place,
      fc.integer({ min: 1, max: 3 }),
      (steps, from, count) => {
        const story = new Story()
        for (const step of [...steps, 'flush' as const]) story.play(step)
        story.bed.crash(false)
        const database = story.bed.disk.states.get('state-1')!
        const before = story.shown
        database.loseFromFile(Math.floor(from * database.fileLength), count)
        try {
          story.open()
        } catch (error) {
          assert.ok(error instanceof StrettoError && error.code === 'CORRUPT', String(error))
          seen.corrupt++
          return
        }
        assert.ok(story.states.has(story.shown), 'a state that never was')
        seen[story.shown === before ? 'same' : 'earlier']++
      }
    ),
    // What is compacted is said before it is let go of: until then it may still get lost.
    {
      numRuns: runs * 5,
      examples: [
        [[[put('a', 'x')], 'flush', [put('b', 'x')], 'flush', [put('c', 'x')], 'flush', 1, [put('d', 'x')]], 0, 2],
        [[[put('a', 'x')], [put('a', 'y')], 'flush', 0.5, [put('d', 'x')]], 0, 1]
      ]
    }
  )
  t.ok(seen.corrupt > runs / 2 && seen.earlier > runs / 2, JSON.stringify(seen))
})

void t.test('a bit of a real write-ahead file flips: a state opens that was flushed, or none', async t => {
  const whole = temporaryFolder()
  t.teardown(whole.remove)
  const bed = await new Bed(whole.path).open()
  const log = new Records()
  const states = new Map<string, string>()
  for (let flush = 0; flush < 40; flush++) {
    // Small records, records that go over the end of a block of the file, and some that change nothing.
    const values = ['v', 'v'.repeat(3000), 'v'.repeat(40_000)]
    const changes = [
      put(`k${flush % 7}`, `${flush} ${values[flush % 3]!}`),
      put(`n${flush}`, '1'),
      del(`n${flush - 3}`)
    ]
    await bed.apply(log.commands(flush % 8 === 5 ? [del('nothing')] : changes))
    await bed.flush(log.last, bytes('sidecar'))
    const shown = await shownBy(bed)
    states.set(shown, `flush ${flush}`)
  }
  const copy = temporaryFolder()
  t.teardown(copy.remove)
  cpSync(whole.path, copy.path, { recursive: true })
  await bed.close()
  const [wal] = readdirSync(copy.path).filter(name => name.endsWith('.log')) as [string]
  const sound = readFileSync(join(copy.path, wal))
  const outcomes = new Map<string, number>()
  for (const at of placesIn(sound)) {
    const bytes = new Uint8Array(sound)
    bytes[at]! ^= 1 << (at % 8)
    const outcome = await opened(copy.path, wal, bytes, states)
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    if (outcome === 'never was') t.fail(`a bit of byte ${at} makes a state that never was`)
  }
  t.ok((outcomes.get('CORRUPT') ?? 0) > 10, JSON.stringify([...outcomes]))
  t.ok((outcomes.get('flush 38') ?? 0) > 0 && outcomes.size > 2, JSON.stringify([...outcomes]))
})

/** Of each record of LevelDB's write-ahead file: its check value, length, type, and some of its content. */
function placesIn(wal: Uint8Array): number[] {
  const blockBytes = 32_768
  const headBytes = 7
  const places: number[] = []
  for (let at = 0; at + headBytes < wal.length; ) {
    const left = blockBytes - (at % blockBytes)
    if (left < headBytes) at += left
    const length = wal[at + 4]! + 256 * wal[at + 5]!
    places.push(at, at + 4, at + 5, at + 6, at + headBytes, at + headBytes + (length >> 1), at + headBytes + length - 1)
    at += headBytes + length
  }
  return places.filter((at, number) => at < wal.length && (number % 8 === 0 || number >= places.length - 4))
}

/** Opens the folder with another write-ahead file: which state it shows, or why it does not open. */
async function opened(path: string, wal: string, content: Uint8Array, states: ReadonlyMap<string, string>) {
  const folder = temporaryFolder()
  try {
    cpSync(path, folder.path, { recursive: true })
    writeFileSync(join(folder.path, wal), content)
    const bed = new Bed(folder.path)
    try {
      await bed.open()
      return states.get(await shownBy(bed)) ?? ((await shownBy(bed)) === '' ? 'empty' : 'never was')
    } catch (error) {
      return error instanceof StrettoError ? error.code : String(error)
    } finally {
      await bed.close().catch(() => {})
    }
  } finally {
    folder.remove()
  }
}

/** Head and entries on the disk. */
async function shownBy({ level }: Bed): Promise<string> {
  const rows = await level.iterator({ gte: headKey, lt: Uint8Array.of(0, 0, 2) }).all()
  return rows.map(([key, value]) => `${toHex(key)} ${toHex(value)}`).join('\n')
}

void t.test('a snapshot that was taken in does not depend on the write-ahead file', async t => {
  const [from, to] = [temporaryFolder(), temporaryFolder()]
  t.teardown(from.remove)
  t.teardown(to.remove)
  const bed = await new Bed(from.path).open()
  const log = new Records()
  for (let at = 0; at < 50; at++) await bed.apply(log.commands([put(`key ${at}`, 'x'.repeat(100_000))]))
  await bed.flush(log.last, bytes('sidecar'))
  const source = (await promised<SnapshotSource | null>(done => bed.machine.snapshot(done)))!
  const taking = new KvMachine(stateLevel(to.path), env)
  const sink = taking.restore()
  for (let at = 0; at < source.size; ) {
    const piece = await promised<Uint8Array>(done => source.read(at, 1_000_000, done))
    await promised<void>(done => sink.write(piece, done))
    at += piece.length
  }
  await promised(done => sink.end(done))
  source.close()
  await promised<void>(done => taking.close(done))
  await bed.close()
  for (const name of readdirSync(to.path).filter(name => name.endsWith('.log'))) {
    t.ok(readFileSync(join(to.path, name)).length < 1000, 'the head alone is in it')
    rmSync(join(to.path, name))
  }
  await t.rejects(new Bed(to.path).open(), { code: 'CORRUPT' }, 'rows without a head')
})

void t.test('generations are let go of when their flushes are in tables', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  const bed = await new Bed(folder.path).open()
  const log = new Records()
  const flush = async (value: string): Promise<void> => {
    await bed.apply(log.commands([put('a', value)]))
    await bed.flush(log.last, bytes('sidecar'))
  }
  for (const value of ['first', 'second', 'third']) await flush(value)
  t.match(writeAhead(folder.path), /second/)
  bed.machine.compacted(3)
  let oldest = 0
  while (oldest !== 4) {
    // The head of a flush tells of it first.
    await flush('later')
    oldest = (await generations(bed))[0]!
  }
  t.notMatch(writeAhead(folder.path), /second/)
  await bed.close()
})

/** What stands in the write-ahead files. */
function writeAhead(path: string): string {
  const names = readdirSync(path).filter(name => name.endsWith('.log'))
  return names.map(name => readFileSync(join(path, name), 'latin1')).join('')
}

async function generations({ level }: Bed): Promise<number[]> {
  const rows = await level.iterator({ gte: generationKey(0), lt: Uint8Array.of(0, 0, 5) }).all()
  return rows.map(([key]) => Buffer.from(key).readUIntBE(5, 6))
}
