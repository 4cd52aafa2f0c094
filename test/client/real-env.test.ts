// The Env of a real process keeps what the seam says: no timer before its time, and none that was taken back.
import { t } from 'tap'
import { realEnv } from '../../lib/client/real-env.ts'

t.test('no timer fires before its time, by the clock of the same Env', async t => {
  const env = realEnv()
  const early: number[] = []
  const one = (ms: number): Promise<void> =>
    new Promise(resolve => {
      const due = env.now() + ms
      env.after(ms, () => {
        if (env.now() < due) early.push(due - env.now())
        resolve()
      })
    })
  for (let round = 0; round < 20; round++) {
    await Promise.all([one(0), one(env.random(1_000) / 100), one(3 + env.random(1_000) / 500)])
  }
  t.same(early, [])
})

t.test('a timer that was taken back never fires, at whatever moment', async t => {
  const env = realEnv()
  const takenBack = new Set<number>()
  let wrong = 0
  for (let number = 0; number < 200; number++) {
    const cancel = env.after(4.5, () => {
      if (takenBack.has(number)) wrong++
    })
    env.after(number / 40, () => {
      cancel()
      takenBack.add(number)
    })
  }
  await new Promise<void>(resolve => env.after(20, resolve))
  t.same([takenBack.size, wrong], [200, 0])
})
