// What a data directory holds, and whether it is sound: everything is read and checked, and not a byte of it changed.
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isStateName, nameOfState } from '../log/base-record.ts'
import { OpenError } from '../log/faults.ts'
import type { Memory } from '../log/slots.ts'
import { distrust } from '../log/trust.ts'
import type { ChainedId, Membership, NodeId } from '../raft/types.ts'
import { type LogSurvey, surveyLog } from './log-survey.ts'
import { exists, holdLock, makeScratch, type Scratch } from './scratch.ts'
import { type SlotsSurvey, surveySlots } from './slots-survey.ts'
import { type StateSurvey, surveyState } from './state-survey.ts'

/** The parts of a directory as they were read. */
export interface Survey {
  readonly slots: SlotsSurvey
  readonly log: LogSurvey
  /** Null where no base record names it. */
  readonly state: StateSurvey | null
  /** What makes the node untrusted at its next start. */
  readonly distrust: readonly string[]
  /** Folders of states that the base record does not name. */
  readonly leftovers: readonly string[]
}

/** Field names are a contract: `stretto inspect -o json`. */
export interface Inspection {
  readonly directory: string
  readonly sound: boolean
  readonly id: NodeId | null
  readonly incarnation: string | null
  readonly clusterId: string | null
  readonly boot: number | null
  readonly term: number | null
  readonly vote: string | null
  readonly mark: ChainedId | null
  readonly base: (ChainedId & { readonly state: number; readonly machineVersion: number }) | null
  readonly log: LogFacts | null
  readonly members: readonly MemberFacts[]
  readonly state: StateFacts | null
  readonly trusted: boolean
  /** What is wrong, in a sentence each. */
  readonly findings: readonly string[]
  /** What is worth knowing and not wrong. */
  readonly notes: readonly string[]
}

export interface LogFacts {
  /** 0 where the log holds no record above its base. */
  readonly firstIndex: number
  readonly lastIndex: number
  readonly lastTerm: number
  readonly chain: number
  readonly blocks: number
  readonly bytes: number
}

export interface MemberFacts {
  readonly id: NodeId
  readonly address: string
  readonly role: 'voter' | 'learner' | 'leaving'
  readonly incarnation: string
}

export interface StateFacts {
  readonly folder: string
  readonly kind: string
  readonly appliedIndex: number | null
  readonly appliedTerm: number | null
  readonly revision: number
  readonly compactedRevision: number
  readonly sessions: number
  readonly clusterTime: number
  readonly rows: Readonly<Record<string, number>>
  readonly bytes: number
}

/** @throws OpenError where it is in use, or no data directory */
export async function inspectDirectory(directory: string): Promise<Inspection> {
  return withSurvey(directory, survey => Promise.resolve(describe(directory, survey)))
}

/** Holds the lock of the directory while `use` looks at what was read; the copies that were read are there until then. */
export async function withSurvey<T>(
  directory: string,
  use: (survey: Survey, scratch: Scratch) => Promise<T>
): Promise<T> {
  await refuseOther(directory)
  const scratch = await makeScratch()
  try {
    const letGo = await holdLock(directory, scratch)
    try {
      return await use(await surveyDirectory(directory, scratch), scratch)
    } finally {
      await letGo()
    }
  } finally {
    await scratch.remove()
  }
}

/** @throws OpenError where there is no data directory at all */
export async function refuseOther(directory: string): Promise<void> {
  const stats = await stat(directory).catch(() => null)
  if (stats === null) throw new OpenError('corrupt', `there is no folder ${directory}`)
  if (!stats.isDirectory()) throw new OpenError('corrupt', `${directory} is a file, and no data directory`)
  if ((await exists(join(directory, 'memory'))) || (await exists(join(directory, 'log')))) return
  throw new OpenError('corrupt', `${directory} is no data directory of a node: it holds neither memory nor log`)
}

export async function surveyDirectory(directory: string, scratch: Scratch): Promise<Survey> {
  const slots = await surveySlots(directory)
  const log = await surveyLog(directory, slots.memory, scratch)
  const base = log.base?.base ?? null
  const inForce = base === null ? null : nameOfState(base.state)
  const state = inForce === null ? null : await surveyState(directory, inForce, scratch)
  const names = await readdir(directory)
  const leftovers = names.filter(name => isStateName(name) && name !== inForce).toSorted()
  return { slots, log, state, distrust: distrustOf(slots.memory, log, state), leftovers }
}

function distrustOf(memory: Memory | null, { recovered }: LogSurvey, state: StateSurvey | null): string[] {
  if (recovered === null) return []
  // Without a mark, one at the base: nothing is known to be promised above it.
  return distrust(recovered.catalogue, memory?.mark ?? recovered.base, state?.applied ?? null)
}

export function isFounded({ slots, log }: Survey): boolean {
  return slots.memory === null ? slots.findings.length > 0 || log.base !== null : slots.memory.clusterId !== null
}

export function describe(directory: string, survey: Survey): Inspection {
  const { slots, log, state } = survey
  const { memory } = slots
  const founded = isFounded(survey)
  const findings = founded
    ? unique([...slots.findings, ...log.findings, ...(state?.findings ?? []), ...survey.distrust])
    : []
  const notes = notesOf(survey, founded)
  return {
    directory,
    sound: findings.length === 0,
    id: memory?.id ?? null,
    incarnation: memory?.incarnation ?? null,
    clusterId: memory?.clusterId ?? log.base?.clusterId ?? null,
    boot: memory?.boot ?? null,
    term: memory?.hard.term ?? null,
    vote: memory?.hard.vote ?? null,
    mark: memory?.mark ?? null,
    base: baseFacts(survey),
    log: logFacts(survey),
    members: membersOf(log.recovered?.memberships.at(-1)?.membership ?? null),
    state: state === null ? null : stateFacts(state),
    trusted: founded && memory !== null && log.recovered !== null && survey.distrust.length === 0,
    findings,
    notes
  }
}

function notesOf({ log, state, leftovers }: Survey, founded: boolean): string[] {
  const notes = leftovers.map(name => `${name} is left over: the next start removes it`)
  if (!founded) notes.push('this node belongs to no cluster yet')
  if (log.recovered?.leftovers === true) notes.push('blocks below the base are still to be freed')
  if (state?.kind === 'other') notes.push('the state is of a machine of the application: it was not read')
  return notes
}

function baseFacts({ log }: Survey): Inspection['base'] {
  if (log.base === null) return null
  const { index, term, chain, state, machineVersion } = log.base.base
  return { index, term, chain, state, machineVersion }
}

function logFacts({ log: { recovered } }: Survey): LogFacts | null {
  if (recovered === null) return null
  const { catalogue } = recovered
  const { start, tail } = catalogue
  const blocks = catalogue.end - catalogue.head
  return {
    firstIndex: blocks === 0 ? 0 : start.index + 1,
    lastIndex: tail.index,
    lastTerm: tail.term,
    chain: tail.chain,
    blocks,
    bytes: catalogue.bytes
  }
}

export function membersOf(membership: Membership | null): MemberFacts[] {
  if (membership === null) return []
  const { voters, learners } = membership
  return membership.members.map(({ key, id, address, incarnation }) => {
    const role = voters.includes(key) ? 'voter' : learners.includes(key) ? 'learner' : 'leaving'
    return { id, address, role, incarnation }
  })
}

function stateFacts(state: StateSurvey): StateFacts {
  return {
    folder: state.name,
    kind: state.kind,
    appliedIndex: state.applied?.index ?? null,
    appliedTerm: state.applied?.term ?? null,
    revision: state.revision,
    compactedRevision: state.compactedRevision,
    sessions: state.sidecar?.sessions.length ?? 0,
    clusterTime: state.sidecar?.time ?? 0,
    rows: state.rows,
    bytes: state.bytes
  }
}

function unique(findings: readonly string[]): string[] {
  return [...new Set(findings)]
}
