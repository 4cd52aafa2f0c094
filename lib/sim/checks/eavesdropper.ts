// Reads along on the links in memory: what nodes say to each other in bytes, and what they tell their clients.
import { readU32, readU64 } from '../../base/bytes.ts'
import type { Envelope } from '../../raft/message.ts'
import type { MemoryFabric } from '../../transport/memory-net.ts'
import { frameKind as clientFrame, framesOf } from '../../wire/client.ts'
import { type PeerFrame, frameKind as peerFrame, readPeerFrame } from '../../wire/peer.ts'
import { Violation } from '../ghost/violation.ts'
import type { Watcher } from '../ghost/watcher.ts'
import type { SimNode } from '../node/sim-node.ts'

export class Eavesdropper implements NonNullable<MemoryFabric['onlooker']> {
  readonly #nodes: ReadonlyMap<string, SimNode>
  readonly #watcher: Watcher
  /** Envelopes on their way, by the bytes that carry them. */
  readonly #onTheirWay = new WeakMap<Uint8Array, Envelope>()

  constructor(nodes: ReadonlyMap<string, SimNode>, watcher: Watcher) {
    this.#nodes = nodes
    this.#watcher = watcher
  }

  sent(from: string, to: string, bytes: Uint8Array): void {
    const node = this.#nodes.get(from)
    if (node?.life == null || !node.effect(node.life)) return
    if (!this.#nodes.has(to)) this.#answered(node, bytes)
    else if (bytes[0] === peerFrame.envelope) {
      const frame = read(from, bytes)
      if (frame.kind !== 'envelope') return
      this.#onTheirWay.set(bytes, frame.envelope)
      this.#watcher.sent(frame.envelope)
    }
  }

  arrived(_from: string, _to: string, bytes: Uint8Array): void {
    const envelope = this.#onTheirWay.get(bytes)
    if (envelope !== undefined) this.#watcher.delivered(envelope)
  }

  lost(_from: string, _to: string, bytes: Uint8Array): void {
    const envelope = this.#onTheirWay.get(bytes)
    if (envelope !== undefined) this.#watcher.dropped(envelope, 'link ended')
  }

  #answered(node: SimNode, bytes: Uint8Array): void {
    for (const frame of framesOf(bytes) ?? []) {
      if (frame[4] === clientFrame.applied) this.#watcher.answered(node.key, readU32(frame, 12), readU64(frame, 16))
    }
  }
}

/** Whatever a receiver would make of it, it is the sender who is at fault. */
function read(from: string, bytes: Uint8Array): PeerFrame {
  try {
    return readPeerFrame(bytes)
  } catch (error) {
    throw new Violation('IX1', `${from} sends what cannot be read: ${(error as Error).message}`)
  }
}
