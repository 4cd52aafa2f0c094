// `stretto/sim`: an application's own machine and client code in thousands of storms, in one process and in virtual time.
//
//   const report = await simulate({ seed: 7, machine: () => new Counter(), workload, check: ['linearizable', myInvariant] })
//
// Nodes and clients are the ones of production; the network, the disks, the clocks and the processes are simulated, and
// every class of fault strikes them. What happens is a function of the code, the options and the seed.
import type { SimCluster } from './cluster.ts'
import { KvWorkload } from './kv-workload.ts'
import { MachineWatch } from './machine/watch.ts'
import { MachineWorkload } from './machine/workload.ts'
import { PageTrace, replayCommand } from './replay.ts'
import { type RunOptions, type RunReport, runSeed } from './run.ts'
import { type Application, type Plan, readPlan, type SimulateOptions } from './simulate-options.ts'
import { type SimulateReport, Tally } from './tally.ts'
import type { WorkloadParts } from './workload.ts'

export { type ErrorCode, type Fate, StrettoError } from '../base/errors.ts'
export type { Duration } from '../client/options.ts'
export type { CommandContext, MemoryMachine } from '../machine/memory-machine.ts'
export type { Depth } from './cluster.ts'
export { type FaultClass, type FaultCounts, type FaultEvent, faultNames } from './faults.ts'
export type { Acknowledged, Check, Invariant, MachineView, NamedInvariant, View } from './machine/checks.ts'
export type { QueryConsistency } from './machine/query.ts'
export type { SimClient, SimProcess, SimProgram, SimQueryOptions } from './machine/workload.ts'
export type { RunReport } from './run.ts'
export type { SimulateOptions } from './simulate-options.ts'
export type { SimulateReport, SimulateViolation } from './tally.ts'

/**
 * Runs the seeds, one after the other. Resolves whether or not something was violated: the report tells.
 * @throws StrettoError BAD_REQUEST for an option that is wrong
 */
export async function simulate(options: SimulateOptions = {}): Promise<SimulateReport> {
  const plan = readPlan(options)
  const { signal, onSeed } = options
  const tally = new Tally(plan.schedule?.map(({ kind }) => kind) ?? plan.faults)
  let page: string | undefined
  for (let at = 0; at < plan.seeds; at++) {
    const trace = plan.trace ? new PageTrace(plan.nodes) : null
    const ordered = { ...runOptionsOf(plan, plan.seed + at), trace: trace?.sink ?? null }
    const run = await runUnless(signal, ordered)
    if (run === null) break
    const replay = replayOf(plan, ordered)
    tally.add(run, replay)
    page = trace?.page(ordered, run, replay)
    onSeed?.(run, at + 1)
  }
  return { ...tally.report, ...(page !== undefined && { trace: page }) }
}

function runOptionsOf(plan: Plan, seed: number): RunOptions {
  const { nodes, clients, depth, faults, durationMs, schedule, application } = plan
  const own = application === null ? null : ordersOf(application)
  return { seed, nodes, clients, depth, faults, durationMs, ...(schedule !== null && { schedule }), ...own }
}

function ordersOf(application: Application): Pick<RunOptions, 'machine' | 'workload'> {
  const watch = new MachineWatch(application.create)
  const orders = { ...application, watch, invariants: application.invariants() }
  return { machine: watch.make, workload: parts => new MachineWorkload(parts, orders) }
}

/** A program has no command line of its own: it is told what to change in its call. */
function replayOf({ application, schedule, seed, seeds }: Plan, ordered: RunOptions): string {
  if (application === null && schedule === null) return replayCommand(ordered)
  return seeds === 1 && seed === ordered.seed
    ? 'simulate(options), with the same options'
    : `simulate({ ...options, seed: ${ordered.seed}, seeds: 1 })`
}

/** One run; null where the signal has come before its end. */
async function runUnless(signal: AbortSignal | undefined, ordered: RunOptions): Promise<RunReport | null> {
  if (signal === undefined) return runSeed(ordered)
  if (signal.aborted) return null
  let cluster: SimCluster | null = null
  const { workload: make = (parts: WorkloadParts) => new KvWorkload(parts) } = ordered
  const end = (): void => cluster?.fail(new Error('ended from outside'))
  const workload: RunOptions['workload'] = parts => {
    cluster = parts.cluster
    if (signal.aborted) end()
    return make(parts)
  }
  signal.addEventListener('abort', end)
  const run = await runSeed({ ...ordered, workload })
  signal.removeEventListener('abort', end)
  return signal.aborted ? null : run
}
