// Where the state of an in-memory machine is kept durably: one value, replaced whole or not at all.
import type { Done, Env } from '../base/env.ts'

export interface Vault {
  /** The value saved last; null before the first. */
  load(done: Done<Uint8Array | null>): void
  /** Replaces the value; when `done` comes without error it is on stable storage. A crash leaves the old or the new one. */
  save(bytes: Uint8Array, done: Done): void
  close(done: Done): void
}

/** A vault without a disk: for tests and the simulator, where it outlives the machine that uses it. */
export class MemoryVault implements Vault {
  readonly #env: Pick<Env, 'soon'>
  #bytes: Uint8Array | null = null

  constructor(env: Pick<Env, 'soon'>) {
    this.#env = env
  }

  load(done: Done<Uint8Array | null>): void {
    this.#env.soon(() => done(null, this.#bytes))
  }

  save(bytes: Uint8Array, done: Done): void {
    const copy = new Uint8Array(bytes)
    this.#env.soon(() => {
      this.#bytes = copy
      done(null)
    })
  }

  close(done: Done): void {
    this.#env.soon(() => done(null))
  }
}
