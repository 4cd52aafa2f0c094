// Brings the leases into memory when the machine is opened: all of them, and the names of their keys.
import type { Done } from '../../base/env.ts'
import { StrettoError } from '../../base/errors.ts'
import { asFault } from '../fault.ts'
import { allLeaseKeys, allLeases, leaseSumKey, type RowRange, readLease, readLeaseKey, readLeaseSum } from '../rows.ts'
import type { RowPair } from '../snapshot-stream.ts'
import { levelFault, type StateLevel, settle, unheard } from '../state-level.ts'
import type { LeaseSum, LeaseTable } from './lease-table.ts'

const pageRowsMax = 4096
const pageBytesMax = 262_144

/** CORRUPT where a row is damaged or missing. */
export function loadLeases(level: StateLevel, leases: LeaseTable, done: Done): void {
  const takeLease = ([rowKey, row]: RowPair): void => {
    const { id, ...lease } = readLease(rowKey, row)
    leases.load(id, lease)
  }
  const takeKey = ([rowKey, row]: RowPair): void => {
    const { id, key } = readLeaseKey(rowKey, row)
    if (!leases.loadKey(id, key)) throw new StrettoError('CORRUPT', `lease ${id} is missing, which has keys`)
  }
  eachRow(level, allLeases, takeLease, error => {
    if (error !== null) return done(error)
    checkSum(level, leases.sum, error => {
      if (error === null) eachRow(level, allLeaseKeys, takeKey, done)
      else done(error)
    })
  })
}

function checkSum(level: StateLevel, { count, sum }: LeaseSum, done: Done): void {
  const check = (row: Uint8Array | undefined): void => {
    try {
      const stored = row === undefined ? { count: 0, sum: 0 } : readLeaseSum(row)
      done(stored.count === count && stored.sum === sum ? null : new StrettoError('CORRUPT', missing))
    } catch (error) {
      done(asFault(error))
    }
  }
  settle(level.get(leaseSumKey), check, error => done(levelFault('read', error)))
}

const missing = 'the leases of the state are not those that its last flush had: a flush is missing'

function eachRow(level: StateLevel, range: RowRange, take: (row: RowPair) => void, done: Done): void {
  const cursor = level.iterator({ ...range, reverse: false, values: true, highWaterMarkBytes: pageBytesMax })
  const end = (error: Error | null): void => {
    settle(cursor.close(), unheard, unheard)
    done(error)
  }
  const found = (rows: readonly RowPair[]): void => {
    try {
      for (const row of rows) take(row)
    } catch (error) {
      return end(asFault(error))
    }
    if (rows.length === 0) end(null)
    else page()
  }
  const page = (): void => settle(cursor.nextv(pageRowsMax), found, error => end(levelFault('read', error)))
  page()
}
