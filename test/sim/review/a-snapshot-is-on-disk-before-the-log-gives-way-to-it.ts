// The log gives way to a snapshot for good: by then the state that it brought must outlast a power cut.
import { keyValueMachines } from '../../../lib/sim/ghost/machines.ts'
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { incrementsOf } from '../../help/increments.ts'
import { Scene } from '../../help/scene.ts'

/** One of three takes a snapshot in, and its power fails at the very moment at which its log begins after that. */
export async function scenario(): Promise<void> {
  for (let seed = 262; seed < 270; seed++) {
    const scene = new Scene({ seed, nodes: 3, machine: keyValueMachines })
    const leader = await scene.elect()
    const [absent] = scene.others(leader)
    absent!.crash('killed')
    scene.boundLogs(2_048)
    for (let at = 1; at <= 40; at++) await scene.write(leader, incrementsOf(['a', `k${at}`], at))
    await scene.pass(1_000)
    absent!.start()
    await scene.until('IL3', 'the snapshot is taken up', () => absent!.snapshots === 1)
    absent!.crash('power')
    absent!.start()
    await scene.until('IX1', 'it starts', () => absent!.node !== null)
    const { applied } = absent!.node!
    const base = absent!.log!.base.index
    hold(base > 0 && applied >= base, 'IA2', () => `the log begins after ${base}, and the state ends at ${applied}`)
    await scene.elect()
    await scene.level()
  }
}
