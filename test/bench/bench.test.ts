// The benchmark itself: what it counts, what it plans, and the page that it writes.
import { t } from 'tap'
import { type LoadJob, runLoad } from '../../bench/load.ts'
import { reportPage } from '../../bench/page.ts'
import { ratiosOf } from '../../bench/peers/peer-bench.ts'
import { ceilingPlan, quickPlan, wholePlan } from '../../bench/plan.ts'
import { type BenchReport, type BenchRun, ceilingOf } from '../../bench/report.ts'
import type { Client } from '../../lib/client/client.ts'

const store = { keys: 2_000, valueBytes: 16 }

/** A store that answers after a while, a client of it, and how many of its calls were open at once. */
function played(answerMs: () => number, fails: (call: number) => boolean = () => false) {
  const seen = { calls: 0, open: 0, openMax: 0 }
  const call = async (): Promise<object> => {
    const number = ++seen.calls
    seen.openMax = Math.max(seen.openMax, ++seen.open)
    await new Promise(resolve => setTimeout(resolve, answerMs()))
    seen.open--
    if (fails(number)) throw new Error('refused')
    return {}
  }
  return { seen, db: { put: call, get: call } as unknown as Client<Uint8Array> }
}

function job(rest: Partial<LoadJob>): LoadJob {
  return { ...store, workload: 'put', pace: { inFlight: 4 }, warmUpMs: 20, durationMs: 200, seed: 1, ...rest }
}

t.test('a closed loop keeps so many in flight, over all clients, and counts what is answered in time', async t => {
  const [one, two] = [played(() => 5), played(() => 5)]
  const marks: string[] = []
  const result = await runLoad([one.db, two.db], job({ pace: { inFlight: 7 } }), at => marks.push(at))
  t.same(marks, ['begin', 'end'])
  t.equal(one.seen.openMax + two.seen.openMax, 7)
  t.equal(result.inFlightMax, 7)
  const calls = one.seen.calls + two.seen.calls
  t.ok(result.operations > 20 && result.operations <= calls - 7, `${result.operations} of ${calls}`)
  t.ok(result.p50Ms >= 4 && result.p50Ms <= result.p99Ms && result.p99Ms <= result.maxMs * 1.01, JSON.stringify(result))
  t.equal(result.errors, 0)
})

t.test('an open loop does not wait: a stall shows in the latency of all that was due meanwhile', async t => {
  let begun = Number.NEGATIVE_INFINITY
  // For a tenth of a second nothing is answered.
  const { seen, db } = played(() => Math.max(1, begun + 100 - performance.now()))
  const result = await runLoad([db], job({ pace: { perSecond: 500 }, durationMs: 300 }), at => {
    if (at === 'begin') begun = performance.now()
  })
  t.ok(seen.openMax >= 20, `${seen.openMax} open`)
  t.equal(result.inFlightMax, seen.openMax)
  t.ok(result.spectrum.find(([share]) => share === 90)![1] > 60, 'a tenth of the calls waited through most of it')
})

t.test('errors are counted apart', async t => {
  const { db } = played(
    () => 2,
    call => call % 2 === 0
  )
  const result = await runLoad([db], job({ workload: 'get' }), () => {})
  t.ok(result.errors > 10 && Math.abs(result.errors - result.operations) < 12, `${result.errors} ${result.operations}`)
  t.equal(result.firstError, 'refused')
})

t.test('ranges are counted entry by entry', async t => {
  const ranged = (count: number, order: 1 | -1) => {
    const keys = Array.from({ length: count }, (_, at) => ({ key: `k${5_000 + order * at}` }))
    return { range: () => keys } as unknown as Client<Uint8Array>
  }
  const run = async (db: Client<Uint8Array>) =>
    await runLoad([db], job({ workload: 'range100', pace: { perSecond: 100 }, durationMs: 60 }), () => {})
  t.ok((await run(ranged(100, 1))).operations > 0)
  t.match(await run(ranged(99, 1)), { operations: 0, firstError: 'a range of 99 entries instead of 100' })
  t.match(await run(ranged(100, -1)), { operations: 0, firstError: /comes after/ })
})

t.test('the plan has every workload at every depth, and never more connections than callers', async t => {
  const plan = wholePlan()
  t.equal(plan.length, 5 * (5 + 4))
  t.notOk(plan.some(({ connections, pace }) => 'inFlight' in pace && pace.inFlight < connections))
  t.same(wholePlan({ workloads: ['get'], inFlight: [3], connections: [1, 4] }), [
    { workload: 'get', connections: 1, pace: { inFlight: 3 } }
  ])
  t.same(wholePlan({ workloads: ['get'], connections: [2], perSecond: 70 }), [
    { workload: 'get', connections: 2, pace: { perSecond: 70 } }
  ])
  t.ok((quickPlan.length + 2) * 2.3 < 45 - 8, 'the quick one leaves time to start and to fill')
  t.same(ceilingPlan(wholePlan()), [
    { workload: 'put', connections: 1, pace: { inFlight: 1_000 } },
    { workload: 'get', connections: 1, pace: { inFlight: 1_000 } }
  ])
  t.same(ceilingPlan(wholePlan({ workloads: ['put', 'mixed'], perSecond: 5 })), [], 'an open loop is no measure')
})

const run: BenchRun = {
  system: 'stretto',
  workload: 'put',
  inFlight: 64,
  connections: 1,
  offeredPerSecond: null,
  opsPerSecond: 12_345.6,
  p50Ms: 1,
  p99Ms: 2,
  p999Ms: 3,
  maxMs: 4,
  spectrum: [
    [50, 1],
    [99, 2]
  ],
  errors: 0,
  serverCpuUsPerOp: null,
  clientCpuUsPerOp: 5
}

t.test('the share of the ceiling is that of the run with as many callers', async t => {
  const own = [{ ...run, inFlight: 1, opsPerSecond: 1 }, { ...run, connections: 16, opsPerSecond: 2 }, run]
  const most: BenchRun = { ...run, system: 'ceiling', opsPerSecond: 20_000 }
  t.same(ceilingOf(own, [most]), { inFlight: 64, puts: 20_000, gets: null, share: { puts: 0.62, gets: null } })
  t.equal(ceilingOf(own, []), null)
})

t.test('a peer is compared with the run of ours that had the same load', async t => {
  const peer: BenchRun = { ...run, system: 'etcd', opsPerSecond: 1_000 }
  const others = [
    { ...peer, connections: 16 },
    { ...peer, workload: 'get' as const },
    { ...run, system: 'ceiling' as const }
  ]
  t.same(ratiosOf([run, peer, ...others]), [
    { peer: 'etcd', workload: 'put', inFlight: 64, connections: 1, ratio: 12.35 }
  ])
})

t.test('the page holds all that it shows', async t => {
  const machine = { cpus: 2, node: 'v20', platform: '<b>', fsyncMs: 0.2 }
  const report: BenchReport = {
    machine,
    store,
    runs: [run, { ...run, offeredPerSecond: 9 }],
    ratios: [],
    ceiling: null
  }
  const page = reportPage(report, 'today')
  t.match(page, /12,346/)
  t.match(page, /&lt;b&gt;/)
  t.notMatch(page, /<(?:script|link|img)[^>]+(?:src|href)=/, 'nothing is fetched')
  const data = /const plots = (.*)/.exec(page)![1]!
  t.match(JSON.parse(data), [
    { title: 'Throughput', names: ['stretto put, 1 link'], data: [[64], [12_345.6]] },
    { title: 'Latency, p99', data: [[64], [2]] },
    { title: 'Latency spectra', names: ['stretto put, 1 link, 64 in flight', 'stretto put, 1 link, 9/s'] }
  ])
})
