// What a node tells about itself: the JSON of /status, of `stretto status` and of the status page.
import type { Health } from '../node/fitness.ts'
import type { SpaceLevel } from '../node/room.ts'
import type { NodeId, Term } from '../raft/types.ts'

export type StatusRole = 'leader' | 'follower' | 'candidate' | 'learner'

/** Field names are stable: programs read them. More may be added. */
export interface NodeStatus {
  /** Empty until the cluster is founded, as is `incarnation` until the node has one. */
  readonly clusterId: string
  readonly id: NodeId
  readonly incarnation: string
  readonly role: StatusRole
  readonly leader: NodeId | null
  readonly term: Term
  readonly firstIndex: number
  readonly lastIndex: number
  readonly durableIndex: number
  readonly commitIndex: number
  readonly appliedIndex: number
  readonly revision: number
  readonly compactedRevision: number
  /** False where the log is not the one that this node had promised to hold. */
  readonly trusted: boolean
  /** It can serve linearizable reads; where not, `reasons` says why. */
  readonly ready: boolean
  readonly reasons: readonly string[]
  readonly members: readonly StatusMember[]
  /** As it judges itself. */
  readonly health: Health
  /** Of the voters that could lead, one of the highest does. */
  readonly priority: number
  /** How full its disk is: what grows is slowed down from `low` on, and refused from `scarce` on. */
  readonly space: SpaceLevel
  readonly freeBytes: number
  readonly logBytes: number
  readonly stateBytes: number
  readonly rssBytes: number
  readonly uptimeMs: number
  /** By which the state is executed; it rises when every voter can run a higher one. */
  readonly machineVersion: number
  /** Members whose states were not the same when they were compared last; where a majority agrees, those who differ from it. */
  readonly differing: readonly NodeId[]
  /** Of the program. */
  readonly version: string
  /** It was started with --insecure. */
  readonly insecure: boolean
}

export interface StatusMember {
  readonly id: NodeId
  readonly address: string
  readonly role: 'voter' | 'learner'
  readonly incarnation: string
}

export interface Readiness {
  readonly ready: boolean
  /** Empty where ready. */
  readonly reasons: readonly string[]
}
