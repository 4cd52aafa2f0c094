// The directory of a simulated disk: names that outlive a process, and with each its database.
import type { Done, Env } from '../../base/env.ts'
import type { Directory } from '../../log/directory.ts'
import type { Drive } from './knobs.ts'

export interface SimDirectoryParts {
  readonly names: Set<string>
  readonly drive: Drive
  readonly env: Env
  readonly alive: () => boolean
  /** A change has been issued: a process may die here. */
  readonly issued: () => void
  /** All that was in it is gone. */
  readonly removed: (name: string) => void
}

export class SimDirectory implements Directory {
  readonly #parts: SimDirectoryParts

  constructor(parts: SimDirectoryParts) {
    this.#parts = parts
  }

  list(done: Done<readonly string[]>): void {
    this.#later(this.#parts.drive.readMs, () => done(null, [...this.#parts.names].toSorted()))
  }

  create(name: string, done: Done): void {
    const { names, drive } = this.#parts
    this.#change(
      () => drive.writeError(),
      () => names.add(name),
      done
    )
  }

  remove(name: string, done: Done): void {
    const { names, drive, removed } = this.#parts
    const remove = (): void => {
      if (names.delete(name)) removed(name)
    }
    this.#change(() => drive.ioError(), remove, done)
  }

  /** It happens at some moment between the call and its end; when it is rejected, perhaps too. */
  #change(errorOf: () => Error | null, change: () => void, done: Done): void {
    const { drive, alive, issued } = this.#parts
    if (!alive()) return
    const error = errorOf()
    const early = drive.chance.chance(0.5)
    if (early && !drive.knobs.full) change()
    this.#later(drive.syncMs, () => {
      if (!early && error === null) change()
      done(error)
    })
    issued()
  }

  #later(ms: number, run: () => void): void {
    const { drive, env, alive } = this.#parts
    drive.later(env, ms, () => {
      if (alive()) run()
    })
  }
}
