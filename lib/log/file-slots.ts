// The two slots as a real file: 8 KiB, a slot at the start of each half, so that no two share a page.
import { close, constants, fdatasync, fsync, open, read, write } from 'node:fs'
import { dirname } from 'node:path'
import { assert } from '../base/assert.ts'
import type { Done } from '../base/env.ts'
import { refuse } from './faults.ts'
import { syncFolder } from './file-directory.ts'
import { slotBytesMax } from './memory.ts'
import type { Slots } from './slots.ts'

const slotDistanceBytes = 4096

export class FileSlots implements Slots {
  readonly #path: string
  #fd = -1

  /** The file is made, durably, when it is first read; its folder exists. */
  constructor(path: string) {
    this.#path = path
  }

  /**
   * What is read has been synced before: a killed process may have left it in the system's memory only. After an error
   * nothing is open.
   */
  read(done: Done<readonly [Uint8Array | null, Uint8Array | null]>): void {
    const fail = (error: Error): void => {
      if (this.#fd === -1) refuse(done, error)
      else this.close(() => refuse(done, error))
    }
    this.#open(error => {
      if (error) return fail(error)
      const bytes = new Uint8Array(2 * slotDistanceBytes)
      fdatasync(this.#fd, error => {
        if (error) return fail(error)
        read(this.#fd, bytes, 0, bytes.length, 0, error => {
          if (error) return fail(error)
          done(null, [slotIn(bytes, 0), slotIn(bytes, slotDistanceBytes)])
        })
      })
    })
  }

  write(slot: 0 | 1, bytes: Uint8Array, sync: boolean, done: Done): void {
    write(this.#fd, bytes, 0, bytes.length, slot * slotDistanceBytes, (error, written) => {
      if (error) return done(error)
      if (written !== bytes.length) return done(new Error('no space left for a slot'))
      if (!sync) return done(null)
      fdatasync(this.#fd, error => done(error))
    })
  }

  close(done: Done): void {
    assert(this.#fd !== -1, 'slots are closed once, after they have been read')
    const fd = this.#fd
    this.#fd = -1
    close(fd, error => done(error ?? null))
  }

  #open(done: Done): void {
    open(this.#path, constants.O_RDWR, (error, fd) => {
      if (error?.code === 'ENOENT') return this.#create(done)
      if (error) return done(error)
      this.#fd = fd
      done(null)
    })
  }

  /** The whole length is written at once, so that later writes change no metadata. */
  #create(done: Done): void {
    open(this.#path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600, (error, fd) => {
      if (error) return done(error)
      this.#fd = fd
      write(fd, new Uint8Array(2 * slotDistanceBytes), 0, 2 * slotDistanceBytes, 0, error => {
        if (error) return done(error)
        fsync(fd, error => (error ? done(error) : syncFolder(dirname(this.#path), done)))
      })
    })
  }
}

/** Zeros were never written. */
function slotIn(bytes: Uint8Array, start: number): Uint8Array | null {
  const slot = bytes.subarray(start, start + slotBytesMax)
  return slot.every(byte => byte === 0) ? null : slot
}
