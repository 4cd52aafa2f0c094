// Lives of a LevelLog over a disk that may crash, or over real files.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Env } from '../../lib/base/env.ts'
import type { Directory } from '../../lib/log/directory.ts'
import { FileDirectory } from '../../lib/log/file-directory.ts'
import { FileSlots } from '../../lib/log/file-slots.ts'
import { foundLog } from '../../lib/log/found-log.ts'
import { classicLevel, type Level } from '../../lib/log/level.ts'
import { LevelLog } from '../../lib/log/level-log.ts'
import { type MemoryKeeper, openMemory } from '../../lib/log/memory-keeper.ts'
import type { StateOf } from '../../lib/log/recovery.ts'
import type { Slots } from '../../lib/log/slots.ts'
import type { SimDisk } from '../../lib/sim/disk/disk.ts'
import { call, founding, identity } from './log-blocks.ts'
import { realEnv } from './real-time.ts'

export interface Parts {
  readonly level: () => Level
  readonly slots: Slots
  readonly directory: Directory
  /** That of a real process when absent. */
  readonly env?: Env
}

export function fileParts(folder: string): Parts {
  return {
    level: () => classicLevel(join(folder, 'log')),
    slots: new FileSlots(join(folder, 'memory')),
    directory: new FileDirectory(folder)
  }
}

/** The next life on a simulated disk. */
export function simParts(disk: SimDisk, env: Env): Parts {
  const mounted = disk.mount(env)
  return { level: () => mounted.log(), slots: mounted.slots(), directory: mounted.directory, env }
}

/** A new folder, removed by `remove`. */
export function temporaryFolder(): { readonly folder: string; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'stretto-log-'))
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

export function openMemoryOf(parts: Parts): Promise<MemoryKeeper> {
  return call<MemoryKeeper>(done => openMemory(parts.slots, parts.env ?? realEnv, identity, done))
}

/** The next life of the log on this disk, founded if it was not; not yet open. */
export async function lifeOf(parts: Parts, stateOf: StateOf | null = null, hotBytesMax = 1_000_000): Promise<LevelLog> {
  const memory = await openMemoryOf(parts)
  const { level, directory, env = realEnv } = parts
  if (memory.memory.clusterId === null) {
    await call<void>(done => foundLog({ level, memory, directory }, founding, done))
  }
  return new LevelLog({ level, memory, directory, env, stateOf, hotBytesMax })
}
