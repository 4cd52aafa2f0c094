// What `stretto sim` is asked to run: flags read and checked against each other before anything runs.
import { readFileSync } from 'node:fs'
import { StrettoError } from '../lib/base/errors.ts'
import { formatDuration, parseDuration } from '../lib/server/durations.ts'
import { faultText, UsageError } from '../lib/server/usage-error.ts'
import type { Depth } from '../lib/sim/cluster.ts'
import type { FaultClass } from '../lib/sim/faults.ts'
import { type Case, caseLimits, readCase } from '../lib/sim/shrink/case.ts'
import { faultsNamed, simulateDefaults } from '../lib/sim/simulate-options.ts'
import { parseCount } from './client-options.ts'
import type { Output } from './print.ts'

export interface SimFlags {
  readonly seeds?: string
  readonly seed?: string
  readonly nodes?: string
  readonly clients?: string
  readonly duration?: string
  readonly depth?: Depth
  readonly faults?: string
  readonly schedule?: string
  readonly trace?: string
  readonly output?: Output
}

/** Runs of these seeds, or of one case out of a file. */
export type SimOrder = SeedsOrder | { readonly kind: 'case'; readonly file: string; readonly found: Case }

export interface SeedsOrder {
  readonly kind: 'seeds'
  readonly seed: number
  readonly seeds: number
  readonly nodes: number
  readonly clients: number
  readonly depth: Depth
  readonly durationMs: number
  readonly faults: readonly FaultClass[]
}

export const seedsDefault = 100

/** What a case says itself. */
const caseFlags = ['seeds', 'seed', 'nodes', 'clients', 'duration', 'depth', 'faults'] as const

/** @throws UsageError */
export function readSimOrder(flags: SimFlags): SimOrder {
  if (flags.schedule !== undefined) return readCaseOrder(flags.schedule, flags)
  const seed = flags.seed === undefined ? simulateDefaults.seed : parseCount('--seed', flags.seed, 0)
  const seeds = readSeeds(flags)
  if (seed + seeds > Number.MAX_SAFE_INTEGER) throw new UsageError(`--seed ${seed} leaves no room for ${seeds} seeds`)
  if (flags.trace !== undefined && seeds > 1) {
    throw new UsageError(`--trace shows the run of one seed, and these are ${seeds}: name it by --seed`)
  }
  return {
    kind: 'seeds',
    seed,
    seeds,
    nodes: readUpTo('--nodes', flags.nodes, simulateDefaults.nodes, caseLimits.nodesMax),
    clients: readUpTo('--clients', flags.clients, simulateDefaults.clients, caseLimits.clientsMax),
    depth: flags.depth ?? 'shallow',
    durationMs: readDuration(flags.duration),
    faults: readFaults(flags.faults ?? 'all')
  }
}

/** One seed where one is named and nothing is said of how many. */
function readSeeds({ seeds, seed }: SimFlags): number {
  if (seeds !== undefined) return parseCount('--seeds', seeds, 1)
  return seed === undefined ? seedsDefault : 1
}

function readCaseOrder(file: string, flags: SimFlags): SimOrder {
  const other = caseFlags.find(name => flags[name] !== undefined)
  if (other !== undefined) {
    throw new UsageError(`--schedule and --${other} exclude each other: the file says all that its run depends on`)
  }
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new UsageError(`--schedule '${file}' cannot be read: ${reasonOf(error)}`)
  }
  return { kind: 'case', file, found: asUsage(`--schedule '${file}'`, () => readCase(text)) }
}

function readUpTo(name: string, text: string | undefined, fallback: number, most: number): number {
  const count = text === undefined ? fallback : parseCount(name, text, 1)
  if (count > most) throw new UsageError(`${name} ${count} is more than is simulated: at most ${most}`)
  return count
}

function readDuration(text: string | undefined): number {
  const ms = text === undefined ? simulateDefaults.durationMs : parseDuration(text)
  const { durationMsMax } = caseLimits
  if (ms === 0) throw new UsageError(`--duration '${text}' is no time at all: at least 1ms`)
  if (ms <= durationMsMax) return ms
  throw new UsageError(`--duration '${text}' is too long: at most ${formatDuration(durationMsMax)} for each seed`)
}

function readFaults(text: string): readonly FaultClass[] {
  const names = text
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '')
  if (names.length === 0) throw new UsageError("--faults is empty: write all, none, or names such as 'crash,partition'")
  return asUsage('--faults', () => faultsNamed(names))
}

/** `no such file or directory`, out of an error of the file system. */
export function reasonOf(error: unknown): string {
  return faultText(error)
    .replace(/^[A-Z]+: /, '')
    .replace(/, \w+( '.*')?$/, '')
}

function asUsage<T>(name: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof StrettoError && error.code === 'BAD_REQUEST') throw new UsageError(`${name}: ${error.message}`)
    throw error
  }
}
