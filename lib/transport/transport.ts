// Messages between the members of a cluster. They may be lost, repeated or reordered; never altered.
import type { Done } from '../base/env.ts'
import type { Envelope } from '../raft/message.ts'
import type { Member, MemberKey } from '../raft/types.ts'

export interface Transport {
  /** Sets whom to keep links to; called again whenever the membership changes. */
  connect(members: readonly Member[]): void
  /** False: not connected or the queue is full; nothing was sent. */
  send(envelope: Envelope): boolean
  /**
   * Carries a client's request to another node, and the answer back, in a lane of its own. Sent once; `done` has an error
   * when the answer cannot come any more: then its fate is unknown.
   */
  forward(to: MemberKey, request: Uint8Array, done: Done<Uint8Array>): void
  receive(handler: TransportHandler): void
  close(done: Done): void
}

export interface TransportHandler {
  message(envelope: Envelope): void
  /** A forwarded request; `answer` is called once, or never when this node stops. */
  forwarded(from: MemberKey, request: Uint8Array, answer: (answer: Uint8Array) => void): void
  /** A link to this member is up and it has proven itself. */
  greeted(peer: MemberKey, greeting: Greeting): void
  /** The link is gone; `hint`: the other side closed it, so it may be dead. */
  closed(peer: MemberKey, hint: boolean): void
}

export interface Greeting {
  readonly boot: number
  /** Protocol versions the peer can speak, inclusive. */
  readonly protocol: readonly [number, number]
  /** Machine versions the peer can run, inclusive. */
  readonly machine: readonly [number, number]
}
