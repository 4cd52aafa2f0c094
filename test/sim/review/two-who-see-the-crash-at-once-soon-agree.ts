// Two followers that see the leader die in the same millisecond split their votes: they try again soon, at different times.
import { defaultConfig } from '../../../lib/raft/config.ts'
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { Scene } from '../../help/scene.ts'

/** Messages take so long, milliseconds, that whoever stands a little later has not heard of the other yet. */
const delays = { delayMsMin: 3, delayMsMax: 4 }

export async function scenario(): Promise<void> {
  let splits = 0
  for (let seed = 80; seed < 100; seed++) {
    const scene = new Scene({ seed, nodes: 3, ...delays })
    const leader = await scene.elect()
    await scene.level()
    const candidates = new Set<string>()
    scene.onSent = ({ from, message }) => {
      if (message.kind === 'vote' && !message.pre) candidates.add(from)
    }
    const { now } = scene
    leader.crash('killed')
    await scene.elect(scene.others(leader))
    const gap = Math.round(scene.now - now)
    splits += candidates.size > 1 ? 1 : 0
    hold(gap < defaultConfig.electionTimeoutMsMin, 'IL1', () => `seed ${seed}: nobody led for ${gap} ms after a crash`)
  }
  hold(splits > 4, 'IX1', () => `votes were split only ${splits} times`)
}
