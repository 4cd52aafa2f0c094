// Virtual time that passes by itself, an event in each turn of the real event loop: for suites that await promises.
import type { Env } from '../../lib/base/env.ts'
import type { VirtualTime } from './virtual-time.ts'

export function hurried(time: VirtualTime, name: string): Env {
  const env = time.env(name)
  const passing = (): void => {
    setImmediate(() => {
      let looks = 0
      time.until(() => looks++ === 1)
    })
  }
  return {
    ...env,
    after: (ms, wake) => {
      passing()
      return env.after(ms, wake)
    },
    soon: turn => {
      passing()
      env.soon(turn)
    }
  }
}
