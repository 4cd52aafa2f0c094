// Goes through a range of rows at leisure, a small slice at a time with a rest after each, and deletes what it is told to.
import type { Done, Env } from '../base/env.ts'
import type { RowRange } from './rows.ts'
import type { RowPair } from './snapshot-stream.ts'
import { levelFault, type StateLevel, settle, unheard } from './state-level.ts'

/** Looked at in one go, and deleted in one batch. */
const sliceRowsMax = 1024
const sliceBytesMax = 65_536
const restMs = 2

export type Verdict = 'keep' | 'delete' | 'stop'

export interface WalkParts {
  readonly level: StateLevel
  readonly env: Env
  /** Calls `go` when there is time for another slice; never, once nothing is to be done any more. */
  readonly whenFree: (go: () => void) => void
  /** A write has failed: what follows it may not be found when the database is opened again. */
  readonly failed: (error: Error) => void
}

export interface Walk {
  readonly range: RowRange
  /** Without them the second of each pair is empty. */
  readonly values: boolean
  readonly judge: (row: RowPair) => Verdict
  /** Each slice is on stable storage before the next is deleted, so that what is left has no gap. */
  readonly synced?: boolean
}

/** Deletions are not synced, where it is not asked for: one that a crash takes back is made again. */
export function walkRows(parts: WalkParts, walk: Walk, done: Done): void {
  const { level, env, whenFree, failed } = parts
  const slice = (gte: Uint8Array): void => {
    const range = { gte, lt: walk.range.lt }
    const cursor = level.iterator({ ...range, reverse: false, values: walk.values, highWaterMarkBytes: sliceBytesMax })
    const found = (rows: readonly RowPair[]): void => {
      settle(cursor.close(), unheard, unheard)
      whenFree(() => take(rows))
    }
    settle(cursor.nextv(sliceRowsMax), found, error => done(levelFault('read', error)))
  }
  const take = (rows: readonly RowPair[]): void => {
    const { deleted, stopped } = judged(rows, walk.judge)
    const last = rows.at(-1)
    const next = (): void => {
      if (stopped || last === undefined) return done(null)
      env.after(restMs, () => whenFree(() => slice(after(last[0]))))
    }
    if (deleted.length === 0) return next()
    const batch = level.batch()
    for (const key of deleted) batch.del(key)
    settle(batch.write({ sync: walk.synced === true }), next, error => failed(levelFault('written', error)))
  }
  whenFree(() => slice(walk.range.gte))
}

function judged(rows: readonly RowPair[], judge: Walk['judge']) {
  const deleted: Uint8Array[] = []
  for (const row of rows) {
    const verdict = judge(row)
    if (verdict === 'stop') return { deleted, stopped: true }
    if (verdict === 'delete') deleted.push(row[0])
  }
  return { deleted, stopped: false }
}

/** The first key after `key`: a slice does not begin among what the one before has deleted. */
function after(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
}
