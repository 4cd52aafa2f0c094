// One simulated node: what outlives its crashes, and its present life.
import type { Random } from '../base/random.ts'
import { foundingBase } from '../log/found-log.ts'
import { LogImage, type MemoryLog } from '../log/memory-log.ts'
import type { StateMachine } from '../machine/machine.ts'
import { MemoryVault } from '../machine/vault.ts'
import type { Node } from '../node/node.ts'
import type { MemberKey, Membership } from '../raft/types.ts'
import type { Life, World } from './world.ts'

export class SimNode {
  readonly key: MemberKey
  readonly image: LogImage
  readonly vault: MemoryVault
  readonly random: Random
  life: Life | null = null
  node: Node | null = null
  machine: StateMachine | null = null
  log: MemoryLog | null = null

  constructor(key: MemberKey, membership: Membership, world: World) {
    this.key = key
    this.image = new LogImage(foundingBase({ clusterId: '0'.repeat(32), membership }))
    this.vault = new MemoryVault({ soon: turn => void world.after(0, null, turn) })
    this.random = world.random(key)
  }
}
