// A backup of a running cluster: the state of one node, frozen at a moment after all that was acknowledged before it began.
import { crc32 } from 'node:zlib'
import { writeU32 } from '../base/bytes.ts'
import type { Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { SnapshotSource } from '../machine/machine.ts'
import { decodeSidecar } from '../machine/sidecar.ts'
import { readMembership } from '../record/membership.ts'
import { type BackupHeader, backupTrailerBytes, writeBackupHeader } from './backup-format.ts'
import type { Life } from './life.ts'
import type { MachineInUse } from './machine-in-use.ts'
import { promised } from './promised.ts'

const pieceBytes = 262_144
/** Flushes come every few seconds; one that does not come by then is held up by the disk. */
const freezeMsMax = 30_000

export interface OpenBackup {
  /** Bytes of the whole file. */
  readonly size: number
  /** The file, piece by piece. */
  pieces(): AsyncGenerator<Uint8Array>
  /** Lets go of the frozen state. */
  close(): void
}

/**
 * Asks for a read index first, so that what any client was told before this call is in it.
 * @throws StrettoError UNAVAILABLE, TIMED_OUT, BAD_REQUEST where the machine of this node is not the key-value one
 */
export async function openBackup(env: Env, life: Life, { freeze }: MachineInUse): Promise<OpenBackup> {
  if (freeze === undefined) throw new StrettoError('BAD_REQUEST', 'the machine of this node makes no backups')
  const terms = { point: 'linearizable', leastIndex: 0, patienceMs: 0, enough: null } as const
  await promised(done => life.node.read(terms, done))
  const source = await frozen(env, freeze, life.node.applied)
  try {
    const header = headerOf(life, source)
    return {
      size: header.length + source.size + backupTrailerBytes,
      pieces: () => piecesOf(header, source, paceOf(env, life.node.limits.snapshotBytesPerSecond)),
      close: () => source.close()
    }
  } catch (error) {
    source.close()
    throw error
  }
}

function frozen(env: Env, freeze: NonNullable<MachineInUse['freeze']>, least: number): Promise<SnapshotSource> {
  return new Promise((resolve, reject) => {
    let late = false
    const cancel = env.after(freezeMsMax, () => {
      late = true
      reject(new StrettoError('TIMED_OUT', 'the state was not brought to disk in time'))
    })
    freeze(least, (error, source) => {
      cancel()
      if (late) source?.close()
      else if (error !== null) reject(error)
      else if (source === null)
        reject(new StrettoError('UNAVAILABLE', 'there is no state yet', { retryAfterMs: 1_000 }))
      else resolve(source)
    })
  })
}

function headerOf({ memory, log }: Life, { last, sidecar, size, hash }: SnapshotSource): Uint8Array {
  const decoded = decodeSidecar(sidecar)
  if (decoded === null) throw new StrettoError('CORRUPT', 'the sessions beside the state are damaged')
  const { membership, machineVersion } = decoded
  const header: BackupHeader = {
    clusterId: memory.memory.clusterId!,
    last,
    membership: membership === null ? log.base.membership : readMembership(membership.bytes),
    machineVersion,
    size,
    hash,
    madeAt: Date.now()
  }
  return writeBackupHeader(header)
}

/** The file: the header, the snapshot, and the check value over both. `rest` is called with the bytes of each piece. */
export async function* piecesOf(
  header: Uint8Array,
  source: SnapshotSource,
  rest: (bytes: number) => Promise<void> = async () => {}
): AsyncGenerator<Uint8Array> {
  let crc = crc32(header)
  yield header
  for (let at = 0; at < source.size; ) {
    const piece = await promised<Uint8Array>(done => source.read(at, pieceBytes, done))
    if (piece.length === 0) throw new StrettoError('CORRUPT', 'the frozen state is shorter than it was')
    crc = crc32(piece, crc)
    at += piece.length
    yield piece
    await rest(piece.length)
  }
  const trailer = new Uint8Array(backupTrailerBytes)
  writeU32(trailer, 0, crc)
  yield trailer
}

/** Waits after each piece for as long as it may take at this rate, so that the node has time for everything else. */
function paceOf(env: Env, bytesPerSecond: number): (bytes: number) => Promise<void> {
  let free = env.now()
  return bytes => {
    free = Math.max(free, env.now()) + (1000 * bytes) / bytesPerSecond
    return new Promise(resolve => env.after(Math.max(0, free - env.now()), resolve))
  }
}
