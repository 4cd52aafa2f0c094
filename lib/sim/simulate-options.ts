// What a simulation is asked for, checked before anything runs: a wrong option is one clear sentence, never a run of less.
import { StrettoError } from '../base/errors.ts'
import { checkNames, type Duration, msOf } from '../client/options.ts'
import type { MemoryMachine } from '../machine/memory-machine.ts'
import type { Depth } from './cluster.ts'
import { type FaultClass, type FaultEvent, readFaultClasses } from './faults.ts'
import { type Check, type NamedInvariant, sameState } from './machine/checks.ts'
import type { SimProgram } from './machine/workload.ts'
import type { RunReport } from './run.ts'
import { caseFrom, caseLimits } from './shrink/case.ts'

export interface SimulateOptions {
  /** The first seed; 1 by default. The same options, seeds and code give the same runs on every machine. */
  readonly seed?: number | undefined
  /** How many seeds, one after the other; 1 by default. */
  readonly seeds?: number | undefined
  /** From 1 to 9; 5 by default. */
  readonly nodes?: number | undefined
  /** How many clients run the workload at the same time, from 1 to 64; 4 by default. */
  readonly clients?: number | undefined
  /** `shallow` by default: network and log are replaced. `deep`: sockets, databases and files are, so all above runs as it is. */
  readonly depth?: Depth | undefined
  /** How long faults strike in each run, in virtual time up to an hour; 10 s by default. Then it has to become whole again. */
  readonly duration?: Duration | undefined
  /** `all` by default, `none`, or classes by name. */
  readonly faults?: 'all' | 'none' | readonly string[] | undefined
  /** These faults and no others, as a violation of an earlier run has them. */
  readonly schedule?: readonly FaultEvent[] | undefined
  /** Makes an empty machine, for each start of a node. Left out, with `workload`: the key-value store with its own clients. */
  readonly machine?: (() => MemoryMachine) | undefined
  /** What each client does. */
  readonly workload?: SimProgram | undefined
  /** `['linearizable']` by default. */
  readonly check?: readonly Check[] | undefined
  /** How often invariants are looked at, in virtual time; 100 ms by default, and always at the end. */
  readonly checkEvery?: Duration | undefined
  /** The report gets a page with a diagram of the run; of one seed only. */
  readonly trace?: boolean | undefined
  /** Ends the simulation early: the report tells of the seeds that were run by then. */
  readonly signal?: AbortSignal | undefined
  /** Told of each seed when it has been run. */
  readonly onSeed?: ((run: RunReport, done: number) => void) | undefined
}

/** The options with nothing left open. */
export interface Plan {
  readonly seed: number
  readonly seeds: number
  readonly nodes: number
  readonly clients: number
  readonly depth: Depth
  readonly durationMs: number
  readonly faults: readonly FaultClass[]
  readonly schedule: readonly FaultEvent[] | null
  readonly application: Application | null
  readonly trace: boolean
}

/** A machine that is not the key-value store, and what is done with it. */
export interface Application {
  readonly create: () => MemoryMachine
  readonly program: SimProgram
  readonly linearizable: boolean
  /** Made for each run. */
  readonly invariants: () => readonly NamedInvariant[]
  readonly everyMs: number
}

export const simulateDefaults = { seed: 1, seeds: 1, nodes: 5, clients: 4, durationMs: 10_000, everyMs: 100 } as const

const names: ReadonlySet<string> = new Set<keyof SimulateOptions>([
  'seed',
  'seeds',
  'nodes',
  'clients',
  'depth',
  'duration',
  'faults',
  'schedule',
  'machine',
  'workload',
  'check',
  'checkEvery',
  'trace',
  'signal',
  'onSeed'
])

/** @throws StrettoError BAD_REQUEST */
export function readPlan(options: SimulateOptions): Plan {
  checkNames(options, names)
  const { depth = 'shallow', trace = false } = options
  const seed = wholeNumber('seed', options.seed ?? simulateDefaults.seed, 0, Number.MAX_SAFE_INTEGER)
  const seeds = wholeNumber('seeds', options.seeds ?? simulateDefaults.seeds, 1, Number.MAX_SAFE_INTEGER - seed)
  const nodes = wholeNumber('nodes', options.nodes ?? simulateDefaults.nodes, 1, caseLimits.nodesMax)
  const clients = wholeNumber('clients', options.clients ?? simulateDefaults.clients, 1, caseLimits.clientsMax)
  if (depth !== 'shallow' && depth !== 'deep') refuse(`depth is '${String(depth)}', and must be 'shallow' or 'deep'`)
  const durationMs = readDuration('duration', options.duration ?? simulateDefaults.durationMs)
  if (durationMs > caseLimits.durationMsMax) refuse('duration is above one hour: use more seeds instead')
  if (trace && seeds > 1) refuse(`a trace is of one seed, and these are ${seeds}`)
  const whole = { seed, seeds, nodes, clients, depth, durationMs, trace }
  return { ...whole, ...readFaults(options, whole), application: readApplication(options) }
}

function readFaults(
  { faults, schedule }: SimulateOptions,
  whole: Pick<Plan, 'seed' | 'nodes' | 'clients' | 'depth' | 'durationMs'>
): Pick<Plan, 'faults' | 'schedule'> {
  if (schedule !== undefined) {
    if (faults !== undefined)
      refuse('faults and schedule exclude each other: a schedule says itself which faults strike')
    const { seed, nodes, clients, depth, durationMs } = whole
    return { faults: [], schedule: caseFrom({ seed, nodes, clients, depth, durationMs, schedule }).schedule }
  }
  return { faults: faultsNamed(faults ?? 'all'), schedule: null }
}

/**
 * `all`, `none`, or names of classes.
 * @throws StrettoError BAD_REQUEST
 */
export function faultsNamed(faults: unknown): readonly FaultClass[] {
  if (faults === 'all') return readFaultClasses('all')
  const list: unknown = faults === 'none' ? ['none'] : faults
  if (!isTexts(list)) return refuse(`faults is '${String(faults)}', and must be 'all', 'none' or a list of names`)
  if (!list.includes('none')) return readFaultClasses(list)
  return list.length === 1 ? [] : refuse(`faults names 'none' together with others`)
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(each => typeof each === 'string')
}

function readApplication({ machine, workload, check, checkEvery }: SimulateOptions): Application | null {
  if (machine === undefined || workload === undefined) {
    if (machine !== undefined) refuse('a machine needs a workload: what its clients do with it')
    if (workload !== undefined) refuse('a workload needs a machine: what its commands are executed by')
    if ((check ?? []).some(each => each !== 'linearizable') || checkEvery !== undefined) {
      refuse('check and checkEvery are for a machine of your own: the key-value store has checks of its own')
    }
    return null
  }
  if (typeof machine !== 'function') refuse('machine is a function that makes an empty machine')
  if (typeof workload !== 'function') refuse('workload is a function that is run once for each client')
  const checks = readChecks(check ?? ['linearizable'])
  return {
    create: machine,
    program: workload,
    linearizable: checks.includes('linearizable'),
    invariants: () =>
      checks.flatMap(each => (each === 'linearizable' ? [] : each === 'same-state' ? [sameState()] : [each])),
    everyMs: readDuration('checkEvery', checkEvery ?? simulateDefaults.everyMs)
  }
}

function readChecks(check: readonly Check[]): readonly ('linearizable' | 'same-state' | NamedInvariant)[] {
  if (!Array.isArray(check)) return refuse('check is a list')
  return check.map((each: Check, at) => {
    if (each === 'linearizable' || each === 'same-state') return each
    if (typeof each === 'function') return { name: each.name === '' ? `check ${at + 1}` : each.name, check: each }
    if (
      typeof each === 'object' &&
      each !== null &&
      typeof each.check === 'function' &&
      typeof each.name === 'string'
    ) {
      return { name: each.name, check: view => each.check(view) }
    }
    const known = `'linearizable', 'same-state', a function, or { name, check }`
    return refuse(`check ${at + 1} is none of ${known}`)
  })
}

function readDuration(name: string, duration: Duration): number {
  return Math.ceil(msOf(duration, name))
}

function wholeNumber(name: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value
  const most = max > 1e9 ? `of ${min} or more` : `from ${min} to ${max}`
  return refuse(`${name} is ${String(value)}, and must be a whole number ${most}`)
}

function refuse(text: string): never {
  throw new StrettoError('BAD_REQUEST', text)
}
