// A close by this side says nothing of the other: only who sees its link to the leader closed by the leader may think it dead.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { Scene } from '../../help/scene.ts'

/**
 * Something between the nodes garbles a frame on each link that leads from the leader. Both followers close their links, at
 * the same moment; the leader is well, and is linked again before anybody has missed a heartbeat.
 */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 71, nodes: 3, depth: 'deep' })
  const leader = await scene.elect()
  await scene.write(leader)
  await scene.pass(2_000)
  const { term } = leader.node!.raft.status
  for (let time = 0; time < 3; time++) {
    let garbled = 0
    for (const end of scene.cluster.fabric.ends) {
      if (end.remote !== leader.id || !scene.cluster.nodes.some(({ id }) => id === end.host)) continue
      end.arrive(new Uint8Array([0xc1]))
      garbled++
    }
    hold(garbled === 2, 'IX1', () => `${garbled} links are garbled`)
    await scene.pass(2_000)
  }
  await scene.write(leader)
  hold(leader.node!.raft.status.term === term, 'IL2', () => 'a leader that is well was replaced')
}
