// The key-value machine as a server uses it: over LevelDB in the state directory, within the memory that was allowed.
import { realEnv } from '../client/real-env.ts'
import { kvDefaults } from '../kv/kv-machine.ts'
import { stateLevel } from '../kv/state-level.ts'
import type { MachineInUse } from './machine-in-use.ts'
import type { ServerOptions } from './options.ts'
import { ServedMachine } from './served-machine.ts'

const lowestKey = new Uint8Array(0)
const highestKey = new Uint8Array(16).fill(255)

export function keyValueMachine(folder: string, { memoryBytes }: ServerOptions): MachineInUse {
  const level = stateLevel(folder)
  const machine = new ServedMachine(level, realEnv(), {
    tableBytesMax: Math.min(kvDefaults.tableBytesMax, Math.floor(memoryBytes / 4)),
    cleanCacheBytesMax: Math.min(kvDefaults.cleanCacheBytesMax, Math.floor(memoryBytes / 4))
  })
  const bytes = async (): Promise<number> =>
    level.status === 'open' ? level.approximateSize(lowestKey, highestKey) : 0
  return {
    machine,
    keyValue: true,
    revision: () => machine.revision,
    compacted: () => machine.compactedRevision,
    horizon: (terms, done) => machine.horizon(terms, done),
    bytes,
    reclaim: async () => {
      if (level.status === 'open') await level.compactRange(lowestKey, highestKey)
    },
    freeze: (least, done) => machine.freeze(least, done)
  }
}
