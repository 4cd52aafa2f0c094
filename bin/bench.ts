// `stretto bench`: how fast a cluster of three on this machine is, or one that runs already.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { describeMachine } from '../bench/machine.ts'
import { reportPage } from '../bench/page.ts'
import { type PeerName, peerNames } from '../bench/peers/peer.ts'
import { type PlannedRun, quickPlan, wholePlan } from '../bench/plan.ts'
import { type BenchReport, type BenchRun, ratioColumns, rowOfRatio, rowOfRun, runColumns } from '../bench/report.ts'
import { runWholeBench, type Stops } from '../bench/whole.ts'
import { type Store, workloadNames } from '../bench/workloads.ts'
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
  readonly peer?: string
}

const quickMs = 1_600
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
    .option(
      '--peer <list>',
      `measure these as well, run by run in turn: ${peerNames.join(', ')} (bench/peers/README.md)`
    )
    .option('--quick', 'a choice of runs in less than 45 s')
    .option('--json', 'print one JSON object instead of a table')
    .option('--html <file>', 'write a report with plots to this file as well')
    .action(runBench)
}

async function runBench(options: BenchOptions): Promise<void> {
  const { endpoints, json = false, html } = options
  const { plan, store, peers, ...times } = readWishes(options)
  const given = endpoints === undefined ? null : readEndpoints(endpoints)
  const directory = mkdtempSync(join(tmpdir(), 'stretto-bench-'))
  const progress = await createProgress()
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => reject(new CommandFault(exitCode.interrupted, 'interrupted')))
    }
  })
  const cluster = given === null ? await createCluster(directory) : null
  const stops: Stops = []
  try {
    const machine = describeMachine(directory)
    const measured = (async () => {
      await cluster?.start()
      const where = { endpoints: given ?? cluster!.endpoints, pids: cluster?.pids ?? [], isLocal: cluster !== null }
      return await runWholeBench({ ...times, ...where, plan, store, peers, progress: progress.show }, stops)
    })()
    const { remarks, ...found } = await Promise.race([measured, interrupted])
    progress.stop()
    const report = { machine, store, ...found }
    if (html !== undefined) writeFileSync(html, reportPage(report, new Date().toISOString()))
    await print(report, remarks, json)
    await cluster?.stop()
  } finally {
    progress.stop()
    cluster?.killAll()
    await Promise.all(stops.map(stop => stop()))
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

interface Settings {
  readonly plan: readonly PlannedRun[]
  readonly store: Store
  readonly peers: readonly PeerName[]
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
        workloads: workloads?.split(',').map(text => readName('workloads', text, workloadNames)),
        inFlight: inFlight?.split(',').map(text => readNumber('in-flight', text, 1)),
        connections: connections?.split(',').map(text => readNumber('connections', text, 1)),
        perSecond: rate === undefined ? undefined : readNumber('rate', rate, 1)
      })
  if (plan.length === 0) throw new UsageError('nothing to measure: there are fewer callers than connections')
  const peers = (options.peer?.split(',') ?? []).map(text => readName('peer', text, peerNames))
  return { plan, store, peers, warmUpMs, durationMs: each }
}

function readName<Name extends string>(option: string, text: string, names: readonly Name[]): Name {
  const found = names.find(name => name === text.trim())
  if (found === undefined) throw new UsageError(`there is no '${text}' for --${option}: ${names.join(', ')}`)
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

async function print(report: BenchReport, remarks: readonly string[], json: boolean): Promise<void> {
  const { cpus, node, platform, fsyncMs } = report.machine
  const { keys, valueBytes } = report.store
  process.stderr.write(
    `${cpus} CPUs, Node ${node}, ${platform}, a durable write of 4 KiB takes ${fsyncMs} ms. ` +
      `Values of ${valueBytes} bytes, ${keys.toLocaleString('en')} keys, linearizable reads.\n`
  )
  for (const remark of remarks) process.stderr.write(`${remark}.\n`)
  process.stderr.write(ceilingText(report.ceiling))
  if (json) printJson(report)
  else {
    await printTable(runColumns, report.runs.map(rowOfRun))
    if (report.ratios.length > 0) await printTable(ratioColumns, report.ratios.map(rowOfRatio))
  }
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
