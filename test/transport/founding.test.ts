// Founding in every start order, with restarts and wiped nodes in between; one cluster comes of it, or none.
import fc from 'fast-check'
import { t } from 'tap'
import { type Membership, memberKey } from '../../lib/raft/types.ts'
import {
  clusterIdOf,
  type Founded,
  Founding,
  type FoundingOptions,
  type Waiting
} from '../../lib/transport/founding.ts'
import { Peers } from '../../lib/transport/peers.ts'
import { type MemoryRig, memoryRig, socketRig } from '../help/transport-rigs.ts'
import { secret, type TransportRig } from '../suite/transport.ts'

const numRuns = Number(process.env['FC_RUNS'] ?? 60)

/** A node with a directory that survives its restarts, and what became of its founding. */
class Founder {
  readonly host: string
  incarnation: string
  /** What its directory says; null while it is empty. */
  founded: Founded | null = null
  error: Error | null = null
  waiting: readonly Waiting[] = []
  boot = 0
  running: Founding | Peers | null = null
  /** How long its disk takes to make the founding durable. */
  diskMs = 3
  /** Its transport as a member listens. */
  serving = false
  readonly #rig: TransportRig
  readonly #options: Partial<FoundingOptions>
  readonly #cluster: ReadonlyMap<string, string>

  constructor(rig: TransportRig, host: string, hosts: readonly string[], options: Partial<FoundingOptions> = {}) {
    this.#rig = rig
    this.host = host
    this.#options = options
    this.#cluster = new Map(hosts.map(host => [host, rig.dialAt(host)]))
    this.incarnation = host.slice(1).padStart(16, '0')
  }

  start(): void {
    this.boot++
    if (this.founded === null) this.#found()
    else this.#serve(this.founded)
  }

  stop(): void {
    const { running } = this
    this.running = null
    this.serving = false
    running?.close(() => {})
  }

  wipe(incarnation: string): void {
    this.founded = null
    this.incarnation = incarnation
  }

  #found(): void {
    const founding = new Founding({
      env: this.#rig.env(this.host),
      net: this.#rig.net(this.host),
      listen: this.#rig.listenAt(this.host),
      id: this.host,
      incarnation: this.incarnation,
      cluster: this.#cluster,
      boot: this.boot,
      machine: [1, 1],
      secret,
      listening: port => this.#rig.listens(this.host, port),
      progress: waiting => {
        this.waiting = waiting
      },
      ...this.#options
    })
    this.running = founding
    founding.start((error, founded) => {
      if (this.running !== founding) return
      this.error = error
      if (error !== null) return this.stop()
      // The disk takes its time, and the others are answered meanwhile.
      this.#rig.env(this.host).after(this.diskMs, () => {
        if (this.running !== founding) return
        this.founded = founded
        founding.close(() => {
          if (this.running === founding) this.#serve(founded)
        })
      })
    })
  }

  #serve(founded: Founded): void {
    const peers = new Peers({
      env: this.#rig.env(this.host),
      net: this.#rig.net(this.host),
      listen: this.#rig.listenAt(this.host),
      self: memberKey(this.host, this.incarnation),
      clusterId: founded.clusterId,
      boot: this.boot,
      machine: [1, 1],
      secret,
      founding: founded.membership
    })
    this.running = peers
    peers.receive({ message: () => {}, forwarded: () => {}, chunk: () => {}, greeted: () => {}, closed: () => {} })
    peers.listen((error, listener) => {
      if (error !== null) return
      this.#rig.listens(this.host, listener.port)
      this.serving = true
    })
    peers.connect(founded.membership.members)
  }
}

function founders(rig: TransportRig, count: number, options: Partial<FoundingOptions> = {}): Founder[] {
  const hosts = Array.from({ length: count }, (_, at) => `n${at + 1}`)
  return hosts.map(host => new Founder(rig, host, hosts, options))
}

function agreed(nodes: readonly Founder[]): boolean {
  const first = nodes[0]!.founded
  return first !== null && nodes.every(node => node.founded?.clusterId === first.clusterId)
}

t.test('three nodes found a cluster: voters sorted by id, its id the hash of its membership', async t => {
  const rig = memoryRig()
  const nodes = founders(rig, 3)
  for (const node of nodes.toReversed()) node.start()
  t.ok(await rig.until(() => agreed(nodes)))
  const { membership, clusterId } = nodes[0]!.founded!
  const keys = nodes.map(node => memberKey(node.host, node.incarnation))
  const expected: Membership = {
    voters: keys,
    outgoing: null,
    learners: [],
    members: nodes.map((node, at) => ({
      key: keys[at]!,
      id: node.host,
      incarnation: node.incarnation,
      address: rig.dialAt(node.host)
    }))
  }
  t.same(membership, expected)
  t.match(clusterId, /^[0-9a-f]{32}$/)
  t.equal(clusterId, clusterIdOf(expected))
})

t.test('a node alone founds its cluster at once', async t => {
  const rig = memoryRig()
  const [node] = founders(rig, 1)
  node!.start()
  t.ok(await rig.until(() => node!.founded !== null))
})

t.test('a node says for whom it waits, and why', async t => {
  const rig = memoryRig()
  const nodes = founders(rig, 3)
  nodes[0]!.start()
  rig.time.run(100)
  t.same(
    nodes[0]!.waiting.map(({ id }) => id),
    ['n2', 'n3']
  )
  t.match(nodes[0]!.waiting[0]!.reason, /not reached at n2:7000/)
  nodes[1]!.start()
  await rig.until(() => nodes[0]!.waiting.length === 1)
  t.equal(nodes[0]!.waiting[0]!.id, 'n3')
  rig.time.run(60_000)
  t.ok(nodes.every(node => node.founded === null))
  nodes[2]!.start()
  t.ok(await rig.until(() => agreed(nodes)))
})

interface Step {
  readonly node: number
  readonly act: 'start' | 'stop' | 'wipe'
  readonly ms: number
}

/** Lets misfortunes happen, then starts everybody; whether all that has a cluster has the same, with living members. */
function play(rig: MemoryRig, nodes: readonly Founder[], steps: readonly Step[]): boolean {
  let wipes = 0
  const ever = new Set<string>()
  const noted = () => {
    for (const node of nodes) if (node.founded !== null) ever.add(node.founded.clusterId)
    return false
  }
  for (const { node: at, act, ms } of steps) {
    const node = nodes[at % nodes.length]!
    if (act === 'start') {
      if (node.running === null) node.start()
    } else {
      node.stop()
      if (act === 'wipe' && wipes++ < 2) node.wipe(`${wipes}`.padStart(16, 'a'))
    }
    rig.time.until(noted, ms)
  }
  for (const node of nodes) if (node.running === null) node.start()
  rig.time.until(noted, 20_000)
  if (ever.size > 1) return false
  const lost = nodes.filter(node => node.founded === null)
  // A node whose disk was lost after the founding is refused by name; all others have come together.
  return lost.every(node => node.error?.message.includes(`members replace ${node.host}`)) && ever.size === 1
}

const stepArb: fc.Arbitrary<Step> = fc.record({
  node: fc.nat({ max: 4 }),
  act: fc.constantFrom('start' as const, 'start' as const, 'start' as const, 'stop' as const, 'wipe' as const),
  ms: fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 1500 }))
})

for (const count of [3, 5]) {
  t.test(`${count} nodes started, stopped and wiped in any order found one cluster`, async t => {
    fc.assert(
      fc.property(fc.nat({ max: 1_000_000 }), fc.array(stepArb, { maxLength: 25 }), (seed, steps) => {
        const rig = memoryRig(seed)
        return play(rig, founders(rig, count), steps)
      }),
      { numRuns }
    )
    t.pass()
  })
}

t.test('a node that was away adopts what the others have founded with it', async t => {
  const rig = memoryRig()
  const nodes = founders(rig, 3)
  for (const node of nodes) node.start()
  // n3 dies the moment the first of them is founded, before its own disk has it.
  await rig.until(() => nodes[0]!.founded !== null || nodes[1]!.founded !== null)
  const early = nodes.filter(node => node.founded === null)
  for (const node of early) node.stop()
  rig.time.run(5000)
  for (const node of early) node.start()
  t.ok(await rig.until(() => agreed(nodes)))
})

t.test('a node that is done says nothing else while its disk is slow', async t => {
  const rig = memoryRig()
  const nodes = founders(rig, 3)
  for (const node of nodes) {
    node.diskMs = 3000
    node.start()
  }
  rig.time.run(1000)
  // All are done. Two die before their disks have it, and one of these loses its disk.
  for (const node of nodes.slice(1)) node.stop()
  nodes[2]!.wipe('ffffffffffffffff')
  for (const node of nodes.slice(1)) node.start()
  t.ok(await rig.until(() => agreed(nodes.slice(0, 2)) && nodes[2]!.error !== null))
  t.equal(nodes[2]!.founded, null)
})

t.test('a wiped node is refused after the founding, with one line that names what to do', async t => {
  const rig = memoryRig()
  const nodes = founders(rig, 3)
  for (const node of nodes) node.start()
  await rig.until(() => nodes.every(node => node.serving))
  nodes[1]!.stop()
  nodes[1]!.wipe('ffffffffffffffff')
  nodes[1]!.start()
  t.ok(await rig.until(() => nodes[1]!.error !== null))
  t.match(nodes[1]!.error, { code: 'BAD_REQUEST', message: /^[^\n]*members replace n2[^\n]*$/ })
})

t.test('nodes whose cluster lists differ name the difference and go on when it is mended', async t => {
  const rig = memoryRig()
  const hosts = ['n1', 'n2']
  const one = new Founder(rig, 'n1', hosts)
  const other = new Map([
    ['n1', 'n1:7000'],
    ['n2', '10.0.0.2:7000']
  ])
  const two = new Founder(rig, 'n2', hosts, { cluster: other })
  one.start()
  two.start()
  const says = (node: Founder) => node.waiting.some(({ reason }) => reason.includes('the cluster lists differ: n2 is'))
  t.ok(await rig.until(() => says(one) && says(two)))
  rig.time.run(10_000)
  t.ok(one.founded === null && two.founded === null)
  two.stop()
  const mended = new Founder(rig, 'n2', hosts)
  mended.start()
  t.ok(await rig.until(() => agreed([one, mended])))
})

t.test('a list that leaves a node out, or another secret, holds the founding up and says so', async t => {
  const rig = memoryRig()
  const one = new Founder(rig, 'n1', ['n1', 'n2'])
  const two = new Founder(rig, 'n2', ['n1', 'n2'], { secret: new Uint8Array(1) })
  const three = new Founder(rig, 'n3', ['n1', 'n3'])
  for (const node of [one, two, three]) node.start()
  rig.time.run(3000)
  t.match(one.waiting[0]!.reason, /secrets of the two nodes differ/)
  t.match(three.waiting[0]!.reason, /the cluster list of n1 does not name n3/)
  t.ok([one, two, three].every(node => node.founded === null && node.error === null))
  const stray = new Founder(rig, 'n4', ['n1', 'n2'])
  stray.start()
  t.ok(await rig.until(() => stray.error !== null))
  t.match(stray.error, { code: 'BAD_REQUEST', message: /does not name n4 itself/ })
})

t.test('founding over real sockets', async t => {
  const rig = await socketRig()
  const nodes = founders(rig, 3)
  for (const node of nodes) node.start()
  t.ok(await rig.until(() => agreed(nodes) && nodes.every(node => node.serving)))
  for (const node of nodes) {
    await new Promise<void>(resolve => (node.running as Peers).close(() => resolve()))
  }
  await rig.end()
})
