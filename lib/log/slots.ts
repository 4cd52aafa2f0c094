// What a node must not forget, outside LevelDB, which forgets in silence: identity, hard state and mark, in two slots.
import type { Done } from '../base/env.ts'
import type { ChainedId, HardState, NodeId } from '../raft/types.ts'

/** The small file beside the log: two slots, written in turn; each fits a sector, so that a torn write spoils one only. */
export interface Slots {
  /** Both slots as they stand, null where one was never written. */
  read(done: Done<readonly [Uint8Array | null, Uint8Array | null]>): void
  /** Replaces one slot. With `sync`, `done` means durable; without, only that the system has it. */
  write(slot: 0 | 1, bytes: Uint8Array, sync: boolean, done: Done): void
  close(done: Done): void
}

/** The content of the newer sound slot. */
export interface Memory {
  readonly id: NodeId
  /** 16 hexadecimal digits, drawn when the directory was made. */
  readonly incarnation: string
  /** 32 hexadecimal digits; null until founded. */
  readonly clusterId: string | null
  /** Counts the starts of this directory, from 1. */
  readonly boot: number
  readonly hard: HardState
  /** The last record this node has promised to hold. */
  readonly mark: ChainedId
}
