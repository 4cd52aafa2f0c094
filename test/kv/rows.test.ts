// The rows on disk: bytes that must never change unnoticed, what damage does to them, and what a flush writes.
import { readFileSync, writeFileSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { t } from 'tap'
import { compareBytes, toHex } from '../../lib/base/bytes.ts'
import { StrettoError } from '../../lib/base/errors.ts'
import {
  effectsKey,
  entryBounds,
  entryKey,
  entryKeyText,
  generationKey,
  headKey,
  historyKey,
  leaseKey,
  leaseKeyKey,
  leaseSumKey,
  readEntry,
  readHead,
  readLease,
  readLeaseKey,
  readLeaseSum,
  unsealed,
  writeEntry,
  writeGeneration,
  writeHead,
  writeLease,
  writeLeaseKey,
  writeLeaseSum,
  writePacked
} from '../../lib/kv/rows.ts'
import { Version } from '../../lib/kv/version.ts'
import { type Packed, unpack } from '../../lib/record/pack.ts'
import { Bed, bytes, del, increment, put, Records, temporaryFolder, text } from './bed.ts'

const golden = new URL('golden/state-1.txt', import.meta.url)

function sampleVersion(key = 'key\0\xff', value = 'value'): Version {
  const version = new Version(key, 0x1_0000_0005, 77, 4095)
  version.createRevision = 9
  version.version = 3
  version.leaseId = 12
  version.hold(bytes(`..${value}`), 2, value.length)
  return version
}

const sampleLease = { id: 77 * 4096 + 4095, ttlMs: 10_000, deadline: 0x1_0000_0007, bound: true }

const head = { revision: 0x1_0000_0005, compacted: 4, applied: { index: 78, term: 6 }, sidecar: bytes('sidecar') }

/** One row of each kind, as `kind key value`. */
function rowLines(): string {
  const version = sampleVersion()
  const rows: [string, Uint8Array, (key: Uint8Array) => Uint8Array][] = [
    ['head', headKey, () => writeHead(head)],
    ['entry', entryKey(version.key), key => writeEntry(key, version)],
    ['history', historyKey(version.key, 260), key => writePacked(key, [250, 9, 2, 0, 70, 1, 260, 0, 0, 0, 71, 0])],
    ['effects', effectsKey(77), key => writePacked(key, [259, [1, 0, bytes('42')]])],
    ['generation', generationKey(0x1_0000_0005), key => writeGeneration(key, { index: 78, term: 6 }, 0x1_0000_0001)],
    ['lease', leaseKey(sampleLease.id), key => writeLease(key, sampleLease)],
    ['leaseKey', leaseKeyKey(sampleLease.id, version.key), key => writeLeaseKey(key)],
    ['leaseSum', leaseSumKey, () => writeLeaseSum({ count: 3, sum: 0xfedc_ba98 })]
  ]
  return rows.map(([kind, key, write]) => `${kind} ${toHex(key)} ${toHex(write(key))}\n`).join('')
}

void t.test('the bytes of format 1', async t => {
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, rowLines())
  t.equal(rowLines(), readFileSync(golden, 'utf8'))
})

void t.test('rows come back as they were', async t => {
  const version = sampleVersion()
  const key = entryKey(version.key)
  const { value, ...read } = readBack(readEntry(version.key, key, writeEntry(key, version)))
  const { value: written, ...original } = readBack(version)
  t.same(read, original)
  t.equal(text(value), text(written))
  t.equal(entryKeyText(key), version.key)
  const { sidecar, ...rest } = readHead(writeHead(head))
  t.same(rest, { revision: head.revision, compacted: 4, applied: head.applied })
  t.equal(text(sidecar), 'sidecar')
  const { id } = sampleLease
  t.same(readLease(leaseKey(id), writeLease(leaseKey(id), sampleLease)), sampleLease)
  const keyOfLease = leaseKeyKey(id, version.key)
  t.same(readLeaseKey(keyOfLease, writeLeaseKey(keyOfLease)), { id, key: version.key })
  t.same(readLeaseSum(writeLeaseSum({ count: 3, sum: 4 })), { count: 3, sum: 4 })
})

function readBack(version: Version) {
  const { createRevision, modRevision, leaseId, index, command, value, length } = version
  return { createRevision, modRevision, version: version.version, leaseId, index, command, value, length }
}

function corrupt(read: () => unknown): boolean {
  try {
    read()
    return false
  } catch (error) {
    return error instanceof StrettoError && error.code === 'CORRUPT'
  }
}

void t.test('any changed bit, a lost end and a row under another key are found', async t => {
  const version = sampleVersion()
  const key = entryKey(version.key)
  const row = writeEntry(key, version)
  let found = 0
  for (let bit = 0; bit < row.length * 8; bit++) {
    const damaged = Buffer.from(row)
    damaged[bit >>> 3]! ^= 1 << (bit & 7)
    if (corrupt(() => readEntry(version.key, key, damaged))) found++
  }
  t.equal(found, row.length * 8)
  for (let length = 0; length < row.length; length++) {
    if (!corrupt(() => readEntry(version.key, key, row.subarray(0, length)))) t.fail(`cut to ${length}`)
  }
  t.ok(corrupt(() => readEntry('kez', entryKey('kez'), row)))
  const headRow = Buffer.from(writeHead(head))
  headRow[4]! ^= 1
  t.ok(corrupt(() => readHead(headRow)))
})

void t.test('keys of rows are in the order of the keys, those of one key together and by revision', async t => {
  const key = fc.string({ unit: fc.constantFrom('\0', '\x01', 'a', '\xfe', '\xff'), minLength: 1, maxLength: 4 })
  const both = fc.tuple(key, fc.maxSafeNat())
  fc.assert(
    fc.property(both, both, ([a, atA], [b, atB]) => {
      const order = a === b ? Math.sign(atA - atB) : Math.sign(compareBytes(bytes(a), bytes(b)))
      return Math.sign(compareBytes(historyKey(a, atA), historyKey(b, atB))) === order
    })
  )
  fc.assert(
    fc.property(key, key, key, (from, to, inside) => {
      const { gte, lt } = entryBounds(bytes(from), bytes(to))
      const row = entryKey(inside)
      const between = compareBytes(gte, row) <= 0 && compareBytes(row, lt) < 0
      const open = entryBounds(bytes(''), null)
      return (
        between === (inside >= from && inside < to) &&
        compareBytes(row, open.lt) < 0 &&
        compareBytes(open.gte, row) <= 0
      )
    })
  )
  t.pass()
})

void t.test('a state of a later format is refused with a sentence', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  let bed = await new Bed(folder.path).open()
  await bed.level.put(headKey, sealed(bytes('\0\x02whatever it holds')))
  await bed.close()
  bed = new Bed(folder.path)
  await t.rejects(bed.open(), { code: 'BAD_REQUEST', message: /format 2.*reads up to 1.*newer version/ })
  await bed.level.put(headKey, bytes('torn'))
  await bed.close()
  bed = new Bed(folder.path)
  await t.rejects(bed.open(), { code: 'CORRUPT' })
  await bed.close()
})

/** A head row with this content and the CRC that it asks for. */
function sealed(content: Uint8Array): Uint8Array {
  const crc = Buffer.alloc(4)
  crc.writeUInt32BE(crc32(content, crc32(headKey)))
  return Buffer.concat([content, crc])
}

void t.test('a flush writes entries, history, effects and its generation, and nothing that is not needed', async t => {
  const folder = temporaryFolder()
  t.teardown(folder.remove)
  const bed = await new Bed(folder.path).open()
  const log = new Records()
  const rows = async (kind: number) => {
    const found: [string, Packed][] = []
    const bounds = { gte: Buffer.from([0, 0, kind]), lt: Buffer.from([0, 0, kind + 1]) }
    for await (const [key, row] of bed.level.iterator(bounds)) {
      found.push([toHex(key.subarray(3)), kind === 1 ? row.length : unpack(unsealed(key, row))])
    }
    return found
  }
  await bed.apply(log.commands([put('a', '1'), put('b', '1')]))
  await bed.flush(log.last)
  t.same(await rows(1), [
    ['61', 48],
    ['62', 48]
  ])
  t.same(await rows(2), [], 'a key written once has no history')
  t.same(await rows(3), [], 'plain puts spell out what they do')
  t.same(await rows(4), [['0000000000000003', [1, 1, 0]]])

  await bed.apply(
    log.commands([
      put('a', '2'),
      put('a', '3'),
      del('b'),
      increment('n', 7),
      del('c'),
      put('n', '1', { ifRevision: 0 })
    ])
  )
  await bed.apply(log.commands([put('b', '2'), del('b'), put('d', '1', { ifRevision: 0 })]))
  await bed.apply(log.commands([put('e', '1'), put('f', '1')], { skip: [true, false] }))
  await bed.flush(log.last)
  t.same(
    (await rows(1)).map(([key]) => key),
    ['61', '64', '66', '6e']
  )
  t.same(await rows(2), [
    // Revision 2 was on disk and revision 4 never was; revision 5 is the entry, and took their place.
    ['6100010000000000000005', [2, 2, 1, 0, 1, 0, 4, 2, 2, 0, 2, 0]],
    // Its first life from disk, its deletion, its second life, and the deletion that stands.
    ['6200010000000000000009', [3, 3, 1, 0, 1, 1, 6, 0, 0, 0, 2, 2, 8, 8, 1, 0, 3, 0, 9, 0, 0, 0, 3, 1]]
  ])
  t.same(await rows(3), [
    ['0000000000000002', [3, [1, 1, 1, bytes('7'), 0, 0]]],
    ['0000000000000004', [10, [0, 1]]]
  ])
  t.same((await rows(4)).length, 2)

  const before = await rows(2)
  await bed.apply(log.commands([put('b', '3')]))
  await bed.flush(log.last)
  t.same(await rows(2), before, 'a deletion is told once')
  await bed.apply(log.commands(Array.from({ length: 2500 }, (_, at) => put('busy', String(at)))))
  await bed.flush(log.last)
  const busy = (await rows(2))
    .slice(-3)
    .map(([, places]) => (places as readonly number[]).filter((_, at) => at % 6 === 0))
  t.same(
    busy.map(revisions => revisions.length),
    [499, 1000, 1000],
    'the places of a busy key are cut into rows'
  )
  const told = busy.flat()
  t.same(
    told,
    Array.from({ length: 2499 }, (_, at) => told[0]! + at)
  )
  await bed.close()
})
