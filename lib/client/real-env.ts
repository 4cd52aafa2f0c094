// Env of a real process or page: its clock, its timers and its chance.
import type { Cancel, Env } from '../base/env.ts'

/** Longer waits than a timer can hold are cut to the longest, a little under 25 days. */
const delayMsMax = 2_147_483_647

export function realEnv(): Env {
  return {
    now: () => performance.now(),
    after,
    soon: typeof setImmediate === 'function' ? turn => void setImmediate(turn) : soonByMessage(),
    random: randomBelow()
  }
}

/**
 * Timers count in whole milliseconds of a clock of their own, and more than a third of them fire up to 2 ms early by
 * `now`. Whoever then looks whether it is time would find that it is not, and wait for ever: so one that is early waits on.
 */
function after(ms: number, wake: () => void): Cancel {
  const due = performance.now() + Math.min(ms, delayMsMax)
  let timer = setTimeout(look, Math.min(ms, delayMsMax))
  function look(): void {
    const left = due - performance.now()
    if (left > 0) timer = setTimeout(look, Math.ceil(left))
    else wake()
  }
  return () => clearTimeout(timer)
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
