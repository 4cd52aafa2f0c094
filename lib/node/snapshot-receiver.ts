// A follower that lacks what its leader has compacted away takes a snapshot in, beside the state that it has.
import { crc32 } from 'node:zlib'
import { writeU64 } from '../base/bytes.ts'
import type { Done } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { SnapshotSink } from '../machine/machine.ts'
import type { Offer } from '../raft/doors.ts'
import type { Base, LogId, MemberKey, SnapshotMeta } from '../raft/types.ts'

/** A place for a state beside the one in force. */
export interface SparePlace {
  readonly sink: SnapshotSink
  /** Closes it; what it holds stays, and can be opened. */
  keep(done: Done): void
  /** Closes it and removes what it holds. */
  discard(done: Done): void
}

export interface Piece {
  readonly last: LogId
  readonly offset: number
  readonly bytes: Uint8Array
}

export type PieceAnswer = (error: StrettoError | null, bytes: Uint8Array) => void

export interface SnapshotReceiverParts {
  /** The number of the state in force. */
  readonly state: () => number
  readonly place: (state: number, done: Done<SparePlace>) => void
  /** A whole state is on disk beside the one in force, which it may now replace. */
  readonly received: (base: Base) => void
  readonly found: (line: string) => void
}

/** Pieces that wait for the one before them to be written. */
const waitingMax = 16
const nothing = new Uint8Array(0)

export class SnapshotReceiver {
  readonly #parts: SnapshotReceiverParts
  #intake: StateIntake | null = null
  #state = 0

  constructor(parts: SnapshotReceiverParts) {
    this.#parts = parts
  }

  /** The snapshot that is being taken in; null for none. */
  get meta(): SnapshotMeta | null {
    return this.#intake?.offer.meta ?? null
  }

  /** The leader has one to give. The same one again goes on from where it was broken off. */
  offered(offer: Offer): void {
    const current = this.#intake
    if (current !== null && !current.over && isSame(current.offer, offer)) return
    this.#state = Math.max(this.#state, this.#parts.state()) + 1
    this.#intake = new StateIntake(this.#parts, offer, this.#state)
    if (current === null) this.#intake.begin()
    else current.drop(() => this.#intake?.begin())
  }

  /** Answers with the offset of the byte that is wanted next, u64. */
  piece(from: MemberKey, piece: Piece, answer: PieceAnswer): void {
    const intake = this.#intake
    if (intake === null || intake.over || intake.offer.from !== from || !sameId(intake.offer.meta.last, piece.last)) {
      return answer(new StrettoError('UNAVAILABLE', 'no such snapshot is awaited here'), nothing)
    }
    intake.take(piece, answer)
  }

  /** This life is over: what was half received is gone. */
  stop(done: Done): void {
    const intake = this.#intake
    this.#intake = null
    if (intake === null) done(null)
    else intake.drop(() => done(null))
  }
}

function isSame(a: Offer, b: Offer): boolean {
  const { last, size, hash } = a.meta
  return a.from === b.from && sameId(last, b.meta.last) && size === b.meta.size && hash === b.meta.hash
}

function sameId(a: LogId, b: LogId): boolean {
  return a.index === b.index && a.term === b.term
}

/** One snapshot on its way in. */
class StateIntake {
  readonly offer: Offer
  readonly #parts: SnapshotReceiverParts
  readonly #state: number
  #place: SparePlace | null = null
  #waiting: { readonly piece: Piece; readonly answer: PieceAnswer }[] = []
  #offset = 0
  #hash = 0
  #busy = false
  #begun = false
  over = false
  /** Called once nothing is being written any more. */
  #dropped: (() => void) | null = null

  constructor(parts: SnapshotReceiverParts, offer: Offer, state: number) {
    this.#parts = parts
    this.offer = offer
    this.#state = state
  }

  begin(): void {
    if (this.over || this.#begun) return
    this.#begun = true
    this.#busy = true
    this.#parts.place(this.#state, (error, place) => {
      this.#busy = false
      if (error !== null) return this.#fail(error)
      this.#place = place
      this.#next()
    })
  }

  take(piece: Piece, answer: PieceAnswer): void {
    if (this.#waiting.length >= waitingMax) return this.#wants(answer)
    this.#waiting.push({ piece, answer })
    this.#next()
  }

  /** Gives it up. */
  drop(dropped: () => void): void {
    this.over = true
    this.#dropped = dropped
    this.#close()
  }

  #next(): void {
    if (this.#dropped !== null) return this.#close()
    if (this.#busy || this.#place === null || this.over) return
    const next = this.#waiting.shift()
    if (next === undefined) return
    const { piece, answer } = next
    const { size } = this.offer.meta
    // Again, or after one that was lost: the sender learns from the answer where to go on.
    if (piece.offset !== this.#offset || this.#offset + piece.bytes.length > size) {
      this.#wants(answer)
      return this.#next()
    }
    this.#busy = true
    this.#place.sink.write(piece.bytes, error => {
      this.#busy = false
      if (error !== null) return this.#refuse(error, answer)
      this.#offset += piece.bytes.length
      this.#hash = crc32(piece.bytes, this.#hash)
      if (this.#offset < size) this.#wants(answer)
      else this.#end(answer)
      this.#next()
    })
  }

  #end(answer: PieceAnswer): void {
    const { last, membership, machineVersion, hash } = this.offer.meta
    if (this.#hash !== hash) return this.#refuse(new Error('the snapshot is not what was announced'), answer)
    this.#busy = true
    this.#place!.sink.end((error, contained) => {
      this.#busy = false
      if (error !== null) return this.#refuse(error, answer)
      if (!sameId(contained.last, last)) return this.#refuse(new Error('the snapshot is of another record'), answer)
      if (this.#dropped !== null) return this.#close()
      this.over = true
      this.#wants(answer)
      const place = this.#place!
      this.#place = null
      place.keep(error => {
        if (error !== null) return this.#fail(error)
        this.#parts.received({ ...last, membership, machineVersion, state: this.#state })
      })
    })
  }

  #wants(answer: PieceAnswer): void {
    const bytes = new Uint8Array(8)
    writeU64(bytes, 0, this.#offset)
    answer(null, bytes)
  }

  #refuse(error: Error, answer: PieceAnswer): void {
    answer(new StrettoError('CORRUPT', error.message), nothing)
    this.#fail(error)
  }

  #fail(error: Error): void {
    this.over = true
    this.#parts.found(`a snapshot could not be taken in: ${error.message}`)
    const waiting = this.#waiting
    this.#waiting = []
    for (const { answer } of waiting) answer(new StrettoError('UNAVAILABLE', 'the snapshot was given up'), nothing)
    this.#close()
  }

  #close(): void {
    if (this.#busy) return
    const place = this.#place
    const dropped = this.#dropped
    this.#place = null
    this.#dropped = null
    if (place === null) dropped?.()
    else place.discard(() => dropped?.())
  }
}
