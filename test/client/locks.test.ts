// Locks, semaphores and elections of several clients, in virtual time against real machines.
import t from 'tap'
import type { Held } from '../../lib/client/client.ts'
import { type SimClient, SimClients } from '../help/sim-clients.ts'

t.setTimeout(120_000)

/** What was acquired, in order; nothing is released by itself. */
function asking(ask: () => Promise<Held>, name: string, order: string[], held = new Map<string, Held>()) {
  ask().then(
    one => {
      order.push(name)
      held.set(name, one)
    },
    (error: unknown) => order.push(`${name}: ${String((error as { readonly code?: string }).code)}`)
  )
  return held
}

void t.test('a lock goes from one to the next in the order of asking, with rising tokens', async t => {
  const sim = await new SimClients(1).found()
  const clients = await sim.clients(5)
  const order: string[] = []
  const held = new Map<string, Held>()
  for (const { db, name } of clients) {
    asking(() => db.lock('jobs/42', { ttl: 5000 }), name, order, held)
    await sim.rest(50)
  }
  for (const [at, { name }] of clients.entries()) {
    await sim.rest(200)
    t.equal(order.length, at + 1)
    t.equal(order.at(-1), name)
    await sim.end(held.get(name)!.release())
    t.match(held.get(name)!.signal.reason, { code: 'LOCK_LOST' })
    t.throws(() => held.get(name)!.check(), { code: 'LOCK_LOST' })
  }
  const tokens = [...held.values()].map(({ fencingToken }) => fencingToken)
  t.same(
    tokens,
    tokens.toSorted((a, b) => a - b)
  )
  t.equal(new Set(tokens).size, 5)
  t.equal(await sim.end(clients[0]!.db.count()), 0, 'nothing is left behind')
})

void t.test('a release wakes one who waits, and nobody else', async t => {
  const sim = await new SimClients(2).found()
  const clients = await sim.clients(8)
  const order: string[] = []
  const held = new Map<string, Held>()
  for (const { db, name } of clients) {
    asking(() => db.lock('l'), name, order, held)
    await sim.rest(50)
  }
  await sim.rest(500)
  const reads = (): number => sim.cluster.nodes.reduce((sum, { node }) => sum + node!.counters.reads, 0)
  const before = reads()
  await sim.end(held.get('c2')!.release())
  await sim.rest(500)
  t.same(order, ['c2', 'c3'])
  t.ok(reads() - before <= 2, `${reads() - before} reads for one release`)
})

void t.test('who dies while it waits or holds is passed over once its lease has ended', async t => {
  const sim = await new SimClients(3).found()
  const clients = await sim.clients(4)
  const [first, second, third, fourth] = clients as [SimClient, SimClient, SimClient, SimClient]
  const order: string[] = []
  const held = new Map<string, Held>()
  for (const { db, name } of clients) {
    asking(() => db.lock('l', { ttl: 2000 }), name, order, held)
    await sim.rest(50)
  }
  sim.die(second)
  await sim.rest(5000)
  t.same(order, ['c2'], 'the third waits for the first now')
  sim.die(first)
  const died = sim.now
  await sim.rest(4000)
  t.same(order, ['c2', 'c4'])
  t.ok(sim.now - died >= 2000)
  await sim.end(held.get(third.name)!.release())
  await sim.rest(200)
  t.equal(order.at(-1), fourth.name)
})

void t.test('a wait ends by its time, by its signal, or at once; and the queue closes behind it', async t => {
  const sim = await new SimClients(4).found()
  const [one, two, three] = (await sim.clients(3)) as [SimClient, SimClient, SimClient]
  const lock = await sim.end(one.db.lock('l'))
  t.match(await sim.rejection(two.db.lock('l', { wait: 0 })), { code: 'CONDITION_FAILED', fate: 'not-applied' })
  const before = sim.now
  t.match(await sim.rejection(two.db.lock('l', { wait: '300ms' })), { code: 'TIMED_OUT', fate: 'not-applied' })
  t.ok(sim.now - before >= 300 && sim.now - before < 400)
  const controller = new AbortController()
  const given = two.db.lock('l', { signal: controller.signal })
  await sim.rest(200)
  const waiting = three.db.lock('l')
  await sim.rest(200)
  controller.abort(new Error('no longer'))
  t.match(await sim.rejection(given), { message: 'no longer' })
  await sim.rest(200)
  await sim.end(lock.release())
  await sim.end(waiting)
  for (const name of ['', 'a\0b']) t.match(await sim.rejection(one.db.lock(name)), { code: 'BAD_REQUEST' })
  t.match(await sim.rejection(one.db.lock('l', { ttl: 10 })), { code: 'BAD_REQUEST' })
})

void t.test('who cannot renew is told before its lease ends, and what it writes later is refused', async t => {
  const sim = await new SimClients(5).found()
  const [one, two] = (await sim.clients(2)) as [SimClient, SimClient]
  const corner = one.db.namespace('team/')
  const lock = await sim.end(corner.lock('l', { ttl: 3000 }))
  let lostAt = 0
  lock.signal.addEventListener('abort', () => {
    lostAt = sim.now
  })
  t.match(await sim.end(corner.put('x', '1', { fencing: lock })), { revision: lock.fencingToken + 1 })
  for (const { id } of sim.cluster.nodes) sim.cluster.fabric.cut(one.name, id)
  const cutAt = sim.now
  const next = await sim.end(two.db.namespace('team/').lock('l'))
  t.match(lock.signal.reason, { code: 'LOCK_LOST' })
  t.ok(lostAt > 0 && lostAt < sim.now && lostAt < cutAt + 3000, `lost at ${lostAt}, held again at ${sim.now}`)
  t.ok(next.fencingToken > lock.fencingToken)
  for (const { id } of sim.cluster.nodes) sim.cluster.fabric.heal(one.name, id)
  t.match(await sim.rejection(corner.put('x', '2', { fencing: lock })), { code: 'FENCED', fate: 'not-applied' })
  t.match(await sim.rejection(corner.delete('x', { fencing: lock })), { code: 'FENCED', fate: 'not-applied' })
  await sim.end(two.db.namespace('other/').delete('x', { fencing: next }))
  t.match(await sim.end(corner.get('x')), { value: '1' })
})

void t.test('a process that was halted for longer than its lease finds that it has lost the lock', async t => {
  const sim = await new SimClients(6).found()
  const [one, two] = (await sim.clients(2)) as [SimClient, SimClient]
  const lock = await sim.end(one.db.lock('l', { ttl: 2000 }))
  sim.halt(one, 10_000)
  const next = await sim.end(two.db.lock('l'))
  t.notOk(lock.signal.aborted, 'it cannot know')
  await sim.rest(10_000)
  t.match(lock.signal.reason, { code: 'LOCK_LOST' })
  t.notOk(next.signal.aborted)
})

void t.test('a lock outlives the leader of the cluster', async t => {
  const sim = await new SimClients(7).found()
  const [one, two] = (await sim.clients(2)) as [SimClient, SimClient]
  const lock = await sim.end(one.db.lock('l', { ttl: 5000 }))
  const waiting = two.db.lock('l')
  await sim.rest(100)
  const { leader } = sim.cluster
  leader!.crash('power')
  await sim.rest(10_000)
  leader!.start()
  await sim.rest(2000)
  t.notOk(lock.signal.aborted)
  await sim.end(one.db.put('x', '1', { fencing: lock }))
  await sim.end(lock.release())
  t.ok((await sim.end(waiting)).fencingToken > lock.fencingToken)
})

void t.test('a semaphore lets so many in at a time, in the order of asking, and one for each that leaves', async t => {
  const sim = await new SimClients(8).found()
  const clients = await sim.clients(6)
  const order: string[] = []
  const held = new Map<string, Held>()
  for (const { db, name } of clients) {
    asking(() => db.semaphore('api', 3).acquire({ ttl: 2000 }), name, order, held)
    await sim.rest(50)
  }
  await sim.rest(500)
  t.same(order, ['c2', 'c3', 'c4'])
  const seventh = sim.client()
  t.match(await sim.rejection(seventh.db.semaphore('api', 3).acquire({ wait: 0 })), { code: 'CONDITION_FAILED' })
  t.match(await sim.rejection(seventh.db.semaphore('api', 3).acquire({ wait: 100 })), { code: 'TIMED_OUT' })
  await sim.end(held.get('c3')!.release())
  await sim.rest(300)
  t.same(order.slice(3), ['c5'])
  sim.die(clients[0]!)
  await sim.rest(5000)
  t.same(order.slice(3), ['c5', 'c6'])
  await sim.end(Promise.all(['c4', 'c5'].map(name => held.get(name)!.release())))
  await sim.rest(300)
  t.same(order.slice(3), ['c5', 'c6', 'c7'])
  const free = await sim.end(seventh.db.semaphore('api', 3).acquire({ wait: 0 }))
  t.ok(free.fencingToken > held.get('c7')!.fencingToken)
  t.throws(() => seventh.db.semaphore('api', 0), { code: 'BAD_REQUEST' })
})

void t.test('an election has one leader at a time, whom all others see', async t => {
  const sim = await new SimClients(9).found()
  const [one, two, three] = (await sim.clients(3)) as [SimClient, SimClient, SimClient]
  const seen: (string | null)[] = []
  const controller = new AbortController()
  const watching = (async () => {
    for await (const leader of three.db.election('e').observe({ signal: controller.signal })) {
      seen.push(leader === null ? null : leader.value)
    }
  })()
  watching.catch(() => {})
  await sim.rest(500)
  const first = one.db.election('e')
  const held = await sim.end(first.campaign('one', { ttl: 2000 }))
  const campaign = two.db.election('e').campaign('two', { ttl: 2000 })
  await sim.rest(200)
  t.same(await sim.end(three.db.election('e').leader()), { value: 'one', fencingToken: held.fencingToken })
  await sim.end(first.resign())
  await sim.end(first.resign())
  const second = await sim.end(campaign)
  await sim.end(two.db.put('x', '1', { fencing: second }))
  t.match(await sim.rejection(one.db.put('x', '2', { fencing: held })), { code: 'FENCED' })
  sim.die(two)
  await sim.rest(5000)
  t.same(seen, [null, 'one', 'two', null])
  t.equal(await sim.end(three.db.election('e').leader()), null)
  controller.abort(new Error('enough'))
  t.match(await sim.rejection(watching), { message: 'enough' })
})
