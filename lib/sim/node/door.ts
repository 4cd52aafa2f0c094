// Where clients reach a simulated node: the production port over links in memory.
import type { Env } from '../../base/env.ts'
import type { StateMachine } from '../../machine/machine.ts'
import type { Node } from '../../node/node.ts'
import type { NodeId } from '../../raft/types.ts'
import { ClientPort } from '../../server/client-port.ts'
import { type MemoryFabric, MemoryNet } from '../../transport/memory-net.ts'
import { clientProtocol, type Welcome } from '../../wire/client.ts'

const requestBytesMax = 1_572_864

/** Whose door it is: the process, with the present life of its node. */
export interface DoorOwner {
  readonly id: NodeId
  readonly node: Node | null
  readonly machine: (StateMachine & { readonly revision: () => number }) | null
}

/** Opens the door of one process at this address; it is closed when that dies. */
export function openDoor(
  owner: DoorOwner,
  env: Env,
  fabric: MemoryFabric,
  address: string,
  found: (line: string) => void
): ClientPort {
  const port = new ClientPort({
    env,
    life: () => (owner.node === null || owner.machine === null ? null : { node: owner.node, machine: owner.machine }),
    welcome: () => welcomeOf(owner),
    found: fault => {
      found(fault.message)
      owner.node?.condemn(fault)
    },
    revision: () => owner.machine?.revision() ?? 0
  })
  new MemoryNet(fabric, env, owner.id).listen(
    `${address}/v1`,
    link => port.accept(link),
    () => {}
  )
  return port
}

function welcomeOf({ id, node }: DoorOwner): Welcome {
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
