// `stretto bench`: how fast a cluster of three on this machine is, or one that runs already.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { keysCount, runClusterBench, valueBytes } from '../bench/cluster-bench.ts'
import { describeMachine } from '../bench/machine.ts'
import { type BenchReport, type BenchRun, rowOfRun, runColumns } from '../bench/report.ts'
import { parseDuration } from '../lib/server/durations.ts'
import { UsageError } from '../lib/server/usage-error.ts'
import { readEndpoints } from './client-options.ts'
import { CommandFault, exitCode } from './faults.ts'
import { freePorts, LocalCluster } from './local-cluster.ts'
import { printJson, printTable } from './print.ts'
import { createProgress } from './progress.ts'

interface BenchOptions {
  readonly endpoints?: string
  readonly duration?: string
  readonly quick?: boolean
  readonly json?: boolean
}

const quickMs = 2_500
const durationMs = 10_000
const warmUpMs = 500

export function bench(command: Command): void {
  command
    .option(
      '--endpoints <list>',
      'measure this cluster, host:port,...: it gets keys below bench/ (default: a new one of three nodes)'
    )
    .option('--duration <duration>', 'how long each run is measured (default: 10s)')
    .option('--quick', 'the whole in less than 45 s')
    .option('--json', 'print one JSON object instead of a table')
    .action(runBench)
}

async function runBench(options: BenchOptions): Promise<void> {
  const { endpoints, duration, quick = false, json = false } = options
  if (quick && duration !== undefined) throw new UsageError('--quick and --duration exclude each other')
  const settings = {
    warmUpMs,
    durationMs: duration === undefined ? (quick ? quickMs : durationMs) : parseDuration(duration)
  }
  if (settings.durationMs < 100)
    throw new UsageError(`--duration '${duration}' is too short to measure anything: at least 100ms`)
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
      return runClusterBench({ ...settings, ...where, pids: cluster?.pids ?? [] })
    })()
    const runs = await Promise.race([measured, interrupted])
    progress.stop()
    await print({ machine, runs, ratios: [], ceiling: null }, json)
    await cluster?.stop()
  } finally {
    progress.stop()
    cluster?.killAll()
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

async function createCluster(directory: string): Promise<LocalCluster> {
  const ports = await freePorts(3)
  const nodes = new Map(ports.map((port, at) => [`n${at + 1}`, `127.0.0.1:${port}`] as const))
  return new LocalCluster({ dataDir: directory, nodes, line: () => {}, ended: () => {} })
}

async function print(report: BenchReport, json: boolean): Promise<void> {
  const { cpus, node, platform, fsyncMs } = report.machine
  process.stderr.write(
    `${cpus} CPUs, Node ${node}, ${platform}, a durable write of 4 KiB takes ${fsyncMs} ms. ` +
      `Values of ${valueBytes} bytes, ${keysCount.toLocaleString('en')} keys, one connection, linearizable reads.\n` +
      'Not measured in this version: other systems (ratios), and what the parts could do without consensus (ceiling).\n'
  )
  if (json) printJson(report)
  else await printTable(runColumns, report.runs.map(rowOfRun))
  refuseErrors(report.runs)
}

function refuseErrors(runs: readonly BenchRun[]): void {
  const errors = runs.reduce((sum, run) => sum + run.errors, 0)
  if (errors > 0)
    throw new CommandFault(exitCode.failed, `${errors} operations failed, so the figures are not to be trusted`)
}
