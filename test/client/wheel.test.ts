// The timer wheel: never early, at most a tick late, whatever is added, removed and waited for.
import fc from 'fast-check'
import { t } from 'tap'
import { Timed, tickOf, Wheel, wheelTickMs } from '../../lib/client/wheel.ts'
import { VirtualTime } from '../help/virtual-time.ts'

class Probe extends Timed {
  readonly fired: () => void

  constructor(fired: () => void) {
    super()
    this.fired = fired
  }

  override expire(): void {
    this.fired()
  }
}

void t.test('deadlines pass in time, near and far, unless they are taken back', t => {
  const step = fc.record({
    waitMs: fc.nat({ max: 400 }),
    // Beyond 12.8 s an entry stands in a slot that others reach earlier.
    deadlineMs: fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 40_000 })),
    removeAfterMs: fc.option(fc.nat({ max: 500 }))
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      const time = new VirtualTime()
      const wheel = new Wheel(time.env('wheel'))
      const problems: string[] = []
      let expected = 0
      let fired = 0
      for (const { waitMs, deadlineMs, removeAfterMs } of steps) {
        time.run(waitMs)
        const deadline = time.now + deadlineMs
        let removed = false
        const probe = new Probe(() => {
          fired++
          if (removed) problems.push('fired after it was removed')
          if (time.now < deadline) problems.push(`${deadline - time.now} ms early`)
          if (time.now > deadline + 2 * wheelTickMs) problems.push(`${time.now - deadline} ms late`)
        })
        wheel.add(probe, tickOf(deadline))
        const isKept = removeAfterMs === null || removeAfterMs > deadlineMs + 2 * wheelTickMs
        if (isKept) expected++
        else if (removeAfterMs < deadlineMs) {
          time.env('other').after(removeAfterMs, () => {
            removed = true
            wheel.remove(probe)
          })
        } else expected++
      }
      time.run(60_000)
      if (problems.length > 0) throw new Error(problems.join('; '))
      return fired === expected
    }),
    { numRuns: Number(process.env['FC_RUNS'] ?? 200) }
  )
  t.pass('all of them')
  t.end()
})

void t.test('one that expires may remove and add others', t => {
  const time = new VirtualTime()
  const wheel = new Wheel(time.env('wheel'))
  const fired: string[] = []
  const second = new Probe(() => fired.push('second'))
  const third = new Probe(() => fired.push('third'))
  const first = new Probe(() => {
    fired.push('first')
    wheel.remove(second)
    wheel.add(third, tickOf(time.now + 100))
  })
  wheel.add(second, tickOf(100))
  wheel.add(first, tickOf(100))
  time.run(1000)
  t.same(fired, ['first', 'third'])
  t.end()
})

void t.test('an empty or stopped wheel leaves no timer behind', t => {
  const time = new VirtualTime()
  let timers = 0
  const env = time.env('wheel')
  const counting = {
    ...env,
    after: (ms: number, wake: () => void) => {
      timers++
      return env.after(ms, wake)
    }
  }
  const wheel = new Wheel(counting)
  const probe = new Probe(() => t.fail('fired though the wheel was stopped'))
  wheel.add(probe, tickOf(500))
  time.run(200)
  wheel.remove(probe)
  time.run(10_000)
  t.equal(timers, 1, 'it wakes once to find nothing')
  wheel.add(probe, tickOf(time.now + 500))
  wheel.stop()
  time.run(10_000)
  t.end()
})
