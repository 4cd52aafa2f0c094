// The log of a data directory, read whole: its files, its base record, and every block from the base to the end.
import { join } from 'node:path'
import { checkLevelFiles, type LevelFiles } from '../level/level-files.ts'
import { type BaseRecord, readBase } from '../log/base-record.ts'
import type { Directory } from '../log/directory.ts'
import { OpenError, openFault } from '../log/faults.ts'
import { baseKey, blockBound, blocksEnd } from '../log/keys.ts'
import { classicLevel, type Level, settle } from '../log/level.ts'
import { type Recovered, Recovery } from '../log/recovery.ts'
import type { Memory } from '../log/slots.ts'
import { promised } from '../server/promised.ts'
import { exists, mirrorLevel, type Scratch } from './scratch.ts'

export interface LogSurvey {
  readonly files: LevelFiles
  /** Null where it is lost or damaged, or LevelDB cannot be asked for it. */
  readonly base: BaseRecord | null
  /** The longest sound part of the log, as the node would take it; null where there is no base. */
  readonly recovered: Recovered | null
  /** Blocks that the database holds above the base, sound or not. */
  readonly blocksHeld: number
  readonly findings: readonly string[]
  /** A later version has written it: that is no damage. */
  readonly newer: boolean
  /** The copy that was read, changed to the sound part of it; not open. */
  readonly copy: string
}

/** What stands in for the memory of a node where its slots are gone: nothing is known to be promised. */
const nothingPromised = { index: 0, term: 0, chain: 0 }

/** The state is not asked here: every block is read, and judged by the mark alone. */
export async function surveyLog(directory: string, memory: Memory | null, scratch: Scratch): Promise<LogSurvey> {
  const folder = join(directory, 'log')
  const copy = join(scratch.folder, 'log')
  const nothing = { files: noFiles, base: null, recovered: null, blocksHeld: 0, newer: false, copy }
  if (!(await exists(folder))) return { ...nothing, findings: ['the folder log is missing'] }
  const files = await checkLevelFiles(folder)
  const findings = files.faults.map(({ text }) => `log/${text}`)
  if (files.faults.some(({ kind }) => kind === 'structure')) {
    return { ...nothing, files, findings: [...findings, 'the log cannot be read before it is repaired'] }
  }
  if (!files.isLevel) return { ...nothing, files, findings: [...findings, 'the folder log holds no database'] }
  await mirrorLevel(folder, copy)
  return { ...(await readLog(copy, memory, findings)), files }
}

const noFiles: LevelFiles = { faults: [], unused: [], bytes: 0, isLevel: false }

/** Reads the database in `copy`, and takes out of it what does not belong to the sound part of the log. */
export async function readLog(
  copy: string,
  memory: Memory | null,
  found: readonly string[] = []
): Promise<Omit<LogSurvey, 'files'>> {
  const level = classicLevel(copy)
  const findings = [...found]
  try {
    await level.open()
    const base = await readBaseOf(level)
    if (base instanceof OpenError) {
      findings.push(base.message)
      const newer = base.fault === 'newer-format'
      return { base: null, recovered: null, blocksHeld: 0, findings, newer, copy }
    }
    const blocksHeld = await countBlocks(level, base.base.index)
    const believed = memory !== null && memory.clusterId === base.clusterId
    if (memory !== null && !believed) findings.push('the log belongs to another cluster than the memory of this node')
    const recovered = await recover(level, believed ? memory : strangerOf(base))
    findings.push(...recovered.findings)
    return { base, recovered, blocksHeld, findings, newer: false, copy }
  } catch (error) {
    findings.push(openFault('the log', error instanceof Error ? error : new Error(String(error))).message)
    return { base: null, recovered: null, blocksHeld: 0, findings, newer: false, copy }
  } finally {
    if (level.status !== 'closed') await level.close()
  }
}

async function readBaseOf(level: Level): Promise<BaseRecord | OpenError> {
  const bytes = await level.get(baseKey())
  return bytes === undefined ? new OpenError('corrupt', 'the log has lost its base record') : readBase(bytes)
}

function recover(level: Level, memory: Memory): Promise<Recovered> {
  return promised<Recovered>(done => new Recovery(level, noStates, memory, null, done).run())
}

function strangerOf({ clusterId }: BaseRecord): Memory {
  const hard = { term: 0, vote: null }
  return { id: '', incarnation: '', clusterId, boot: 0, hard, mark: nothingPromised }
}

/** The recovery removes states that the base does not name: there are none beside a copy. */
const noStates: Directory = {
  list: done => queueMicrotask(() => done(null, [])),
  create: (_, done) => queueMicrotask(() => done(null)),
  remove: (_, done) => queueMicrotask(() => done(null))
}

const keysPerPage = 4096

async function countBlocks(level: Level, base: number): Promise<number> {
  const range = { gte: blockBound(base + 1), lt: blocksEnd(), fillCache: false }
  const iterator = level.keys(range)
  let count = 0
  for (;;) {
    const keys = await promised<Uint8Array[]>(done => settle(iterator.nextv(keysPerPage), done))
    if (keys.length === 0) break
    count += keys.length
  }
  await iterator.close()
  return count
}
