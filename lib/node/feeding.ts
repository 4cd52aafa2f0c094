// All that a leader sends to its peers: the log to each that it is known to fit, a snapshot to one that lacks too much.
import type { MemberKey } from '../raft/types.ts'
import type { Counters } from './counters.ts'
import { Replicator, type ReplicatorParts } from './replicator.ts'
import { SnapshotSender, type SnapshotSenderParts } from './snapshot-sender.ts'

export type FeedingParts = Omit<ReplicatorParts, 'send'> & SnapshotSenderParts & { readonly counters: Counters }

export class Feeding {
  readonly snapshots: SnapshotSender
  readonly #parts: FeedingParts
  readonly #replicators = new Map<MemberKey, Replicator>()

  constructor(parts: FeedingParts) {
    this.#parts = parts
    this.snapshots = new SnapshotSender(parts)
  }

  /** A leader's part of each turn, after its Ready. */
  feed(now: number): void {
    const { raft, transport } = this.#parts
    for (const peer of raft.status.peers) {
      let replicator = this.#replicators.get(peer)
      if (replicator === undefined) {
        replicator = new Replicator(peer, { ...this.#parts, send: envelope => transport.send(envelope) })
        this.#replicators.set(peer, replicator)
      }
      if (!replicator.feed(now)) raft.step({ kind: 'unreachable', peer }, now)
    }
    this.snapshots.feed(now)
  }

  /** This node does not lead any more. */
  rest(): void {
    this.#replicators.clear()
    this.snapshots.rest()
  }

  stop(): void {
    this.snapshots.stop()
  }
}
