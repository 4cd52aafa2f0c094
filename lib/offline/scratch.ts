// A place beside a data directory: its databases can be opened there without a byte of the directory being changed.
import { copyFile, mkdir, mkdtemp, readdir, rm, stat, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { isTableName } from '../level/level-files.ts'
import { OpenError, openFault } from '../log/faults.ts'

export interface Scratch {
  readonly folder: string
  remove(): Promise<void>
}

/** A new folder below the system's folder for temporary files (TMPDIR). */
export async function makeScratch(): Promise<Scratch> {
  const folder = await mkdtemp(join(tmpdir(), 'stretto-offline-'))
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}

/**
 * Takes the lock of the data directory, so that no node starts meanwhile; gives the way to let go of it. LevelDB locks
 * what its file LOCK leads to: an empty database elsewhere whose LOCK is a link to ours takes it and touches nothing else.
 * @throws OpenError `locked` where a live process has it
 */
export async function holdLock(directory: string, scratch: Scratch): Promise<() => Promise<void>> {
  const lock = resolve(directory, 'log', 'LOCK')
  if (!(await exists(lock))) return async () => {}
  const folder = join(scratch.folder, 'lock')
  await mkdir(folder)
  await symlink(lock, join(folder, 'LOCK'))
  const level = new ClassicLevel(folder)
  try {
    await level.open()
  } catch (error) {
    const fault = openFault(directory, error instanceof Error ? error : new Error(String(error)))
    if (fault.fault !== 'locked') throw fault
    throw new OpenError('locked', `${directory} is in use by a live process: stop that node first`, error)
  }
  return () => level.close()
}

/** Makes `to` a copy of the database in `from`. Tables, which LevelDB never changes, become links. Left out are those named. */
export async function mirrorLevel(from: string, to: string, leaveOut: ReadonlySet<string> = new Set()): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 })
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const { name } = entry
    if (!entry.isFile() || leaveOut.has(name) || name === 'LOCK' || name.startsWith('LOG')) continue
    const source = resolve(from, name)
    if (isTableName(name)) await symlink(source, join(to, name))
    else await copyFile(source, join(to, name))
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch {
    return false
  }
}
