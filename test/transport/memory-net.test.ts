// Net within a process: passes the suite, and its faults do what they say.
import { t } from 'tap'
import { MemoryFabric, MemoryNet } from '../../lib/transport/memory-net.ts'
import type { Link } from '../../lib/transport/net.ts'
import { VirtualTime } from '../help/virtual-time.ts'
import { Ear, type NetRig, netSuite } from '../suite/net.ts'

const listenAt = 'server:0/peer'

async function rig(): Promise<NetRig> {
  const time = new VirtualTime()
  const fabric = new MemoryFabric()
  fabric.delayMs = () => 0.2
  const both = (change: (from: string, to: string) => void) => {
    change('server', 'client')
    change('client', 'server')
  }
  return {
    listening: new MemoryNet(fabric, time.env('server'), 'server'),
    dialling: new MemoryNet(fabric, time.env('client'), 'client'),
    listenAt,
    dialAt: port => `server:${port}/peer`,
    freeze: () => both((from, to) => fabric.cut(from, to)),
    thaw: () => both((from, to) => fabric.heal(from, to)),
    until: async condition => {
      // Promises of the test settle between events.
      for (let round = 0; round < 3; round++) await Promise.resolve()
      const held = time.until(condition, 1000)
      for (let round = 0; round < 3; round++) await Promise.resolve()
      return held || time.until(condition, 59_000)
    },
    end: async () => {}
  }
}

netSuite(t, 'MemoryNet', rig)

function world() {
  const time = new VirtualTime()
  const fabric = new MemoryFabric()
  const far = new Ear()
  const near = new Ear()
  const accept = (link: Link) => {
    far.link = link
    return far
  }
  new MemoryNet(fabric, time.env('server'), 'server').listen('server:1/peer', accept, () => {})
  time.run(1)
  const dial = () => new MemoryNet(fabric, time.env('client'), 'client').dial('server:1/peer', near)
  return { time, fabric, near, far, dial }
}

t.test('one direction may be cut alone: only who hears nothing takes it for the end', async t => {
  const { time, fabric, near, far, dial } = world()
  dial()
  time.run(1)
  fabric.cut('client', 'server')
  near.link!.send(Uint8Array.of(1))
  far.link!.send(Uint8Array.of(2))
  time.run(2999)
  t.same([near.heard.length, far.heard.length], [1, 0])
  time.run(10)
  t.equal(far.ends[0]!.by, 'silence')
  t.equal(near.ends[0]!.by, 'them')
})

t.test('a dial over a cut path ends in silence', async t => {
  const { time, fabric, near, dial } = world()
  fabric.cut('server', 'client')
  dial()
  time.run(2000)
  t.same(near.ends, [])
  time.run(2000)
  t.equal(near.ends[0]!.by, 'silence')
})

t.test('a reset is the doing of the other side for both, a killed host hears nothing', async t => {
  const { time, fabric, near, far, dial } = world()
  dial()
  time.run(1)
  fabric.reset('client', 'server')
  t.same(
    [near.ends, far.ends].map(ends => ends.map(end => end.by)),
    [['them'], ['them']]
  )
  dial()
  time.run(1)
  fabric.kill('server')
  time.run(1)
  t.equal(near.ends.length, 2)
  t.equal(far.ends.length, 1)
  dial()
  time.run(1)
  t.equal(near.ends[2]!.reason, 'refused')
})

t.test('a host without power is missed only after the silence', async t => {
  const { time, fabric, near, far, dial } = world()
  dial()
  time.run(1)
  fabric.powerOff('server')
  near.link!.send(Uint8Array.of(1))
  time.run(2990)
  t.same([near.ends, far.ends, far.heard], [[], [], []])
  time.run(20)
  t.equal(near.ends[0]!.by, 'silence')
  t.same(far.ends, [])
})
