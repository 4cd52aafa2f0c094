// When a quorum is lost for good: compares the directories of the survivors, and founds a new cluster of one on the best.
//
// All that the log of the best survivor holds is applied, committed or not, since all of it may have been acknowledged. The
// survivors' directories are not changed.
import { createHash, randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { realEnv } from '../client/real-env.ts'
import { KvMachine } from '../kv/kv-machine.ts'
import { stateLevel } from '../kv/state-level.ts'
import { OpenError } from '../log/faults.ts'
import { text } from '../log/trust.ts'
import type { SnapshotSource } from '../machine/machine.ts'
import { ReplicatedMachine } from '../machine/replicated-machine.ts'
import { compareLogIds, type LogId, type NodeId } from '../raft/types.ts'
import { promised } from '../server/promised.ts'
import { describe, type Inspection, type Survey, withSurvey } from './inspect.ts'
import { type Refounded, refound, refuseUsed } from './refound.ts'
import { eachPage } from './rewrite-log.ts'
import type { Scratch } from './scratch.ts'

/** Field names are a contract: `stretto recover -o json`. */
export interface Survivor {
  readonly directory: string
  readonly id: NodeId
  readonly incarnation: string
  readonly trusted: boolean
  /** The last record of the sound part of its log. */
  readonly last: LogId
  /** What it had promised to hold. */
  readonly promised: LogId
  /** Its state on disk: all up to here was committed. */
  readonly applied: LogId | null
  readonly findings: readonly string[]
  /** Why nothing can be founded on it; null where it can. */
  readonly unusable: string | null
}

export interface Comparison {
  readonly clusterId: string
  readonly survivors: readonly Survivor[]
  /** On which to found. */
  readonly best: Survivor
  /** Members of whom no directory was given. */
  readonly missing: readonly NodeId[]
  readonly voters: number
  /** In a sentence each. */
  readonly risks: readonly string[]
}

/** @throws OpenError where the directories do not belong together, or none is of use */
export async function compareSurvivors(directories: readonly string[]): Promise<Comparison> {
  const survivors: Survivor[] = []
  const memberships: Inspection['members'][] = []
  let clusterId = ''
  for (const directory of directories) {
    const { survivor, inspection } = await withSurvey(directory, survey => Promise.resolve(read(directory, survey)))
    if (clusterId !== '' && clusterId !== inspection.clusterId) {
      throw new OpenError('foreign-cluster', `${directory} is of another cluster than ${directories[0]}`)
    }
    const twin = survivors.find(({ id, incarnation }) => id === survivor.id && incarnation === survivor.incarnation)
    if (twin !== undefined) throw new OpenError('corrupt', `${directory} and ${twin.directory} are of the same member`)
    clusterId = inspection.clusterId!
    survivors.push(survivor)
    memberships.push(inspection.members)
  }
  const best = survivors.filter(({ unusable }) => unusable === null).toSorted(byWorth)[0]
  if (best === undefined) {
    const why = survivors.map(({ directory, unusable }) => `${directory}: ${unusable}`).join('; ')
    throw new OpenError('corrupt', `nothing can be founded on these directories (${why}): restore a backup`)
  }
  const members = memberships[survivors.indexOf(best)]!
  const isThere = (member: Inspection['members'][number]): boolean =>
    survivors.some(({ id, incarnation }) => id === member.id && incarnation === member.incarnation)
  const voters = members.filter(({ role }) => role !== 'learner')
  const missing = voters.filter(member => !isThere(member))
  const risks = risksOf(best, missing, voters.length)
  return { clusterId, survivors, best, missing: missing.map(({ id }) => id), voters: voters.length, risks }
}

function read(directory: string, survey: Survey): { readonly survivor: Survivor; readonly inspection: Inspection } {
  const inspection = describe(directory, survey)
  const { id, incarnation, clusterId, mark, trusted, findings } = inspection
  if (id === null || incarnation === null || clusterId === null || mark === null) {
    throw new OpenError('corrupt', `${directory} is not of a member that can be known: ${findings[0] ?? 'not founded'}`)
  }
  const last = survey.log.recovered?.catalogue.tail ?? { index: 0, term: 0 }
  const survivor = {
    directory,
    id,
    incarnation,
    trusted,
    last: { index: last.index, term: last.term },
    promised: { index: mark.index, term: mark.term },
    applied: survey.state?.applied ?? null,
    findings,
    unusable: whyUnusable(survey)
  }
  return { survivor, inspection }
}

function whyUnusable({ log, state }: Survey): string | null {
  if (log.recovered === null || log.base === null) return 'nothing of its log can be read (stretto repair may help)'
  if (state === null || state.kind === 'embedded' || state.kind === 'other') {
    return 'its state is that of a machine of the application'
  }
  if (state.newer || log.newer) return 'a newer version of stretto has written it'
  const { base } = log.base
  const reach = state.isSound ? state.applied!.index : 0
  if (reach < base.index) return `its state is damaged, and its log begins after ${text(base)}`
  const held = log.recovered.catalogue.termAt(reach)
  if (held !== null && reach > 0 && held !== state.applied!.term) return 'its state and its log are of two histories'
  // A state beyond the log is whole in itself, and what it contains was committed.
  return null
}

/** The trusted before the others, then by term and index, as an election would have it. */
function byWorth(a: Survivor, b: Survivor): number {
  return Number(b.trusted) - Number(a.trusted) || compareLogIds(reachOf(b), reachOf(a))
}

function reachOf({ last, applied }: Survivor): LogId {
  return applied !== null && compareLogIds(applied, last) > 0 ? applied : last
}

function risksOf(best: Survivor, missing: Inspection['members'], voters: number): string[] {
  const risks: string[] = []
  const reach = text(reachOf(best))
  const held = voters - missing.length
  if (held * 2 > voters) {
    risks.push(`${held} of ${voters} voters are here, a majority: start them again instead, and nothing is lost`)
  }
  const names = missing.map(({ id }) => id).join(', ')
  if (missing.length > 0) {
    risks.push(
      `writes after ${reach} that only ${names} had acknowledged are lost, and nothing here tells whether there were any`
    )
  }
  if (!best.trusted) {
    const lack = `it had promised up to ${text(best.promised)} and holds up to ${reach}`
    risks.push(`no directory is as it was promised: of ${best.directory}, ${lack}; what is between is lost`)
  }
  risks.push(`writes up to ${reach} that were never acknowledged may be there`)
  return risks
}

export interface RecoverOrder {
  readonly comparison: Comparison
  /** New: the survivors' directories stay as they are. */
  readonly directory: string
  readonly id: NodeId
  /** `host:port` */
  readonly address: string
}

/** Founds a cluster of one, which others join. */
export async function recoverCluster({ comparison, directory, id, address }: RecoverOrder): Promise<Refounded> {
  await refuseUsed(directory)
  const { best } = comparison
  return withSurvey(best.directory, async (survey, scratch) => {
    const last = survey.log.recovered?.catalogue.tail
    if (last === undefined || compareLogIds(last, best.last) !== 0) {
      throw new OpenError('corrupt', `${best.directory} has changed since it was looked at: begin again`)
    }
    const machine = await applyAll(survey, scratch)
    try {
      const source = await promised<SnapshotSource | null>(done => machine.snapshot(done))
      if (source === null)
        throw new OpenError('corrupt', `${best.directory} holds no state: there is nothing to found on`)
      const seed = createHash('sha256').update(comparison.clusterId).update(randomBytes(32)).digest('hex')
      const founders = [{ id, address, incarnation: seed.slice(0, 16) }]
      const refounded = await refound({ directory, id, founders, snapshot: piecesOf(source) })
      source.close()
      return refounded
    } finally {
      await promised(done => machine.close(done))
    }
  })
}

const flushBytes = 33_554_432

/** The survivor's state, in a copy, brought to the end of its log and flushed. */
async function applyAll({ log, state }: Survey, scratch: Scratch): Promise<ReplicatedMachine> {
  let folder = join(scratch.folder, state!.name)
  if (!state!.isSound || state!.kind === 'empty') {
    folder = join(scratch.folder, 'rebuilt')
    await mkdir(folder)
  }
  const machine = new ReplicatedMachine(new KvMachine(stateLevel(folder), realEnv()))
  const flush = (): Promise<LogId> => promised<LogId>(done => machine.flush(done))
  try {
    await promised(done => machine.open(error => done(error)))
    await eachPage(log, async blocks => {
      await promised(done => machine.apply(blocks, error => done(error)))
      if (machine.unflushedBytes > flushBytes) await flush()
    })
    if (machine.applied.index > 0) await flush()
    return machine
  } catch (error) {
    await promised(done => machine.close(done)).catch(() => {})
    throw error
  }
}

const pieceBytes = 1_048_576

async function* piecesOf(source: SnapshotSource): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < source.size; ) {
    const piece = await promised<Uint8Array>(done => source.read(at, pieceBytes, done))
    yield piece
    at += piece.length
  }
}
