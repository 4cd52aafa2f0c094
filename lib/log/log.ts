// The replicated log as the node sees it, and what it promises about durability.
import type { Done } from '../base/env.ts'
import type { Persist } from '../raft/doors.ts'
import type { Base, Block, ChainedId, Index, Restored } from '../raft/types.ts'

/**
 * What `write` was given is durable when its `done` comes, in the order given; a crash before that may leave any part of
 * it, in whole blocks. Blocks can be read from `hot` as soon as `write` returns. The first error ends this life of the
 * log: nothing after it is written, and the owner closes and reopens.
 */
export interface Log {
  /** Reads, verifies and repairs; everything else is called after it has answered without error. */
  open(done: Done<Opened>): void
  /**
   * Cuts, then appends, in one atomic write; term and vote are durable before the blocks are. Writes that wait for one
   * under way are merged into one sync. The first block must continue the CRC chain, else the error is CORRUPT.
   */
  write(persist: Persist, done: Done): void
  /**
   * Moves the beginning of the log up to `base`, whose state is durable already, in order with the writes. Where the log
   * holds that record, what follows it stays (compaction); else the whole log gives way (an installed snapshot), and
   * `cuts` rises. The bytes below are freed at leisure.
   */
  rebase(base: Base, done: Done): void
  /** Whole blocks from the one that holds `from`, until `bytesMax` is reached (always one); null when no longer in memory. */
  hot(from: Index, bytesMax: number): readonly Block[] | null
  /** The same from disk, verified; null when compacted away or cut meanwhile. Answers later, never inside the call. */
  cold(from: Index, bytesMax: number, done: Done<readonly Block[] | null>): void
  /** Where the log begins, as written, durable or not. */
  readonly base: Base
  /** The end of the log as written, durable or not. */
  readonly tail: ChainedId
  /** The record at `index` where it ends a block or is the base; null where it does not, or is not in the log. */
  idAt(index: Index): ChainedId | null
  /**
   * The end of the oldest blocks that would have to go so that at most `bytes` and `records` follow, none of them above
   * `limit`; the base where none has to.
   */
  endBefore(bytes: number, records: number, limit: Index): ChainedId
  /** Rises whenever a suffix is cut: what was read before is then in doubt. */
  readonly cuts: number
  /** Bytes on disk, by the log's own count. */
  readonly bytes: number
  /** `failed` comes once, with the error that ended this life of the log, also where no write waits for an answer. */
  watch(failed: (error: Error) => void): void
  close(done: Done): void
}

/** What the node learns from an opened log. */
export interface Opened {
  readonly restored: Restored
  readonly base: Base
  readonly tail: ChainedId
  /** What was found wrong, in a sentence each; empty when sound. */
  readonly findings: readonly string[]
}
