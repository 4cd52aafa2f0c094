// Three doors to one production node: clients take them for three nodes, one of them the leader. They misbehave when told to.
import { readU32 } from '../../lib/base/bytes.ts'
import type { ErrorCode, Fate } from '../../lib/base/errors.ts'
import { recordAt } from '../../lib/record/record.ts'
import { ClientPort, portLimits } from '../../lib/server/client-port.ts'
import type { Closed, Link, LinkHandler } from '../../lib/transport/net.ts'
import { frameKind, framesOf, readRefused, writeRefused } from '../../lib/wire/client.ts'
import type { Arrivals } from './arrivals.ts'
import { ArrivingNode, type ArrivingOptions } from './arriving-node.ts'
import { FakeTransport } from './node-parts.ts'
import { ScheduledNet } from './scheduled-net.ts'

/**
 * `refuse`: not passed on, and said to be so. `final`: the same, and not to be tried again. `lose`: passed on, and said to
 * be of unknown fate before it is known. `swallow`: passed on, and never answered. `garbage`: passed on, and answered with
 * what is no frame. `twice`: passed on, and answered twice.
 */
export type DoorFault = 'refuse' | 'final' | 'lose' | 'swallow' | 'garbage' | 'twice'

export const doorIds = ['n1', 'n2', 'n3'] as const
const requests: ReadonlySet<number> = new Set([frameKind.command, frameKind.resolve, frameKind.read, frameKind.scan])
const garbage = Uint8Array.of(0, 0, 0, 9, 81, 0, 0, 0, 1)

export interface DoorOptions extends Omit<ArrivingOptions, 'transport'> {
  readonly pageBytesMax: number
}

/** All that clients see of a cluster. */
export class Doors {
  readonly net: ScheduledNet
  readonly node: ArrivingNode
  leader: string | null = 'n1'
  readonly faults = new Map<string, { readonly fault: DoorFault; left: number }>()
  readonly #pageBytesMax: number
  #ports: ClientPort[] = []

  constructor(arrivals: Arrivals, options: DoorOptions) {
    this.#pageBytesMax = options.pageBytesMax
    this.net = new ScheduledNet(arrivals)
    this.node = new ArrivingNode(arrivals, { ...options, transport: () => new FakeTransport() })
    this.start()
  }

  get endpoints(): string[] {
    return doorIds.map(addressOf)
  }

  /** The process begins, and listens. */
  start(): void {
    if (this.node.life !== null) return
    this.node.start()
    this.#ports = doorIds.map(id => this.#open(id))
  }

  /** It dies: what is on its way to it is lost, of its last words the first so many still arrive. */
  crash(kept: (below: number) => number): void {
    if (this.node.life === null) return
    this.node.crash(kept)
    for (const wire of this.net.open) wire.break(0, kept(4))
    this.#gone()
  }

  /** It ends in order: it answers, and closes its links. */
  stop(): void {
    this.node.stop()
    for (const port of this.#ports) port.close()
    this.#gone()
  }

  elect(leader: string | null): void {
    this.leader = leader
    for (const port of this.#ports) port.news()
  }

  disturb(id: string, fault: DoorFault, times: number): void {
    this.faults.set(id, { fault, left: times })
  }

  #gone(): void {
    for (const id of doorIds) this.net.forget(placeOf(id))
    this.#ports = []
  }

  #open(id: string): ClientPort {
    const { node } = this
    const life = node.life!
    const welcome = () => ({
      protocol: 1,
      clusterId: life.node === null ? '' : 'c',
      nodeId: id,
      clusterTime: life.node?.clusterTime ?? 0,
      leader: this.leader,
      members: doorIds.map(member => ({ id: member, address: addressOf(member) })),
      requestBytesMax: 1_000_000
    })
    const parts = {
      env: life.env,
      life: () => (life.node === null || life.process.over ? null : { node: life.node, machine: life.kv }),
      welcome,
      found: () => {},
      revision: () => life.kv.revision
    }
    const port = new ClientPort(parts, { ...portLimits, pageBytesMax: this.#pageBytesMax })
    const accept = (link: Link): LinkHandler => new Door(link, port, () => this.#faultOf(id))
    this.net.listen(placeOf(id), accept, error => {
      if (error !== null) throw error
    })
    return port
  }

  #faultOf(id: string): DoorFault | null {
    const its = this.faults.get(id)
    if (its === undefined || its.left === 0) return null
    its.left--
    return its.fault
  }
}

/** One link at a door: sees each request before the port does, and each answer before the client. */
class Door implements Link, LinkHandler {
  readonly #link: Link
  readonly #port: LinkHandler
  readonly #fault: () => DoorFault | null
  /** Answers to these requests are kept back, each once. */
  readonly #swallowed: number[] = []
  readonly #doubled: number[] = []

  constructor(link: Link, port: ClientPort, fault: () => DoorFault | null) {
    this.#link = link
    this.#port = port.accept(this)
    this.#fault = fault
  }

  get buffered(): number {
    return this.#link.buffered
  }

  send(bytes: Uint8Array): void {
    const frames = framesOf(bytes)!
    for (const frame of frames) {
      const number = numberOfAnswer(frame)
      if (takeOut(this.#swallowed, number)) continue
      this.#link.send(frame)
      if (takeOut(this.#doubled, number)) this.#link.send(frame)
    }
  }

  pause(): void {
    this.#link.pause()
  }

  resume(): void {
    this.#link.resume()
  }

  close(): void {
    this.#link.close()
  }

  open(): void {}

  closed(by: Closed): void {
    this.#port.closed(by)
  }

  message(bytes: Uint8Array): void {
    const frames = framesOf(bytes)
    if (frames === null) throw new Error('the client sent frames whose lengths do not add up')
    for (const frame of frames) {
      const fault = requests.has(frame[4]!) ? this.#fault() : null
      if (fault === null) this.#port.message(frame)
      else this.#disturb(fault, frame)
    }
  }

  #disturb(fault: DoorFault, frame: Uint8Array): void {
    const isRecord = frame[4] === frameKind.command || frame[4] === frameKind.resolve
    const number = readU32(frame, isRecord ? recordAt.term : 8)
    const refuse = (code: ErrorCode, fate: Fate): void => {
      this.#link.send(writeRefused({ number, code, fate, text: 'the door refuses', retryAfterMs: null }))
    }
    if (fault === 'refuse') return refuse('OVERLOADED', 'not-applied')
    if (fault === 'final') return refuse('NO_SPACE', 'not-applied')
    // A scan is answered by many pages: it goes on as it is.
    if (frame[4] === frameKind.scan) return this.#port.message(frame)
    if (fault === 'twice') this.#doubled.push(number)
    else this.#swallowed.push(number)
    this.#port.message(frame)
    if (fault === 'lose') refuse('NOT_LEADER', 'unknown')
    if (fault === 'garbage') this.#link.send(garbage)
  }
}

/** The request that a frame of the node answers; 0 for a frame that answers none. */
function numberOfAnswer(frame: Uint8Array): number {
  if (frame[4] === frameKind.applied || frame[4] === frameKind.answered) return readU32(frame, 8)
  return frame[4] === frameKind.refused ? readRefused(frame).number : 0
}

function takeOut(numbers: number[], number: number): boolean {
  const at = numbers.indexOf(number)
  if (at >= 0) numbers.splice(at, 1)
  return at >= 0
}

function addressOf(id: string): string {
  return `127.0.0.1:700${id.slice(1)}`
}

function placeOf(id: string): string {
  return `${addressOf(id)}/v1`
}
