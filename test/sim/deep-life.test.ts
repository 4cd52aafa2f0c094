// The life that a server runs, in virtual time: founding, election, writes, power cuts and full disks, and what is left.
import { t } from 'tap'
import type { StrettoError } from '../../lib/base/errors.ts'
import { Client } from '../../lib/client/kv-client.ts'
import { KvMachine } from '../../lib/kv/kv-machine.ts'
import { ClientPort } from '../../lib/server/client-port.ts'
import { type Life as NodeLife, openLife } from '../../lib/server/life.ts'
import { leaderId } from '../../lib/server/status-of.ts'
import { SimDisk } from '../../lib/sim/disk/disk.ts'
import { Life, World } from '../../lib/sim/world/world.ts'
import { MemoryFabric, MemoryNet } from '../../lib/transport/memory-net.ts'

const secret = new Uint8Array(32).fill(7)

/** A process of a node, and what outlives it. */
class DeepNode {
  readonly id: string
  readonly disk: SimDisk
  readonly said: string[] = []
  readonly ended: Error[] = []
  /** The write at which its power fails for half a second, counted from now; 0 for never. */
  dieIn = 0
  deaths = 0
  opened: NodeLife | null = null
  readonly #bed: DeepBed
  #life: Life | null = null
  #lives = 0

  constructor(bed: DeepBed, id: string) {
    this.id = id
    this.#bed = bed
    const { world } = bed
    this.disk = new SimDisk({
      random: part => world.random(`${id} ${part}`),
      now: () => world.now,
      issued: () => this.#issued()
    })
  }

  get running(): boolean {
    return this.#life !== null
  }

  #issued(): void {
    if (this.dieIn === 0 || --this.dieIn > 0) return
    this.disk.knobs.lostWrites = true
    this.deaths++
    this.crash()
    this.#bed.world.after(500, null, () => this.start())
  }

  start(): void {
    const { world, fabric, addresses } = this.#bed
    const life = new Life(this.id, true)
    this.#life = life
    const env = world.env(life, world.random(`${this.id} life ${this.#lives++}`))
    const net = new MemoryNet(fabric, env, this.id)
    const disk = this.disk.mount(env)
    const opening = openLife({
      env,
      net,
      options: { id: this.id, cluster: addresses, advertise: addresses.get(this.id)!, peerSecret: secret },
      disk,
      machine: name => new KvMachine(disk.state(name), env),
      founding: () => {},
      changed: () => {},
      failed: error => this.#failed(life, error),
      renewed: () => {},
      say: line => this.said.push(line),
      halt: new AbortController().signal
    })
    opening.then(
      opened => {
        if (life.over) return
        this.opened = opened
        this.#serve(net, opened)
      },
      (error: Error) => this.#failed(life, error)
    )
  }

  #serve(net: MemoryNet, opened: NodeLife): void {
    const port = new ClientPort({
      env: net.env,
      life: () => (this.opened === opened ? opened : null),
      welcome: () => ({
        protocol: 1,
        clusterId: opened.memory.memory.clusterId!,
        nodeId: this.id,
        clusterTime: opened.node.clusterTime,
        leader: leaderId(opened),
        members: [...this.#bed.addresses].map(([id, address]) => ({ id, address })),
        requestBytesMax: 1_000_000
      }),
      found: () => {},
      revision: () => 0
    })
    const address = `${this.#bed.addresses.get(this.id)!}/v1`
    net.listen(
      address,
      link => port.accept(link),
      () => {}
    )
  }

  /** As a server does: what is left is closed, and the process ends. */
  #failed(life: Life, error: Error): void {
    if (life.over) return
    this.ended.push(error)
    const { opened } = this
    this.opened = null
    void (opened?.close() ?? Promise.resolve()).then(() => {
      if (!life.over) this.crash()
    })
  }

  crash(): void {
    if (this.#life === null) return
    this.#life.over = true
    this.#life = null
    this.opened = null
    this.disk.crash(below => this.#bed.chance.below(below))
    this.#bed.fabric.kill(this.id)
  }
}

class DeepBed {
  readonly world: World
  readonly fabric = new MemoryFabric()
  readonly addresses: ReadonlyMap<string, string>
  readonly nodes: readonly DeepNode[]
  readonly client: Client<string>
  readonly chance

  constructor(seed: number, size: number) {
    this.world = new World(seed)
    this.chance = this.world.random('bed')
    const network = this.world.random('network')
    this.fabric.delayMs = () => 0.2 + network.below(1000) / 1000
    const ids = Array.from({ length: size }, (_, at) => `n${at + 1}`)
    this.addresses = new Map(ids.map((id, at) => [id, `10.0.0.${at + 1}:4400`]))
    this.nodes = ids.map(id => new DeepNode(this, id))
    const env = this.world.env(new Life('client', true), this.world.random('client'))
    const endpoints = [...this.addresses.values()].map(address => `ws://${address}`)
    this.client = new Client<string>({ env, net: new MemoryNet(this.fabric, env, 'client') }, endpoints, {
      timeout: '20s'
    })
  }

  /** Lets time pass until it holds; false when it did not within so many milliseconds. */
  async until(condition: () => boolean, ms = 30_000): Promise<boolean> {
    if (!condition()) await this.world.play(this.world.now + ms, condition)
    return condition()
  }

  async settled<T>(answer: Promise<T>): Promise<T | StrettoError> {
    const ends: (T | StrettoError)[] = []
    answer.then(
      result => ends.push(result),
      (error: StrettoError) => ends.push(error)
    )
    if (!(await this.until(() => ends.length > 0))) throw new Error('never settled')
    return ends[0]!
  }

  get leader(): DeepNode | undefined {
    return this.nodes.find(node => node.opened?.node.raft.status.role === 'leader')
  }
}

for (const size of [1, 3]) {
  t.test(`${size} nodes: founded, written to, all killed by a power cut, and read again`, async t => {
    const bed = new DeepBed(size, size)
    for (const node of bed.nodes) node.start()
    t.ok(await bed.until(() => bed.leader !== undefined), 'founded, and one leads')
    t.match(await bed.settled(bed.client.put('key', 'value')), { revision: 2 })
    const memories = bed.nodes.map(node => node.opened!.memory.memory)
    t.equal(new Set(memories.map(({ clusterId }) => clusterId)).size, 1)
    t.equal(new Set(memories.map(({ incarnation }) => incarnation)).size, size)
    for (const node of bed.nodes) {
      node.disk.knobs.lostWrites = true
      node.crash()
    }
    await bed.until(() => false, 1_000)
    for (const node of bed.nodes) node.start()
    t.match(await bed.settled(bed.client.get('key')), { value: 'value' })
    t.ok(await bed.until(() => bed.nodes.every(node => node.opened?.hasCaughtUp === true)))
    for (const [at, node] of bed.nodes.entries()) {
      const { clusterId, incarnation } = memories[at]!
      t.match(node.opened!.memory.memory, { boot: 2, clusterId, incarnation }, `${node.id} is who it was`)
      t.same(node.said, [])
      t.same(node.ended, [])
    }
  })
}

t.test(
  'the power fails at any write from the first start on: it starts again, and what was answered is there',
  async t => {
    for (let dieIn = 1; dieIn <= 30; dieIn++) {
      const bed = new DeepBed(dieIn, 1)
      const node = bed.nodes[0]!
      node.dieIn = dieIn
      node.disk.knobs.tornChance = 0.3
      node.start()
      let written = 0
      while (node.deaths === 0 || written < 3) {
        const { revision } = (await bed.settled(bed.client.put(`key ${written}`, 'value'))) as {
          readonly revision: number
        }
        if (revision !== ++written + 1) t.fail(`died at write ${dieIn}: revision ${revision}`)
      }
      for (let number = 0; number < written; number++) {
        const entry = await bed.settled(bed.client.get(`key ${number}`))
        t.match(entry, { value: 'value' }, `died at write ${dieIn}`)
      }
      t.same([node.said, node.ended], [[], []])
    }
  }
)

t.test('a disk that is full ends a life; with room again the next one goes on', async t => {
  const bed = new DeepBed(5, 3)
  for (const node of bed.nodes) node.start()
  t.ok(await bed.until(() => bed.leader !== undefined))
  t.match(await bed.settled(bed.client.put('key', '1')), { revision: 2 })
  const leader = bed.leader!
  leader.disk.knobs.full = true
  t.match(await bed.settled(bed.client.put('key', '2')), { revision: 3 }, 'the others go on')
  t.match(leader.ended, [{ code: 'NO_SPACE' }])
  t.ok(await bed.until(() => !leader.running))
  leader.disk.knobs.full = false
  leader.start()
  t.ok(await bed.until(() => leader.opened?.hasCaughtUp === true))
  const last = bed.nodes.map(node => node.opened!.log.tail)
  t.ok(await bed.until(() => bed.nodes.every(node => node.opened!.log.tail.index === last[0]!.index)))
  t.match(await bed.settled(bed.client.get('key')), { value: '2' })
})

t.test('a seed tells the same story again', async t => {
  const story = async (): Promise<unknown> => {
    const bed = new DeepBed(11, 3)
    for (const node of bed.nodes) node.start()
    await bed.until(() => bed.leader !== undefined)
    for (let number = 0; number < 10; number++) {
      const victim = bed.nodes[bed.chance.below(3)]!
      victim.dieIn = 1 + bed.chance.below(10)
      await bed.settled(bed.client.put('key', String(number)))
    }
    await bed.until(() => bed.nodes.every(node => node.opened?.hasCaughtUp === true))
    return [bed.world.digest, bed.world.events, bed.world.now, bed.nodes.map(node => node.opened!.log.tail)]
  }
  t.same(await story(), await story())
})
