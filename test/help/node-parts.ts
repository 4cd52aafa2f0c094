// The neighbours of the node's rooms, played by a test: a core, a log, a transport and a machine that answer when told to.
import type { Done } from '../../lib/base/env.ts'
import { StrettoError } from '../../lib/base/errors.ts'
import type { Log, Opened } from '../../lib/log/log.ts'
import type { Batch, Outcomes, SnapshotSink, SnapshotSource, Source, StateMachine } from '../../lib/machine/machine.ts'
import { ReplicatedMachine } from '../../lib/machine/replicated-machine.ts'
import { type NodeLimits, nodeLimits } from '../../lib/node/limits.ts'
import type { Due, Input, Persist, Raft, Ready, Status } from '../../lib/raft/doors.ts'
import type { Envelope } from '../../lib/raft/message.ts'
import type { Base, Block, ChainedId, Index, LogId, Member, MemberKey, Membership } from '../../lib/raft/types.ts'
import { lastOf, logOrigin } from '../../lib/raft/types.ts'
import { cutBlock } from '../../lib/record/block.ts'
import { draftRecord, recordKind } from '../../lib/record/record.ts'
import type { Transport, TransportHandler } from '../../lib/transport/transport.ts'
import type { Chunk } from '../../lib/wire/peer.ts'
import { keyOf, membershipOf } from './core-cluster.ts'
import { draftOf } from './tally.ts'

export const quickLimits: NodeLimits = { ...nodeLimits, patienceMsDefault: 1_000 }

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** A core that says what the test has written into it, and remembers what it was told. */
export class FakeRaft implements Raft {
  readonly inputs: Input[] = []
  readonly proposed: Block[] = []
  readonly status: Writable<Status> = {
    self: keyOf(1),
    role: 'leader',
    term: 3,
    leader: keyOf(1),
    membership: membershipOf([1]),
    base: logOrigin,
    last: logOrigin,
    durable: 0,
    commit: 0,
    trusted: true,
    hollow: false,
    accepts: true,
    owesNoop: false,
    owesMembership: null,
    peers: [],
    match: () => 0,
    heardAt: () => 0,
    needsSnapshot: () => false,
    mode: () => 'replicate'
  }

  step(input: Input): void {
    this.inputs.push(input)
    if (input.kind !== 'propose') return
    this.proposed.push(input.block)
    this.status.owesNoop = false
  }

  ready(): Ready | null {
    return null
  }

  due(): Due | null {
    return null
  }

  append(): Envelope {
    throw new Error('nothing is due')
  }

  announce(): Envelope {
    throw new Error('there is no snapshot')
  }

  membershipAt(): Membership {
    return this.status.membership
  }

  wakeAt(): number {
    return Number.POSITIVE_INFINITY
  }
}

/** A log that holds what it is given; cold reads and writes wait until the test answers them. */
export class FakeLog implements Log {
  readonly blocks: Block[] = []
  /** Blocks that begin below it are not in memory. */
  hotFrom: Index = 0
  cuts = 0
  readonly rebased: Base[] = []
  readonly coldReads: { readonly from: Index; readonly done: Done<readonly Block[] | null> }[] = []
  readonly writes: { readonly persist: Persist; readonly done: Done }[] = []
  failed: ((error: Error) => void) | null = null

  get base(): Base {
    const { term, index } = logOrigin
    return { index, term, chain: 0, membership: membershipOf([1]), machineVersion: 1, state: 1 }
  }

  get tail(): ChainedId {
    const last = this.blocks.at(-1)
    return last === undefined ? this.base : { index: lastOf(last), term: last.term, chain: last.chain }
  }

  get bytes(): number {
    return this.blocks.reduce((sum, block) => sum + block.bytes.length, 0)
  }

  open(_done: Done<Opened>): void {
    throw new Error('it is open')
  }

  write(persist: Persist, done: Done): void {
    this.blocks.push(...persist.blocks)
    this.writes.push({ persist, done })
  }

  rebase(base: Base): void {
    this.rebased.push(base)
  }

  idAt(): ChainedId | null {
    return null
  }

  endBefore(): ChainedId {
    return this.base
  }

  hot(from: Index, bytesMax: number): readonly Block[] | null {
    if (from > this.tail.index) return []
    return from < this.hotFrom ? null : this.from(from, bytesMax)
  }

  cold(from: Index, _bytesMax: number, done: Done<readonly Block[] | null>): void {
    this.coldReads.push({ from, done })
  }

  watch(failed: (error: Error) => void): void {
    this.failed = failed
  }

  close(): void {
    throw new Error('the owner closes the log, not the node')
  }

  from(from: Index, bytesMax = Number.POSITIVE_INFINITY): Block[] {
    let bytes = 0
    const found = this.blocks.filter(block => lastOf(block) >= from)
    return found.filter((block, at) => {
      bytes += block.bytes.length
      return at === 0 || bytes <= bytesMax
    })
  }
}

type Piece = Omit<Chunk, 'number'>

/** Keeps what it is told to send; a forwarded request and a piece of a snapshot wait until the test answers them. */
export class FakeTransport implements Transport {
  handler: TransportHandler | null = null
  readonly sent: Envelope[] = []
  readonly connected: (readonly Member[])[] = []
  readonly forwards: { readonly to: MemberKey; readonly request: Uint8Array; readonly done: Done<Uint8Array> }[] = []
  readonly chunks: { readonly to: MemberKey; readonly chunk: Piece; readonly done: Done<Uint8Array> }[] = []
  takes = true

  connect(members: readonly Member[]): void {
    this.connected.push(members)
  }

  send(envelope: Envelope): boolean {
    if (this.takes) this.sent.push(envelope)
    return this.takes
  }

  forward(to: MemberKey, request: Uint8Array, done: Done<Uint8Array>): void {
    this.forwards.push({ to, request, done })
  }

  sendChunk(to: MemberKey, chunk: Piece, done: Done<Uint8Array>): void {
    this.chunks.push({ to, chunk, done })
  }

  receive(handler: TransportHandler): void {
    this.handler = handler
  }

  close(): void {
    throw new Error('the owner closes the transport, not the node')
  }
}

/**
 * A machine whose applies and flushes last until the test ends them. A command that reads `bad` is refused by `check`, `later`
 * for now; one that reads `keep` is urgent.
 */
export class HandMachine implements StateMachine {
  unflushedBytes = 0
  readonly applies: { readonly batches: readonly Batch[]; readonly done: Done<readonly Outcomes[]> }[] = []
  readonly flushes: { readonly upTo: LogId; readonly done: Done }[] = []
  readonly snapshots: Done<SnapshotSource | null>[] = []
  readonly bases: Index[] = []
  readonly replicated = new ReplicatedMachine(this)

  open(done: Done<{ readonly durable: LogId; readonly sidecar: Uint8Array | null }>): void {
    done(null, { durable: logOrigin, sidecar: null })
  }

  check(commands: Uint8Array): StrettoError | null {
    const read = Buffer.from(commands)
    if (read.includes('later')) return new StrettoError('UNAVAILABLE', 'a later version', { retryAfterMs: 50 })
    return read.includes('bad') ? new StrettoError('BAD_REQUEST', 'a bad command') : null
  }

  isUrgent(commands: Uint8Array): boolean {
    return Buffer.from(commands).includes('keep')
  }

  apply(batches: readonly Batch[], done: Done<readonly Outcomes[]>): void {
    this.applies.push({ batches, done })
  }

  query(_request: Uint8Array, done: Done<Uint8Array>): void {
    done(new StrettoError('BAD_REQUEST', 'nobody asks'), new Uint8Array(0))
  }

  scan(): Source {
    throw new StrettoError('BAD_REQUEST', 'nobody asks')
  }

  flush(upTo: LogId, _sidecar: Uint8Array, done: Done): void {
    this.flushes.push({ upTo, done })
  }

  snapshot(done: Done<SnapshotSource | null>): void {
    this.snapshots.push(done)
  }

  restore(): SnapshotSink {
    throw new StrettoError('BAD_REQUEST', 'nobody sends a snapshot')
  }

  compacted(base: Index): void {
    this.bases.push(base)
  }

  close(done: Done): void {
    done(null)
  }

  /** Ends the apply under way; every batch is executed, plainly. */
  applied(): void {
    const { batches, done } = this.applies.pop()!
    done(
      null,
      batches.map(({ index }) => ({ revision: index + 1, each: null }))
    )
  }

  /** Ends the flush under way. */
  flushed(error: Error | null = null): void {
    this.flushes.pop()!.done(error)
  }
}

/** Consecutive blocks of one term, each of so many no-ops, which need no answer of the machine. */
export function noopBlocks(previous: ChainedId, term: number, counts: readonly number[], bodyBytes = 0): Block[] {
  let end = previous
  return counts.map(count => {
    const drafts = Array.from({ length: count }, () => draftRecord(recordKind.noop, new Uint8Array(bodyBytes)))
    const block = cutBlock(0, term, end, 0, drafts)
    end = { index: lastOf(block), term, chain: block.chain }
    return block
  })
}

let serial = 0

/** A draft with one command of so many bytes, of a serial that no other has. */
export function draft(
  bytes = 10,
  options: { readonly patienceMs?: number; readonly number?: number } = {}
): Uint8Array {
  return draftOf(['x'.repeat(bytes)], { session: 1, serial: ++serial, floor: serial - 1, ...options })
}

/** One voter alone, or with peers who are not there. */
export function membershipWith(count: number): Membership {
  const members = Array.from({ length: count }, (_, at) => {
    const key = keyOf(at + 1)
    return { key, id: `n${at + 1}`, incarnation: key.slice(key.indexOf('.') + 1), address: `n${at + 1}:1` }
  })
  return { voters: members.map(({ key }) => key), outgoing: null, learners: [], members }
}
