// Real servers that come from outside: they are let in, stay what they are to be, move, are removed, and meet strangers.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { type Test, t } from 'tap'
import { freePorts } from '../../bin/local-cluster.ts'
import { type Client, connect } from '../../lib/client/client.ts'
import { readServerOptions } from '../../lib/server/options.ts'
import { type Server, startServer } from '../../lib/server/server.ts'
import { eventually } from '../help/real-time.ts'

interface Outside {
  readonly advertise?: string
  readonly join?: readonly string[]
  readonly learner?: boolean
}

/** Nodes of one test, each with a directory and an address of its own. */
class Place {
  readonly #t: Test
  readonly #folder: string
  readonly #ports: number[]
  readonly addresses = new Map<string, string>()
  readonly lines: string[] = []

  private constructor(t: Test, folder: string, ports: number[]) {
    this.#t = t
    this.#folder = folder
    this.#ports = ports
  }

  static async of(t: Test): Promise<Place> {
    const folder = mkdtempSync(join(tmpdir(), 'stretto-join-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    return new Place(t, folder, await freePorts(6))
  }

  address(id: string): string {
    const address = this.addresses.get(id) ?? `127.0.0.1:${this.#ports.pop()!}`
    this.addresses.set(id, address)
    return address
  }

  /** A node that founds a cluster of its own, or one that joins. */
  async start(id: string, options: Outside = {}): Promise<Server> {
    const advertise = options.advertise ?? this.address(id)
    const log = pino({ base: null }, { write: text => this.lines.push((JSON.parse(text) as { msg: string }).msg) })
    const { join: others, learner } = options
    const flags = { id, listen: advertise, 'data-dir': join(this.#folder, id), join: others?.join(','), learner }
    const read = await readServerOptions({ flags, env: {}, directory: this.#folder })
    const server = await startServer({ ...read, memoryBytes: 33_554_432 }, log)
    this.#t.teardown(() => server.stop())
    return server
  }

  client(...ids: string[]): Client<string> {
    const client = connect(
      ids.map(id => this.address(id)),
      { timeout: '10s' }
    )
    this.#t.teardown(() => client.close())
    return client
  }
}

function roleOf(server: Server, id: string): string | undefined {
  return server.status().members.find(member => member.id === id)?.role
}

t.test('a single node grows into a cluster, and its data with it', async t => {
  const place = await Place.of(t)
  const first = await place.start('n1')
  const db = place.client('n1')
  await db.put('key', 'value')
  const second = await place.start('n2', { join: [place.address('n1')] })
  t.ok(await eventually(() => roleOf(first, 'n2') === 'voter' && second.readiness().ready))
  t.equal(second.status().clusterId, first.status().clusterId)
  t.equal((await place.client('n2').get('key'))?.value, 'value')
  await db.put('key', 'both')
  t.equal(second.status().role, 'follower')
  await second.stop()
  const again = await place.start('n2', { join: [place.address('n1')] })
  t.ok(await eventually(() => again.readiness().ready))
  t.ok(await eventually(() => place.lines.some(line => line.includes('--join says nothing to it'))))
  t.equal((await place.client('n2').get('key'))?.value, 'both')
})

t.test('a node that finds no cluster waits and says so, can be stopped, and is let in when there is one', async t => {
  const place = await Place.of(t)
  const early = await place.start('n2', { join: [place.address('n1')] })
  t.match(early.readiness(), { ready: false, reasons: [/^waiting to be admitted to the cluster at 127/] })
  t.match(early.status(), { clusterId: '', members: [] })
  await early.stop()
  const waiting = await place.start('n2', { join: [place.address('n1')] })
  const first = await place.start('n1')
  t.ok(await eventually(() => roleOf(first, 'n2') === 'voter' && waiting.readiness().ready))
})

t.test('a learner stays one until it is promoted', async t => {
  const place = await Place.of(t)
  const first = await place.start('n1')
  const learner = await place.start('n2', { join: [place.address('n1')], learner: true })
  t.ok(await eventually(() => learner.readiness().ready))
  const db = place.client('n1')
  t.equal(roleOf(first, 'n2'), 'learner')
  await db.put('key', 'value')
  t.equal((await place.client('n2').get('key'))?.value, 'value', 'it serves reads')
  await db.cluster.promote('n2')
  t.equal(roleOf(first, 'n2'), 'voter')
})

t.test('a member that is started at another address is found there', async t => {
  const place = await Place.of(t)
  const first = await place.start('n1')
  const second = await place.start('n2', { join: [place.address('n1')] })
  t.ok(await eventually(() => roleOf(first, 'n2') === 'voter' && second.readiness().ready))
  await second.stop()
  const elsewhere = place.address('another place')
  const moved = await place.start('n2', { advertise: elsewhere })
  t.ok(await eventually(() => first.status().members.some(({ address }) => address === elsewhere)))
  t.ok(await eventually(() => moved.readiness().ready))
  t.match(await place.client('n1').put('key', 'value'), { revision: Number }, 'both are needed for it')
})

t.test('a member that was removed while it was away asks for its place, and ends', async t => {
  const place = await Place.of(t)
  const first = await place.start('n1')
  const learner = { join: [place.address('n1')], learner: true }
  const second = await place.start('n2', learner)
  t.ok(await eventually(() => second.readiness().ready))
  await second.stop()
  await place.client('n1').cluster.removeMember('n2')
  await first.stop()
  const leader = await place.start('n1')
  t.ok(await eventually(() => leader.readiness().ready), 'it knows of the removed one no more')
  const back = await place.start('n2', learner)
  t.match(await back.ended, {
    code: 'STOPPED',
    message: /^n2 has been removed from the cluster: .*empty data directory/
  })
  await back.stop()
  t.equal(leader.status().members.length, 1)
})

t.test('a member of one cluster does not join another', async t => {
  const place = await Place.of(t)
  const [first] = await Promise.all([place.start('n1'), place.start('other')])
  const second = await place.start('n2', { join: [place.address('n1')] })
  t.ok(await eventually(() => roleOf(first, 'n2') === 'voter' && second.readiness().ready))
  await second.stop()
  const astray = await place.start('n2', { join: [place.address('other')] })
  t.match(await astray.ended, {
    fault: 'foreign-cluster',
    message: /belongs to cluster [0-9a-f]{32}, and --join names/
  })
  await astray.stop()
  const members = await place.client('other').cluster.members()
  t.same(
    members.map(({ id }) => id),
    ['other'],
    'and nothing has changed there'
  )
})
