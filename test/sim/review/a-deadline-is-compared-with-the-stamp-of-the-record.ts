// Too late is a record whose own stamp says so. When a node learns of the commit must not matter, for all learn of it apart.
import { writeU64 } from '../../../lib/base/bytes.ts'
import { commandAt } from '../../../lib/record/record.ts'
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { fateIn, Scene } from '../../help/scene.ts'

/**
 * A record is stamped in time and committed by A and B; to C it comes a second later, together with the next one, and is
 * applied there at one go with it. It is in time there too. A record that is stamped too late is executed by nobody.
 */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 121, nodes: 3 })
  const a = await scene.elect()
  await scene.level()
  const [, c] = scene.others(a)
  const limited = (command: string, session: number, notAfter: number): Uint8Array => {
    const draft = scene.draft(command, session)
    writeU64(draft, commandAt.notAfter, notAfter)
    return draft
  }
  scene.hold(({ to, message }) => to === c!.key && message.kind === 'append' && message.blocks.length > 0)
  const inTime = await scene.write(a, limited('in time', 2, a.node!.clusterTime + 50))
  hold(fateIn(inTime) === 'applied', 'IX1', () => `told ${fateIn(inTime)}`)
  const until = a.node!.clusterTime + 50
  await scene.pass(1_000)
  const tooLate = await scene.write(a, limited('too late', 3, until))
  hold(
    fateIn(tooLate) === 'not-applied',
    'IO1',
    () => `a record stamped after its deadline is told to be ${fateIn(tooLate)}`
  )
  scene.letAllPass()
  await scene.write(a, scene.draft('after'))
  await scene.level()
  const list = await scene.read(c!)
  hold(list.join() === 'in time,after', 'IO1', () => `executed: ${list.join()}`)
}
