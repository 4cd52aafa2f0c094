// What a benchmark hands on: the JSON that programs read, and the table for people.
import type { PeerName } from './peers/peer.ts'
import type { Store, WorkloadName } from './workloads.ts'

/** Field names are stable; more may be added. */
export interface BenchReport {
  readonly machine: Machine
  readonly store: Store
  readonly runs: readonly BenchRun[]
  /** Against other systems under the same load, run in turn with ours; empty where none was asked for. */
  readonly ratios: readonly Ratio[]
  /** What the parts could do without consensus; null where nothing was measured that could be compared. */
  readonly ceiling: CeilingFigures | null
}

export interface CeilingFigures {
  /** Callers, over one connection. */
  readonly inFlight: number
  /** Operations a second without consensus; null where the benchmark did not measure them. */
  readonly puts: number | null
  readonly gets: number | null
  /** Of the product, in the same run. */
  readonly share: { readonly puts: number | null; readonly gets: number | null }
}

export interface Machine {
  readonly cpus: number
  readonly node: string
  readonly platform: string
  /** Median time of a durable write of 4 KiB where the data lie. */
  readonly fsyncMs: number
}

export interface BenchRun {
  readonly system: 'stretto' | 'ceiling' | PeerName
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
  readonly connections: number
  /** Our operations a second to those of the peer. */
  readonly ratio: number
}

export const runColumns = [
  'system',
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
  const { system, workload, offeredPerSecond, inFlight, connections, opsPerSecond, errors } = run
  const times = [run.p50Ms, run.p99Ms, run.p999Ms].map(ms => ms.toFixed(2))
  const cpu = [run.serverCpuUsPerOp?.toFixed(1) ?? '', run.clientCpuUsPerOp.toFixed(1)]
  const offered = offeredPerSecond === null ? 'closed' : `${grouped(offeredPerSecond)}/s`
  return [system, workload, offered, inFlight, connections, grouped(opsPerSecond), ...times, errors, ...cpu]
}

export const ratioColumns = ['against', 'workload', 'in flight', 'links', 'times as fast']

export function rowOfRatio({ peer, workload, inFlight, connections, ratio }: Ratio): (string | number)[] {
  return [peer, workload, inFlight, connections, ratio.toFixed(2)]
}

function grouped(number: number): string {
  return Math.round(number).toLocaleString('en')
}

/** Compares runs of the product with those of the ceiling that had as many callers. */
export function ceilingOf(runs: readonly BenchRun[], ceiling: readonly BenchRun[]): CeilingFigures | null {
  const [first] = ceiling
  if (first === undefined) return null
  const rateOf = (list: readonly BenchRun[], workload: WorkloadName): number | null => {
    const found = list.find(run => {
      return (
        run.workload === workload &&
        run.connections === 1 &&
        run.inFlight === first.inFlight &&
        run.offeredPerSecond === null
      )
    })
    return found?.opsPerSecond ?? null
  }
  const share = (workload: WorkloadName): number | null => {
    const [own, most] = [rateOf(runs, workload), rateOf(ceiling, workload)]
    return own === null || most === null ? null : Math.round((100 * own) / most) / 100
  }
  return {
    inFlight: first.inFlight,
    puts: rateOf(ceiling, 'put'),
    gets: rateOf(ceiling, 'get'),
    share: { puts: share('put'), gets: share('get') }
  }
}
