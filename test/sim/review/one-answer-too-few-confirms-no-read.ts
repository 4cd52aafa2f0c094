// A read is confirmed by a majority, not by one less, nor by nobody: the others may have another leader, and a newer value.

import type { Envelope } from '../../../lib/raft/message.ts'
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { Scene } from '../../help/scene.ts'

/**
 * Of five nodes only B still hears A, which leads. C, D and E have noticed that the link is broken, elect one of them and
 * commit. A has not noticed yet when it is asked for a read, and B answers that it follows.
 */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 233, nodes: 5 })
  const a = await scene.elect()
  await scene.write(a, scene.draft('old'))
  await scene.level()
  const [b, ...rest] = scene.others(a)
  scene.cluster.network.reset(a.key)
  const mend = scene.part([a, b!], rest)
  const c = await scene.elect(rest)
  await scene.write(c, scene.draft('new'))
  hold(a.node!.raft.status.role === 'leader', 'IX1', () => `${a.id} has noticed that it leads no more`)

  let answers = 0
  scene.onSent = ({ to, message }: Envelope) => {
    if (to === a.key && message.kind === 'append-reply' && message.round > 0) answers++
  }
  const read = scene.beginRead(a)
  await scene.until('IX1', `${b!.id} answers the round`, () => answers > 0 || read.result !== null)
  await scene.pass(50)
  const told = read.result instanceof Error ? null : read.result
  hold(
    told === null || told.includes('new'),
    'IK1',
    () => `a read finds ${told?.join()} after another command was answered`
  )
  mend()
  await scene.until('IL5', 'the read is answered', () => read.result !== null)
  await scene.elect()
  await scene.level()
}
