// SIGTERM to the leader under many concurrent callers: another takes over at once, and no call fails.
import { t } from 'tap'
import { Load } from '../help/load.ts'
import { median, RealCluster } from '../help/real-cluster.ts'

const rounds = 3
/** Promised are 50 on a quiet machine. */
const gapMsMax = 1_000

t.setTimeout(120_000)

t.test('the leader is told to stop again and again, and clients hardly notice', async t => {
  const cluster = await RealCluster.start(t)
  const load = new Load(cluster.client())
  const gaps: number[] = []
  for (let round = 0; round < rounds; round++) {
    await load.more(2_000)
    const { id, term } = await cluster.leader()
    load.watchGap()
    const { code } = await cluster.node(id).stop()
    t.equal(code, 0)
    const next = await cluster.leader(term)
    t.not(next.id, id)
    t.equal(next.term, term + 1, 'by one election')
    await load.more(2_000)
    gaps.push(Math.round(load.gapMs))
    await cluster.start(id).ready()
  }
  t.comment(`longest time without an answer in ms: ${gaps.join(' ')}, median ${median(gaps)}`)
  t.ok(median(gaps) < gapMsMax, 'the gap')
  await load.stop()
  t.same(
    load.errors.map(({ message }) => message),
    [],
    'no call failed'
  )
  t.same(await load.audit(cluster.client()), { lost: 0, miscounted: [] })
})
