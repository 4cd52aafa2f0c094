// State and sessions are stored in one step: with sessions of an earlier flush, what the state contains would be executed anew.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { flushed } from '../../help/flushed.ts'
import { fateIn, Scene } from '../../help/scene.ts'

/** A command is applied and its answer lost. The state is flushed, all nodes are killed, and the command is sent again. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 161, nodes: 3 })
  const leader = await scene.elect()
  await flushed(scene, () => scene.write(leader))
  const once = scene.draft('once', 7)
  await flushed(scene, () => scene.write(leader, once))
  for (const node of scene.cluster.nodes) node.crash('killed')
  for (const node of scene.cluster.nodes) node.start()
  const next = await scene.elect()
  const again = await scene.write(next, once)
  hold(fateIn(again) === 'applied', 'IO1', () => `what was applied is told to be ${fateIn(again)}`)
  const times = (await scene.read(next)).filter(command => command === 'once').length
  hold(times === 1, 'IO1', () => `executed ${times} times`)
  await scene.level()
}
