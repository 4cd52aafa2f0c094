// Is this the data directory of another cluster than the one that --cluster lists?
import type { Membership } from '../raft/types.ts'
import type { ServerOptions } from './options.ts'

/**
 * What speaks against the directory, in one line; null for nothing. The list may be old in part: it is taken for that of
 * another cluster where the log has no other node of it at the same address, unless this node itself is where the log
 * says, and one of the others at least goes by the same id. A list of this node alone says nothing, and neither does a log
 * that has not been told of any member yet.
 */
export function foreignCluster(
  { id, cluster }: Pick<ServerOptions, 'id' | 'cluster'>,
  { members }: Pick<Membership, 'members'>
): string | null {
  if (members.length === 0) return null
  const held = new Map(members.map(member => [member.id, member.address]))
  const others = [...cluster].filter(([other]) => other !== id)
  const isAtHome = cluster.get(id) === held.get(id) && others.some(([other]) => held.has(other))
  if (others.length === 0 || isAtHome || others.some(([other, address]) => held.get(other) === address)) return null
  return `the data directory belongs to the cluster ${listOf(held)}, not to ${listOf(cluster)}: choose another by --data-dir`
}

/** As it is written after --cluster. */
function listOf(nodes: ReadonlyMap<string, string>): string {
  return [...nodes].map(([id, address]) => `${id}=${address}`).join(',')
}
