// Runs every workload at every depth against one cluster, with the load in a process of its own.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { launcherFile } from '../bin/launcher.ts'
import type { LoadJob, LoadResult } from './load.ts'
import { cpuUsOf } from './machine.ts'
import type { BenchRun, Workload } from './report.ts'

export interface BenchSettings {
  readonly endpoints: readonly string[]
  /** Process ids of the nodes, empty where they are not known. */
  readonly pids: readonly number[]
  readonly warmUpMs: number
  readonly durationMs: number
  readonly progress: (done: number, total: number, what: string) => void
}

export const keysCount = 10_000
export const valueBytes = 256
const workloads: readonly Workload[] = ['put', 'get']
const depths = [1, 64, 256, 1_000]

/** To the load's process. */
export type LoadRequest =
  | { readonly kind: 'fill'; readonly endpoints: readonly string[]; readonly keys: number; readonly valueBytes: number }
  | { readonly kind: 'run'; readonly job: LoadJob }

/** And from it. */
export type LoadReply =
  | { readonly kind: 'filled' }
  | { readonly kind: 'mark'; readonly at: 'begin' | 'end' }
  | { readonly kind: 'result'; readonly result: LoadResult }
  | { readonly kind: 'failed'; readonly text: string }

export async function runClusterBench(settings: BenchSettings): Promise<BenchRun[]> {
  const { endpoints, progress } = settings
  const load = new LoadProcess()
  const runs: BenchRun[] = []
  const total = workloads.length * depths.length
  try {
    progress(0, total, 'filling')
    await load.ask({ kind: 'fill', endpoints, keys: keysCount, valueBytes }, 'filled', () => {})
    for (const workload of workloads) {
      for (const inFlight of depths) {
        progress(runs.length, total, `${workload}, ${inFlight} in flight`)
        runs.push(await measure(load, settings, workload, inFlight))
      }
    }
    progress(total, total, 'done')
    return runs
  } finally {
    await load.close()
  }
}

async function measure(
  load: LoadProcess,
  settings: BenchSettings,
  workload: Workload,
  inFlight: number
): Promise<BenchRun> {
  const { warmUpMs, durationMs, pids } = settings
  const job = { workload, inFlight, warmUpMs, durationMs, keys: keysCount, valueBytes, seed: inFlight }
  const cpu: { begin: number | null; end: number | null } = { begin: null, end: null }
  const reply = await load.ask({ kind: 'run', job }, 'result', at => {
    cpu[at] = pids.length === 0 ? null : cpuUsOf(pids)
  })
  const { result } = reply
  if (result.operations === 0)
    throw new Error(`no ${workload} was answered: ${result.firstError ?? 'for no reason given'}`)
  return {
    system: 'stretto',
    workload,
    inFlight,
    connections: 1,
    opsPerSecond: rounded((result.operations * 1_000) / result.elapsedMs, 1),
    p50Ms: rounded(result.p50Ms, 3),
    p99Ms: rounded(result.p99Ms, 3),
    p999Ms: rounded(result.p999Ms, 3),
    errors: result.errors,
    serverCpuUsPerOp:
      cpu.begin === null || cpu.end === null ? null : rounded((cpu.end - cpu.begin) / result.operations, 2),
    clientCpuUsPerOp: rounded(result.cpuUs / result.operations, 2)
  }
}

/** The process that makes the load, one request at a time. */
class LoadProcess {
  readonly #child: ChildProcess = spawn(process.execPath, [launcherFile, 'bench-load'], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc']
  })

  ask<Kind extends LoadReply['kind']>(
    request: LoadRequest,
    kind: Kind,
    mark: (at: 'begin' | 'end') => void
  ): Promise<Extract<LoadReply, { kind: Kind }>> {
    return new Promise((resolve, reject) => {
      const finish = () => {
        this.#child.off('message', hear)
        this.#child.off('close', gone)
      }
      const gone = () => {
        finish()
        reject(new Error('the load generator has ended'))
      }
      const hear = (message: unknown) => {
        const reply = message as LoadReply // oxlint-disable-line typescript/no-unsafe-type-assertion -- from our own process
        if (reply.kind === 'mark') return mark(reply.at)
        finish()
        if (reply.kind === 'failed') reject(new Error(reply.text))
        else if (isOfKind(reply, kind)) resolve(reply)
        else reject(new Error(`the load generator answered ${reply.kind}`))
      }
      this.#child.on('message', hear)
      this.#child.once('close', gone)
      this.#child.send(request, error => error && gone())
    })
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const closed = once(this.#child, 'close')
    this.#child.kill('SIGKILL')
    await closed
  }
}

function isOfKind<Kind extends LoadReply['kind']>(
  reply: LoadReply,
  kind: Kind
): reply is Extract<LoadReply, { kind: Kind }> {
  return reply.kind === kind
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
