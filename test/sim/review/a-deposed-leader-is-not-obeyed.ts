// What a leader of an earlier term has sent may arrive when another leads: a leader only appends, whoever tells it to cut.

import { hold } from '../../../lib/sim/ghost/violation.ts'
import type { SimNode } from '../../../lib/sim/node/sim-node.ts'
import { Scene } from '../../help/scene.ts'

/** A record of A is on its way to both others when A dies. One of them is elected, and has committed nothing when it arrives there. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 12, nodes: 3 })
  const a = await scene.elect()
  await scene.write(a)
  await scene.level()
  const late = scene.hold(
    ({ from, message }) => from === a.key && message.kind === 'append' && message.blocks.length > 0
  )
  scene.begin(a, scene.draft('late'))
  await scene.until('IX1', 'it is on its way to both', () => late.length >= 2)
  scene.letAllPass()
  a.crash('killed')
  const leads = (): SimNode | undefined => scene.others(a).find(({ node }) => node!.raft.status.role === 'leader')
  await scene.until('IL1', 'another leads', () => leads() !== undefined)
  const next = leads()!
  const { term, last } = next.node!.raft.status
  const index = last.index
  for (const { envelope, release } of late) if (envelope.to === next.key) release()
  await scene.pass(50)
  const { status } = next.node!.raft
  hold(status.term === term && status.last.index >= index, 'IS2', () => `${next.id} has cut its log`)
  a.start()
  await scene.elect()
  await scene.level()
}
