// Where clients reach a simulated node: the production port over links in memory.
import type { Env } from '../base/env.ts'
import type { NodeId } from '../raft/types.ts'
import { ClientPort } from '../server/client-port.ts'
import { type MemoryFabric, MemoryNet } from '../transport/memory-net.ts'
import { clientProtocol, type Welcome } from '../wire/client.ts'
import type { SimNode } from './sim-node.ts'

const requestBytesMax = 1_572_864

/** Opens the door of one process; it is closed when that dies. */
export function openDoor(node: SimNode, env: Env, fabric: MemoryFabric): ClientPort {
  const port = new ClientPort({
    env,
    life: () => (node.node === null || node.machine === null ? null : { node: node.node, machine: node.machine }),
    welcome: () => welcomeOf(node),
    found: fault => node.parts.found(node, fault.message),
    revision: () => node.machine?.revision() ?? 0
  })
  new MemoryNet(fabric, env, node.id).listen(
    `${node.parts.address}/v1`,
    link => port.accept(link),
    () => {}
  )
  return port
}

function welcomeOf({ id, node }: SimNode): Welcome {
  const status = node?.raft.status
  return {
    protocol: clientProtocol.max,
    clusterId: node === null ? '' : 'simulated',
    nodeId: id,
    clusterTime: node?.clusterTime ?? 0,
    leader: status?.leader == null ? null : idOf(status.leader),
    members: (status?.membership.members ?? []).map(member => ({ id: member.id, address: member.address })),
    requestBytesMax
  }
}

function idOf(key: string): NodeId {
  return key.slice(0, key.indexOf('.'))
}
