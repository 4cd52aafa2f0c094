// What every StateMachine must do, whatever it keeps and wherever it keeps it.
import type { Test } from 'tap'
import type { Outcomes } from '../../lib/machine/machine.ts'
import { logOrigin } from '../../lib/raft/types.ts'
import { Driver, type MachineRig } from './machine-driver.ts'
import { type SuiteTest, snapshotSuite } from './snapshots.ts'

function text(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : new TextDecoder().decode(bytes)
}

/** Outcomes as plain data. */
function plain(outcomes: readonly Outcomes[]): unknown {
  return outcomes.map(({ revision, each }) => ({
    revision,
    each: each?.map(one => one && { ...one, answer: one.answer && [...one.answer] }) ?? null
  }))
}

/** Revision after the last command of a batch that was executed whole. */
function lastRevision(outcomes: Outcomes, count: number): number {
  return outcomes.each === null ? outcomes.revision + count - 1 : outcomes.each.at(-1)!.revision
}

export function machineSuite(t: Test, name: string, create: () => Promise<MachineRig>): void {
  const test: SuiteTest = (title, body) => {
    t.test(`${name}: ${title}`, async t => {
      const rig = await create()
      t.teardown(() => rig.end())
      await body(t, new Driver(t, rig), rig)
    })
  }

  test('an empty place is the origin, and has no sidecar', async (t, driver) => {
    t.same(await driver.open(), { durable: logOrigin, sidecar: null })
  })

  test('each batch has its outcomes, in order, and revisions rise', async (t, driver) => {
    await driver.open()
    t.same(await driver.apply(), [], 'nothing to do is done')
    const batches = [driver.record(0), driver.record(1), driver.record(2)]
    const outcomes = await driver.apply(...batches)
    t.equal(outcomes.length, 3)
    let revision = 0
    for (const [number, one] of outcomes.entries()) {
      t.ok(one.revision > revision, 'above all before it')
      if (one.each !== null) t.equal(one.each.length, batches[number]!.count)
      for (const outcome of one.each ?? []) t.equal(outcome?.status, 0)
      revision = lastRevision(one, batches[number]!.count)
    }
  })

  test('a skipped command has neither effect nor outcome', async (t, driver, rig) => {
    await driver.open()
    const { bytes, count } = rig.commands(0)
    const before = await driver.ask()
    const skip = Array.from({ length: count }, () => true)
    await driver.apply(driver.next(bytes, count, skip))
    t.same(await driver.ask(), before)
    const [outcomes] = await driver.apply(driver.next(bytes, count, skip.with(count - 1, false)))
    t.notSame(await driver.ask(), before)
    if (outcomes!.each !== null) {
      t.same(
        outcomes!.each.map(one => one !== null),
        skip.with(count - 1, false).map(skipped => !skipped)
      )
    }
  })

  test('malformed commands are refused at the door, and are an outcome behind it', async (t, driver, rig) => {
    await driver.open()
    const good = rig.commands(0)
    t.equal(driver.machine.check(good.bytes, good.count), null)
    t.match(
      driver.machine.check(good.bytes, good.count + 1),
      { code: 'BAD_REQUEST' },
      'the number of commands is checked'
    )
    const before = await driver.ask()
    for (const bytes of rig.malformed) {
      t.match(driver.machine.check(bytes, 1), { code: 'BAD_REQUEST' })
      const [outcomes] = await driver.apply(driver.next(bytes, 1))
      t.ok(outcomes!.each![0]!.status > 0)
    }
    t.same(await driver.ask(), before)
    await driver.apply(driver.record(0))
    t.notSame(await driver.ask(), before, 'and the machine goes on')
  })

  test('what is flushed comes back whole, with its sidecar; what is not is gone', async (t, driver) => {
    await driver.open()
    await driver.apply(driver.record(0), driver.record(1))
    await driver.flush('one')
    const flushed = await driver.ask()
    const upTo = driver.last
    await driver.apply(driver.record(2))
    t.notSame(await driver.ask(), flushed)
    const opened = await driver.reopen()
    t.same(opened.durable, upTo)
    t.equal(text(opened.sidecar), 'one')
    t.same(await driver.ask(), flushed)
    await driver.apply(driver.record(2))
    await driver.flush('two')
    const second = await driver.reopen()
    t.equal(text(second.sidecar), 'two')
    t.equal(second.durable.index, 3)
  })

  test('a flush holds the state as it was when it was asked for', async (t, driver) => {
    await driver.open()
    await driver.apply(driver.record(0))
    const asked = await driver.ask()
    const upTo = driver.last
    const flushing = driver.flush('asked')
    await driver.apply(driver.record(1))
    await flushing
    const opened = await driver.reopen()
    t.same(opened.durable, upTo)
    t.equal(text(opened.sidecar), 'asked')
    t.same(await driver.ask(), asked)
  })

  test('the same records give the same outcomes again', async (t, driver) => {
    await driver.open()
    const first = await driver.apply(driver.record(0), driver.record(1))
    const reached = await driver.ask()
    t.equal((await driver.reopen()).durable.index, 0, 'nothing was flushed')
    const again = [...(await driver.apply(driver.record(0))), ...(await driver.apply(driver.record(1)))]
    t.same(plain(again), plain(first))
    t.same(await driver.ask(), reached)
  })

  test('a scan comes in pages and does not see what comes later', async (t, driver, rig) => {
    await driver.open()
    await driver.apply(driver.record(0), driver.record(1))
    const whole = await driver.pages(driver.machine.scan(rig.scan), 1_000_000)
    const source = driver.machine.scan(rig.scan)
    await driver.apply(driver.record(2))
    t.same(await driver.pages(source, 1_000_000), whole)
    const now = await driver.pages(driver.machine.scan(rig.scan), 1_000_000)
    t.notSame(now, whole)
    const small = await driver.pages(driver.machine.scan(rig.scan), 1)
    t.ok(small.length > now.length, 'small pages are many')
    driver.machine.scan(rig.scan).close()
  })

  test('unflushed bytes grow with what is applied, and a flush takes them away', async (t, driver) => {
    await driver.open()
    const empty = driver.machine.unflushedBytes
    await driver.apply(driver.record(0))
    const grown = driver.machine.unflushedBytes
    t.ok(grown > empty)
    await driver.flush('x')
    t.ok(driver.machine.unflushedBytes < grown)
  })

  snapshotSuite(test)
}
