// The log as it is lent to the machine: for reading what has been applied, which no leader can cut away any more.
import type { Done, Env } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import type { Log } from '../log/log.ts'
import type { LogReader } from '../machine/machine.ts'
import type { Block, Index } from '../raft/types.ts'

export class LentLog implements LogReader {
  readonly #log: Log
  readonly #env: Env

  constructor(log: Log, env: Env) {
    this.#log = log
    this.#env = env
  }

  get base(): Index {
    return this.#log.base.index
  }

  endBefore(bytes: number): Index {
    return this.#log.endBefore(bytes, Number.POSITIVE_INFINITY, this.#log.tail.index).index
  }

  read(from: Index, bytesMax: number, done: Done<readonly Block[] | null>): void {
    const gone = from <= this.base
    const hot = gone ? null : this.#log.hot(from, bytesMax)
    if (gone || hot !== null) return this.#env.soon(() => done(null, hot))
    this.#log.cold(from, bytesMax, (error, blocks) => {
      // Damage of the log is none of the state, and is mended by whoever finds it there.
      if (error !== null) done(unreadable(error), null)
      // A suffix was cut meanwhile, but not here.
      else if (blocks === null && from > this.base) this.read(from, bytesMax, done)
      else done(null, blocks)
    })
  }
}

function unreadable(error: Error): StrettoError {
  return new StrettoError('UNAVAILABLE', `the log cannot be read here: ${error.message}`, { cause: error })
}
