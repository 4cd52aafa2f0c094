// A directory without a disk, for the simulator and tests: a set of names that outlives a crash.
import type { Done, Env } from '../base/env.ts'
import type { Directory } from './directory.ts'

export class MemoryDirectory implements Directory {
  readonly #names: Set<string>
  readonly #env: Env

  constructor(names: Set<string>, env: Env) {
    this.#names = names
    this.#env = env
  }

  list(done: Done<readonly string[]>): void {
    this.#env.soon(() => done(null, [...this.#names].toSorted()))
  }

  create(name: string, done: Done): void {
    this.#names.add(name)
    this.#env.soon(() => done(null))
  }

  remove(name: string, done: Done): void {
    this.#names.delete(name)
    this.#env.soon(() => done(null))
  }
}
