// What the lane for pieces of snapshots must do, in the real transport and in the simulated one.
import type { Test } from 'tap'
import { StrettoError } from '../../lib/base/errors.ts'
import type { MemberKey } from '../../lib/raft/types.ts'
import { type ChunkAnswer, chunksMax, type Transport } from '../../lib/transport/transport.ts'
import { type Chunk, chunkBytesMax } from '../../lib/wire/peer.ts'

/** Two members with a link between them. */
export interface BulkRig {
  readonly sender: { readonly key: MemberKey; readonly transport: Transport }
  readonly receiver: { readonly key: MemberKey; readonly taken: readonly Taken[] }
  /** The receiver's process is gone. */
  gone(): Promise<void>
  until(condition: () => boolean): Promise<boolean>
  end(): Promise<void>
}

export interface Taken {
  readonly from: MemberKey
  readonly chunk: Chunk
  readonly answer: ChunkAnswer
}

export interface Told {
  readonly at: number
  readonly error: Error | null
  readonly bytes: Uint8Array | undefined
}

/** Piece number `at` of a snapshot in full pieces. */
export function pieceOf(at: number, end = false): Omit<Chunk, 'number'> {
  const bytes = new Uint8Array(chunkBytesMax).map((_, place) => (place * 31 + at) & 0xff)
  return { last: { term: 3, index: 1_000 }, offset: at * chunkBytesMax, end, bytes }
}

export function sendPiece(transport: Transport, to: MemberKey, at: number, told: Told[], end = false): void {
  transport.sendChunk(to, pieceOf(at, end), (error, bytes) => told.push({ at, error, bytes }))
}

export function bulkLaneSuite(t: Test, name: string, make: () => Promise<BulkRig>): void {
  const test = (title: string, body: (t: Test, rig: BulkRig) => Promise<void>) => {
    void t.test(`${name}: ${title}`, async t => {
      const rig = await make()
      try {
        await body(t, rig)
      } finally {
        await rig.end()
      }
    })
  }

  test('pieces arrive whole and in order, and each has its own answer, in any order', async (t, rig) => {
    const { sender, receiver } = rig
    const told: Told[] = []
    for (let at = 0; at < chunksMax; at++) sendPiece(sender.transport, receiver.key, at, told, at === chunksMax - 1)
    t.ok(await rig.until(() => receiver.taken.length === chunksMax))
    for (const [at, { from, chunk }] of receiver.taken.entries()) {
      const { number, ...piece } = chunk
      t.equal(from, sender.key)
      const { bytes, ...head } = pieceOf(at, at === chunksMax - 1)
      t.match(piece, head)
      t.equal(Buffer.compare(piece.bytes, bytes), 0)
      t.ok(Number.isInteger(number))
    }
    t.equal(told.length, 0)
    for (const { chunk, answer } of receiver.taken.toReversed()) {
      const at = chunk.offset / chunkBytesMax
      if (at === 1) answer(new StrettoError('CORRUPT', 'a piece of no use'), new Uint8Array(0))
      else answer(null, Uint8Array.of(at, 7))
    }
    t.ok(await rig.until(() => told.length === chunksMax))
    t.same(
      told.map(({ at, bytes, error }) => [at, error === null ? [...bytes!] : (error as StrettoError).code]),
      [
        [3, [3, 7]],
        [2, [2, 7]],
        [1, 'CORRUPT'],
        [0, [0, 7]]
      ]
    )
    t.match(told[2]!.error, { message: 'a piece of no use' })
  })

  test('a long stream of pieces passes, one for each answer', async (t, rig) => {
    const { sender, receiver } = rig
    const told: Told[] = []
    const count = 40
    for (let at = 0; at < count; at++) {
      sendPiece(sender.transport, receiver.key, at, told)
      if (at < chunksMax - 1) continue
      const next = at - chunksMax + 1
      t.ok(await rig.until(() => receiver.taken.length > next))
      receiver.taken[next]!.answer(null, Uint8Array.of(next))
      t.ok(await rig.until(() => told.length > next))
    }
    t.ok(await rig.until(() => receiver.taken.length === count))
    t.same(
      receiver.taken.map(({ chunk }) => chunk.offset / chunkBytesMax),
      Array.from({ length: count }, (_, at) => at)
    )
    t.ok(told.every(({ error }) => error === null))
  })

  test('when the receiver is gone each piece under way is told of, once, and a late answer is no answer', async (t, rig) => {
    const { sender, receiver } = rig
    const told: Told[] = []
    for (let at = 0; at < 3; at++) sendPiece(sender.transport, receiver.key, at, told)
    t.ok(await rig.until(() => receiver.taken.length === 3))
    receiver.taken[0]!.answer(null, Uint8Array.of(1))
    t.ok(await rig.until(() => told.length === 1))
    await rig.gone()
    t.ok(await rig.until(() => told.length === 3))
    t.same(
      told.map(({ error }) => (error as StrettoError | null)?.code),
      [undefined, 'UNAVAILABLE', 'UNAVAILABLE']
    )
    receiver.taken[1]!.answer(null, Uint8Array.of(2))
    sendPiece(sender.transport, receiver.key, 3, told)
    t.equal(told.length, 3, 'not inside the call')
    t.ok(await rig.until(() => told.length === 4))
    t.match(told[3], { at: 3, error: { code: 'UNAVAILABLE' } }, 'and without a link nothing is taken')
  })
}
