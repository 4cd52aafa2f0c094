// Messages between the members of a cluster. They may be lost, repeated or reordered; never altered.
import type { Done } from '../base/env.ts'
import type { StrettoError } from '../base/errors.ts'
import type { Envelope } from '../raft/message.ts'
import type { Member, MemberKey } from '../raft/types.ts'
import type { Chunk } from '../wire/peer.ts'

/** Pieces of snapshots under way to one peer at one time: who sends them sees to that. */
export const chunksMax = 4

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
  /**
   * Carries a piece of a snapshot in the bulk lane, which gives way to consensus: at most `chunksMax` are to be under way to
   * one peer, and none is taken while much waits to be sent (`OVERLOADED`: again after a heartbeat). `done` comes with what
   * the receiver answers, or with an error when no answer can come any more; never inside the call.
   */
  sendChunk(to: MemberKey, chunk: Omit<Chunk, 'number'>, done: Done<Uint8Array>): void
  receive(handler: TransportHandler): void
  close(done: Done): void
}

export interface TransportHandler {
  message(envelope: Envelope): void
  /** A forwarded request; `answer` is called once, or never when this node stops. */
  forwarded(from: MemberKey, request: Uint8Array, answer: (answer: Uint8Array) => void): void
  /** A piece of a snapshot. `answer` is called once, with an error or bytes of the node's own, or never when this node stops. */
  chunk(from: MemberKey, chunk: Chunk, answer: ChunkAnswer): void
  /** A link to this member is up and it has proven itself. */
  greeted(peer: MemberKey, greeting: Greeting): void
  /** The link is gone; `hint`: the other side closed it, so it may be dead. */
  closed(peer: MemberKey, hint: boolean): void
}

export type ChunkAnswer = (error: StrettoError | null, bytes: Uint8Array) => void

export interface Greeting {
  readonly boot: number
  /** Protocol versions the peer can speak, inclusive. */
  readonly protocol: readonly [number, number]
  /** Machine versions the peer can run, inclusive. */
  readonly machine: readonly [number, number]
  /** Of those that could lead, one of the highest is to; absent where the peer names none. */
  readonly priority?: number
}
