// How far the past reaches back when it is bounded by age and by bytes: the revision to compact at.
import { readU64 } from '../../base/bytes.ts'
import type { Done } from '../../base/env.ts'
import type { Index } from '../../raft/types.ts'
import { blockHeaderBytes, recordAt } from '../../record/record.ts'
import { allGenerations, indexOfGeneration, revisionOfGeneration } from '../rows.ts'
import type { RowPair } from '../snapshot-stream.ts'
import { levelFault, type StateLevel, settle, unheard } from '../state-level.ts'
import type { RecordReader } from './record-reader.ts'

const rowsAtOnce = 1024
const readBytesMax = 65_536

export interface HorizonTerms {
  /** What is older than this cluster time, milliseconds, may go; null: age does not matter. */
  readonly before: number | null
  /** More of the log than these bytes may go; null: they do not matter. */
  readonly bytes: number | null
}

/** A flush: the revision of the store at it, and the last record contained. */
interface Flushed {
  readonly revision: number
  readonly index: Index
}

/**
 * Gives the revision of the newest flush that is old enough or that the log reaches too far beyond; 0 where there is none: all
 * that came after it is kept. May answer inside the call.
 */
export function findHorizon(level: StateLevel, records: RecordReader, terms: HorizonTerms, done: Done<number>): void {
  readFlushes(level, (error, all) => {
    if (error !== null) return done(error, 0)
    const { base } = records
    const flushes = all.filter(({ index }) => index > base)
    const { before, bytes } = terms
    const end = bytes === null ? base : records.endBefore(bytes)
    // The first that has all of it, or the newest of all.
    const beyond = end <= base ? undefined : (flushes.find(({ index }) => index >= end) ?? flushes.at(-1))
    const least = beyond?.revision ?? 0
    if (before === null) return done(null, least)
    newestBefore(records, flushes, before, (error, aged) => done(error, Math.max(least, aged)))
  })
}

function readFlushes(level: StateLevel, done: Done<readonly Flushed[]>): void {
  const flushes: Flushed[] = []
  const range = { ...allGenerations, reverse: false, values: true, highWaterMarkBytes: readBytesMax }
  const cursor = level.iterator(range)
  const end = (error: Error | null): void => {
    settle(cursor.close(), unheard, unheard)
    done(error, flushes)
  }
  const take = (rows: readonly RowPair[]): void => {
    if (rows.length === 0) return end(null)
    for (const [key, row] of rows) {
      const index = indexOfGeneration(key, row)
      if (index !== null) flushes.push({ revision: revisionOfGeneration(key), index })
    }
    page()
  }
  const page = (): void => settle(cursor.nextv(rowsAtOnce), take, error => end(levelFault('read', error)))
  page()
}

/** Stamps never fall along the log, so half of what is left is passed over with each look. */
function newestBefore(records: RecordReader, flushes: readonly Flushed[], before: number, done: Done<number>): void {
  let low = 0
  let high = flushes.length
  const step = (): void => {
    if (low === high) return done(null, low === 0 ? 0 : flushes[low - 1]!.revision)
    const middle = (low + high) >>> 1
    records.blocks(flushes[middle]!.index, 0, (error, blocks) => {
      const block = blocks?.[0]
      if (error !== null || block === undefined) return done(error, 0)
      if (readU64(block.bytes, blockHeaderBytes + recordAt.time) <= before) low = middle + 1
      else high = middle
      step()
    })
  }
  step()
}
