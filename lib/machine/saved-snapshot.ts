// The snapshot of a machine that saves itself whole: what its vault holds, with a head that tells when some is missing.
//
//    0  u16  format, 1
//    2  u16  kind of machine, 2 (1: key-value, see `kv/snapshot-stream.ts`)
//    4  u32  CRC-32 of the rest
//    8  u64  length of what follows
//   16       what the vault holds (layout: `memory-machine.ts`)
import { assert } from '../base/assert.ts'
import { concatBytes, readU16, readU32, readU64, writeU16, writeU32, writeU64 } from '../base/bytes.ts'
import type { Done, Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import { type LogId, logOrigin } from '../raft/types.ts'
import { crc32 } from './crc32.ts'
import type { SnapshotSink, SnapshotSource } from './machine.ts'
import type { Vault } from './vault.ts'

const streamFormat = 1
const memoryKind = 2
const headAt = { format: 0, kind: 2, crc: 4, length: 8, saved: 16 } as const
/** Counted in one turn: about half a millisecond. */
const countedAtOnceBytes = 131_072

const noBytes = new Uint8Array(0)

/** What a saved machine contains. */
export interface Saved {
  readonly last: LogId
  readonly sidecar: Uint8Array
}

export class SavedSnapshot implements SnapshotSource {
  readonly last: LogId
  readonly sidecar: Uint8Array
  readonly size: number
  readonly hash: number
  readonly #env: Pick<Env, 'soon'>
  #bytes: Uint8Array
  #closed = false

  /** Reads all of `bytes`, a little in each turn, before it answers. */
  static of(saved: Saved, bytes: Uint8Array, env: Pick<Env, 'soon'>, done: (snapshot: SavedSnapshot) => void): void {
    const stream = new Uint8Array(headAt.saved + bytes.length)
    writeU16(stream, headAt.format, streamFormat)
    writeU16(stream, headAt.kind, memoryKind)
    writeU64(stream, headAt.length, bytes.length)
    stream.set(bytes, headAt.saved)
    count(stream, headAt.length, 0, env, crc => {
      writeU32(stream, headAt.crc, crc)
      count(stream, 0, 0, env, hash => done(new SavedSnapshot(saved, stream, hash, env)))
    })
  }

  constructor({ last, sidecar }: Saved, bytes: Uint8Array, hash: number, env: Pick<Env, 'soon'>) {
    this.last = last
    this.sidecar = sidecar
    this.size = bytes.length
    this.hash = hash
    this.#bytes = bytes
    this.#env = env
  }

  read(offset: number, bytesMax: number, done: Done<Uint8Array>): void {
    assert(bytesMax > 0, 'some of a snapshot is asked for')
    this.#env.soon(() => {
      if (this.#closed) done(new StrettoError('STOPPED', 'the snapshot has been closed'), noBytes)
      else done(null, this.#bytes.subarray(offset, offset + bytesMax))
    })
  }

  close(): void {
    this.#closed = true
    this.#bytes = noBytes
  }
}

/** The CRC-32 of `bytes` from `at` on, after others whose CRC was `before`. */
function count(
  bytes: Uint8Array,
  at: number,
  before: number,
  env: Pick<Env, 'soon'>,
  done: (crc: number) => void
): void {
  const end = Math.min(bytes.length, at + countedAtOnceBytes)
  const crc = crc32(bytes.subarray(at, end), before)
  env.soon(() => (end === bytes.length ? done(crc) : count(bytes, end, crc, env, done)))
}

export interface SavedSinkParts {
  readonly vault: Vault
  readonly env: Pick<Env, 'soon'>
  /** What saved bytes contain; null where they are none. */
  readonly read: (bytes: Uint8Array) => Saved | null
}

/** Gathers a snapshot in memory and saves it when it is whole. */
export class SavedSink implements SnapshotSink {
  readonly #parts: SavedSinkParts
  #pieces: Uint8Array[] = []
  #fault: StrettoError | null = null

  constructor(parts: SavedSinkParts) {
    this.#parts = parts
  }

  write(bytes: Uint8Array, done: Done): void {
    this.#pieces.push(new Uint8Array(bytes))
    const whole = this.#pieces.length === 1 && bytes.length >= headAt.crc
    if (whole && !isHead(bytes)) this.#fault = notOurs()
    this.#parts.env.soon(() => done(this.#fault))
  }

  end(done: Done<Saved>): void {
    const { env } = this.#parts
    const stream = concatBytes(this.#pieces)
    this.#pieces = []
    if (this.#fault !== null) return this.#refuse(this.#fault, done)
    const whole =
      stream.length >= headAt.saved && isHead(stream) && readU64(stream, headAt.length) === stream.length - headAt.saved
    if (!whole) return this.#refuse(notOurs(), done)
    count(stream, headAt.length, 0, env, crc => {
      const bytes = stream.subarray(headAt.saved)
      const saved = crc === readU32(stream, headAt.crc) ? this.#parts.read(bytes) : null
      if (saved === null) return this.#refuse(notOurs(), done)
      this.#parts.vault.save(bytes, error => done(error, saved))
    })
  }

  #refuse(fault: StrettoError, done: Done<Saved>): void {
    this.#fault = fault
    this.#parts.env.soon(() => done(fault, { last: logOrigin, sidecar: noBytes }))
  }
}

function isHead(bytes: Uint8Array): boolean {
  return readU16(bytes, headAt.format) === streamFormat && readU16(bytes, headAt.kind) === memoryKind
}

function notOurs(): StrettoError {
  return new StrettoError('CORRUPT', 'what came is no whole snapshot of a saved machine')
}
