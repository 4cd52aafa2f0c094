// A session opens with its first command, so the first command of an expired one must not pass for that of a new one.
import { defaultConfig } from '../../../lib/raft/config.ts'
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { fateIn, Scene } from '../../help/scene.ts'

const lifetimeMs = 3_600_000
/** Few heartbeats, since an hour is to pass. */
const config = { ...defaultConfig, heartbeatMs: 240, electionTimeoutMsMin: 720 }

/** The first command of a session is applied and its answer lost; its client sleeps for longer than the session lives. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 101, nodes: 3, config })
  const leader = await scene.elect()
  const first = scene.draft('once', 7)
  await scene.write(leader, first)
  await scene.pass(lifetimeMs + 60_000)
  const again = await scene.write(leader, first)
  const list = await scene.read(leader)
  hold(list.length === 1, 'IO1', () => `executed ${list.length} times`)
  hold(fateIn(again) === 'unknown', 'IO1', () => `what was applied is told to be ${fateIn(again)}`)
  await scene.level()
}
