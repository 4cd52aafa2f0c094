// The same load against a peer, run by run in turn with ours, and what it says.
import * as v from 'valibot'
import type { PlannedRun } from '../plan.ts'
import type { BenchRun, Ratio } from '../report.ts'
import type { Store, WorkloadName } from '../workloads.ts'
import type { Peer } from './peer.ts'

const workloadOf: Readonly<Record<WorkloadName, string>> = {
  put: 'write',
  get: 'read',
  mixed: 'mixed',
  range100: 'scan100',
  range1000: 'scan1000'
}

const Printed = v.object({
  ops: v.number(),
  ops_per_s: v.number(),
  p50_ms: v.number(),
  p99_ms: v.number(),
  p999_ms: v.number(),
  max_ms: v.number(),
  errors: v.number(),
  cpu_user_s: v.number(),
  cpu_sys_s: v.number(),
  client_user_s: v.number(),
  client_sys_s: v.number()
})

/** Keys and ranges, so that no read finds nothing. */
export async function fillPeer(peer: Peer, { keys, valueBytes }: Store): Promise<void> {
  await peer.load({ workload: 'load', keys, val: valueBytes, c: 8 })
  await peer.load({ workload: 'loadscan', val: valueBytes })
}

/** Null where the peer's load generator has no such load: an open loop. */
export async function measurePeer(
  peer: Peer,
  { workload, connections, pace }: PlannedRun,
  { keys, valueBytes }: Store,
  times: { readonly warmUpMs: number; readonly durationMs: number }
): Promise<BenchRun | null> {
  if (!('inFlight' in pace)) return null
  const printed = v.parse(
    Printed,
    await peer.load({
      workload: workloadOf[workload],
      keys,
      val: valueBytes,
      c: pace.inFlight,
      conns: connections,
      warm: `${times.warmUpMs}ms`,
      dur: `${times.durationMs}ms`
    })
  )
  const perOperation = (seconds: number): number => Math.round((1e8 * seconds) / Math.max(1, printed.ops)) / 100
  return {
    system: peer.name,
    workload,
    inFlight: pace.inFlight,
    connections,
    offeredPerSecond: null,
    opsPerSecond: Math.round(10 * printed.ops_per_s) / 10,
    p50Ms: printed.p50_ms,
    p99Ms: printed.p99_ms,
    p999Ms: printed.p999_ms,
    maxMs: printed.max_ms,
    spectrum: [
      [50, printed.p50_ms],
      [99, printed.p99_ms],
      [99.9, printed.p999_ms]
    ],
    errors: printed.errors,
    serverCpuUsPerOp: perOperation(printed.cpu_user_s + printed.cpu_sys_s),
    clientCpuUsPerOp: perOperation(printed.client_user_s + printed.client_sys_s)
  }
}

/** How many times as many operations a second as each peer does in the same run. */
export function ratiosOf(runs: readonly BenchRun[]): Ratio[] {
  const own = runs.filter(({ system }) => system === 'stretto')
  return runs.flatMap(({ system, workload, inFlight, connections, opsPerSecond }) => {
    if (system === 'stretto' || system === 'ceiling') return []
    const ours = own.find(run => {
      return (
        run.workload === workload &&
        run.inFlight === inFlight &&
        run.connections === connections &&
        run.offeredPerSecond === null
      )
    })
    if (ours === undefined || opsPerSecond === 0) return []
    const ratio = Math.round((100 * ours.opsPerSecond) / opsPerSecond) / 100
    return [{ peer: system, workload, inFlight, connections, ratio }]
  })
}
