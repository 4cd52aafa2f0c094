// Reads old blocks again, slowly, so that damage is found while the other nodes still have what is lost here.
import type { Cancel, Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import { type Index, lastOf } from '../raft/types.ts'
import type { Log } from './log.ts'

export interface ScrubPace {
  /** Bytes read at a time, and milliseconds of rest after each. */
  readonly bytesMax: number
  readonly restMs: number
}

const paceDefault: ScrubPace = { bytesMax: 1_048_576, restMs: 100 }

/**
 * Verifies the log from its base to `upTo`, once. `report` is called with the first damage, in a sentence, and the scrub
 * is over, since the log then has to be opened anew; with null when all was sound. Not called after a cancel, nor when
 * the log was closed meanwhile.
 */
export function scrub(
  log: Pick<Log, 'base' | 'tail' | 'cold'>,
  upTo: Index,
  env: Env,
  report: (finding: string | null) => void,
  pace: ScrubPace = paceDefault
): Cancel {
  let from = 0
  let cancelled = false
  let rest: Cancel | null = null
  const next = (): void => {
    from = Math.max(from, log.base.index + 1)
    if (from > Math.min(upTo, log.tail.index)) return report(null)
    log.cold(from, pace.bytesMax, (error, blocks) => {
      if (cancelled || (error instanceof StrettoError && error.code === 'STOPPED')) return
      if (error) return report(error.message)
      // Null: compacted or cut while it was read. What is there now is read next.
      if (blocks !== null && blocks.length > 0) from = lastOf(blocks[blocks.length - 1]!) + 1
      rest = env.after(pace.restMs, next)
    })
  }
  rest = env.after(pace.restMs, next)
  return () => {
    cancelled = true
    rest?.()
  }
}
