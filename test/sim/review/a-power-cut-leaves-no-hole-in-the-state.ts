// Each flush of the state is synced before the next begins: else a power cut could take an earlier one and leave a later one.
import { keyValueMachines } from '../../../lib/sim/ghost/machines.ts'
import { flushed } from '../../help/flushed.ts'
import { incrementsOf } from '../../help/increments.ts'
import { Scene } from '../../help/scene.ts'

/** One key is increased and flushed, then another; the power fails everywhere, and both are increased again. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 151, nodes: 3, machine: keyValueMachines })
  let session = 0
  for (let round = 0; round < 6; round++) {
    for (const key of ['a', 'b']) {
      const leader = await scene.elect()
      await flushed(scene, () => scene.write(leader, incrementsOf([key], ++session)))
    }
    for (const node of scene.cluster.nodes) node.crash('power')
    for (const node of scene.cluster.nodes) node.start()
    const leader = await scene.elect()
    await scene.write(leader, incrementsOf(['a', 'b'], ++session))
    await scene.level()
  }
}
