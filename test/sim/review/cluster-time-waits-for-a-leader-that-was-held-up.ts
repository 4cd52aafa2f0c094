// A leader that was held up finds its own clock far ahead: were cluster time to leap with it, all that expires would, at once.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { Scene } from '../../help/scene.ts'
import { stampsOf } from '../../help/stamps.ts'

const leapMsMax = 250

/** A command waits at the door of the leader, which is held up for 450 ms, and goes on leading. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 131, nodes: 3 })
  const leader = await scene.elect()
  for (let time = 0; time < 5; time++) {
    await scene.write(leader)
    await scene.pass(100)
    await scene.write(leader)
    const { now } = scene
    leader.stall(450)
    let answered = false
    scene.cluster.world.after(1, leader.life, () => {
      leader.node!.write(scene.draft('after'), () => void (answered = true))
    })
    await scene.until('IL5', 'a write is answered', () => answered)
    hold(scene.now - now > 400, 'IX1', () => 'it was not held up')
    const [before, after] = stampsOf(leader).slice(-2)
    const leap = after! - before!
    hold(leap <= leapMsMax + 10, 'IA4', () => `cluster time leapt by ${leap} ms when a leader woke up`)
  }
  await scene.level()
}
