// What a benchmark hands on: the JSON that programs read, and the table for people.
import type { Store, WorkloadName } from './workloads.ts'

/** Field names are stable; more may be added. */
export interface BenchReport {
  readonly machine: Machine
  readonly store: Store
  readonly runs: readonly BenchRun[]
  /** Against other systems under the same load; empty, as none is run here yet. */
  readonly ratios: readonly Ratio[]
  /** What the parts could do without consensus; null, as it is not measured yet. */
  readonly ceiling: null
}

export interface Machine {
  readonly cpus: number
  readonly node: string
  readonly platform: string
  /** Median time of a durable write of 4 KiB where the data lie. */
  readonly fsyncMs: number
}

export interface BenchRun {
  readonly system: 'stretto'
  readonly workload: WorkloadName
  readonly inFlight: number
  readonly connections: number
  /** Of an open loop, whose `inFlight` is the most there were; null for a closed one. */
  readonly offeredPerSecond: number | null
  readonly opsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
  /** Pairs of a share of the operations in percent, and milliseconds. */
  readonly spectrum: readonly (readonly [number, number])[]
  readonly errors: number
  /** CPU of all nodes together; null where they are not processes of this machine that the benchmark started. */
  readonly serverCpuUsPerOp: number | null
  readonly clientCpuUsPerOp: number
}

export interface Ratio {
  readonly peer: string
  readonly workload: WorkloadName
  readonly inFlight: number
  readonly ratio: number
}

export const runColumns = [
  'workload',
  'offered',
  'in flight',
  'links',
  'per second',
  'p50 ms',
  'p99 ms',
  'p99.9 ms',
  'errors',
  'server us',
  'client us'
]

export function rowOfRun(run: BenchRun): (string | number)[] {
  const { workload, offeredPerSecond, inFlight, connections, opsPerSecond, errors } = run
  const times = [run.p50Ms, run.p99Ms, run.p999Ms].map(ms => ms.toFixed(2))
  const cpu = [run.serverCpuUsPerOp?.toFixed(1) ?? '', run.clientCpuUsPerOp.toFixed(1)]
  const offered = offeredPerSecond === null ? 'closed' : `${grouped(offeredPerSecond)}/s`
  return [workload, offered, inFlight, connections, grouped(opsPerSecond), ...times, errors, ...cpu]
}

function grouped(number: number): string {
  return Math.round(number).toLocaleString('en')
}
