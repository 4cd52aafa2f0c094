// What a benchmark hands on: the JSON that programs read, and the table for people.

/** Field names are stable; more may be added. */
export interface BenchReport {
  readonly machine: Machine
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
  readonly workload: Workload
  readonly inFlight: number
  readonly connections: number
  readonly opsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly errors: number
  /** CPU of all nodes together; null where they are not processes of this machine that the benchmark started. */
  readonly serverCpuUsPerOp: number | null
  readonly clientCpuUsPerOp: number
}

export interface Ratio {
  readonly peer: string
  readonly workload: Workload
  readonly inFlight: number
  readonly ratio: number
}

export type Workload = 'put' | 'get'

export const runColumns = [
  'workload',
  'in flight',
  'per second',
  'p50 ms',
  'p99 ms',
  'p99.9 ms',
  'errors',
  'server us',
  'client us'
]

export function rowOfRun(run: BenchRun): (string | number)[] {
  const { workload, inFlight, opsPerSecond, p50Ms, p99Ms, p999Ms, errors, serverCpuUsPerOp, clientCpuUsPerOp } = run
  const times = [p50Ms, p99Ms, p999Ms].map(ms => ms.toFixed(2))
  const cpu = [serverCpuUsPerOp?.toFixed(1) ?? '', clientCpuUsPerOp.toFixed(1)]
  return [workload, inFlight, Math.round(opsPerSecond).toLocaleString('en'), ...times, errors, ...cpu]
}
