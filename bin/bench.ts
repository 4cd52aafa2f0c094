// `stretto bench`: how fast a cluster of three on this machine is, or one that runs already.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { Ceiling } from '../bench/ceiling.ts'
import { type BenchSettings, runClusterBench } from '../bench/cluster-bench.ts'
import { describeMachine } from '../bench/machine.ts'
import { reportPage } from '../bench/page.ts'
import { ceilingPlan, type PlannedRun, quickPlan, wholePlan } from '../bench/plan.ts'
import { type BenchReport, type BenchRun, ceilingOf, rowOfRun, runColumns } from '../bench/report.ts'
import { type Store, type WorkloadName, workloadNames } from '../bench/workloads.ts'
import { parseDuration } from '../lib/server/durations.ts'
import { parseSize } from '../lib/server/sizes.ts'
import { UsageError } from '../lib/server/usage-error.ts'
import { readEndpoints } from './client-options.ts'
import { CommandFault, exitCode } from './faults.ts'
import { freePorts, LocalCluster } from './local-cluster.ts'
import { printJson, printTable } from './print.ts'
import { createProgress } from './progress.ts'

interface BenchOptions {
  readonly endpoints?: string
  readonly duration?: string
  readonly workloads?: string
  readonly inFlight?: string
  readonly connections?: string
  readonly rate?: string
  readonly keys: string
  readonly valueSize: string
  readonly quick?: boolean
  readonly json?: boolean
  readonly html?: string
}

const quickMs = 1_800
const durationMs = 10_000
const warmUpMs = 500
const durationMsMin = 100
const keysMin = 1_000

export function bench(command: Command): void {
  command
    .option(
      '--endpoints <list>',
      'measure this cluster, host:port,...: it gets keys below bench/ (default: a new one of three nodes)'
    )
    .option('--duration <duration>', 'how long each run is measured (default: 10s)')
    .option('--workloads <list>', `which of ${workloadNames.join(', ')} (default: all)`)
    .option('--in-flight <list>', 'how many callers (default: 1,16,64,256,1000)')
    .option('--connections <list>', 'over how many connections (default: 1,16)')
    .option('--rate <number>', 'so many operations a second, answered or not, instead of callers that wait')
    .option('--keys <number>', 'how many keys there are', '10000')
    .option('--value-size <size>', 'size of each value', '256B')
    .option('--quick', 'a choice of runs in less than 45 s')
    .option('--json', 'print one JSON object instead of a table')
    .option('--html <file>', 'write a report with plots to this file as well')
    .action(runBench)
}

async function runBench(options: BenchOptions): Promise<void> {
  const { endpoints, json = false, html } = options
  const { plan, store, ...times } = readWishes(options)
  const given = endpoints === undefined ? null : readEndpoints(endpoints)
  const directory = mkdtempSync(join(tmpdir(), 'stretto-bench-'))
  const progress = await createProgress()
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => reject(new CommandFault(exitCode.interrupted, 'interrupted')))
    }
  })
  const cluster = given === null ? await createCluster(directory) : null
  try {
    const machine = describeMachine(directory)
    const where = { endpoints: given ?? cluster!.endpoints, progress: progress.show }
    const measured = (async () => {
      await cluster?.start()
      const runs = await runClusterBench({
        ...times,
        ...where,
        system: 'stretto',
        plan,
        store,
        pids: cluster?.pids ?? []
      })
      // A cluster of elsewhere does not run on what this machine can do.
      const most =
        cluster === null
          ? []
          : await measureCeiling({ ...times, store, plan: ceilingPlan(plan), progress: progress.show })
      return { runs, ceiling: ceilingOf(runs, most) }
    })()
    const { runs, ceiling } = await Promise.race([measured, interrupted])
    progress.stop()
    const report = { machine, store, runs, ratios: [], ceiling }
    if (html !== undefined) writeFileSync(html, reportPage(report, new Date().toISOString()))
    await print(report, json)
    await cluster?.stop()
  } finally {
    progress.stop()
    cluster?.killAll()
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** The same load on the same machine without consensus, while the cluster rests. */
async function measureCeiling(settings: Omit<BenchSettings, 'system' | 'endpoints' | 'pids'>): Promise<BenchRun[]> {
  if (settings.plan.length === 0) return []
  const ceiling = await Ceiling.start()
  try {
    const { endpoints, pids } = ceiling
    return await runClusterBench({ ...settings, system: 'ceiling', endpoints, pids })
  } finally {
    await ceiling.stop()
  }
}

interface Settings {
  readonly plan: readonly PlannedRun[]
  readonly store: Store
  readonly warmUpMs: number
  readonly durationMs: number
}

function readWishes(options: BenchOptions): Settings {
  const { quick = false, duration, workloads, inFlight, connections, rate } = options
  const chosen = Object.entries({ duration, workloads, 'in-flight': inFlight, connections, rate })
  const besides = chosen.find(([, value]) => value !== undefined)
  if (quick && besides !== undefined) throw new UsageError(`--quick and --${besides[0]} exclude each other`)
  if (inFlight !== undefined && rate !== undefined) throw new UsageError('--in-flight and --rate exclude each other')
  const each = duration === undefined ? (quick ? quickMs : durationMs) : parseDuration(duration)
  if (each < durationMsMin)
    throw new UsageError(`--duration '${duration}' is too short to measure anything: at least ${durationMsMin}ms`)
  const store = { keys: readNumber('keys', options.keys, keysMin), valueBytes: parseSize(options.valueSize) }
  const plan = quick
    ? quickPlan
    : wholePlan({
        workloads: workloads?.split(',').map(readWorkload),
        inFlight: inFlight?.split(',').map(text => readNumber('in-flight', text, 1)),
        connections: connections?.split(',').map(text => readNumber('connections', text, 1)),
        perSecond: rate === undefined ? undefined : readNumber('rate', rate, 1)
      })
  if (plan.length === 0) throw new UsageError('nothing to measure: there are fewer callers than connections')
  return { plan, store, warmUpMs, durationMs: each }
}

function readWorkload(text: string): WorkloadName {
  const found = workloadNames.find(name => name === text.trim())
  if (found === undefined) throw new UsageError(`there is no workload '${text}': ${workloadNames.join(', ')}`)
  return found
}

function readNumber(option: string, text: string, least: number): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number >= least) return number
  throw new UsageError(`--${option} '${text}' is no whole number of at least ${least}`)
}

async function createCluster(directory: string): Promise<LocalCluster> {
  const ports = await freePorts(3)
  const nodes = new Map(ports.map((port, at) => [`n${at + 1}`, `127.0.0.1:${port}`] as const))
  return new LocalCluster({ dataDir: directory, nodes, line: () => {}, ended: () => {} })
}

async function print(report: BenchReport, json: boolean): Promise<void> {
  const { cpus, node, platform, fsyncMs } = report.machine
  const { keys, valueBytes } = report.store
  process.stderr.write(
    `${cpus} CPUs, Node ${node}, ${platform}, a durable write of 4 KiB takes ${fsyncMs} ms. ` +
      `Values of ${valueBytes} bytes, ${keys.toLocaleString('en')} keys, linearizable reads.\n` +
      'Not measured in this version: other systems (ratios).\n'
  )
  process.stderr.write(ceilingText(report.ceiling))
  if (json) printJson(report)
  else await printTable(runColumns, report.runs.map(rowOfRun))
  refuseErrors(report.runs)
}

function ceilingText(ceiling: BenchReport['ceiling']): string {
  if (ceiling === null) return ''
  const { puts, gets, share, inFlight } = ceiling
  const part = (name: string, most: number | null, own: number | null): string[] =>
    most === null
      ? []
      : [`${Math.round(most).toLocaleString('en')} ${name}/s, of which this is ${Math.round(100 * (own ?? 0))} %`]
  const parts = [...part('puts', puts, share.puts), ...part('gets', gets, share.gets)]
  return `Without consensus the same parts do, with ${inFlight} in flight, ${parts.join('; ')}.\n`
}

function refuseErrors(runs: readonly BenchRun[]): void {
  const errors = runs.reduce((sum, run) => sum + run.errors, 0)
  if (errors > 0)
    throw new CommandFault(exitCode.failed, `${errors} operations failed, so the figures are not to be trusted`)
}
