// What clients see while leaders come and go: no read goes back, none misses a write that was acknowledged before it began.
import { t } from 'tap'
import type { Client } from '../../lib/client/client.ts'
import { Load } from '../help/load.ts'
import { ask, RealCluster, statusOnce } from '../help/real-cluster.ts'

t.setTimeout(90_000)

const registers = ['a', 'b', 'c', 'd']

/** Counters that several clients raise and read, and the least that each read must see. */
class Registers {
  reads = 0
  raises = 0
  readonly breaches: string[] = []
  /** By register: the highest value that any call, read or write, has been answered with so far. */
  readonly #known = new Map(registers.map(name => [name, 0]))
  #stopped = false
  #whenBusy: { readonly operations: number; readonly resolve: () => void } | null = null

  stop(): void {
    this.#stopped = true
  }

  /** When so many more operations have been answered. */
  more(operations: number): Promise<void> {
    return new Promise(resolve => {
      this.#whenBusy = { operations: this.reads + this.raises + operations, resolve }
    })
  }

  /** One client after the other of its calls, until stopped; several of these run beside each other. */
  async use(db: Client<string>, name: string): Promise<void> {
    for (let number = 0; !this.#stopped; number++) {
      const register = registers[number % registers.length]!
      const least = this.#known.get(register)!
      const seen =
        number % 3 === 0
          ? (await db.increment(register, 1, { timeout: 15_000 })).value
          : Number((await db.get(register, { timeout: 15_000 }))?.value ?? 0)
      const isRaise = number % 3 === 0
      if (seen < least || (isRaise && seen === least)) {
        this.breaches.push(`${name} ${isRaise ? 'raised' : 'read'} ${register} to ${seen}, where ${least} was known`)
      }
      this.#known.set(register, Math.max(this.#known.get(register)!, seen))
      if (isRaise) this.raises++
      else this.reads++
      if (this.#whenBusy !== null && this.reads + this.raises >= this.#whenBusy.operations) {
        this.#whenBusy.resolve()
        this.#whenBusy = null
      }
    }
  }
}

t.test('registers read and raised through every node while leaders are killed, paused and told to stop', async t => {
  const cluster = await RealCluster.start(t)
  const clients = cluster.ids.flatMap(id => [cluster.clientOf(id), cluster.client()])
  const history = new Registers()
  const uses = clients.flatMap((db, at) => [history.use(db, `client ${at}`), history.use(db, `client ${at}, beside`)])
  for (const signal of ['SIGKILL', 'SIGSTOP', 'SIGTERM'] as const) {
    await history.more(500)
    const { id, term } = await cluster.leader()
    cluster.node(id).signal(signal)
    await cluster.leader(term)
    if (signal === 'SIGSTOP') {
      cluster.node(id).signal('SIGCONT')
      continue
    }
    await cluster.node(id).ended
    await cluster.start(id).ready()
  }
  await history.more(500)
  history.stop()
  await Promise.all(uses)
  t.comment(`${history.reads} reads and ${history.raises} raises`)
  t.strictSame(history.breaches, [])
  let sum = 0
  for (const register of registers) sum += Number((await clients[0]!.get(register))!.value)
  t.equal(sum, history.raises, 'each raise counts once')

  t.test('SIGTERM of the leader hands over', async t => {
    const db = cluster.client()
    const load = new Load(db, 16)
    await load.more(500)
    const { id, term } = await cluster.leader()
    load.watchGap()
    const toldAt = performance.now()
    const ended = cluster.node(id).stop()
    await cluster.leader(term)
    await load.more(500)
    const { gapMs } = load
    t.strictSame(await ended, { code: 0, signal: null })
    const stopMs = performance.now() - toldAt
    t.comment(`the write gap was ${Math.round(gapMs)} ms, the node gone after ${Math.round(stopMs)} ms`)
    t.ok(gapMs < 500, 'the write gap')
    t.ok(stopMs < 5_000, 'the node is gone in time')
    t.equal(cluster.node(id).lines.at(-1)?.event, 'stopped')
    await load.stop()
    t.strictSame(load.errors, [])
    await cluster.start(id).ready()
    t.strictSame(await load.audit(db), { lost: 0, miscounted: [] })
  })

  t.test('plain HTTP at every node', async t => {
    const [first, second, third] = cluster.endpoints
    const put = await ask(first!, '/v1/kv/by%2Fcurl', { method: 'PUT', body: 'hello' })
    t.equal(put.status, 200)
    const { revision } = JSON.parse(put.text) as { revision: number }
    for (const address of cluster.endpoints) {
      const got = await ask(address, '/v1/kv/by%2Fcurl')
      t.match(JSON.parse(got.text), { key: 'by/curl', value: 'hello', modRevision: revision, revision })
      t.strictSame((await ask(address, '/livez')).status, 200)
      t.match(JSON.parse((await ask(address, '/readyz')).text), { ready: true, reasons: [] })
      const metrics = await ask(address, '/metrics')
      t.match(metrics.headers['content-type'], /^text\/plain; version=0\.0\.4/)
      t.match(metrics.text, /^stretto_\w+(\{[^}]*\})? \d/m)
      const status = await statusOnce(address, status => status.revision >= revision)
      t.match(status, { ready: true, trusted: true, insecure: false, leader: (await cluster.leader()).id })
      t.equal(status.members.length, 3)
    }
    const url = `/v1/kv/by%2Fcurl?if-revision=${revision + 1}`
    t.equal((await ask(second!, url, { method: 'PUT', body: 'x' })).status, 409)
    t.equal((await ask(second!, '/v1/kv/by%2Fcurl?consistency=stale')).status, 200)
    t.equal((await ask(third!, '/v1/kv/by%2Fcurl', { method: 'DELETE' })).status, 200)
    t.equal((await ask(first!, '/v1/kv/by%2Fcurl')).status, 404)
  })

  t.test('without a majority a node says so, and nothing is promised', async t => {
    const [alone, ...others] = cluster.ids
    await Promise.all(others.map(id => cluster.node(id).kill()))
    const status = await statusOnce(cluster.address(alone!), ({ leader }) => leader === null)
    t.match(status, { ready: false, reasons: ['no leader is known'] })
    t.equal((await ask(cluster.address(alone!), '/readyz')).status, 503)
    t.equal((await ask(cluster.address(alone!), '/livez')).status, 200)
    const db = cluster.clientOf(alone!)
    await t.rejects(db.get('a', { timeout: 300 }), { code: 'TIMED_OUT', fate: 'not-applied' })
    t.equal((await db.get('a', { consistency: 'stale' }))?.key, 'a')
    const write = await db.put('a', 'x', { timeout: 300 }).catch((error: unknown) => error)
    t.match(write, { name: 'StrettoError', code: /TIMED_OUT|UNAVAILABLE/ })
  })
})
