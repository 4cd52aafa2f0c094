// The machine of one life of a node, and what the server shows of it.
import type { Done } from '../base/env.ts'
import type { HorizonTerms } from '../kv/past/horizon.ts'
import type { SnapshotSource, StateMachine } from '../machine/machine.ts'
import type { Index } from '../raft/types.ts'

export interface MachineInUse {
  readonly machine: StateMachine
  /** It speaks the language of keys and values, so plain HTTP may ask it. */
  readonly keyValue: boolean
  readonly revision: () => number
  /** Up to here the history has been let go of; 0 where all of it is there. */
  readonly compacted: () => number
  /** The revision to compact at where the past is bounded, 0 for none; absent where a machine has no past. */
  readonly horizon?: (terms: HorizonTerms, done: Done<number>) => void
  /** Size on disk. */
  readonly bytes: () => Promise<number>
  /** Has what was deleted leave the disk; absent where that happens by itself. */
  readonly reclaim?: () => Promise<void>
  /** Freezes the state for a backup once the disk has the record at `least`; absent where the machine makes none. */
  readonly freeze?: (least: Index, done: Done<SnapshotSource | null>) => void
}
