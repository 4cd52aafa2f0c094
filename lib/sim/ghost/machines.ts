// The machines that simulated nodes run: the key-value machine over a simulated database, or an application's own.
import type { Env } from '../../base/env.ts'
import { KvMachine } from '../../kv/kv-machine.ts'
import type { StateLevel } from '../../kv/state-level.ts'
import type { StateMachine } from '../../machine/machine.ts'
import { fromMemoryMachine, type MemoryMachine } from '../../machine/memory-machine.ts'
import type { Vault } from '../../machine/vault.ts'

/** What the machine of one life stands on; all of it outlives that life. */
export interface MachineParts {
  readonly env: Env
  /** The database of its state directory, not yet open. */
  readonly level: StateLevel
  readonly vault: Vault
}

export interface SimMachine {
  readonly machine: StateMachine
  readonly revision: () => number
  /** From which revision on the state can be read. */
  readonly compacted?: () => number
}

export type MakeMachine = (parts: MachineParts) => SimMachine

export const keyValueMachines: MakeMachine = ({ level, env }) => {
  const machine = new KvMachine(level, env, { tableBytesMax: 1_048_576, cleanCacheBytesMax: 262_144 })
  return { machine, revision: () => machine.revision, compacted: () => machine.compactedRevision }
}

/** A machine of an application, which lives in memory and saves itself whole. */
export function memoryMachines(make: () => MemoryMachine): MakeMachine {
  return ({ vault, env }) => ({ machine: fromMemoryMachine(make(), vault, env), revision: () => 0 })
}
