// Env of a real process or page: its clock, its timers and its chance.
import type { Env } from '../base/env.ts'

/** Longer waits than a timer can hold are cut to the longest, a little under 25 days. */
const delayMsMax = 2_147_483_647

export function realEnv(): Env {
  return {
    now: () => performance.now(),
    after: (ms, wake) => {
      const timer = setTimeout(wake, Math.min(ms, delayMsMax))
      return () => clearTimeout(timer)
    },
    soon: typeof setImmediate === 'function' ? turn => void setImmediate(turn) : soonByMessage(),
    random: randomBelow()
  }
}

/** A page has no setImmediate; a message to itself comes after the events that wait, and is not slowed as timers are. */
function soonByMessage(): Env['soon'] {
  const { port1, port2 } = new MessageChannel()
  const turns: (() => void)[] = []
  port1.addEventListener('message', () => turns.shift()?.())
  port1.start()
  return turn => {
    turns.push(turn)
    port2.postMessage(null)
  }
}

function randomBelow(): Env['random'] {
  const pool = new Uint32Array(256)
  let at = pool.length
  return below => {
    if (at === pool.length) {
      crypto.getRandomValues(pool)
      at = 0
    }
    return Math.floor((pool[at++]! / 0x1_0000_0000) * below)
  }
}
