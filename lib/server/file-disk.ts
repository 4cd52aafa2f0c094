// The data directory of a node as a real folder: the log in LevelDB, the memory in a file, states in folders beside them.
import { join } from 'node:path'
import type { Done } from '../base/env.ts'
import type { Directory } from '../log/directory.ts'
import { FileDirectory, makeFolder } from '../log/file-directory.ts'
import { FileSlots } from '../log/file-slots.ts'
import { classicLevel, type Level } from '../log/level.ts'
import type { Slots } from '../log/slots.ts'
import type { Disk } from './disk.ts'

export class FileDisk implements Disk {
  readonly directory: Directory
  readonly #path: string

  constructor(path: string) {
    this.#path = path
    this.directory = new FileDirectory(path)
  }

  prepare(done: Done): void {
    makeFolder(this.#path, done)
  }

  log(): Level {
    return classicLevel(join(this.#path, 'log'))
  }

  slots(): Slots {
    return new FileSlots(join(this.#path, 'memory'))
  }
}
