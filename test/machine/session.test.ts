// What a session remembers, in whatever order it comes: each serial above the floor by itself, as a plain map would.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { t } from 'tap'
import type { Verdict } from '../../lib/machine/answer.ts'
import { Session, sessionCost } from '../../lib/machine/session.ts'

const runs = Number(process.env['FC_RUNS'] ?? 1_000)
const serialMax = 20

/** Serials of one record: those in between that are known already are passed over, as a machine would. */
const storeArbitrary = fc.record({
  kind: fc.constant('store' as const),
  serial: fc.integer({ min: 1, max: serialMax }),
  count: fc.integer({ min: 1, max: 6 }),
  status: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constant(6) }),
  /** Null; or so many bytes, and then it stands alone. */
  answer: fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.constant(2) })
})
const floorArbitrary = fc.record({ kind: fc.constant('floor' as const), floor: fc.nat(serialMax) })
const stepArbitrary = fc.oneof({ weight: 6, arbitrary: storeArbitrary }, { weight: 1, arbitrary: floorArbitrary })

class Pair {
  readonly #session = new Session('s', 0, 0, 0)
  readonly #known = new Map<number, Verdict>()
  #floor = 0

  /** Revisions follow serials, so that whatever can be one run is one. */
  store(serial: number, count: number, status: number, answerBytes: number | null): void {
    const revision = status === 0 ? 100 + serial : 50
    const answer = answerBytes === null ? null : new Uint8Array(answerBytes)
    for (let from = serial; from < serial + count; from++) {
      let length = 0
      const isFree = (): boolean => from + length < serial + count && !this.#known.has(from + length)
      while (isFree()) length++
      if (length === 0) continue
      if (answer !== null) length = 1
      const first = status === 0 ? revision + from - serial : revision
      this.#session.store(from, length, status, first, answer, false)
      for (let at = 0; at < length; at++) {
        if (from + at <= this.#floor) continue
        this.#known.set(from + at, { status, revision: status === 0 ? first + at : first, answer })
      }
      from += length - 1
    }
  }

  raiseFloor(floor: number): void {
    this.#session.raiseFloor(floor)
    this.#floor = Math.max(this.#floor, floor)
    for (const serial of this.#known.keys()) if (serial <= floor) this.#known.delete(serial)
  }

  compare(): void {
    const session = this.#session
    let next = this.#floor + 1
    while (this.#known.has(next)) next++
    assert.equal(session.next, next)
    for (let serial = this.#floor + 1; serial <= serialMax + 8; serial++) {
      assert.deepEqual(session.verdict(serial), this.#known.get(serial) ?? null, `serial ${serial}`)
    }
    const highest = Math.max(this.#floor, ...this.#known.keys())
    assert.equal(session.unseenFrom(highest + 1), true)
    assert.equal(session.unseenFrom(highest), false)
    const remembered = session.runs.reduce((sum, { count }) => sum + count, 0)
    assert.equal(remembered, this.#known.size)
    if (this.#known.size === 0) assert.equal(session.cost, sessionCost)
  }
}

t.test('runs are joined, cut by the floor and looked up as if each serial stood by itself', async t => {
  const property = fc.property(fc.array(stepArbitrary, { minLength: 1, maxLength: 30 }), steps => {
    const pair = new Pair()
    for (const step of steps) {
      if (step.kind === 'floor') pair.raiseFloor(step.floor)
      else pair.store(step.serial, step.count, step.status, step.answer)
      pair.compare()
    }
  })
  fc.assert(property, { numRuns: runs })
  t.pass(`${runs} sessions`)
})
