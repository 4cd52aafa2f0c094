// Which runs a benchmark is made of.
import { type WorkloadName, workloadNames } from './workloads.ts'

export interface PlannedRun {
  readonly workload: WorkloadName
  readonly connections: number
  readonly pace: { readonly inFlight: number } | { readonly perSecond: number }
}

/** What the user has asked for; undefined where nothing was said. */
export interface Wishes {
  readonly workloads?: readonly WorkloadName[] | undefined
  readonly inFlight?: readonly number[] | undefined
  readonly connections?: readonly number[] | undefined
  /** Operations a second of an open loop, instead of closed ones. */
  readonly perSecond?: number | undefined
}

const depths = [1, 16, 64, 256, 1_000] as const
const connectionCounts = [1, 16] as const

/** Every workload at every depth over every number of connections, those with fewer callers than connections left out. */
export function wholePlan(wishes: Wishes = {}): PlannedRun[] {
  const { workloads = workloadNames, inFlight = depths, connections = connectionCounts, perSecond } = wishes
  const plan: PlannedRun[] = []
  for (const workload of workloads) {
    for (const links of connections) {
      if (perSecond !== undefined) plan.push({ workload, connections: links, pace: { perSecond } })
      else for (const depth of inFlight) if (depth >= links) plan.push(closed(workload, links, depth))
    }
  }
  return plan
}

/** What fits into half a minute and tells most. */
export const quickPlan: readonly PlannedRun[] = [
  ...[1, 64, 256, 1_000].map(depth => closed('put', 1, depth)),
  ...[1, 64, 256, 1_000].map(depth => closed('get', 1, depth)),
  closed('mixed', 1, 256),
  closed('range100', 1, 64),
  closed('range1000', 1, 16),
  { workload: 'put', connections: 1, pace: { perSecond: 2_000 } }
]

function closed(workload: WorkloadName, connections: number, inFlight: number): PlannedRun {
  return { workload, connections, pace: { inFlight } }
}

/** Of the runs of a plan those that the ceiling is measured with: puts and gets with the most callers over one connection. */
export function ceilingPlan(plan: readonly PlannedRun[]): PlannedRun[] {
  return (['put', 'get'] as const).flatMap(workload => {
    const same = plan.flatMap(run =>
      'inFlight' in run.pace && run.connections === 1 && run.workload === workload ? [run.pace.inFlight] : []
    )
    return same.length === 0 ? [] : [closed(workload, 1, Math.max(...same))]
  })
}
