// The cluster's clock: what it takes up at an election, and that it never leaps or falls.
import fc from 'fast-check'
import { t } from 'tap'
import { AssertionError } from '../../lib/base/assert.ts'
import { advanceMsMax, ClusterTime } from '../../lib/machine/cluster-time.ts'

t.test('a leader begins at the larger of the last stamp and the last heartbeat', async t => {
  for (const [heard, stamp, expected] of [
    [700, 500, 700],
    [500, 700, 700],
    [0, 0, 0]
  ] as const) {
    const clock = new ClusterTime()
    clock.heard(heard)
    clock.lead(10_000, stamp)
    t.equal(clock.advance(10_000), expected)
    t.equal(clock.advance(10_040), expected + 40)
  }
})

t.test('it stands still without a leader, and for a follower only moves by what it hears', async t => {
  const clock = new ClusterTime()
  clock.lead(0, 1000)
  t.equal(clock.advance(100), 1100)
  clock.follow()
  t.equal(clock.time, 1100)
  t.throws(() => clock.advance(200), AssertionError, 'a follower does not count')
  clock.heard(1050)
  t.equal(clock.time, 1100, 'an older word changes nothing')
  clock.lead(90_000, 0)
  t.equal(clock.advance(90_001), 1101, 'the time without a leader did not pass')
})

t.test('a leader that stalled makes the clock wait (1.13)', async t => {
  const clock = new ClusterTime()
  clock.lead(0, 1000)
  t.equal(clock.advance(10_000), 1000 + advanceMsMax, 'ten seconds of stall are a quarter of a second')
  t.equal(clock.advance(10_100), 1000 + advanceMsMax + 100, 'and not made up for')
})

t.test('fractions of a millisecond add up', async t => {
  const clock = new ClusterTime()
  clock.lead(0, 0)
  for (let turn = 1; turn <= 1000; turn++) clock.advance(turn / 4)
  t.equal(clock.time, 250)
})

t.test('it never falls and never leaps, whatever happens', async t => {
  const event = fc.oneof(
    fc.record({ kind: fc.constant('heard' as const), value: fc.integer({ min: 0, max: 5000 }) }),
    fc.record({ kind: fc.constant('lead' as const), value: fc.integer({ min: 0, max: 5000 }) }),
    fc.record({ kind: fc.constant('advance' as const), value: fc.double({ min: -50, max: 3000, noNaN: true }) }),
    fc.record({ kind: fc.constant('follow' as const), value: fc.constant(0) })
  )
  let advances = 0
  fc.assert(
    fc.property(fc.array(event), events => {
      const clock = new ClusterTime()
      let now = 0
      let leading = false
      for (const { kind, value } of events) {
        const before = clock.time
        if (kind === 'heard') clock.heard(value)
        else if (kind === 'lead') {
          clock.lead(now, value)
          leading = true
        } else if (kind === 'follow') {
          clock.follow()
          leading = false
        } else if (leading) {
          now += value
          advances++
          if (clock.advance(now) > before + advanceMsMax + 1) return false
        }
        if (clock.time < before || !Number.isSafeInteger(clock.time)) return false
      }
      return true
    })
  )
  t.ok(advances > 0)
})
