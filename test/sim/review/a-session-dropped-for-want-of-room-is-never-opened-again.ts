// Where a session must go before its time, because there are too many, the horizon rises: what was dropped can never open.
import type { MemoryMachine } from '../../../lib/machine/memory-machine.ts'
import { commandAt } from '../../../lib/record/record.ts'
import { memoryMachines } from '../../../lib/sim/ghost/machines.ts'
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { fateIn, Scene } from '../../help/scene.ts'
import { draftOf } from '../../help/tally.ts'

const answerBytes = 256
const commandsEach = 4096
const sessions = 14

/** Answers as much as is kept for those who ask again. */
class Wordy implements MemoryMachine {
  apply(): Uint8Array {
    return new Uint8Array(answerBytes)
  }

  query(): Uint8Array {
    return new Uint8Array(0)
  }

  save(): Uint8Array {
    return new Uint8Array(0)
  }

  load(): void {}
}

/** The first command of a session is applied and its answer lost. Others fill the table, and the command is sent again. */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 102, nodes: 3, machine: memoryMachines(() => new Wordy()) })
  const leader = await scene.elect()
  const first = scene.draft('once', 1)
  await scene.write(leader, first)
  const commands = Array.from({ length: commandsEach }, () => 'x')
  for (let session = 2; session < 2 + sessions; session++) {
    const draft = draftOf(commands, { session, serial: 1 })
    // It was opened a millisecond later.
    draft[commandAt.session + 7] = 2
    await scene.write(leader, draft)
  }
  // The checks know of the first time, and would see a second.
  const again = await scene.write(leader, first)
  hold(fateIn(again) === 'unknown', 'IO1', () => `what was applied is told to be ${fateIn(again)}`)
  await scene.level()
}
