// While a node is not trusted its mark stands for its log: it gives the vote that it would have given before the damage.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { loseEnd, Scene } from '../../help/scene.ts'

/**
 * A and B hold what was committed, C lags behind. B loses just what C lacks, and A is down: to what is left of B's log, C's
 * is as good. Nobody may lead before A is back.
 */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 32, nodes: 3 })
  const a = await scene.elect()
  await scene.write(a)
  await scene.level()
  const shared = a.node!.raft.status.last.index
  const [b, c] = scene.others(a)
  scene.hold(({ to, message }) => to === c!.key && message.kind === 'append' && message.blocks.length > 0)
  for (let number = 1; number <= 3; number++) await scene.write(a)
  b!.crash('killed')
  loseEnd(b!, shared)
  a.crash('killed')
  scene.letAllPass()
  b!.start()
  await scene.pass(5_000)
  hold(scene.cluster.leader === null, 'IS5', () => 'somebody leads without what was committed')
  a.start()
  const next = await scene.elect()
  hold(next === a, 'IS5', () => `${next.id} leads`)
  await scene.level()
}
