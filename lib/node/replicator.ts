// One peer, seen by a leader that feeds it: blocks from the log, paced by the bytes that are on their way.

import type { Log } from '../log/log.ts'
import type { ClusterTime } from '../machine/cluster-time.ts'
import type { Raft } from '../raft/doors.ts'
import { appendBlocksMax, type Envelope } from '../raft/message.ts'
import { type Block, type Index, lastOf, type MemberKey, type Term } from '../raft/types.ts'
import type { Counters } from './counters.ts'
import type { NodeLimits } from './limits.ts'

export interface ReplicatorParts {
  readonly raft: Raft
  readonly log: Log
  readonly clusterTime: ClusterTime
  readonly limits: NodeLimits
  readonly counters: Counters
  readonly send: (envelope: Envelope) => boolean
  /** Asks the node for another turn. */
  readonly wake: () => void
  /** The own log cannot be read where the peer needs it: another node should feed it. */
  readonly damaged: (error: Error) => void
}

/** What a cold read was asked under: when either has changed, its result is thrown away. */
interface ColdRead {
  readonly term: Term
  readonly cuts: number
  readonly from: Index
  blocks: readonly Block[] | null
}

export class Replicator {
  readonly peer: MemberKey
  readonly #parts: ReplicatorParts
  /** Last index and bytes of each append that is not yet acknowledged, oldest first. */
  #inFlight: { readonly last: Index; readonly bytes: number }[] = []
  #inFlightBytes = 0
  #cold: ColdRead | null = null
  /** A cold read has failed; and when to try another. */
  #failed = false
  #readAgainAt = Number.NEGATIVE_INFINITY

  constructor(peer: MemberKey, parts: ReplicatorParts) {
    this.peer = peer
    this.#parts = parts
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes
  }

  /** Sends what is due; false when the peer's link did not take it. */
  feed(now: number): boolean {
    const { raft, limits, clusterTime } = this.#parts
    this.#acknowledge()
    for (;;) {
      const due = raft.due(this.peer, now)
      if (due === null) return true
      // The core has gone back: what is beyond is taken for lost, and holds up nothing any more.
      if (due.next <= (this.#inFlight.at(-1)?.last ?? 0)) this.#forget()
      const room = limits.inFlightBytesMax - this.#inFlightBytes
      const blocks = due.entries && room > 0 ? this.#blocksFrom(due.next, now) : none
      if (blocks.length === 0 && !due.must) return true
      if (!this.#send(raft.append(this.peer, blocks, now, clusterTime.time), blocks)) return false
      if (blocks.length === 0) return true
    }
  }

  #send(envelope: Envelope, blocks: readonly Block[]): boolean {
    const { counters } = this.#parts
    if (!this.#parts.send(envelope)) {
      counters.appendsDropped++
      return false
    }
    counters.appendsSent++
    const last = blocks.at(-1)
    if (last === undefined) return true
    let bytes = 0
    for (const block of blocks) bytes += block.bytes.length
    counters.appendBytesSent += bytes
    this.#inFlight.push({ last: lastOf(last), bytes })
    this.#inFlightBytes += bytes
    return true
  }

  /** Forgets what has been acknowledged; all of it once the core probes again, because then it may be lost. */
  #acknowledge(): void {
    const { raft } = this.#parts
    if (raft.status.mode(this.peer) !== 'replicate') {
      this.#forget()
      return
    }
    const match = raft.status.match(this.peer)
    let acknowledged = 0
    for (const append of this.#inFlight) {
      if (append.last > match) break
      this.#inFlightBytes -= append.bytes
      acknowledged++
    }
    if (acknowledged > 0) this.#inFlight.splice(0, acknowledged)
  }

  #forget(): void {
    this.#inFlight = []
    this.#inFlightBytes = 0
  }

  /** Blocks from memory; else those that a cold read has brought, or none yet while one is under way. */
  #blocksFrom(next: Index, now: number): readonly Block[] {
    const { log, limits, raft } = this.#parts
    const hot = log.hot(next, limits.appendBytesMax)
    if (hot !== null) return hot.length > appendBlocksMax ? hot.slice(0, appendBlocksMax) : hot
    const cold = this.#cold
    if (cold === null || cold.term !== raft.status.term || cold.cuts !== log.cuts || cold.from !== next) {
      if (this.#mayRead(now)) this.#readCold(next)
      return none
    }
    if (cold.blocks === null) return none
    const blocks = cold.blocks.slice(0, appendBlocksMax)
    const rest = cold.blocks.slice(appendBlocksMax)
    this.#cold = rest.length === 0 ? null : { ...cold, from: rest[0]!.first, blocks: rest }
    return blocks
  }

  /** After a failure the disk is given a rest. */
  #mayRead(now: number): boolean {
    if (this.#failed) {
      this.#failed = false
      this.#readAgainAt = now + readAgainMs
    }
    return now >= this.#readAgainAt
  }

  #readCold(from: Index): void {
    const { log, limits, raft, counters } = this.#parts
    const read: ColdRead = { term: raft.status.term, cuts: log.cuts, from, blocks: null }
    this.#cold = read
    counters.coldReads++
    log.cold(from, limits.appendBytesMax, (error, blocks) => {
      if (this.#cold !== read) return
      if (error !== null || blocks === null || blocks.length === 0) {
        this.#cold = null
        if (error === null) return
        this.#failed = true
        this.#parts.damaged(error)
        return
      }
      read.blocks = blocks
      this.#parts.wake()
    })
  }
}

const none: readonly Block[] = []
const readAgainMs = 1_000
