// The simulated transport: its bulk lane keeps the promises of the real one, and is struck by the same faults as the rest.
import { t } from 'tap'
import type { FaultCounts } from '../../lib/sim/faults.ts'
import type { Watcher } from '../../lib/sim/ghost/watcher.ts'
import { Network } from '../../lib/sim/world/network.ts'
import { Wires } from '../../lib/sim/world/wires.ts'
import { Life, World } from '../../lib/sim/world/world.ts'
import type { TransportHandler } from '../../lib/transport/transport.ts'
import { type BulkRig, bulkLaneSuite, sendPiece, type Taken, type Told } from '../suite/bulk-lane.ts'
import { keyOf, memberOf } from '../suite/transport.ts'

const nobody: Watcher = { sent: () => {}, delivered: () => {}, dropped: () => {}, answered: () => {} }

interface SimulatedRig extends BulkRig {
  readonly world: World
  readonly wires: Wires
  readonly lives: { readonly sender: Life; readonly receiver: Life }
}

function simulated(): SimulatedRig {
  const world = new World(1)
  const struck: FaultCounts = {}
  const wires = new Wires(world, 0.1, 2, struck)
  const network = new Network(world, wires, nobody)
  const taken: Taken[] = []
  const lives = { sender: new Life('n1'), receiver: new Life('n2') }
  const handler: TransportHandler = {
    message: () => {},
    forwarded: () => {},
    chunk: (from, chunk, answer) => void taken.push({ from, chunk, answer }),
    greeted: () => {},
    closed: () => {}
  }
  const start = (host: string, life: Life) => {
    const transport = network.transport(keyOf(host), life, { boot: 1, machine: [1, 1], priority: 100 }, () => true)
    transport.receive(handler)
    return transport
  }
  const transport = start('n1', lives.sender)
  start('n2', lives.receiver).connect(['n1', 'n2'].map(host => memberOf({ dialAt: () => `${host}:1` }, host)))
  return {
    world,
    wires,
    lives,
    sender: { key: keyOf('n1'), transport },
    receiver: { key: keyOf('n2'), taken },
    gone: async () => {
      lives.receiver.over = true
      network.down(keyOf('n2'))
    },
    until: async condition => {
      if (!condition()) world.run(world.now + 10_000, condition)
      return condition()
    },
    end: async () => {}
  }
}

bulkLaneSuite(t, 'the simulated network', async () => simulated())

t.test('a piece that is lost, or whose answer is, is told of after a second', async t => {
  for (const [from, to] of [
    ['n1', 'n2'],
    ['n2', 'n1']
  ] as const) {
    const { world, wires, sender, receiver } = simulated()
    const told: Told[] = []
    wires.cut([from], [to])
    sendPiece(sender.transport, receiver.key, 0, told)
    world.run(500, () => false)
    for (const { answer } of receiver.taken) answer(null, Uint8Array.of(1))
    t.equal(receiver.taken.length, from === 'n1' ? 0 : 1)
    world.run(999, () => false)
    t.same(told, [])
    world.run(1_001, () => false)
    t.match(told, [{ error: { code: 'UNAVAILABLE' } }])
  }
})

t.test('a narrow wire carries a piece for as long as its bytes take', async t => {
  const { world, wires, sender, receiver } = simulated()
  wires.disturb({ kind: 'bandwidth', amount: 640 })
  sendPiece(sender.transport, receiver.key, 0, [])
  world.run(99, () => false)
  t.equal(receiver.taken.length, 0)
  world.run(110, () => false)
  t.equal(receiver.taken.length, 1)
})

t.test('an answer for an earlier life of the sender reaches nobody', async t => {
  const { world, lives, sender, receiver } = simulated()
  const told: Told[] = []
  sendPiece(sender.transport, receiver.key, 0, told)
  world.run(10, () => false)
  lives.sender.over = true
  receiver.taken[0]!.answer(null, Uint8Array.of(1))
  world.run(5_000, () => false)
  t.same(told, [])
})
