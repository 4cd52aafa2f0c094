// What a node is made of, what it is asked for, and what it tells of its peers.
import type { Done, Env } from '../base/env.ts'
import type { Log } from '../log/log.ts'
import type { ReplicatedMachine } from '../machine/replicated-machine.ts'
import type { Raft } from '../raft/doors.ts'
import type { Index, MemberKey } from '../raft/types.ts'
import type { Transport } from '../transport/transport.ts'
import type { NodeLimits } from './limits.ts'
import type { WriteResult } from './result.ts'
import type { Space } from './room.ts'
import type { SparePlace } from './snapshot-receiver.ts'

export interface NodeParts {
  readonly env: Env
  readonly raft: Raft
  /** Opened, as is the machine. */
  readonly log: Log
  readonly machine: ReplicatedMachine
  readonly transport: Transport
  readonly limits?: NodeLimits
  /** Where several could lead, one of the highest does: 0 to 1000, 100 when absent. */
  readonly priority?: number
  /** How much room the disk has; absent: always enough. */
  readonly space?: () => Space
  /** Cluster time of the last stamp in the log, milliseconds. */
  readonly lastStamp: number
  /** The result of a forwarded request as bytes, for the node that forwarded it. */
  readonly encode: (result: WriteResult, draft: Uint8Array) => Uint8Array
  /** Role, term, leader or membership have changed. */
  readonly changed: () => void
  /** Something that an operator should know, in a sentence. */
  readonly found: (line: string) => void
  /** Makes the place for the state of this number, beside the one in force. */
  readonly place: (state: number, done: Done<SparePlace>) => void
  /** This life is over, as another state has been put into force: the next one begins with it. */
  readonly renewed: () => void
  /** This life is over: disk, state or a broken invariant. Every caller has been answered. */
  readonly failed: (error: Error) => void
}

/** A member as its leader sees it. */
export interface PeerHealth {
  readonly key: MemberKey
  /** Up to here its disk holds the log. */
  readonly match: Index
  readonly mode: 'probe' | 'replicate' | 'snapshot'
  /** Since it was last heard. */
  readonly silentMs: number
}

/** What a read asks for besides its question. */
export interface ReadTerms {
  /** `linearizable`: through a read index. `local`: from the present state, once it has reached `leastIndex`. */
  readonly point: 'linearizable' | 'local'
  readonly leastIndex: Index
  /** 0 for the default. */
  readonly patienceMs: number
  /** A further condition on the state, looked at again after each apply; null for none. */
  readonly enough: (() => boolean) | null
  /** What the caller keeps for it while it waits; 0 when absent. */
  readonly bytes?: number
}
