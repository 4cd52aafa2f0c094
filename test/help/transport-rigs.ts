// Hosts for transport tests: in virtual time over MemoryNet, and in the real world over WebSockets and proxies.
import { MemoryFabric, MemoryNet } from '../../lib/transport/memory-net.ts'
import type { Net } from '../../lib/transport/net.ts'
import { WsNet } from '../../lib/transport/ws-net.ts'
import { peerMessageBytesMax } from '../../lib/wire/peer.ts'
import { peerSubprotocol } from '../../lib/wire/version.ts'
import type { TransportRig } from '../suite/transport.ts'
import { eventually, realEnv } from './real-time.ts'
import { TcpProxy } from './tcp-proxy.ts'
import { VirtualTime } from './virtual-time.ts'

export interface MemoryRig extends TransportRig {
  readonly time: VirtualTime
  readonly fabric: MemoryFabric
}

const hosts = ['n1', 'n2', 'n3', 'n4', 'n5']

export function memoryRig(seed = 1): MemoryRig {
  const time = new VirtualTime(seed)
  const fabric = new MemoryFabric()
  const nets = new Map<string, Net>()
  const delays = time.env('delays')
  fabric.delayMs = () => 0.1 + delays.random(20) / 10
  const each = (host: string, change: (from: string, to: string) => void) => {
    for (const other of hosts) {
      if (other === host) continue
      change(host, other)
      change(other, host)
    }
  }
  return {
    time,
    fabric,
    net: host => {
      const net = nets.get(host) ?? new MemoryNet(fabric, time.env(host), host)
      nets.set(host, net)
      return net
    },
    env: host => time.env(host),
    listenAt: host => `${host}:7000`,
    dialAt: host => `${host}:7000`,
    listens: () => {},
    freeze: host => each(host, (from, to) => fabric.cut(from, to)),
    thaw: host => each(host, (from, to) => fabric.heal(from, to)),
    until: async condition => time.until(condition),
    end: async () => {}
  }
}

export async function socketRig(): Promise<TransportRig> {
  const ports = new Map<string, number>()
  const proxies = new Map<string, TcpProxy>()
  for (const host of hosts) {
    const proxy = new TcpProxy(() => ports.get(host) ?? 1)
    await proxy.listen()
    proxies.set(host, proxy)
  }
  const net = () =>
    new WsNet({
      env: realEnv,
      messageBytesMax: peerMessageBytesMax,
      subprotocol: peerSubprotocol,
      pingMs: 100,
      silenceMs: 400
    })
  const all = (change: (proxy: TcpProxy) => void) => {
    for (const proxy of proxies.values()) change(proxy)
  }
  return {
    net,
    env: () => realEnv,
    listenAt: () => '127.0.0.1:0',
    dialAt: host => `127.0.0.1:${proxies.get(host)!.port}`,
    listens: (host, port) => void ports.set(host, port),
    freeze: () => all(proxy => proxy.freeze()),
    thaw: () => all(proxy => proxy.thaw()),
    until: eventually,
    end: async () => {
      for (const proxy of proxies.values()) await proxy.close()
    }
  }
}
