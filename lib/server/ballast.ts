// The ballast: a file that takes room on the disk, to be given up when there is no other left.
//
// A full disk cannot even be tidied: deletes are written to the log first, and LevelDB writes a new table before it lets
// go of the old ones. With the ballast gone there is room for that.
import { randomBytes } from 'node:crypto'
import { type FileHandle, open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Env } from '../base/env.ts'
import type { Reserve } from './reserve.ts'

const ballastBytesMax = 67_108_864
/** The share of the file system that it may take. */
const ballastShare = 50
/** So much is written at a time and synced, with pauses: the disk has other things to do. */
const pieceBytes = 1_048_576
const pauseMs = 50
/** A start has better things to do. */
const ballastAfterMs = 5_000

/** How large the ballast is where nobody says: 64 MiB, or a fiftieth of a small file system. */
export function ballastBytesFor(sizeBytes: number): number {
  return Math.min(ballastBytesMax, Math.floor(sizeBytes / ballastShare))
}

export class Ballast implements Reserve {
  readonly bytes: number
  readonly #env: Pick<Env, 'after'>
  readonly #folder: string
  readonly #path: string
  #whole = false
  /** The filling that is under way. */
  #filling: Promise<void> | null = null
  #rests = false
  #begun = false
  /** Ends the pause that is under way. */
  #goOn: () => void = () => {}

  constructor(env: Pick<Env, 'after'>, folder: string, bytes: number) {
    this.#env = env
    this.#folder = folder
    this.#path = join(folder, 'ballast')
    this.bytes = bytes
  }

  get whole(): boolean {
    return this.#whole
  }

  /** Writes what is missing, piece by piece. What cannot be written is not there; that is no fault. */
  fill(): Promise<void> {
    this.#filling ??= this.#fill()
      .catch(() => this.#drop())
      .finally(() => {
        this.#filling = null
      })
    return this.#filling
  }

  async rest(): Promise<void> {
    this.#rests = true
    this.#goOn()
    await this.#filling
    this.#rests = false
  }

  /** Takes it away, also when it is just being filled. */
  async remove(): Promise<void> {
    await this.rest()
    await this.#drop()
  }

  async #fill(): Promise<void> {
    await this.#pause(this.#begun ? pauseMs : ballastAfterMs)
    if (this.#rests) return
    this.#begun = true
    // Before the first life there is no such folder, and it is not for the ballast to make it.
    await stat(this.#folder)
    const file = await open(this.#path, 'a', 0o600)
    try {
      await this.#fillFile(file)
    } finally {
      await file.close()
    }
  }

  async #fillFile(file: FileHandle): Promise<void> {
    let { size } = await file.stat()
    if (size > this.bytes) {
      await file.truncate(this.bytes)
      size = this.bytes
    }
    while (size < this.bytes) {
      if (this.#rests) return
      // Neither zeros nor a pattern: some file systems would store those in no room at all.
      const piece = randomBytes(Math.min(pieceBytes, this.bytes - size))
      const { bytesWritten } = await file.write(piece)
      await file.datasync()
      size += bytesWritten
      await this.#pause(pauseMs)
    }
    this.#whole = true
  }

  async #drop(): Promise<void> {
    this.#whole = false
    // Where it cannot be removed the disk is as full as before, and the node waits.
    await rm(this.#path, { force: true }).catch(() => {})
  }

  #pause(ms: number): Promise<void> {
    if (this.#rests) return Promise.resolve()
    return new Promise(resolve => {
      const cancel = this.#env.after(ms, resolve)
      this.#goOn = () => {
        cancel()
        resolve()
      }
    })
  }
}
