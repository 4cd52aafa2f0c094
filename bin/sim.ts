// `stretto sim`: seeds of the built-in key-value workload in the simulator, what struck them, and what they broke.
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { formatDuration } from '../lib/server/durations.ts'
import { UsageError } from '../lib/server/usage-error.ts'
import { faultNames } from '../lib/sim/faults.ts'
import { PageTrace } from '../lib/sim/replay.ts'
import { type Case, caseLimits, runCase } from '../lib/sim/shrink/case.ts'
import { shrinkCase } from '../lib/sim/shrink/shrink.ts'
import { simulate } from '../lib/sim/simulate.ts'
import { simulateDefaults } from '../lib/sim/simulate-options.ts'
import { type SimulateReport, Tally } from '../lib/sim/tally.ts'
import { CommandFault, exitCode } from './faults.ts'
import { defaultOutput } from './print.ts'
import { createProgress, type Progress } from './progress.ts'
import { readSimOrder, reasonOf, type SeedsOrder, type SimFlags, type SimOrder, seedsDefault } from './sim-order.ts'
import { type FirstShrunk, printReport } from './sim-print.ts'

/** Shrinking is left where it is after so long. */
const shrinkMsMax = 30_000
const progressLinesMax = 10

export function sim(command: Command): void {
  const { nodes, clients, durationMs } = simulateDefaults
  command
    .option('--seeds <n>', `how many seeds to run, one after the other (default: ${seedsDefault}, or 1 with --seed)`)
    .option('--seed <n>', 'the seed, or the first one (default: 1)')
    .option('--nodes <n>', `nodes of the cluster, up to ${caseLimits.nodesMax} (default: ${nodes})`)
    .option('--clients <n>', `clients that call at the same time, up to ${caseLimits.clientsMax} (default: ${clients})`)
    .option(
      '--duration <duration>',
      `how long faults strike in each run, in virtual time (default: ${formatDuration(durationMs)})`
    )
    .addOption(
      new Option(
        '--depth <depth>',
        'shallow (default): network and log are simulated; deep: links and databases'
      ).choices(['shallow', 'deep'])
    )
    .option('--faults <list>', 'all (default), none, or names from the list below')
    .option('--schedule <file>', 'run this case again, a JSON file as a violation prints it')
    .option('--trace <file>', 'write a page with a diagram of the run, of one seed')
    .addOption(
      new Option('-o, --output <format>', 'table or json (default: table on a terminal, else json)').choices([
        'table',
        'json'
      ])
    )
    .addHelpText(
      'after',
      `\nFaults: ${faultLines()}.\n\nThe same options and seeds give the same digest. Ends with 1 where something was violated.`
    )
    .action(runSim)
}

function faultLines(): string {
  const lines = ['']
  for (const name of faultNames) {
    if (lines.at(-1)!.length + name.length > 90) lines.push('')
    lines.push(`${lines.pop()!} ${name},`)
  }
  return lines.join('\n ').trim().slice(0, -1)
}

async function runSim(flags: SimFlags): Promise<void> {
  const order = readSimOrder(flags)
  const page = flags.trace === undefined ? null : new PageFile(flags.trace)
  const ending = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort())
  const progress = await createProgress(progressLinesMax)
  let report: SimulateReport
  let shrunk: FirstShrunk | null = null
  try {
    if (order.kind === 'case') report = await runOneCase(order, page !== null)
    else {
      report = await runSeeds(order, page !== null, ending.signal, progress)
      if (!ending.signal.aborted) shrunk = await shrinkFirst(order, report, ending.signal, progress)
    }
  } finally {
    progress.stop()
  }
  page?.write(report.trace ?? '')
  await printReport(report, shrunk, flags.output ?? defaultOutput())
  const seeds = order.kind === 'case' ? 1 : order.seeds
  if (report.violations.length > 0) {
    throw new CommandFault(exitCode.failed, `${report.violations.length} of ${report.seeds} runs broke an invariant`)
  }
  if (report.seeds < seeds)
    throw new CommandFault(exitCode.interrupted, `interrupted after ${report.seeds} of ${seeds} seeds`)
}

async function runSeeds(
  { seed, seeds, nodes, clients, depth, faults, durationMs }: SeedsOrder,
  trace: boolean,
  signal: AbortSignal,
  progress: Progress
): Promise<SimulateReport> {
  let broken = 0
  progress.show(0, seeds, 'seeds')
  return simulate({
    seed,
    seeds,
    nodes,
    clients,
    depth,
    duration: durationMs,
    faults,
    trace,
    signal,
    onSeed: ({ violation }, done) => {
      if (violation !== null) broken++
      progress.show(done, seeds, broken === 0 ? 'seeds' : `seeds, ${broken} with a violation`)
    }
  })
}

async function runOneCase({ file, found }: Exclude<SimOrder, SeedsOrder>, traced: boolean): Promise<SimulateReport> {
  const page = traced ? new PageTrace(found.nodes) : null
  const run = await runCase(found, page?.sink ?? null)
  const replay = `npx stretto sim --schedule ${/^[\w./-]+$/.test(file) ? file : JSON.stringify(file)}`
  const tally = new Tally(found.schedule.map(({ kind }) => kind))
  tally.add(run, replay)
  return { ...tally.report, ...(page !== null && { trace: page.page({ ...found, faults: [] }, run, replay) }) }
}

/** The first violation, with as little left of its run as can be found in a while. */
async function shrinkFirst(
  { nodes, clients, depth, durationMs }: SeedsOrder,
  { violations: [first] }: SimulateReport,
  signal: AbortSignal,
  progress: Progress
): Promise<FirstShrunk | null> {
  if (first === undefined) return null
  progress.stop()
  const { seed, schedule, invariant } = first
  const found: Case = { seed, depth, nodes, clients, durationMs, schedule, invariant }
  const begun = performance.now()
  const { case: smallest, minimal } = await shrinkCase(found, {
    stop: () => signal.aborted || performance.now() - begun > shrinkMsMax,
    progress: ({ stage, runs, runsMax, smallest }) =>
      progress.show(runs, runsMax, `runs to shrink it: ${stage}, ${smallest.schedule.length} faults left`)
  })
  return { found: smallest, minimal }
}

/** Opened before the run, so that a file that cannot be written costs nobody the time of one. */
class PageFile {
  readonly #descriptor: number

  /** @throws UsageError */
  constructor(file: string) {
    try {
      this.#descriptor = openSync(file, 'w')
    } catch (error) {
      throw new UsageError(`--trace '${file}' cannot be written: ${reasonOf(error)}`)
    }
  }

  write(page: string): void {
    writeFileSync(this.#descriptor, page)
    closeSync(this.#descriptor)
  }
}
