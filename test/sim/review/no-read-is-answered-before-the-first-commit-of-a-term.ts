// A new leader may not know how far its log is committed: it answers no read before a record of its own term is.
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { Scene } from '../../help/scene.ts'

/**
 * A tells its client that a command is applied, and dies before it has told the others that it is committed. B is elected
 * and asked; C answers its rounds, but the record that begins its term does not come to it.
 */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 231, nodes: 3 })
  const a = await scene.elect()
  await scene.write(a, scene.draft('before'))
  await scene.level()
  await scene.write(a, scene.draft('answered'))
  a.crash('killed')
  const others = scene.others(a)
  const { index } = others[0]!.node!.raft.status.last
  hold(
    others.every(({ node }) => node!.raft.status.commit < index),
    'IX1',
    () => 'the others know that it is committed'
  )
  scene.hold(({ message }) => message.kind === 'append' && message.blocks.length > 0)
  const leads = (): boolean => others.some(({ node }) => node!.raft.status.role === 'leader')
  await scene.until('IL1', 'another leads', leads)
  const b = others.find(({ node }) => node!.raft.status.role === 'leader')!
  const read = scene.beginRead(b)
  await scene.pass(500)
  const list = read.result instanceof Error ? [] : (read.result ?? ['answered'])
  hold(list.includes('answered'), 'IK1', () => `a read finds ${list.join()} after another command was answered`)
  scene.letAllPass()
  await scene.until('IL5', 'the read is answered', () => read.result !== null)
  hold(!(read.result instanceof Error) && read.result!.includes('answered'), 'IK1', () => 'a read is stale')
  await scene.level(others)
}
