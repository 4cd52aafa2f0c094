// The answer to a question of a follower says what was committed when it was asked: a later read waits for its own answer.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { Scene } from '../../help/scene.ts'

/** The answer to the first read of a follower is late. Meanwhile another command is answered, of which it has not heard. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 251, nodes: 3 })
  const leader = await scene.elect()
  await scene.write(leader, scene.draft('old'))
  await scene.level()
  const [follower] = scene.others(leader)
  const answers = scene.hold(
    ({ to, message }) =>
      to === follower!.key &&
      (message.kind === 'read-index-reply' || (message.kind === 'append' && message.blocks.length > 0))
  )
  const first = scene.beginRead(follower!)
  await scene.until('IX1', 'the leader has answered', () => answers.length > 0)
  await scene.write(leader, scene.draft('new'))
  const second = scene.beginRead(follower!)
  await scene.pass(50)
  answers[0]!.release()
  await scene.until('IL5', 'the first read is answered', () => first.result !== null)
  await scene.pass(50)
  const told = second.result instanceof Error ? null : second.result
  hold(
    told === null || told.includes('new'),
    'IK1',
    () => `a read finds ${told?.join()} after another command was answered`
  )
  scene.letAllPass()
  await scene.level()
}
