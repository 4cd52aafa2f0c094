// Logs are compared by the term of their last record before their length: a long tail that nobody has committed elects nobody.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { Scene } from '../../help/scene.ts'

/** A is cut off and goes on writing. B is elected, commits one record on C, and dies; A and C find each other again. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 11, nodes: 3 })
  const a = await scene.elect()
  await scene.write(a)
  await scene.level()
  const heal = scene.isolate(a)
  for (let count = 0; count < 20; count++) {
    scene.begin(a, scene.draft('lost'))
    // Each in a block of its own.
    await scene.pass(2)
  }
  const b = await scene.elect(scene.others(a))
  await scene.write(b, scene.draft('kept', 2))
  const [c] = scene.others(a, b)
  await scene.level([b, c!])
  const longer = a.node!.raft.status.last.index > c!.node!.raft.status.last.index
  hold(longer, 'IX1', () => `${a.id} has no longer log than ${c!.id}`)
  b.crash('killed')
  heal()
  const next = await scene.elect([a, c!])
  hold(next === c, 'IS5', () => `${a.id} leads by a longer log of an older term`)
  b.start()
  await scene.level()
}
