// What happened to keys at past revisions, one revision after the other: what watches catch up with.
import type { Done } from '../../base/env.ts'
import type { Version } from '../version.ts'

/** What became of one key at one revision. */
export interface KeyChange {
  /** The key as latin1 text. */
  readonly key: string
  readonly deleted: boolean
  /** Null where the key was deleted. A view into a block: it must not be written to. */
  readonly value: Uint8Array | null
  /** This and the next two are 0 where the key was deleted. */
  readonly createRevision: number
  readonly version: number
  readonly leaseId: number
  /** What stood there before, where that was asked for; null where nothing did. */
  readonly previous: Version | null
}

export interface Revision {
  readonly revision: number
  /** `command`: of a client. `expired`: leases fell due. */
  readonly cause: 'command' | 'expired'
  /** All changes of this revision that were wanted, at least one: a revision is never split. */
  readonly changes: readonly KeyChange[]
}

export interface ChangesAsked {
  /** Changes of later revisions are given. COMPACTED where it is below what can be read. */
  readonly after: number
  /** Up to this revision, inclusive: at most the present one. */
  readonly upTo: number
  readonly wants: (key: string) => boolean
  /** Each change brings what stood there before. */
  readonly previous: boolean
}

export interface ChangesFound {
  readonly each: readonly Revision[]
  /** All revisions up to this one have been looked at. */
  readonly upTo: number
  /** Nothing follows. */
  readonly last: boolean
}

/** A walk over past changes. Nothing is held between two calls of `next` but the place where it stands. */
export interface Changes {
  /**
   * The next revisions, of about `bytesMax` bytes and at least one revision where there is one left; there may be none in an
   * answer that is not the last. One call at a time, never answered inside the call. COMPACTED where what follows has been
   * let go of meanwhile; after an error nothing more comes.
   */
  next(bytesMax: number, done: Done<ChangesFound>): void
  close(): void
}
