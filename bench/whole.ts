// A whole benchmark: our cluster, the peers in turn with it, and the ceiling afterwards.
import { Ceiling } from './ceiling.ts'
import { type BenchSettings, runClusterBench } from './cluster-bench.ts'
import { Peer, type PeerName } from './peers/peer.ts'
import { fillPeer, measurePeer, ratiosOf } from './peers/peer-bench.ts'
import { ceilingPlan, type PlannedRun } from './plan.ts'
import { type BenchReport, type BenchRun, ceilingOf } from './report.ts'

export interface WholeSettings extends Omit<BenchSettings, 'system' | 'between'> {
  readonly peers: readonly PeerName[]
  /** Whether the cluster runs on this machine, and can be compared with what that can do. */
  readonly isLocal: boolean
}

/** What has been started and has to be ended, whatever happens. */
export type Stops = (() => Promise<void>)[]

export async function runWholeBench(
  settings: WholeSettings,
  stops: Stops
): Promise<Pick<BenchReport, 'runs' | 'ratios' | 'ceiling'> & { readonly remarks: readonly string[] }> {
  const peers: Peer[] = []
  for (const name of settings.peers) {
    settings.progress(0, settings.plan.length, `starting ${name}`)
    const peer = await Peer.start(name)
    peers.push(peer)
    stops.push(() => peer.stop())
    await fillPeer(peer, settings.store)
  }
  const between = async (run: PlannedRun): Promise<readonly BenchRun[]> => {
    const measured: (BenchRun | null)[] = []
    for (const peer of peers) measured.push(await measurePeer(peer, run, settings.store, settings))
    return measured.filter(each => each !== null)
  }
  const runs = await runClusterBench({ ...settings, system: 'stretto', between })
  for (const peer of peers) await peer.stop()
  const most = settings.isLocal ? await measureCeiling(settings, stops) : []
  return { runs, ratios: ratiosOf(runs), ceiling: ceilingOf(runs, most), remarks: peers.map(({ remark }) => remark) }
}

/** Processes that have just begun run slowly for a while; ours have had all the runs before. */
const ceilingWarmUpMs = 2_500

/** The same load on the same machine without consensus, while the cluster rests. */
async function measureCeiling(settings: WholeSettings, stops: Stops): Promise<BenchRun[]> {
  const plan = ceilingPlan(settings.plan)
  if (plan.length === 0) return []
  const ceiling = await Ceiling.start()
  stops.push(() => ceiling.stop())
  const { endpoints, pids } = ceiling
  const runs = await runClusterBench({
    ...settings,
    plan,
    system: 'ceiling',
    endpoints,
    pids,
    warmUpMs: Math.max(settings.warmUpMs, ceilingWarmUpMs)
  })
  await ceiling.stop()
  return runs
}
