// The sidecar as bytes: the golden files of both formats, every damage refused, equal states equal bytes, and its speed.
import { readFileSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { t } from 'tap'
import { fromHex, toHex, writeU16, writeU32, writeU64 } from '../../lib/base/bytes.ts'
import { cancelWindow, Session } from '../../lib/machine/session.ts'
import { sessionId } from '../../lib/machine/session-table.ts'
import { decodeSidecar, describeSidecar, encodeSidecar, type Sidecar } from '../../lib/machine/sidecar.ts'
import { sessionOf, textBytes } from '../help/machine-log.ts'

const runs = Number(process.env['FC_RUNS'] ?? 300)

function session(opened: number, name: number, usedAt: number, floor = 0): Session {
  return new Session(sessionId(sessionOf(opened, name), 0), opened, usedAt, floor)
}

/** One of everything. */
function sample(): Sidecar {
  const empty = session(1000, 1, 1000)
  const full = session(2000, 2, 2500, 7)
  full.store(8, 100, 0, 42, null, false)
  full.store(108, 1, 0, 142, textBytes('answer'), false)
  full.store(109, 1, 0, 143, new Uint8Array(0), false)
  full.store(110, 2, 0, 144, null, true)
  full.store(120, 3, 3, 0, null, false)
  full.store(7 + cancelWindow, 1, 6, 146, new Uint8Array(256).fill(7), false)
  return {
    applied: { term: 0xffff_ffff, index: Number.MAX_SAFE_INTEGER },
    time: 1_700_000,
    machineVersion: 3,
    membership: { index: 12, bytes: textBytes('a membership') },
    settings: new Map([
      ['leaseReads', textBytes('1')],
      ['a-first', new Uint8Array([0, 255])]
    ]),
    horizon: 900,
    hash: { running: 0xdead_beef, known: true, markIndex: 4000, markValue: 0xffff_ffff, divergedAt: 3000 },
    sessions: [empty, full]
  }
}

const golden = new URL('golden/sidecar.v2.txt', import.meta.url)
const goldenBefore = new URL('golden/sidecar.v1.txt', import.meta.url)
const headBytes = 84

t.test('format 2 is what the golden file says', async t => {
  if (process.env['UPDATE'] !== undefined) {
    writeFileSync(golden, toHex(encodeSidecar(sample())).replace(/.{64}/g, '$&\n').concat('\n'))
  }
  const bytes = fromHex(readFileSync(golden, 'utf8').replace(/\s/g, ''))
  t.equal(toHex(encodeSidecar(sample())), toHex(bytes!))
  const decoded = decodeSidecar(bytes!)!
  const { applied, time, machineVersion, horizon, hash, membership } = decoded
  const { settings: _, sessions: __, ...rest } = sample()
  t.same({ applied, time, machineVersion, horizon, hash, membership }, rest)
  t.same([...decoded.settings.keys()], ['a-first', 'leaseReads'])
  t.same(
    decoded.sessions.map(one => ({
      id: one.id,
      opened: one.opened,
      usedAt: one.usedAt,
      floor: one.floor,
      runs: one.runs
    })),
    sample().sessions.map(one => ({
      id: one.id,
      opened: one.opened,
      usedAt: one.usedAt,
      floor: one.floor,
      runs: one.runs
    }))
  )
  t.same(
    decoded.sessions.map(one => one.cost),
    sample().sessions.map(one => one.cost),
    'what sessions cost is not stored, but found again'
  )
})

t.test('format 1 is read, as a state whose hash is not known', async t => {
  const bytes = fromHex(readFileSync(goldenBefore, 'utf8').replace(/\s/g, ''))!
  const decoded = decodeSidecar(bytes)!
  t.same(decoded.hash, { running: 0, known: false, markIndex: 0, markValue: null, divergedAt: 0 })
  const { hash } = sample()
  t.equal(toHex(encodeSidecar({ ...decoded, hash })), toHex(encodeSidecar(sample())), 'and all else is as it was')
  for (let length = 0; length < bytes.length; length++) {
    if (decodeSidecar(bytes.subarray(0, length)) !== null) t.fail(`cut to ${length} bytes`)
  }
})

t.test('what is decoded shares nothing with the bytes', async t => {
  const bytes = encodeSidecar(sample())
  const decoded = decodeSidecar(bytes)!
  const before = toHex(encodeSidecar(decoded))
  bytes.fill(0xee)
  t.equal(toHex(encodeSidecar(decoded)), before)
})

t.test('bytes that no encoder writes are refused', async t => {
  const good = encodeSidecar(sample())
  const sessionsAt = headBytes + 12 + (6 + 7 + 2) + (6 + 10 + 1)
  const fullAt = sessionsAt + 36
  const runsAt = fullAt + 36
  const cases: readonly [string, (bytes: Uint8Array) => void][] = [
    ['another format', bytes => writeU16(bytes, 0, 3)],
    ['no format', bytes => writeU16(bytes, 0, 0)],
    ['a reserved field in use', bytes => writeU16(bytes, 2, 1)],
    ['more settings', bytes => writeU32(bytes, 12, 3)],
    ['fewer settings', bytes => writeU32(bytes, 12, 1)],
    ['an inexact index', bytes => writeU32(bytes, 16, 0x20_0000)],
    ['an inexact time', bytes => writeU32(bytes, 24, 0x20_0000)],
    ['an inexact horizon', bytes => writeU32(bytes, 32, 0x20_0000)],
    ['a membership without an index', bytes => writeU64(bytes, 40, 0)],
    ['a membership beyond the end', bytes => writeU32(bytes, 48, 0xffff_ffff)],
    ['a hash record that was not applied', bytes => writeU32(bytes, 64, 0x20_0000)],
    ['a difference where nothing was compared', bytes => writeU64(bytes, 72, 4001)],
    ['a flag of the hash that there is not', bytes => writeU32(bytes, 80, 7)],
    ['a value that is said not to be known', bytes => writeU32(bytes, 80, 1)],
    ['a value at no hash record', bytes => bytes.fill(0, 64, 80)],
    ['more sessions', bytes => writeU32(bytes, 52, 3)],
    ['fewer sessions', bytes => writeU32(bytes, 52, 1)],
    ['a setting with an odd name', bytes => bytes.set(textBytes('A'), headBytes + 12 + 6)],
    ['settings out of order', bytes => bytes.set(textBytes('z'), headBytes + 12 + 6)],
    ['a name beyond the end', bytes => writeU16(bytes, headBytes + 12, 0xffff)],
    ['a session used before it was opened', bytes => writeU64(bytes, fullAt + 18, 1999)],
    ['a session twice', bytes => bytes.copyWithin(fullAt, sessionsAt, sessionsAt + 18)],
    ['an inexact floor', bytes => writeU32(bytes, fullAt + 26, 0x20_0000)],
    ['a run at the floor', bytes => writeU16(bytes, runsAt, 0)],
    ['an empty run', bytes => writeU16(bytes, runsAt + 2, 0)],
    ['runs that overlap', bytes => writeU16(bytes, runsAt + 2, 101)],
    ['runs that should be one', bytes => writeU16(bytes, runsAt + 16 + 6, 0xffff)],
    ['an inexact revision', bytes => writeU32(bytes, runsAt + 8, 0x20_0000)],
    ['an answer of many', bytes => writeU16(bytes, runsAt + 16 + 2, 2)],
    ['an answer too long to be kept', bytes => writeU16(bytes, bytes.length - 256 - 16 + 6, 257)],
    ['a serial beyond the window', bytes => writeU16(bytes, bytes.length - 256 - 16, cancelWindow + 1)]
  ]
  for (const [name, damage] of cases) {
    const bytes = new Uint8Array(good)
    damage(bytes)
    t.notSame(bytes, good, `${name}: the damage is done`)
    t.equal(decodeSidecar(bytes), null, name)
  }
  for (let length = 0; length < good.length; length++) {
    if (decodeSidecar(good.subarray(0, length)) !== null) t.fail(`cut to ${length} bytes`)
  }
  t.equal(decodeSidecar(Uint8Array.from([...good, 0])), null, 'a byte more')
})

t.test('whoever takes a snapshot in is told what it goes up to', async t => {
  const { applied, machineVersion, membership } = sample()
  const bytes = encodeSidecar(sample())
  t.same(describeSidecar(bytes), { applied, machineVersion, membership })
  t.equal(describeSidecar(encodeSidecar({ ...sample(), membership: null }))?.membership, null)
  t.equal(describeSidecar(bytes.subarray(1)), null)
  t.equal(describeSidecar(bytes.subarray(0, -1)), null, 'all of it is looked at')
})

t.test('any bytes are refused or come out as they went in', async t => {
  const good = encodeSidecar(sample())
  const change = fc.tuple(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 }))
  let accepted = 0
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), changes => {
      const bytes = new Uint8Array(good)
      for (const [at, value] of changes) bytes[at] = value
      const decoded = decodeSidecar(bytes)
      if (decoded === null) return true
      accepted++
      return toHex(encodeSidecar(decoded)) === toHex(bytes)
    }),
    { numRuns: runs * 10 }
  )
  t.ok(accepted > 0)
})

t.test('10,000 sessions take milliseconds', async t => {
  const sessions = Array.from({ length: 10_000 }, (_, name) => {
    const one = session(5000, name, 6000, 10)
    one.store(11, 64, 0, name * 64, null, false)
    return one
  })
  const sidecar = { ...sample(), sessions }
  const times: number[] = []
  for (let round = 0; round < 20; round++) {
    const begun = performance.now()
    const bytes = encodeSidecar(sidecar)
    times.push(performance.now() - begun)
    if (round === 0) t.equal(decodeSidecar(bytes)?.sessions.length, 10_000)
  }
  const best = Math.min(...times)
  t.comment(`best of 20: ${best.toFixed(2)} ms`)
  t.ok(best < 50, 'with room for a loaded machine')
})
