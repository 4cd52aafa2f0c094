// Mends a data directory from what is sound in it, and says what only other members can bring, or nobody.
//
// Nothing is thrown away: what gives way moves to DIR/repaired-N. The log is cut to its longest sound part and written
// into a new database; the mark stays, so that a node which lacks what it promised is untrusted, and its peers bring it.
// A state that is damaged anywhere is damaged as a whole, since lost rows do not show: it gives way to an empty one.
import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { nameOfState } from '../log/base-record.ts'
import { syncFolder } from '../log/file-directory.ts'
import { promised } from '../server/promised.ts'
import { isFounded, refuseOther, type Survey, withSurvey } from './inspect.ts'
import type { LogSurvey } from './log-survey.ts'
import { rescueLog, rewriteLog } from './rewrite-log.ts'
import { exists, type Scratch } from './scratch.ts'
import { surveyState } from './state-survey.ts'

/** Field names are a contract: `stretto repair -o json`. */
export interface Repair {
  readonly directory: string
  readonly dryRun: boolean
  /** What was done, or with `dryRun` would be, in a sentence each. */
  readonly mended: readonly string[]
  /** Where what gave way is kept, inside the directory; null where nothing did. */
  readonly kept: string | null
  /** What the next start or the other members do. */
  readonly notes: readonly string[]
  /** Why this directory is of no more use; empty where a node can start with it. */
  readonly unmendable: readonly string[]
}

interface Plan {
  /** The log to write anew; null where it stays. */
  log: LogSurvey | null
  /** The folder of the state that gives way to an empty one; null where it stays. */
  state: string | null
  readonly mended: string[]
  readonly notes: string[]
  readonly unmendable: string[]
}

const mending = 'mending'
const keptName = /^repaired-(\d+)$/

/** @throws OpenError where it is in use, or no data directory */
export async function repairDirectory(directory: string, { dryRun = false } = {}): Promise<Repair> {
  await refuseOther(directory)
  const broken = await brokenOff(directory)
  if (broken !== null && dryRun) {
    const mended = [`a repair was broken off: the log is put back from ${broken}, and everything looked at again`]
    return { directory, dryRun, mended, kept: null, notes: [], unmendable: [] }
  }
  if (broken !== null) await rename(join(directory, broken, 'log'), join(directory, 'log'))
  return withSurvey(directory, async (survey, scratch) => {
    const plan = await makePlan(directory, survey, scratch)
    const { mended, notes, unmendable } = plan
    if (unmendable.length > 0) return { directory, dryRun, mended: [], kept: null, notes: [], unmendable }
    const changes = plan.log !== null || plan.state !== null
    const kept = changes && !dryRun ? await carryOut(directory, plan) : null
    return { directory, dryRun, mended, kept, notes, unmendable }
  })
}

/** Where a log was left by a repair that ended between its two renames; null where there was none. */
async function brokenOff(directory: string): Promise<string | null> {
  if (await exists(join(directory, 'log'))) return null
  const last = `repaired-${Math.max(0, ...(await keptNumbers(directory)))}`
  return (await exists(join(directory, last, 'log'))) ? last : null
}

async function keptNumbers(directory: string): Promise<number[]> {
  const names = await readdir(directory)
  return names.flatMap(name => {
    const number = keptName.exec(name)?.[1]
    return number === undefined ? [] : [Number(number)]
  })
}

async function makePlan(directory: string, survey: Survey, scratch: Scratch): Promise<Plan> {
  const plan: Plan = { log: null, state: null, mended: [], notes: [], unmendable: [] }
  if (!isFounded(survey)) {
    plan.notes.push('this node belongs to no cluster yet: there is nothing to mend')
    return plan
  }
  const { memory, findings } = survey.slots
  const newer = [survey.slots, survey.log, ...(survey.state === null ? [] : [survey.state])].find(part => part.newer)
  if (newer !== undefined) {
    plan.unmendable.push(`${newer.findings.at(-1)}: nothing is changed here by an older one`)
    return plan
  }
  if (memory === null) {
    plan.unmendable.push(`this node has forgotten what it promised: ${replaceText}`)
    return plan
  }
  if (findings.length > 0) plan.notes.push(`${findings.join('; ')}: the next start writes it anew from the other`)
  await planLog(directory, survey, scratch, plan)
  if (plan.unmendable.length === 0) await planState(directory, survey, scratch, plan)
  return plan
}

const replaceText = 'it may return only as a new member (stretto members replace)'

async function planLog(directory: string, survey: Survey, scratch: Scratch, plan: Plan): Promise<void> {
  let { log } = survey
  const { memory } = survey.slots
  if (log.recovered === null && log.files.isLevel) {
    log = await rescueLog(directory, log, memory!, scratch)
    if (log.recovered !== null) plan.mended.push('the database of the log had lost what leads to its tables')
  }
  if (log.recovered === null || log.base === null) {
    plan.unmendable.push(`nothing of the log can be read (${log.findings.join('; ')}): ${replaceText}`)
    return
  }
  if (log.base.clusterId !== memory!.clusterId) {
    plan.unmendable.push('the log belongs to another cluster than the memory of this node')
    return
  }
  if (survey.log.base === null && !(await exists(join(directory, nameOfState(log.base.base.state))))) {
    plan.unmendable.push(`what can be read of the log is older than the state: ${replaceText}`)
    return
  }
  const { catalogue } = log.recovered
  const cut = log.blocksHeld - (catalogue.end - catalogue.head)
  if (cut === 0 && log === survey.log && log.files.faults.length === 0) {
    if (survey.distrust.length > 0) plan.notes.push(`it is not trusted: ${survey.distrust.join('; ')}`)
    return
  }
  plan.log = log
  const { tail } = catalogue
  const more = cut === 0 ? '' : `, without ${cut} block${cut === 1 ? '' : 's'} that no longer fit`
  plan.mended.push(`the log is written anew up to ${tail.index}@${tail.term}${more}`)
  if (memory!.mark.index > tail.index) {
    plan.notes.push(`it had promised up to ${memory!.mark.index}: it is untrusted until a leader has brought the rest`)
  }
}

async function planState(directory: string, survey: Survey, scratch: Scratch, plan: Plan): Promise<void> {
  const log = plan.log ?? survey.log
  const { base } = log.base!
  const name = nameOfState(base.state)
  // A log that had to be rescued has not told before which state is in force.
  const state = survey.state ?? (await surveyState(directory, name, scratch))
  if (state.isSound) return
  const isAlone = log.recovered!.memberships.at(-1)!.membership.members.length === 1
  if (base.index > 0 && isAlone) {
    const why = `the log begins after ${base.index}, and no other member has what was before`
    plan.unmendable.push(`the state is damaged (${state.findings[0]}), ${why}: restore a backup`)
    return
  }
  plan.state = name
  plan.mended.push(`the state gives way to an empty one (${state.findings[0]})`)
  plan.notes.push(base.index === 0 ? 'the next start builds the state from the log' : 'a leader brings the state again')
}

/** Moves away what gives way, and puts in its place what was made. Gives the folder of what gave way, null for nothing. */
async function carryOut(directory: string, plan: Plan): Promise<string | null> {
  const made = join(directory, mending)
  await rm(made, { recursive: true, force: true })
  await mkdir(made, { mode: 0o700 })
  if (plan.log !== null) {
    await mkdir(join(made, 'log'), { mode: 0o700 })
    await rewriteLog(plan.log, join(made, 'log'))
    await sync(join(made, 'log'))
  }
  await sync(made)
  const kept = `repaired-${Math.max(0, ...(await keptNumbers(directory))) + 1}`
  await mkdir(join(directory, kept), { mode: 0o700 })
  await sync(directory)
  if (plan.log !== null) {
    await rename(join(directory, 'log'), join(directory, kept, 'log'))
    await rename(join(made, 'log'), join(directory, 'log'))
  }
  if (plan.state !== null) {
    const state = join(directory, plan.state)
    if (await exists(state)) await rename(state, join(directory, kept, plan.state))
    await mkdir(state, { mode: 0o700 })
  }
  await rm(made, { recursive: true, force: true })
  await sync(join(directory, kept))
  await sync(directory)
  if ((await readdir(join(directory, kept))).length > 0) return kept
  await rmdir(join(directory, kept))
  return null
}

function sync(folder: string): Promise<void> {
  return promised(done => syncFolder(folder, done))
}
