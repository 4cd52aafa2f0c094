// A leader brings a snapshot to a follower that lacks what is compacted away: one follower at a time, at a measured pace.
import { readU64 } from '../base/bytes.ts'
import type { Cancel, Done, Env } from '../base/env.ts'
import type { Log } from '../log/log.ts'
import type { SnapshotSource } from '../machine/machine.ts'
import type { ReplicatedMachine } from '../machine/replicated-machine.ts'
import { describeSidecar } from '../machine/sidecar.ts'
import type { Raft } from '../raft/doors.ts'
import type { Index, MemberKey, SnapshotMeta } from '../raft/types.ts'
import { chunksMax, type Transport } from '../transport/transport.ts'
import type { Counters } from './counters.ts'
import type { NodeLimits } from './limits.ts'

export interface SnapshotSenderParts {
  readonly env: Env
  readonly raft: Raft
  readonly log: Log
  readonly machine: ReplicatedMachine
  readonly transport: Transport
  readonly limits: NodeLimits
  readonly counters: Counters
  /** Calls back when no flush of the state is under way: a snapshot is of the state between two. */
  readonly betweenFlushes: (then: () => void) => void
  readonly found: (line: string) => void
}

interface Frozen {
  readonly source: SnapshotSource
  readonly meta: SnapshotMeta
}

const pieceBytes = 65_536
/** How long a peer may leave a piece unanswered, or a whole snapshot without use, before it is announced again. */
const patienceMs = 10_000
const againMs = 1_000
/** How long the log is kept for a peer that begins anew with a snapshot. */
const broughtMs = 60_000

export class SnapshotSender {
  readonly #parts: SnapshotSenderParts
  #frozen: Frozen | null = null
  #freezing = false
  /** When one may be tried again. */
  #freezeAt = Number.NEGATIVE_INFINITY
  /** Whom it is being sent to. */
  #peer: MemberKey | null = null
  /** Whom it was sent to last: another one that waits comes first. */
  #served: MemberKey | null = null
  /** What the peer has, by its last answer; and what has been sent. */
  #taken = 0
  #sent = 0
  #underWay = 0
  /** Rises when it begins anew: answers from before do not count. */
  #round = 0
  /** Nothing leaves until all that is under way is answered; then it goes on from what the peer has. */
  #goesBack = false
  #reading = false
  /** When the last answer came, or the announcement left. */
  #heardAt = 0
  #announceAt = 0
  /** When the next piece may leave. */
  #nextAt = 0
  #timer: Cancel | null = null
  /** The last peer that has taken a whole snapshot, where that ends, and how long it is waited for. */
  #brought: { readonly peer: MemberKey; readonly index: Index; readonly until: number } | null = null
  #stopped = false

  constructor(parts: SnapshotSenderParts) {
    this.#parts = parts
  }

  /** The log is needed from here on, for whoever takes in the snapshot; Infinity when none is under way. */
  get pin(): Index {
    const frozen = this.#frozen?.meta.last.index ?? Number.POSITIVE_INFINITY
    return Math.min(frozen, this.#brought?.index ?? frozen)
  }

  /** A leader's part of each turn. */
  feed(now: number): void {
    this.#forgetBrought(now)
    const waiting = this.#waiting(now)
    if (waiting.length === 0) return this.rest()
    if (this.#frozen !== null && this.#frozen.meta.last.index < this.#parts.log.base.index) this.rest()
    // Who does not take it may need a later one.
    if (this.#peer !== null && now - this.#heardAt > patienceMs) this.rest()
    if (this.#peer === null || !waiting.includes(this.#peer)) this.#turnTo(waiting, now)
    if (this.#frozen === null) this.#freeze()
    else this.#send()
  }

  stop(): void {
    this.#stopped = true
    this.rest()
  }

  /** Whoever has it all begins anew with it, and is not heard meanwhile: until it takes blocks the log is kept for it. */
  #forgetBrought(now: number): void {
    const brought = this.#brought
    if (brought === null) return
    const { status } = this.#parts.raft
    const goesOn = status.mode(brought.peer) === 'replicate' && !status.needsSnapshot(brought.peer)
    if (goesOn || now >= brought.until) this.#brought = null
  }

  /** Peers that need a snapshot, and can be heard. */
  #waiting(now: number): MemberKey[] {
    const { raft, limits } = this.#parts
    const { status } = raft
    return status.peers.filter(
      peer => status.needsSnapshot(peer) && now - status.heardAt(peer) < limits.snapshotSilenceMsMax
    )
  }

  /** Nobody needs one, or this node does not lead any more: what is frozen is let go. */
  rest(): void {
    this.#timer?.()
    this.#timer = null
    this.#peer = null
    this.#frozen?.source.close()
    this.#frozen = null
  }

  #turnTo(waiting: readonly MemberKey[], now: number): void {
    const next = waiting.find(peer => peer !== this.#served) ?? waiting[0]!
    this.#served = next
    this.#peer = next
    this.#heardAt = now
    this.#announceAt = now
    this.#begin()
  }

  /** From the beginning; the first answer tells what the peer already has. */
  #begin(): void {
    this.#round++
    this.#taken = 0
    this.#sent = 0
    this.#underWay = 0
    this.#goesBack = false
  }

  #freeze(): void {
    const { machine, env } = this.#parts
    if (this.#freezing || env.now() < this.#freezeAt) return
    this.#freezing = true
    this.#parts.betweenFlushes(() => {
      if (this.#stopped) return
      machine.snapshot((error, source) => {
        this.#freezing = false
        if (error !== null) {
          this.#parts.found(`no snapshot can be taken: ${error.message}`)
          this.#freezeAt = env.now() + patienceMs
        } else this.#froze(source)
      })
    })
  }

  #froze(source: SnapshotSource | null): void {
    const { raft, log, env } = this.#parts
    if (source === null) return
    const last = log.idAt(source.last.index)
    const described = describeSidecar(source.sidecar)
    const fits = last !== null && last.term === source.last.term && described !== null
    if (this.#stopped || this.#peer === null || !fits) return source.close()
    const { size, hash } = source
    const { machineVersion } = described
    const membership = raft.membershipAt(last.index)
    this.#frozen = { source, meta: { last, membership, machineVersion, size, hash } }
    this.#parts.counters.snapshotsTaken++
    this.#heardAt = env.now()
    this.#announceAt = this.#heardAt
    this.#begin()
    this.#send()
  }

  #send(): void {
    const frozen = this.#frozen
    const peer = this.#peer
    if (frozen === null || peer === null || this.#stopped) return
    const { env, raft, transport, limits } = this.#parts
    // A leader that has just been elected may hold more in its state than it knows to be committed.
    if (!raft.status.needsSnapshot(peer) || raft.status.commit < frozen.meta.last.index) return
    const now = env.now()
    if (now >= this.#announceAt) {
      this.#announceAt = now + againMs
      if (this.#underWay === 0) transport.send(raft.announce(peer, frozen.meta))
    }
    if (this.#reading || this.#goesBack || this.#underWay >= chunksMax || this.#sent >= frozen.meta.size) return
    if (now < this.#nextAt) return this.#wait(this.#nextAt - now)
    this.#nextAt = Math.max(now - burstMs, this.#nextAt) + (1000 * pieceBytes) / limits.snapshotBytesPerSecond
    this.#read(frozen, peer)
  }

  #wait(ms: number): void {
    if (this.#timer !== null) return
    this.#timer = this.#parts.env.after(ms, () => {
      this.#timer = null
      this.#send()
    })
  }

  #read(frozen: Frozen, peer: MemberKey): void {
    const offset = this.#sent
    this.#reading = true
    frozen.source.read(offset, pieceBytes, (error, bytes) => {
      this.#reading = false
      if (this.#stopped || this.#frozen !== frozen || this.#peer !== peer) return
      if (error !== null) {
        this.#parts.found(`the snapshot cannot be read: ${error.message}`)
        return this.rest()
      }
      this.#sent = offset + bytes.length
      this.#underWay++
      const { last, size } = frozen.meta
      const piece = { last, offset, end: this.#sent === size, bytes }
      this.#parts.counters.snapshotBytesSent += bytes.length
      this.#parts.transport.sendChunk(peer, piece, this.#answerOf(frozen, peer, this.#sent))
      this.#send()
    })
  }

  /** `end`: where the piece ends that is answered. */
  #answerOf(frozen: Frozen, peer: MemberKey, end: number): Done<Uint8Array> {
    const round = this.#round
    return (error, bytes) => {
      if (this.#stopped || this.#frozen !== frozen || this.#peer !== peer || this.#round !== round) return
      this.#underWay--
      const now = this.#parts.env.now()
      if (error === null && bytes.length === 8) {
        this.#heardAt = now
        this.#announceAt = Math.max(this.#announceAt, now + againMs)
        this.#taken = Math.min(readU64(bytes, 0), frozen.meta.size)
        if (this.#taken !== end) this.#goesBack = true
        const { last, size } = frozen.meta
        if (this.#taken === size) this.#brought = { peer, index: last.index, until: now + broughtMs }
      } else {
        this.#goesBack = true
        this.#nextAt = now + againMs
      }
      // What was on its way behind a piece that was lost, or is there already, is for nothing.
      if (this.#goesBack && this.#underWay === 0) {
        this.#goesBack = false
        this.#sent = this.#taken
      }
      this.#send()
    }
  }
}

/** So much of the pace may be made up for after a pause. */
const burstMs = 20
