// A node whose execution came to something else than that of the others throws its state away; those who agree go on.

import { hold } from '../../../lib/sim/ghost/violation.ts'
import type { SimNode } from '../../../lib/sim/node/sim-node.ts'
import { Scene } from '../../help/scene.ts'

/** A follower goes wrong, then a leader, then one of two that are left: whom nobody can judge until the third is back. */
export async function scenario(): Promise<void> {
  for (let seed = 260; seed < 263; seed++) {
    const scene = new Scene({ seed, nodes: 3 })
    const [follower] = scene.others(await scene.elect()) as [SimNode]
    await goesWrong(scene, follower)
    await scene.until('IA6', 'it begins anew', () => follower.faults === 1, 5_000)
    await allAgree(scene)
    const leader = await scene.elect()
    const before = leader.faults
    await goesWrong(scene, leader)
    await scene.until('IA6', 'the leader begins anew', () => leader.faults === before + 1, 5_000)
    await allAgree(scene)

    const faults = scene.cluster.nodes.map(node => node.faults)
    const [wrong, away] = scene.others(await scene.elect()) as [SimNode, SimNode]
    away.crash('killed')
    await goesWrong(scene, wrong)
    await scene.pass(5_000)
    const after = scene.cluster.nodes.map(node => node.faults)
    hold(faults.join() === after.join(), 'IA6', () => `somebody was judged without a majority: ${after.join()}`)
    hold(
      scene.lines.some(line => line.includes('no majority tells who is right')),
      'IA6',
      () => 'nobody says that they differ'
    )
    const known = wrong.faults
    away.start()
    await scene.elect()
    await goesOn(scene)
    await scene.until('IA6', 'it begins anew at last', () => wrong.faults === known + 1, 10_000)
    await allAgree(scene)

    // A restart changes nothing: what was executed before it counts on.
    const [restarted] = scene.others(await scene.elect())
    await scene.pass(5_000)
    const sum = scene.cluster.nodes.reduce((sum, node) => sum + node.faults, 0)
    restarted!.crash('killed')
    restarted!.start()
    await allAgree(scene)
    const now = scene.cluster.nodes.reduce((sum, node) => sum + node.faults, 0)
    hold(now === sum, 'IA6', () => 'a sound state is thrown away')
  }
}

/** As if a record had come to another end there. */
async function goesWrong(scene: Scene, node: SimNode): Promise<void> {
  node.replicated!.hash.add(1)
  await goesOn(scene)
}

async function goesOn(scene: Scene): Promise<void> {
  const leader = await scene.elect(scene.cluster.running)
  for (let at = 0; at < 3; at++) await scene.write(leader)
}

async function allAgree(scene: Scene): Promise<void> {
  await scene.elect()
  await goesOn(scene)
  const from = scene.cluster.leader!.node!.raft.status.last.index
  const agree = (): boolean =>
    scene.cluster.nodes.every(({ replicated }) => {
      const comparison = replicated?.hash.comparison ?? null
      if (comparison === null || comparison.index < from) return false
      return comparison.majority !== null && comparison.differing.length === 0
    })
  await scene.until('IA6', 'all agree', agree, 10_000)
}
