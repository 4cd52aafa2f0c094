// Snapshots of the key-value machine: the bytes of the stream, damage on both sides, and power cuts while one is taken in.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { t } from 'tap'
import { toHex, writeU16, writeU32 } from '../../lib/base/bytes.ts'
import type { Env } from '../../lib/base/env.ts'
import { StrettoError } from '../../lib/base/errors.ts'
import { KvMachine } from '../../lib/kv/kv-machine.ts'
import {
  allRows,
  effectsKey,
  entryKey,
  generationKey,
  headKey,
  historyKey,
  writeGeneration,
  writeHead,
  writePacked
} from '../../lib/kv/rows.ts'
import { type RowPair, StreamReader, streamEnd, streamHead, streamRows } from '../../lib/kv/snapshot-stream.ts'
import { type StateLevel, type StateRange, stateLevel } from '../../lib/kv/state-level.ts'
import type { SnapshotSource } from '../../lib/machine/machine.ts'
import { SimDiskBed } from '../help/sim-disk-bed.ts'
import { Bed, bytes, del, env, increment, promised, put, Records, temporaryFolder } from './bed.ts'

const runs = Number(process.env['FC_RUNS'] ?? 60)
const golden = new URL('golden/snapshot-1.txt', import.meta.url)

const head = { revision: 9, compacted: 9, applied: { index: 7, term: 2 }, sidecar: bytes('sidecar') }
const firstKey = entryKey('a\0\xff')
const sampleRows: readonly RowPair[] = [
  [headKey, writeHead(head)],
  [firstKey, writePacked(firstKey, ['an', 'entry'])],
  [generationKey(9), writeGeneration(generationKey(9), { index: 7, term: 2 }, 5)]
]

function streamOf(rows: readonly RowPair[]): Uint8Array {
  const begin = Buffer.concat([streamHead, streamRows(rows)])
  return Buffer.concat([begin, streamEnd(rows.length, crc32(begin))])
}

/** The rows of a stream that comes in such pieces; whether it ended too. */
function readStream(stream: Uint8Array, pieces: readonly number[]): { rows: RowPair[]; ended: boolean } {
  const reader = new StreamReader()
  const rows: RowPair[] = []
  let at = 0
  for (let number = 0; at < stream.length; number++) {
    const piece = new Uint8Array(stream.subarray(at, at + pieces[number % pieces.length]!))
    at += piece.length
    reader.push(piece)
    for (let row = reader.next(); row !== null; row = reader.next()) {
      rows.push([new Uint8Array(row[0]), new Uint8Array(row[1])])
    }
    reader.rest()
    piece.fill(0xee)
  }
  return { rows, ended: reader.ended }
}

function plainRows(rows: readonly RowPair[]): string[] {
  return rows.map(([key, value]) => `${toHex(key)} ${toHex(value)}`)
}

void t.test('the bytes of format 1', async t => {
  const text = `${toHex(streamOf(sampleRows))}\n`
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, text)
  t.equal(text, readFileSync(golden, 'utf8'))
})

void t.test('a stream comes back row by row, however it is cut into pieces', async () => {
  const stream = streamOf(sampleRows)
  const pieces = fc.array(fc.integer({ min: 1, max: stream.length }), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(pieces, sizes => {
      const { rows, ended } = readStream(stream, sizes)
      assert.equal(ended, true)
      assert.deepEqual(plainRows(rows), plainRows(sampleRows))
    }),
    { numRuns: runs, examples: [[[1]], [[stream.length]]] }
  )
})

void t.test('each flipped bit is refused, and no beginning is taken for the whole', async t => {
  const stream = streamOf(sampleRows)
  for (let at = 0; at < stream.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const altered = new Uint8Array(stream)
      altered[at]! ^= 1 << bit
      let outcome = 'taken'
      try {
        if (!readStream(altered, [stream.length]).ended) outcome = 'not ended'
      } catch (error) {
        outcome = error instanceof StrettoError ? error.code : 'thrown'
      }
      if (!['CORRUPT', 'BAD_REQUEST', 'not ended'].includes(outcome)) t.fail(`bit ${bit} of byte ${at}: ${outcome}`)
    }
    t.equal(readStream(stream.subarray(0, at), [7]).ended, false)
  }
})

void t.test('what no machine of ours sends is refused', async t => {
  const [headRow, entryRow, generationRow] = sampleRows
  const strange = Uint8Array.of(0, 0, 9, 1)
  const foreign = Uint8Array.of(0, 1, 1, 1)
  const cases: [string, readonly RowPair[]][] = [
    ['no head', [entryRow!, generationRow!]],
    ['a head that comes later', [entryRow!, headRow!]],
    ['keys that do not rise', [headRow!, generationRow!, entryRow!]],
    ['a key twice', [headRow!, entryRow!, entryRow!]],
    ['a kind of row that is not known', [headRow!, [strange, writePacked(strange, [1])]]],
    ['another group', [headRow!, [foreign, writePacked(foreign, [1])]]]
  ]
  for (const [name, rows] of cases) t.throws(() => readStream(streamOf(rows), [50]), { code: 'CORRUPT' }, name)
  const later = new Uint8Array(streamOf(sampleRows))
  writeU16(later, 0, 2)
  t.throws(() => readStream(later, [50]), { code: 'BAD_REQUEST' }, 'a later format')
  const other = new Uint8Array(streamOf(sampleRows))
  writeU16(other, 2, 2)
  t.throws(() => readStream(other, [50]), { code: 'CORRUPT' }, 'another kind of machine')
  const huge = new Uint8Array(streamOf(sampleRows))
  writeU32(huge, streamHead.length + 2, 0x7fffffff)
  t.throws(() => readStream(huge, [50]), { code: 'CORRUPT' }, 'a row of two gigabytes is not waited for')
  t.throws(() => streamRows([[firstKey, writePacked(headKey, [1])]]), { code: 'CORRUPT' }, 'nor is a damaged row sent')
})

/** A flushed state of a few MiB, with rows of every kind and of very different sizes. */
async function fill(bed: Bed, log: Records): Promise<void> {
  for (let round = 0; round < 6; round++) {
    const small = Array.from({ length: 400 }, (_, at) => put(`k${round}/${at}`, 'v'.repeat((at * 7) % 700)))
    await bed.apply(log.commands(small), log.commands([increment('n', 3), del(`k${round}/0`), put('empty', '')]))
    await bed.apply(log.commands([put(`large/${round}`, String(round).repeat(900_000))]))
    await bed.flush(log.last, bytes(`sidecar ${round}`))
  }
}

async function freeze(machine: KvMachine): Promise<SnapshotSource> {
  const source = await promised<SnapshotSource | null>(done => machine.snapshot(done))
  assert.ok(source)
  return source
}

async function readAll(source: SnapshotSource, pieceBytes = 65_536): Promise<Buffer> {
  const pieces = []
  for (let at = 0; at < source.size; at += pieceBytes) {
    pieces.push(await promised<Uint8Array>(done => source.read(at, pieceBytes, done)))
  }
  return Buffer.concat(pieces)
}

async function restore(machine: KvMachine, stream: Uint8Array, pieceBytes = 65_536): Promise<void> {
  const sink = machine.restore()
  for (let at = 0; at < stream.length; at += pieceBytes) {
    await promised<void>(done => sink.write(stream.subarray(at, at + pieceBytes), done))
  }
  await promised(done => sink.end(done))
}

void t.test('a state of some size: read from anywhere, restored whole, without history', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  const bed = await new Bed(`${folder.path}/source`).open()
  const log = new Records()
  await fill(bed, log)
  const source = await freeze(bed.machine)
  const expected = await bed.all({}, 1_000_000)
  await bed.apply(log.commands([put('k0/1', 'later'), del('large/0')]))
  await bed.flush(log.last)
  const whole = await readAll(source)
  t.equal(whole.length, source.size)
  t.equal(crc32(whole), source.hash)
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length), fc.integer({ min: 1, max: 300_000 }), async (offset, bytesMax) => {
      const read = await promised<Uint8Array>(done => source.read(offset, bytesMax, done))
      assert.equal(Buffer.compare(read, whole.subarray(offset, offset + bytesMax)), 0)
    }),
    { numRuns: runs }
  )
  source.close()
  const { rows } = readStream(whole, [1_000_000])
  t.same([...new Set(rows.map(([key]) => key[2]))], [0, 1, 4], 'no rows that name places in the log')
  t.equal(rows.filter(([key]) => key[2] === 4).length, 1, 'and one generation')

  const target = new Bed(`${folder.path}/target`)
  await restore(target.machine, whole)
  await target.close()
  const restored = await new Bed(`${folder.path}/target`).open()
  t.same(restored.opened, { durable: { index: 18, term: 1 }, sidecar: Buffer.from('sidecar 5') })
  t.same(await restored.all({}, 1_000_000), expected)
  t.equal(restored.machine.compactedRevision, restored.machine.revision)
  await t.rejects(restored.get('empty', 5), { code: 'COMPACTED' }, 'older revisions did not come along')
  const again = await freeze(restored.machine)
  t.equal(again.hash, source.hash, 'a snapshot of what was restored is the same')
  again.close()
  await Promise.all([bed.close(), restored.close()])
})

void t.test('a place that is not empty is left alone', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  const bed = await new Bed(folder.path).open()
  await bed.apply(new Records().commands([put('a', '1')]))
  await bed.flush({ index: 1, term: 1 })
  await bed.close()
  const other = new Bed(folder.path)
  await t.rejects(restore(other.machine, streamOf(sampleRows)), { code: 'BAD_REQUEST' })
  const sink = other.machine.restore()
  await t.rejects(
    promised(done => sink.end(done)),
    { code: 'BAD_REQUEST' }
  )
  await other.close()
  const again = await new Bed(folder.path).open()
  t.equal((await again.get('a'))?.value, '1')
  await again.close()
})

/** A database that gives the value of one row damaged, as long as `spoiled` names its key. */
class SpoiledLevel {
  readonly level: StateLevel
  spoiled: Uint8Array | null = null

  constructor(inner: StateLevel) {
    const iterator = (range: StateRange) => {
      const cursor = inner.iterator(range)
      const spoil = (rows: [Uint8Array, Uint8Array][]) =>
        rows.map(([key, value]): RowPair => [key, this.#of(key, value)])
      return { nextv: (size: number) => cursor.nextv(size).then(spoil), close: () => cursor.close() }
    }
    this.level = new Proxy(inner, {
      get: (target, name) => {
        if (name === 'iterator') return iterator
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function' ? (value.bind(target) as unknown) : value
      }
    })
  }

  #of(key: Uint8Array, value: Uint8Array): Uint8Array {
    if (this.spoiled === null || Buffer.compare(key, this.spoiled) !== 0) return value
    const damaged = new Uint8Array(value)
    damaged[damaged.length >> 1]! ^= 4
    return damaged
  }
}

void t.test('a damaged row is found and not sent, when the state is measured and when it is read', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  const spoiler = new SpoiledLevel(stateLevel(folder.path))
  const machine = new KvMachine(spoiler.level, env)
  await promised(done => machine.open(done))
  const log = new Records()
  const apply = (...commands: ReturnType<typeof put>[]) =>
    promised(done => machine.apply([log.commands(commands)], done))
  await apply(put('a', '1'), put('b', '2'))
  await promised<void>(done => machine.flush(log.last, bytes('s'), done))
  await apply(put('a', '3'), increment('n'), put('a', 'x', { ifRevision: 1 }))
  await promised<void>(done => machine.flush(log.last, bytes('s'), done))
  const { revision } = machine
  const sent: [string, Uint8Array][] = [
    ['the head', headKey],
    ['an entry', entryKey('a')],
    ['the generation', generationKey(revision)]
  ]
  for (const [name, key] of sent) {
    spoiler.spoiled = key
    await t.rejects(freeze(machine), { code: 'CORRUPT' }, name)
    spoiler.spoiled = null
    const source = await freeze(machine)
    const whole = await readAll(source)
    if (key !== headKey) {
      spoiler.spoiled = key
      await t.rejects(readAll(source), { code: 'CORRUPT' }, `${name}, later`)
      spoiler.spoiled = null
      await t.rejects(readAll(source), { code: 'CORRUPT' }, 'and that snapshot is over')
    }
    source.close()
    t.equal(whole.length, source.size)
  }
  for (const key of [historyKey('a', 2), effectsKey(2), generationKey(3)]) {
    spoiler.spoiled = key
    const source = await freeze(machine)
    t.equal(crc32(await readAll(source)), source.hash, 'what is not sent is not looked at')
    source.close()
  }
  await promised<void>(done => machine.close(done))
})

void t.test('a machine that is closed ends what reads it', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  const bed = await new Bed(folder.path).open()
  const log = new Records()
  await fill(bed, log)
  const source = await freeze(bed.machine)
  const measuring = freeze(bed.machine)
  const reading = promised<Uint8Array>(done => source.read(0, 2_000_000, done))
  const closing = bed.close()
  await Promise.all([t.rejects(measuring, StrettoError), t.rejects(reading, StrettoError), closing])
  await t.rejects(readAll(source), { code: 'STOPPED' })
  await t.rejects(freeze(bed.machine), { code: 'STOPPED' })
  source.close()

  const target = new Bed(`${folder.path}/target`)
  const sink = target.machine.restore()
  await promised<void>(done => sink.write(streamOf(sampleRows), done))
  await target.close()
  await t.rejects(
    promised(done => sink.end(done)),
    { code: 'STOPPED' }
  )
})

/** A stream of several batches, from a real machine. */
async function largeStream(): Promise<Buffer> {
  const folder = temporaryFolder()
  const bed = await new Bed(folder.path).open()
  const log = new Records()
  await fill(bed, log)
  const source = await freeze(bed.machine)
  const stream = await readAll(source)
  source.close()
  await bed.close()
  folder.remove()
  return stream
}

/** Takes it in on a simulated disk, and cuts the power at write number `cutAt`; Infinity: after the end. */
function restoreWithCut(stream: Uint8Array, seed: number, cutAt: number) {
  let writes = 0
  let cut = false
  const cutPower = (): void => {
    if (cut) return
    cut = true
    bed.crash(true)
  }
  const issued = (): void => {
    if (writes++ === cutAt) bed.time.env('cut').after(bed.random.below(3) / 2, cutPower)
  }
  const bed: SimDiskBed = new SimDiskBed(seed, {}, { issued })
  const mount = (): KvMachine => {
    const life: Env = bed.time.env('n1')
    return new KvMachine(bed.disk.mount(life).state('state-1'), life)
  }
  const sink = mount().restore()
  let answered = false
  let at = 0
  const next = (error: Error | null): void => {
    if (error !== null) throw error
    const piece = stream.subarray(at, (at += 300_000))
    if (piece.length > 0) sink.write(piece, next)
    else sink.end(error => (answered = error === null))
  }
  next(null)
  bed.time.until(() => answered || cut)
  cutPower()
  const machine = mount()
  const outcome = bed.outcome<{ readonly durable: { readonly index: number } }>(done => machine.open(done))
  bed.call<void>(done => machine.close(done))
  const level = bed.disk.mount(bed.time.env('n1')).state('state-1')
  bed.wait(level.open())
  const cursor = level.iterator({ ...allRows, reverse: false, values: false, highWaterMarkBytes: 1e9 })
  const rows = bed.wait(cursor.nextv(1e6)).length
  return { outcome, answered, writes, rows }
}

void t.test('a power cut at any write leaves the whole state or none', async t => {
  const stream = await largeStream()
  const whole = restoreWithCut(stream, 1, Number.POSITIVE_INFINITY)
  t.equal(whole.answered, true)
  t.ok(whole.writes > 2, 'it takes several writes')
  t.match(whole.outcome, { error: null, result: { durable: { index: 18 } } })
  const kinds = new Set<string>()
  for (let seed = 0; seed < 8; seed++) {
    for (let cutAt = 0; cutAt < whole.writes; cutAt++) {
      const { outcome, answered, rows } = restoreWithCut(stream, seed, cutAt)
      if (outcome.error !== null) {
        t.match(outcome.error, { code: 'CORRUPT' })
        t.equal(answered, false, 'what was said to be there is there')
        kinds.add('refused')
      } else if (outcome.result.durable.index === 0) {
        t.equal(rows, 0, 'empty is empty')
        t.equal(answered, false)
        kinds.add('empty')
      } else {
        t.equal(rows, whole.rows, 'whole is whole')
        kinds.add('whole')
      }
    }
  }
  t.same([...kinds].toSorted(), ['empty', 'refused', 'whole'], 'all three happen')
})
