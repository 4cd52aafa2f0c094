// The machine of one life of a node, and what the server shows of it.
import type { StateMachine } from '../machine/machine.ts'

export interface MachineInUse {
  readonly machine: StateMachine
  /** It speaks the language of keys and values, so plain HTTP may ask it. */
  readonly keyValue: boolean
  readonly revision: () => number
  /** Size on disk. */
  readonly bytes: () => Promise<number>
}
