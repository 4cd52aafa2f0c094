// A link to the leader that breaks again and again may not have its node disturb the others more often than a timeout would.
import { defaultConfig } from '../../../lib/raft/config.ts'
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { Scene } from '../../help/scene.ts'

const resetMs = 50
const lastsMs = 6_000

/** Something on the way closes the links of one follower every 50 ms, for ten election timeouts; all else is well. */
export async function scenario(): Promise<void> {
  // The next word of the leader takes longer than a hint.
  const scene = new Scene({ seed: 72, nodes: 3, delayMsMin: 20, delayMsMax: 25 })
  const leader = await scene.elect()
  await scene.level()
  const { term } = leader.node!.raft.status
  const [follower] = scene.others(leader)
  const rounds = new Set<number>()
  scene.onSent = ({ from, message }) => {
    if (from === follower!.key && message.kind === 'vote' && message.pre) rounds.add(message.round)
  }
  for (let passed = 0; passed < lastsMs; passed += resetMs) {
    scene.cluster.reset(follower!)
    await scene.pass(resetMs)
  }
  hold(rounds.size > 1, 'IX1', () => `it has asked ${rounds.size} times`)
  const most = Math.ceil(lastsMs / defaultConfig.electionTimeoutMsMin) + 1
  hold(rounds.size <= most, 'IL2', () => `it asks ${rounds.size} times in ${lastsMs} ms whether it may lead`)
  hold(leader.node!.raft.status.term === term, 'IL2', () => 'a leader that is well was replaced')
}
