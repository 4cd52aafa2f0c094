// What the watches of a machine stand on, and what they may take.
import type { Done, Env } from '../../base/env.ts'
import type { Source } from '../../machine/machine.ts'
import type { Scan } from '../../wire/kv/questions.ts'
import type { MemoryTable } from '../memory-table.ts'
import type { Interest } from './interest.ts'
import type { Revision, Ring } from './ring.ts'
import type { Watch } from './watch.ts'

/** Changes of the past, one revision after the other. */
export interface PastChanges {
  next(
    bytesMax: number,
    done: Done<{ readonly each: readonly Revision[]; readonly upTo: number; readonly last: boolean }>
  ): void
  close(): void
}

export interface PastAsked {
  readonly after: number
  readonly upTo: number
  readonly wants: (key: string) => boolean
  readonly previous: boolean
}

export interface HubParts {
  readonly env: Env
  readonly table: Pick<MemoryTable, 'revision' | 'compacted' | 'cause' | 'listener'>
  readonly scan: (scan: Scan) => Source
  readonly past: (asked: PastAsked) => PastChanges
}

export interface WatchLimits {
  /** The last changes, kept while somebody watches. */
  readonly ringBytesMax: number
  /** Walks over the past at a time, of all links; further ones wait. */
  readonly walksMax: number
  /** Scans of present entries at a time, for watches that begin with them; further ones wait. */
  readonly tellingsMax: number
  /** A scan that cannot go on for so long, for want of credit or because its link is full, is closed, and opened again later. */
  readonly stallMs: number
  /** How often a watch is told at least up to where it has been told everything. */
  readonly progressMs: number
  readonly sweepMs: number
}

export const watchLimits: WatchLimits = {
  ringBytesMax: 8_388_608,
  walksMax: 4,
  tellingsMax: 16,
  stallMs: 2_000,
  progressMs: 10_000,
  sweepMs: 250
}

/** What is read of past or present at once, in bytes. */
export const portionBytesMax = 262_144

/** The hub, as the feed of one link sees it. */
export interface Centre {
  readonly parts: HubParts
  readonly limits: WatchLimits
  readonly ring: Ring
  /** All changes up to this revision have been given to the live watches. */
  readonly dispatched: number
  readonly live: Interest<Watch>
  /** Does the ring hold all that this watch has not heard of? */
  inRing(watch: Watch): boolean
  /** One of a bounded number of turns; `start` is called when there is one, not inside the call, and calls `over` at its end. */
  turn(kind: 'walk' | 'telling', start: (over: () => void) => void): void
  added(watch: Watch): void
  removed(watch: Watch): void
}
