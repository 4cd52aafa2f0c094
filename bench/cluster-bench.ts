// Runs one workload after the other against one cluster, with the load in a process of its own.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { launcherFile } from '../bin/launcher.ts'
import type { LoadJob, LoadResult } from './load.ts'
import { cpuUsOf } from './machine.ts'
import type { PlannedRun } from './plan.ts'
import type { BenchRun } from './report.ts'
import type { Store } from './workloads.ts'

export interface BenchSettings {
  readonly system: BenchRun['system']
  readonly endpoints: readonly string[]
  /** Process ids of the nodes, empty where they are not known. */
  readonly pids: readonly number[]
  readonly plan: readonly PlannedRun[]
  readonly store: Store
  readonly warmUpMs: number
  readonly durationMs: number
  /** Called after each run: others are measured in turn with this one. */
  readonly between?: (run: PlannedRun) => Promise<readonly BenchRun[]>
  readonly progress: (done: number, total: number, what: string) => void
}

/** To the load's process. */
export type LoadRequest =
  | { readonly kind: 'fill'; readonly endpoints: readonly string[]; readonly store: Store }
  | { readonly kind: 'run'; readonly connections: number; readonly job: LoadJob }

/** And from it. */
export type LoadReply =
  | { readonly kind: 'filled' }
  | { readonly kind: 'mark'; readonly at: 'begin' | 'end' }
  | { readonly kind: 'result'; readonly result: LoadResult }
  | { readonly kind: 'failed'; readonly text: string }

export async function runClusterBench(settings: BenchSettings): Promise<BenchRun[]> {
  const { endpoints, plan, store, between, progress } = settings
  const load = new LoadProcess()
  const runs: BenchRun[] = []
  try {
    progress(0, plan.length, 'filling')
    await load.ask({ kind: 'fill', endpoints, store }, 'filled', () => {})
    for (const [number, run] of plan.entries()) {
      progress(number, plan.length, describe(run))
      runs.push(await measure(load, settings, run), ...((await between?.(run)) ?? []))
    }
    progress(plan.length, plan.length, 'done')
    return runs
  } finally {
    await load.close()
  }
}

function describe({ workload, connections, pace }: PlannedRun): string {
  const how = 'inFlight' in pace ? `${pace.inFlight} in flight` : `${pace.perSecond} a second`
  return connections === 1 ? `${workload}, ${how}` : `${workload}, ${how}, ${connections} connections`
}

async function measure(load: LoadProcess, settings: BenchSettings, run: PlannedRun): Promise<BenchRun> {
  const { system, warmUpMs, durationMs, pids, store } = settings
  const { workload, connections, pace } = run
  const job = { ...store, workload, pace, warmUpMs, durationMs, seed: connections }
  const cpu: { begin: number | null; end: number | null } = { begin: null, end: null }
  const reply = await load.ask({ kind: 'run', connections, job }, 'result', at => {
    cpu[at] = pids.length === 0 ? null : cpuUsOf(pids)
  })
  const { result } = reply
  const { operations } = result
  if (operations === 0)
    throw new Error(`no ${workload} was answered: ${result.firstError ?? 'not within the measured time'}`)
  const serverCpu = cpu.begin === null || cpu.end === null ? null : cpu.end - cpu.begin
  return {
    system,
    workload,
    inFlight: 'inFlight' in pace ? pace.inFlight : result.inFlightMax,
    connections,
    offeredPerSecond: 'perSecond' in pace ? pace.perSecond : null,
    opsPerSecond: rounded((operations * 1_000) / result.elapsedMs, 1),
    p50Ms: rounded(result.p50Ms, 3),
    p99Ms: rounded(result.p99Ms, 3),
    p999Ms: rounded(result.p999Ms, 3),
    maxMs: rounded(result.maxMs, 3),
    spectrum: result.spectrum.map(([share, ms]) => [share, rounded(ms, 3)]),
    errors: result.errors,
    serverCpuUsPerOp: serverCpu === null ? null : rounded(serverCpu / operations, 2),
    clientCpuUsPerOp: rounded(result.cpuUs / operations, 2)
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
