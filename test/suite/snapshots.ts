// What every StateMachine must do with snapshots: the same bytes however they are read, the same state, and never a part.
import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import type { Test } from 'tap'
import { Driver, type MachineRig } from './machine-driver.ts'

const runs = Number(process.env['FC_RUNS'] ?? 60)

export type SuiteTest = (title: string, body: (t: Test, driver: Driver, rig: MachineRig) => Promise<void>) => void

/** A state with three records, flushed, as a snapshot. */
async function frozenBytes(driver: Driver): Promise<Uint8Array> {
  await driver.open()
  await driver.apply(driver.record(0), driver.record(1), driver.record(2))
  await driver.flush('sidecar')
  const source = await driver.freeze()
  const bytes = await driver.readAll(source)
  source.close()
  return bytes
}

export function snapshotSuite(test: SuiteTest): void {
  test('before the first flush there is nothing to freeze', async (t, driver) => {
    await driver.open()
    await driver.apply(driver.record(0))
    t.equal(await driver.call(done => driver.machine.snapshot(done)), null)
  })

  test('a snapshot is the last flush, whatever is applied and flushed meanwhile', async (t, driver, rig) => {
    await driver.open()
    await driver.apply(driver.record(0), driver.record(1))
    await driver.flush('first')
    const last = driver.last
    const asked = await driver.ask()
    const scanned = await driver.pages(driver.machine.scan(rig.scan), 1_000_000)
    const next = driver.record(2)
    const outcomes = await driver.apply(next)
    const reached = await driver.ask()
    const freezing = driver.freeze()
    const flushing = driver.flush('second')
    const source = await freezing
    const pieces = [await driver.read(source, 0, 7)]
    await driver.apply(driver.record(3))
    await flushing
    await driver.flush('third')
    for (let at = 7; at < source.size; at += 31) pieces.push(await driver.read(source, at, 31))
    const bytes = Buffer.concat(pieces)
    t.same(source.last, last)
    t.equal(Buffer.from(source.sidecar).toString(), 'first')
    t.equal(bytes.length, source.size)
    t.equal(crc32(bytes), source.hash)
    source.close()

    const other = new Driver(t, rig, 'other')
    const contained = await other.restore(bytes, 13)
    t.same(contained.last, last)
    t.equal(Buffer.from(contained.sidecar).toString(), 'first')
    await other.close()
    other.machine = rig.create('other')
    const opened = await other.open()
    t.same(opened.durable, last)
    t.equal(Buffer.from(opened.sidecar!).toString(), 'first')
    t.same(await other.ask(), asked)
    t.same(await other.pages(other.machine.scan(rig.scan), 1_000_000), scanned)
    t.same(await other.apply(next), outcomes, 'and it goes on from there as the first one did')
    t.same(await other.ask(), reached)
    const again = await driver.freeze()
    t.notSame(again.last, last, 'the next snapshot is another flush')
    again.close()
  })

  test('it is the same however it is read, and from wherever', async (_t, driver) => {
    const whole = await frozenBytes(driver)
    const source = await driver.freeze()
    const reads = fc.array(
      fc.record({ at: fc.option(fc.nat(whole.length), { freq: 3 }), bytesMax: fc.integer({ min: 1, max: 200 }) }),
      { minLength: 1, maxLength: 12 }
    )
    await fc.assert(
      fc.asyncProperty(reads, async all => {
        let offset = 0
        for (const { at, bytesMax } of all) {
          offset = at ?? offset
          const bytes = await driver.read(source, offset, bytesMax)
          assert.deepEqual(Buffer.from(bytes), Buffer.from(whole.subarray(offset, offset + bytesMax)))
          offset += bytes.length
        }
      }),
      { numRuns: runs }
    )
    source.close()
  })

  test('what is altered, cut or too long is refused', async (t, driver, rig) => {
    const whole = await frozenBytes(driver)
    let place = 0
    const refused = async (bytes: Uint8Array, pieceBytes: number): Promise<void> => {
      const other = new Driver(t, rig, `refused-${place++}`)
      await assert.rejects(other.restore(bytes, pieceBytes), { code: /^(CORRUPT|BAD_REQUEST)$/ })
      await other.close()
    }
    const flips = fc.tuple(fc.nat(whole.length - 1), fc.nat(7), fc.integer({ min: 1, max: 400 }))
    await fc.assert(
      fc.asyncProperty(flips, async ([at, bit, pieceBytes]) => {
        const bytes = new Uint8Array(whole)
        bytes[at]! ^= 1 << bit
        await refused(bytes, pieceBytes)
      }),
      { numRuns: runs, examples: [[[0, 0, 400]], [[whole.length - 1, 0, 400]]] }
    )
    const cuts = fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 400 }))
    await fc.assert(
      fc.asyncProperty(cuts, ([length, pieceBytes]) => refused(whole.subarray(0, length), pieceBytes)),
      { numRuns: runs, examples: [[[0, 1]], [[whole.length - 1, 400]]] }
    )
    await refused(Buffer.concat([whole, Buffer.from([0])]), 400)
    await refused(Buffer.concat([whole, Buffer.from([0])]), whole.length)
  })

  test('one that is broken off anywhere is no state', async (t, driver, rig) => {
    const whole = await frozenBytes(driver)
    await driver.close()
    const empty = new Driver(t, rig, 'empty')
    await empty.open()
    const asked = await empty.ask()
    await empty.close()
    for (let part = 0; part <= 8; part++) {
      const place = `broken-${part}`
      const other = new Driver(t, rig, place)
      const sink = other.machine.restore()
      const length = Math.floor((whole.length * part) / 8)
      await other.call<void>(done => sink.write(whole.subarray(0, length), done))
      await rig.crash(other.machine)
      other.machine = rig.create(place)
      const opened = await other.open().catch((error: unknown) => error)
      if (opened instanceof Error) {
        t.match(opened, { code: 'CORRUPT' })
      } else {
        t.match(opened, { durable: { index: 0 }, sidecar: null })
        t.same(await other.ask(), asked, 'it is as empty as it was')
      }
      await other.close()
    }
  })

  test('whole, it survives a crash', async (t, driver, rig) => {
    const whole = await frozenBytes(driver)
    const asked = await driver.ask()
    const last = driver.last
    await driver.close()
    const other = new Driver(t, rig, 'whole')
    await other.restore(whole)
    await rig.crash(other.machine)
    other.machine = rig.create('whole')
    t.same((await other.open()).durable, last)
    t.same(await other.ask(), asked)
  })

  test('a snapshot that has been closed gives no more', async (t, driver) => {
    await driver.open()
    await driver.apply(driver.record(0))
    await driver.flush('x')
    const source = await driver.freeze()
    await driver.read(source, 0, 1)
    const reading = driver.call<Uint8Array>(done => {
      source.read(1, 1, done)
      source.close()
    })
    await t.rejects(reading, { code: 'STOPPED' })
    await t.rejects(driver.read(source, 0, 1), { code: 'STOPPED' })
  })

  test('where the log begins changes nothing that is asked', async (t, driver) => {
    await driver.open()
    await driver.apply(driver.record(0), driver.record(1))
    await driver.flush('x')
    const asked = await driver.ask()
    driver.machine.compacted(1)
    driver.machine.compacted(2)
    t.same(await driver.ask(), asked)
    await driver.apply(driver.record(2))
    await driver.flush('y')
    const later = await driver.ask()
    await driver.reopen()
    driver.machine.compacted(2)
    t.same(await driver.ask(), later)
  })
}
