// A resolve that finds nothing takes the command back: only so does "not applied" stay true, whatever is still on its way.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { fateIn, resolveOf, Scene } from '../../help/scene.ts'

/**
 * A command waits at the door of a follower that is held up. Its client asks the leader what became of it, and is told that
 * it is not applied. Then the follower wakes up, and forwards it.
 */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 112, nodes: 3 })
  const leader = await scene.elect()
  await scene.write(leader)
  const [follower] = scene.others(leader)
  follower!.stall(2_000)
  const late = scene.draft('late', 7)
  let forwarded = false
  scene.cluster.world.after(1, follower!.life, () => {
    forwarded = true
    scene.begin(follower!, late)
  })
  const resolved = await scene.write(leader, resolveOf(7, 1))
  hold(fateIn(resolved) === 'not-applied', 'IX1', () => `told ${fateIn(resolved)}`)
  hold(!forwarded, 'IX1', () => 'it was not held up for long enough')
  await scene.pass(3_000)
  hold(forwarded, 'IX1', () => 'it was never forwarded')
  hold(!(await scene.read(leader)).includes('late'), 'IO1', () => 'what was told to be not applied is executed')
  await scene.level()
}
