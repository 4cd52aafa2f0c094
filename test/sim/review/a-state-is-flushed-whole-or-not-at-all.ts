// One batch holds all keys of a flush and the index that it stands for: else commands would be executed on their own effects.

import { keyValueMachines } from '../../../lib/sim/ghost/machines.ts'
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { incrementsOf } from '../../help/increments.ts'
import { Scene } from '../../help/scene.ts'

/** A follower is killed at the first moment at which anything of a flush is on its disk. It starts again, and goes on. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 152, nodes: 3, machine: keyValueMachines })
  for (let round = 0; round < 3; round++) {
    const leader = await scene.elect()
    const [follower] = scene.others(leader)
    const state = follower!.disk.states.get('state-1')!
    const before = state.fileLength
    await scene.write(leader, incrementsOf(['a', 'b'], 1 + round))
    await scene.until('IX1', 'a flush is on the disk', () => state.fileLength > before)
    follower!.crash('killed')
    follower!.start()
    await scene.until('IX1', 'it starts', () => follower!.node !== null)
    hold(follower!.node!.raft.status.trusted, 'IA2', () => `${follower!.id} is not trusted`)
    await scene.level()
  }
}
