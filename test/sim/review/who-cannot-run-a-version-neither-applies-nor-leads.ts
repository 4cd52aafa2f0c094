// A node with an older program than the log asks for is a voter that holds the log: it executes nothing, and never campaigns.

import { hold } from '../../../lib/sim/ghost/violation.ts'
import type { SimNode } from '../../../lib/sim/node/sim-node.ts'
import { Scene } from '../../help/scene.ts'

/** One of three is put back to the old program; its vote is needed, then it is alone, and last all is well again. */
export async function scenario(): Promise<void> {
  for (let seed = 250; seed < 254; seed++) {
    const scene = new Scene({ seed, nodes: 3 })
    const { nodes } = scene.cluster
    await scene.elect()
    for (const node of nodes) {
      node.crash('killed')
      node.versionMax = 2
      node.start()
    }
    await scene.until('IU1', 'the version rises', () => nodes.every(node => node.replicated?.version === 2))
    // Of the order the state on disk knows in one half of the stories; in the other only the log does.
    if (seed % 2 === 1) await scene.pass(30_000)
    const leader = await scene.elect()
    const [old, other] = scene.others(leader) as [SimNode, SimNode]
    old.crash('killed')
    old.versionMax = 1
    old.start()
    await scene.until('IU2', 'it says so', () =>
      scene.lines.some(line => line.startsWith(`${old.id}: machine version 2`))
    )
    const { applied } = old.node!
    for (let at = 0; at < 5; at++) await scene.write(leader)
    await scene.pass(500)
    hold(old.node!.applied === applied, 'IU2', () => `it has applied ${old.node!.applied}, beyond ${applied}`)
    hold(old.node!.raft.status.commit > applied, 'IU2', () => 'it does not hold the log')
    leader.crash('killed')
    await scene.until('IU2', 'it votes for the other', () => other.node!.raft.status.role === 'leader')
    other.crash('killed')
    const { term } = old.node!.raft.status
    await scene.pass(5_000)
    leader.start()
    await scene.pass(20)
    const status = old.node!.raft.status
    hold(status.role === 'follower', 'IU2', () => `it is a ${status.role}`)
    hold(status.term === term || status.leader === leader.key, 'IU2', () => `it has raised the term to ${status.term}`)
    other.start()
    await scene.elect()
    old.crash('killed')
    old.versionMax = 2
    old.start()
    await scene.elect()
    await scene.level()
  }
}
