// Who has a log without the state before it is asked nothing, executes nothing and leads nobody until a leader has brought one.
import { keyValueMachines } from '../../../lib/sim/ghost/machines.ts'
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { incrementsOf } from '../../help/increments.ts'
import { Scene } from '../../help/scene.ts'

/**
 * The state of one of three is lost, and the log does not go back to the beginning. Then the leader dies, and the third one
 * asks in vain for votes at first.
 */
export async function scenario(): Promise<void> {
  for (let seed = 271; seed < 277; seed++) {
    const scene = new Scene({ seed, nodes: 3, machine: keyValueMachines })
    const leader = await scene.elect()
    scene.boundLogs(2_048)
    for (let at = 1; at <= 40; at++) await scene.write(leader, incrementsOf(['a', `k${at}`], at))
    await scene.pass(1_000)
    await scene.level()
    const [hollow, other] = scene.others(leader)
    hollow!.crash('killed')
    hollow!.disk.states.clear()
    leader.crash('killed')
    hollow!.start()
    scene.hold(({ from, message }) => from === other!.key && message.kind === 'vote')
    for (let ms = 0; ms < 5_000; ms += 50) {
      await scene.pass(50)
      hold(hollow!.node?.raft.status.role !== 'leader', 'IL1', () => `${hollow!.id} leads, and has no state`)
    }
    scene.letAllPass()
    await scene.until('IL3', 'the state is brought', () => hollow!.snapshots > 0, 15_000)
    const next = await scene.elect([hollow!, other!])
    await scene.write(next, incrementsOf(['a', 'b'], 41))
    leader.start()
    await scene.elect()
    await scene.level()
  }
}
