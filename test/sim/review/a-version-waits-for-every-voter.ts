// The rules by which the log is executed change once, when every voter is there and can run the new ones, and never before.

import { blockHeaderBytes, recordAt, recordKind } from '../../../lib/record/record.ts'
import { hold } from '../../../lib/sim/ghost/violation.ts'
import type { SimNode } from '../../../lib/sim/node/sim-node.ts'
import { blocksOf, Scene } from '../../help/scene.ts'

/** Programs come and go in the order that tempts most: two of three could run it, and all three have offered it, one by one. */
export async function scenario(): Promise<void> {
  for (let seed = 240; seed < 244; seed++) {
    const scene = new Scene({ seed, nodes: 3 })
    const [one, two, three] = scene.cluster.nodes as [SimNode, SimNode, SimNode]
    await scene.elect()
    for (const node of [one, two]) await renew(scene, node, 2)
    await stays(scene, 'with two of three')
    three.crash('killed')
    await stays(scene, 'with the third down')
    three.versionMax = 1
    three.start()
    await scene.elect()
    one.crash('killed')
    // The others have heard that it is gone.
    await scene.pass(10)
    await renew(scene, three, 2)
    await stays(scene, 'with one that may come back as another program')
    one.versionMax = 1
    one.start()
    await stays(scene, 'as it has')
    await renew(scene, one, 2)
    await scene.until('IU1', 'the version rises', () => scene.cluster.nodes.every(node => versionOf(node) === 2))
    await scene.write(await scene.elect())
    await scene.pass(1_000)
    for (const node of scene.cluster.nodes) {
      const count = orders(node)
      hold(count === 1, 'IU1', () => `${node.id} holds ${count} orders`)
    }
  }
}

async function renew(scene: Scene, node: SimNode, versionMax: number): Promise<void> {
  node.crash('killed')
  node.versionMax = versionMax
  node.start()
  await scene.elect()
}

async function stays(scene: Scene, when: string): Promise<void> {
  await scene.elect()
  for (let at = 0; at < 4; at++) {
    await scene.write(scene.cluster.leader!)
    await scene.pass(250)
  }
  for (const node of scene.cluster.running) {
    const version = versionOf(node) ?? 1
    hold(version === 1, 'IU1', () => `${node.id} runs version ${version} ${when}`)
  }
}

function versionOf({ replicated }: SimNode): number | undefined {
  return replicated?.version
}

function orders(node: SimNode): number {
  const kindAt = blockHeaderBytes + recordAt.kind
  return blocksOf(node).filter(({ bytes }) => bytes[kindAt] === recordKind.version).length
}
