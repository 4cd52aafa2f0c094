// A vault in two files: the one that is not in use is written and synced, then a rename puts it in force.
import { close, fsync, open, readFile, rename, stat, write } from 'node:fs'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { readU32, writeU32 } from '../base/bytes.ts'
import type { Done } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import { syncFolder } from '../log/file-directory.ts'
import type { Vault } from '../machine/vault.ts'

/** CRC-32 of the rest, before the value. */
const headBytes = 4

export class FileVault implements Vault {
  readonly #path: string

  /** The folder of `path` exists. */
  constructor(path: string) {
    this.#path = path
  }

  /** Size of the value on disk. */
  bytes(): Promise<number> {
    return new Promise(resolve => stat(this.#path, (error, stats) => resolve(error === null ? stats.size : 0)))
  }

  load(done: Done<Uint8Array | null>): void {
    readFile(this.#path, (error, bytes) => {
      if (error?.code === 'ENOENT') return done(null, null)
      if (error) return done(error, null)
      if (bytes.length < headBytes || crc32(bytes.subarray(headBytes)) !== readU32(bytes, 0)) {
        return done(new StrettoError('CORRUPT', 'the saved machine is damaged', { fate: 'unknown' }), null)
      }
      done(null, bytes.subarray(headBytes))
    })
  }

  save(bytes: Uint8Array, done: Done): void {
    const value = new Uint8Array(headBytes + bytes.length)
    value.set(bytes, headBytes)
    writeU32(value, 0, crc32(bytes))
    const next = `${this.#path}.next`
    writeSynced(next, value, error => {
      if (error !== null) return done(error)
      rename(next, this.#path, error => (error === null ? syncFolder(dirname(this.#path), done) : done(error)))
    })
  }

  close(done: Done): void {
    setImmediate(done, null)
  }
}

function writeSynced(path: string, bytes: Uint8Array, done: Done): void {
  open(path, 'w', 0o600, (error, fd) => {
    if (error) return done(error)
    const end = (fault: Error | null): void => close(fd, closed => done(fault ?? closed ?? null))
    const from = (at: number): void => {
      write(fd, bytes, at, bytes.length - at, at, (error, written) => {
        if (error) return end(error)
        if (at + written < bytes.length) return from(at + written)
        fsync(fd, error => end(error))
      })
    }
    from(0)
  })
}
