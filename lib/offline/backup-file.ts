// A backup file, read and checked: what its header says, whether all of it is there, and the snapshot in it.
import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { readU32 } from '../base/bytes.ts'
import { StrettoError } from '../base/errors.ts'
import {
  type BackupHeader,
  backupHeaderLength,
  backupPrefixBytes,
  backupTrailerBytes,
  readBackupHeader
} from '../server/backup-format.ts'

const pieceBytes = 1_048_576

export interface Backup {
  readonly file: string
  readonly header: BackupHeader
  /** SHA-256 of the file, in hexadecimal digits. */
  readonly fingerprint: string
  /** The snapshot, piece by piece. */
  readonly snapshot: () => AsyncGenerator<Uint8Array>
}

/**
 * Reads the whole file once.
 * @throws StrettoError CORRUPT where it is cut short or altered, BAD_REQUEST where a newer version has written it
 */
export async function readBackup(file: string): Promise<Backup> {
  const handle = await open(file, 'r')
  try {
    const { size } = await handle.stat()
    const headerBytes = backupHeaderLength(await readAt(handle, 0, Math.min(size, backupPrefixBytes)))
    const header = readBackupHeader(await readAt(handle, 0, Math.min(size, headerBytes)))
    const whole = headerBytes + header.size + backupTrailerBytes
    if (size < whole) throw corrupt(`the backup is cut short: it has ${size} bytes of ${whole}`)
    if (size > whole) throw corrupt(`the backup has ${size - whole} bytes too many`)
    const digest = createHash('sha256')
    let crc = 0
    for await (const piece of pieces(handle, 0, whole - backupTrailerBytes)) {
      crc = crc32(piece, crc)
      digest.update(piece)
    }
    const trailer = await readAt(handle, whole - backupTrailerBytes, backupTrailerBytes)
    if (readU32(trailer, 0) !== crc) throw corrupt('the backup is damaged, or was altered')
    const fingerprint = digest.update(trailer).digest('hex')
    return { file, header, fingerprint, snapshot: () => snapshotIn(file, headerBytes, header) }
  } finally {
    await handle.close()
  }
}

async function* snapshotIn(file: string, from: number, { size }: BackupHeader): AsyncGenerator<Uint8Array> {
  const handle = await open(file, 'r')
  try {
    yield* pieces(handle, from, from + size)
  } finally {
    await handle.close()
  }
}

async function* pieces(handle: FileHandle, from: number, to: number): AsyncGenerator<Uint8Array> {
  for (let at = from; at < to; at += pieceBytes) yield await readAt(handle, at, Math.min(pieceBytes, to - at))
}

async function readAt(handle: FileHandle, from: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; ) {
    const { bytesRead } = await handle.read(bytes, at, length - at, from + at)
    if (bytesRead === 0) throw corrupt('the backup became shorter while it was read')
    at += bytesRead
  }
  return bytes
}

function corrupt(text: string): StrettoError {
  return new StrettoError('CORRUPT', text)
}
