// The status of a node, put together from the rooms that know a part of it.
import { unableToRun } from '../machine/replicated-machine.ts'
import type { Space, SpaceLevel } from '../node/room.ts'
import type { MemberKey, NodeId, Role } from '../raft/types.ts'
import type { Life } from './life.ts'
import type { ServerOptions } from './options.ts'
import type { NodeStatus, Readiness, StatusMember, StatusRole } from './status.ts'

export interface StatusParts {
  readonly options: ServerOptions
  /** Null between two lives and before founding. */
  readonly life: Life | null
  /** Why there is no life; what else keeps the node from serving. */
  readonly reasons: readonly string[]
  readonly revision: number
  readonly compactedRevision: number
  readonly space: { readonly level: SpaceLevel; readonly space: Space }
  readonly stateBytes: number
  readonly uptimeMs: number
  readonly version: string
}

/** An applied index further behind the commit index than this is a node that has fallen behind again. */
const lagMax = 4_096

export function statusOf(parts: StatusParts): NodeStatus {
  const { options, life, revision, compactedRevision, space, stateBytes, uptimeMs, version } = parts
  const { ready, reasons } = readinessOf(parts)
  const common = {
    id: options.id,
    revision,
    compactedRevision,
    ready,
    reasons,
    space: space.level,
    freeBytes: space.space.freeBytes,
    stateBytes,
    rssBytes: process.memoryUsage.rss(),
    uptimeMs,
    version,
    priority: options.priority,
    insecure: options.insecure
  }
  if (life === null) {
    const members = [...options.cluster].map(
      ([id, address]) => ({ id, address, role: 'voter', incarnation: '' }) as const
    )
    return { ...common, ...nobody, members }
  }
  const { status } = life.node.raft
  const { clusterId, incarnation } = life.memory.memory
  return {
    ...common,
    clusterId: clusterId ?? '',
    incarnation,
    role: plainRole(status.role),
    leader: leaderId(life),
    term: status.term,
    firstIndex: status.base.index + 1,
    lastIndex: status.last.index,
    durableIndex: status.durable,
    commitIndex: status.commit,
    appliedIndex: life.node.applied,
    trusted: status.trusted,
    machineVersion: life.replicated.version,
    differing: differingIn(life),
    members: membersOf(life),
    health: life.node.health,
    logBytes: life.log.bytes
  }
}

/** Whether linearizable reads can be served here now, and if not, why. */
export function readinessOf({ life, reasons: given }: Pick<StatusParts, 'life' | 'reasons'>): Readiness {
  const reasons = [...given]
  if (life !== null) {
    const { status } = life.node.raft
    const { unable } = life.replicated
    if (unable !== null) reasons.push(unableToRun(unable).message)
    if (status.leader === null) reasons.push('no leader is known')
    else if (status.hollow) reasons.push('the state is being brought by the leader')
    else if (status.owesNoop || status.commit === 0)
      reasons.push('the leader has not committed anything in its term yet')
    else if (unable === null && (!life.hasCaughtUp || life.node.applied + lagMax < status.commit)) {
      reasons.push(`still applying the log: ${life.node.applied} of ${status.commit}`)
    }
    if (!status.trusted && status.leader === null) {
      const { index, term } = status.last
      reasons.push(`this log is not the one that was promised: it ends at ${index}@${term}`)
    }
  } else if (reasons.length === 0) {
    reasons.push('opening the data directory')
  }
  return { ready: reasons.length === 0, reasons }
}

export function leaderId(life: Life): NodeId | null {
  const { leader } = life.node.raft.status
  return leader === null ? null : idOf(leader)
}

function idOf(key: MemberKey): NodeId {
  return key.slice(0, key.lastIndexOf('.'))
}

function membersOf(life: Life): StatusMember[] {
  const { membership } = life.node.raft.status
  return membership.members.map(({ key, id, address, incarnation }) => {
    const role = membership.learners.includes(key) ? 'learner' : 'voter'
    return { id, address, role, incarnation }
  })
}

function differingIn(life: Life): NodeId[] {
  const keys = life.replicated.hash.comparison?.differing ?? []
  return keys.map(idOf).toSorted()
}

function plainRole(role: Role): StatusRole {
  return role === 'pre-candidate' ? 'candidate' : role
}

const nobody = {
  clusterId: '',
  incarnation: '',
  role: 'follower',
  leader: null,
  term: 0,
  firstIndex: 0,
  lastIndex: 0,
  durableIndex: 0,
  commitIndex: 0,
  appliedIndex: 0,
  trusted: true,
  machineVersion: 0,
  differing: [],
  health: { diskStallMs: 0, unfit: null },
  logBytes: 0
} as const
