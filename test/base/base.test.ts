// The ground everything stands on: bytes, ring, seeded chance, errors with a fate.
import fc from 'fast-check'
import { t } from 'tap'
import { AssertionError, assert, unreachable } from '../../lib/base/assert.ts'
import {
  compareBytes,
  concatBytes,
  equalBytes,
  fromHex,
  integerMax,
  readU16,
  readU32,
  readU64,
  toHex,
  writeU16,
  writeU32,
  writeU64
} from '../../lib/base/bytes.ts'
import { codeOfNumber, errorCodes, numberOfCode, StrettoError } from '../../lib/base/errors.ts'
import { Random } from '../../lib/base/random.ts'
import { Ring } from '../../lib/base/ring.ts'

t.test('integers in bytes agree with DataView, at every width and offset', async t => {
  fc.assert(
    fc.property(fc.nat(7), fc.maxSafeNat(), (at, value) => {
      const bytes = new Uint8Array(16)
      const view = new DataView(bytes.buffer)
      writeU64(bytes, at, value)
      t.equal(view.getBigUint64(at), BigInt(value))
      t.equal(readU64(bytes, at), value)
      writeU32(bytes, at, value % 2 ** 32)
      t.equal(view.getUint32(at), value % 2 ** 32)
      t.equal(readU32(bytes, at), value % 2 ** 32)
      writeU16(bytes, at, value % 2 ** 16)
      t.equal(view.getUint16(at), value % 2 ** 16)
      t.equal(readU16(bytes, at), value % 2 ** 16)
    }),
    { numRuns: 200 }
  )
  t.throws(() => writeU64(new Uint8Array(8), 0, integerMax + 1), AssertionError)
  t.throws(() => writeU64(new Uint8Array(8), 0, -1), AssertionError)
})

t.test('bytes are ordered, joined and written as Buffer does it', async t => {
  const some = fc.uint8Array({ maxLength: 12 })
  fc.assert(
    fc.property(some, some, (a, b) => {
      t.equal(Math.sign(compareBytes(a, b)), Buffer.compare(a, b))
      t.equal(equalBytes(a, b), Buffer.compare(a, b) === 0)
      t.same(concatBytes([a, b]), new Uint8Array(Buffer.concat([a, b])))
      t.equal(toHex(a), Buffer.from(a).toString('hex'))
      t.same(fromHex(toHex(a)), a)
    })
  )
  for (const bad of ['0', 'AB', 'zz', ' 00']) t.equal(fromHex(bad), null)
})

t.test('a ring is first in first out and says when it is full', async t => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.option(fc.nat(), { nil: null })), (countMax, steps) => {
      const ring = new Ring<number>(countMax)
      const model: number[] = []
      for (const step of steps) {
        if (step === null) t.equal(ring.shift(), model.shift())
        else if (model.length === countMax) t.throws(() => ring.push(step), AssertionError)
        else {
          ring.push(step)
          model.push(step)
        }
        t.equal(ring.count, model.length)
        t.equal(ring.full, model.length === countMax)
        t.equal(ring.peek(), model[0])
      }
      ring.clear()
      t.equal(ring.count, 0)
    })
  )
})

t.test('chance is a function of seed and name, evenly spread, and streams do not touch each other', async t => {
  const draw = (random: Random, count: number) => Array.from({ length: count }, () => random.next())
  t.same(draw(new Random(7, 'link'), 20), draw(new Random(7, 'link'), 20))
  t.notSame(draw(new Random(7, 'link'), 20), draw(new Random(7, 'disk'), 20))
  t.notSame(draw(new Random(7), 20), draw(new Random(8), 20))
  t.same(draw(new Random(7, 'link'), 3), [...golden], 'the same numbers for ever, on every machine')
  const random = new Random(1)
  const counts = new Array<number>(10).fill(0)
  for (let round = 0; round < 10_000; round++) counts[random.below(10)]!++
  for (const count of counts)
    t.ok(count > 800 && count < 1200, 'each of ten numbers about a thousand times in ten thousand')
  t.equal(draw(random, 100).filter(value => value < 0 || value >= 2 ** 32).length, 0)
  t.equal(new Random(3).chance(0), false)
  t.equal(new Random(3).chance(1), true)
})

const golden = [3342249572, 694799326, 4196116219]

t.test('errors carry code, fate and whether a retry has a chance', async t => {
  const error = new StrettoError('OVERLOADED', 'too much', {
    retryAfterMs: 5,
    cause: 'x',
    current: null,
    operationId: 'a'
  })
  t.match(error, {
    code: 'OVERLOADED',
    fate: 'not-applied',
    retryable: true,
    retryAfterMs: 5,
    cause: 'x',
    operationId: 'a'
  })
  t.equal(error.current, null)
  t.match(new StrettoError('BAD_REQUEST', 'no', { fate: 'unknown' }), { fate: 'unknown', retryable: false })
  for (const [at, code] of errorCodes.entries()) {
    t.equal(numberOfCode(code), at + 1)
    t.equal(codeOfNumber(at + 1), code)
  }
  t.equal(codeOfNumber(250), 'UNAVAILABLE', 'a code of a later version')
})

t.test('assertions stop what must not go on', async t => {
  assert(true, 'holds')
  t.throws(() => assert(false, 'does not hold'), new AssertionError('does not hold'))
  t.throws(() => unreachable('x' as never), AssertionError)
})
