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

/** A block that cannot be read, or is not the one that its key tells of. */
export interface Damage {
  readonly error: Error
  /** Its last record. */
  readonly last: Index
}

const paceDefault: ScrubPace = { bytesMax: 1_048_576, restMs: 100 }

/**
 * Verifies the log from its base to `upTo`, once; what is still in memory is not read from disk. `report` is called with
 * the first damage, and the scrub is over; with null when all was sound. Not called after a cancel, nor when the log was
 * closed meanwhile. `read` is told how many bytes were found sound.
 */
export function scrub(
  log: Pick<Log, 'base' | 'tail' | 'cold' | 'idAt'>,
  upTo: Index,
  env: Env,
  report: (damage: Damage | null) => void,
  read: (bytes: number) => void = () => {},
  pace: ScrubPace = paceDefault
): Cancel {
  let from = 0
  let { bytesMax } = pace
  let cancelled = false
  let rest: Cancel | null = null
  const next = (): void => {
    from = Math.max(from, log.base.index + 1)
    if (from > Math.min(upTo, log.tail.index)) return report(null)
    log.cold(from, bytesMax, (error, blocks) => {
      if (cancelled || (error instanceof StrettoError && error.code === 'STOPPED')) return
      if (error !== null && bytesMax === 1) return report({ error, last: endOf(log, from) })
      // One of these: which one, fewer at a time will show.
      if (error !== null) bytesMax = Math.ceil(bytesMax / 4)
      // Null: compacted or cut while it was read. What is there now is read next.
      else if (blocks !== null && blocks.length > 0) {
        from = lastOf(blocks[blocks.length - 1]!) + 1
        read(blocks.reduce((sum, { bytes }) => sum + bytes.length, 0))
      }
      rest = env.after(pace.restMs, next)
    })
  }
  rest = env.after(pace.restMs, next)
  return () => {
    cancelled = true
    rest?.()
  }
}

/** The last record of the block that holds `index`. */
function endOf(log: Pick<Log, 'tail' | 'idAt'>, index: Index): Index {
  let last = index
  while (last < log.tail.index && log.idAt(last) === null) last++
  return last
}
