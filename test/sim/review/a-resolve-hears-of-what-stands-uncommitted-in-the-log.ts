// To ask what became of a command is itself a command: a read would not see what stands in the log and is not committed yet.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { fateIn, resolveOf, Scene } from '../../help/scene.ts'

/** A command stands in the leader's own log, and nobody else has it yet. Its client asks what became of it. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 111, nodes: 3 })
  const leader = await scene.elect()
  await scene.write(leader)
  const held = scene.hold(({ message }) => message.kind === 'append' && message.blocks.length > 0)
  scene.begin(leader, scene.draft('stands', 7))
  await scene.until('IX1', 'it stands in the log', () => held.length > 0)
  const resolved = scene.begin(leader, resolveOf(7, 1))
  await scene.pass(300)
  scene.letAllPass()
  await scene.until('IL5', 'it is answered', () => resolved.result !== null)
  await scene.level()
  const executed = (await scene.read(leader)).includes('stands')
  const fate = fateIn(resolved.result)
  hold(
    fate === (executed ? 'applied' : 'not-applied'),
    'IO1',
    () => `told ${fate}, and it is ${executed ? '' : 'not '}executed`
  )
  await scene.level()
}
