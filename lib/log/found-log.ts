// Founds a log: durably writes which cluster it belongs to and with whom it begins.
import { crc32 } from 'node:zlib'
import type { Done } from '../base/env.ts'
import type { Base, Membership } from '../raft/types.ts'
import { nameOfState, readBase, writeBase } from './base-record.ts'
import type { Directory } from './directory.ts'
import { OpenError, openFault } from './faults.ts'
import { baseKey, blockBound, blocksEnd } from './keys.ts'
import { type Level, settle, synced } from './level.ts'
import type { MemoryKeeper } from './memory-keeper.ts'

const what = 'the log'

export interface FoundingParts {
  /** Makes the database, not yet open; it is closed again when `done` comes. */
  readonly level: () => Level
  readonly memory: MemoryKeeper
  readonly directory: Directory
}

export interface Founding {
  /** 32 hexadecimal digits: the hash of the founding configuration. */
  readonly clusterId: string
  readonly membership: Membership
}

/** Where the log of this cluster begins: the same on all its nodes. */
export function foundingBase({ clusterId, membership }: Founding): Base {
  return { index: 0, term: 0, chain: crc32(clusterId), membership, machineVersion: 1, state: 1 }
}

/**
 * The state directory, then the base record, then the memory, each durable before the next: broken off in between, it is
 * called again. Errors: OpenError; `amnesia` where a log with content stands beside a memory that knows no cluster.
 */
export function foundLog(parts: FoundingParts, founding: Founding, done: Done): void {
  const base = foundingBase(founding)
  const level = parts.level()
  const end = (error: Error | null): void => {
    settle(level.close(), closing => {
      const fault = error ?? closing
      if (fault) return done(openFault(what, fault))
      const mark = { index: 0, term: 0, chain: base.chain }
      parts.memory.save({ clusterId: founding.clusterId, mark }, done)
    })
  }
  parts.directory.create(nameOfState(base.state), error => {
    if (error) return done(openFault(what, error))
    settle(level.open(), error => {
      if (error) return end(error)
      refuseUsed(level, error => {
        if (error) return end(error)
        const value = writeBase({ base, clusterId: founding.clusterId })
        settle(level.batch([{ type: 'put', key: baseKey(), value }], synced), end)
      })
    })
  })
}

/** A founding that was broken off may have left a base, but no record ever. */
function refuseUsed(level: Level, done: Done): void {
  settle(level.keys({ gte: blockBound(0), lt: blocksEnd(), limit: 1 }).all(), (error, keys) => {
    if (error) return done(error)
    settle(level.get(baseKey()), (error, bytes) => {
      if (error) return done(error)
      const record = bytes === undefined ? null : readBase(bytes)
      if (record instanceof OpenError) return done(record)
      if (keys.length === 0 && (record === null || record.base.index === 0)) return done(null)
      done(new OpenError('amnesia', 'a log stands here, but the memory of the node that wrote it is gone'))
    })
  })
}
