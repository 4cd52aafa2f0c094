// The past of a real cluster: reads of it at any node, through an order to compact and a restart of all nodes.
import { t } from 'tap'
import { RealCluster } from '../help/real-cluster.ts'

t.setTimeout(60_000)

t.test('what stood earlier is read through a client, until it is let go of on all nodes', async t => {
  const cluster = await RealCluster.start(t)
  const db = cluster.client()
  const { revision: first } = await db.put('a', 'one')
  await db.put('b', 'other')
  const { revision: second } = await db.put('a', 'two')
  const { revision: third } = await db.delete('b')
  t.match(await db.get('a', { atRevision: first }), { value: 'one', modRevision: first })
  t.equal(await db.count({ prefix: '', atRevision: second }), 2)
  t.equal(await db.count({ prefix: '' }), 1)
  const entries: (string | null)[] = []
  for await (const { key, value } of db.range({ prefix: '', atRevision: second })) entries.push(`${key}=${value}`)
  t.same(entries, ['a=two', 'b=other'])
  await t.rejects(db.get('a', { atRevision: third + 5 }), { code: 'FUTURE_REVISION' })
  await t.rejects(db.cluster.compact(third + 5), { code: 'FUTURE_REVISION', fate: 'not-applied' })
  t.same(await db.cluster.compact(second), { revision: third })
  await t.rejects(db.cluster.compact(first), { code: 'COMPACTED', fate: 'not-applied' })
  await t.rejects(db.get('a', { atRevision: first }), { code: 'COMPACTED' })
  t.match(await db.get('b', { atRevision: second }), { value: 'other' })
  for (const id of cluster.ids) await cluster.node(id).kill()
  for (const id of cluster.ids) cluster.start(id)
  for (const id of cluster.ids) await cluster.node(id).ready()
  t.match(await db.get('b', { atRevision: second, timeout: '20s' }), { value: 'other' })
  t.equal(await db.get('b', { atRevision: third }), null)
  await t.rejects(db.get('a', { atRevision: first }), { code: 'COMPACTED' })
})
