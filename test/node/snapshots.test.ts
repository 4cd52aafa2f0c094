// A snapshot from one node to another: pieces lost, repeated and late, a receiver that had part of it, and bytes that lie.
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { t } from 'tap'
import { readU64 } from '../../lib/base/bytes.ts'
import { StrettoError } from '../../lib/base/errors.ts'
import type { SnapshotSink } from '../../lib/machine/machine.ts'
import { type Piece, SnapshotReceiver, type SparePlace } from '../../lib/node/snapshot-receiver.ts'
import type { Offer } from '../../lib/raft/doors.ts'
import type { Base, SnapshotMeta } from '../../lib/raft/types.ts'
import { keyOf, membershipOf } from '../help/core-cluster.ts'

const leader = keyOf(1)
const last = { index: 50, term: 3, chain: 77 }

function metaOf(bytes: Uint8Array, change: Partial<SnapshotMeta> = {}): SnapshotMeta {
  return {
    last,
    membership: membershipOf([1, 2]),
    machineVersion: 1,
    size: bytes.length,
    hash: crc32(bytes),
    ...change
  }
}

/** A receiver whose disk answers when the test says so. */
class Bed {
  readonly found: string[] = []
  readonly received: Base[] = []
  readonly places: { readonly state: number; fate: 'open' | 'kept' | 'discarded' }[] = []
  readonly receiver: SnapshotReceiver
  written: Uint8Array[] = []
  contained = { term: last.term, index: last.index }
  #work: (() => void)[] = []
  fault: Error | null = null

  constructor() {
    this.receiver = new SnapshotReceiver({
      state: () => 1,
      place: (state, done) => this.#later(() => done(null, this.#place(state))),
      received: base => this.received.push(base),
      found: line => this.found.push(line)
    })
  }

  offer(bytes: Uint8Array, change: Partial<SnapshotMeta> = {}, from = leader): Offer {
    const offer = { from, meta: metaOf(bytes, change) }
    this.receiver.offered(offer)
    return offer
  }

  /** The offset wanted next, or the error. */
  send(piece: Omit<Piece, 'last'>, from = leader): () => number | string {
    let answer: number | string = 'none'
    this.receiver.piece(from, { last, ...piece }, (error, bytes) => {
      answer = error === null ? readU64(bytes, 0) : error.code
    })
    return () => answer
  }

  /** The disk answers all that waits, and what follows from that. */
  settle(): void {
    for (let next = this.#work.shift(); next !== undefined; next = this.#work.shift()) next()
  }

  get bytes(): Uint8Array {
    return Buffer.concat(this.written)
  }

  #place(state: number): SparePlace {
    const place: Bed['places'][number] = { state, fate: 'open' }
    this.places.push(place)
    this.written = []
    const sink: SnapshotSink = {
      write: (bytes, done) =>
        this.#later(() => {
          if (this.fault === null) this.written.push(new Uint8Array(bytes))
          done(this.fault)
        }),
      end: done => this.#later(() => done(this.fault, { last: this.contained, sidecar: new Uint8Array(0) }))
    }
    const ends = (fate: 'kept' | 'discarded') => (done: (error: Error | null) => void) =>
      this.#later(() => {
        place.fate = fate
        done(null)
      })
    return { sink, keep: ends('kept'), discard: ends('discarded') }
  }

  #later(work: () => void): void {
    this.#work.push(work)
  }
}

const state = new Uint8Array(1000).map((_, at) => at * 31)

t.test('pieces in any order, lost and repeated: in the end the same bytes, once', async t => {
  const moves = fc.array(
    fc.record({ jump: fc.integer({ min: -300, max: 300 }), length: fc.integer({ min: 1, max: 200 }) })
  )
  fc.assert(
    fc.property(moves, moves => {
      const bed = new Bed()
      bed.offer(state)
      bed.settle()
      let wanted = 0
      for (const { jump, length } of moves) {
        const offset = Math.max(0, Math.min(state.length - 1, wanted + (length % 3 === 0 ? jump : 0)))
        const answer = bed.send({ offset, bytes: state.slice(offset, offset + length) })
        bed.settle()
        const told = answer()
        if (typeof told !== 'number') return told === 'UNAVAILABLE' && wanted === state.length
        wanted = told
      }
      while (wanted < state.length) {
        const answer = bed.send({ offset: wanted, bytes: state.slice(wanted, wanted + 100) })
        bed.settle()
        wanted = answer() as number
      }
      const [base] = bed.received
      return bed.received.length === 1 && base!.state === 2 && Buffer.compare(bed.bytes, state) === 0
    })
  )
  t.pass()
})

t.test('the same snapshot again goes on; another one begins anew, in a place of its own', async t => {
  const bed = new Bed()
  bed.offer(state)
  bed.settle()
  const first = bed.send({ offset: 0, bytes: state.slice(0, 400) })
  bed.settle()
  t.equal(first(), 400)
  bed.offer(state)
  const again = bed.send({ offset: 0, bytes: state.slice(0, 10) })
  t.equal(again(), 400, 'it has that already')
  const other = state.slice(0, 900)
  bed.offer(other)
  bed.settle()
  t.same(
    bed.places.map(({ state, fate }) => [state, fate]),
    [
      [2, 'discarded'],
      [3, 'open']
    ]
  )
  const piece = bed.send({ offset: 0, bytes: other })
  bed.settle()
  t.equal(piece(), 900)
  t.match(bed.received, [
    { index: 50, term: 3, chain: 77, state: 3, machineVersion: 1, membership: membershipOf([1, 2]) }
  ])
  t.equal(bed.places[1]!.fate, 'kept')
})

t.test('a new leader with the same state begins anew: nobody can tell that its bytes are the same', async t => {
  const bed = new Bed()
  bed.offer(state)
  bed.settle()
  bed.send({ offset: 0, bytes: state.slice(0, 400) })
  bed.settle()
  bed.offer(state, {}, keyOf(2))
  bed.settle()
  t.equal(bed.send({ offset: 400, bytes: state.slice(400) })(), 'UNAVAILABLE', 'the former leader is not heard')
  const piece = bed.send({ offset: 400, bytes: state.slice(400) }, keyOf(2))
  bed.settle()
  t.equal(piece(), 0)
})

t.test('what is not what was announced is thrown away, and said', async t => {
  const cases: [string, Partial<SnapshotMeta>, Partial<Bed>][] = [
    ['the snapshot is not what was announced', { hash: 1 }, {}],
    ['the snapshot is of another record', {}, { contained: { term: 3, index: 49 } }],
    ['a row of it is damaged', {}, { fault: new StrettoError('CORRUPT', 'a row of it is damaged') }]
  ]
  for (const [text, change, bend] of cases) {
    const bed = Object.assign(new Bed(), bend)
    bed.offer(state, change)
    bed.settle()
    const answer = bed.send({ offset: 0, bytes: state })
    bed.settle()
    t.equal(answer(), 'CORRUPT')
    t.same(bed.found, [`a snapshot could not be taken in: ${text}`])
    t.same([bed.received.length, bed.places[0]!.fate], [0, 'discarded'])
    t.equal(bed.send({ offset: 0, bytes: state })(), 'UNAVAILABLE', 'until it is announced again')
    Object.assign(bed, { fault: null, contained: { term: 3, index: 50 } })
    bed.offer(state)
    bed.settle()
    const next = bed.send({ offset: 0, bytes: state })
    bed.settle()
    t.equal(next(), 1000)
  }
})

t.test('more than was announced is not written', async t => {
  const bed = new Bed()
  bed.offer(state)
  bed.settle()
  const answer = bed.send({ offset: 0, bytes: new Uint8Array(1001) })
  bed.settle()
  t.equal(answer(), 0)
  t.equal(bed.written.length, 0)
})

t.test('a stop at any step leaves nothing open, and nothing half received', async t => {
  for (let steps = 0; steps < 6; steps++) {
    const bed = new Bed()
    bed.offer(state)
    if (steps > 0) bed.settle()
    if (steps > 1) bed.send({ offset: 0, bytes: state.slice(0, 500) })
    if (steps > 2) bed.settle()
    if (steps > 3) bed.send({ offset: 500, bytes: state.slice(500) })
    let stopped = false
    bed.receiver.stop(() => (stopped = true))
    bed.settle()
    t.ok(stopped, `after ${steps} steps`)
    t.ok(bed.places.every(({ fate }) => fate === 'discarded'))
    t.equal(bed.received.length, 0)
  }
})
