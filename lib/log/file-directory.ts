// A directory as a real folder, readable by its owner only; what was made in it is durable when it is answered.
import { close, fsync, mkdir, open, readdir, rm } from 'node:fs'
import { join } from 'node:path'
import type { Done } from '../base/env.ts'
import type { Directory } from './directory.ts'
import { refuse } from './faults.ts'

const ownerOnly = 0o700

export class FileDirectory implements Directory {
  readonly #path: string

  /** The folder exists: see `makeFolder`. */
  constructor(path: string) {
    this.#path = path
  }

  list(done: Done<readonly string[]>): void {
    readdir(this.#path, (error, names) => (error ? refuse(done, error) : done(null, names.toSorted())))
  }

  create(name: string, done: Done): void {
    mkdir(join(this.#path, name), { mode: ownerOnly }, error => {
      if (error !== null && error.code !== 'EEXIST') return done(error)
      syncFolder(this.#path, done)
    })
  }

  remove(name: string, done: Done): void {
    rm(join(this.#path, name), { recursive: true, force: true }, error => {
      if (error) return done(error)
      syncFolder(this.#path, done)
    })
  }
}

/** Makes the folder `path` with all above it, durable from the lowest that was there; no error when it is there. */
export function makeFolder(path: string, done: Done): void {
  mkdir(path, { recursive: true, mode: ownerOnly }, (error, first) => {
    if (error) return done(error)
    if (first === undefined) return done(null)
    syncUpwards(path, join(first, '..'), done)
  })
}

function syncUpwards(path: string, last: string, done: Done): void {
  syncFolder(path, error => {
    if (error || path === last) return done(error)
    syncUpwards(join(path, '..'), last, done)
  })
}

/** Makes durable which names a folder holds. */
export function syncFolder(path: string, done: Done): void {
  open(path, 'r', (error, fd) => {
    if (error) return done(error)
    fsync(fd, error => close(fd, closed => done(error ?? closed ?? null)))
  })
}
