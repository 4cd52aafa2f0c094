// The key-value machine as a server has it: a backup may freeze the state once a flush contains what it asks for.
import { assert } from '../base/assert.ts'
import type { Done } from '../base/env.ts'
import { StrettoError } from '../base/errors.ts'
import { KvMachine } from '../kv/kv-machine.ts'
import type { SnapshotSource } from '../machine/machine.ts'
import type { Index, LogId } from '../raft/types.ts'

interface Waiting {
  readonly least: Index
  readonly done: Done<SnapshotSource | null>
}

export class ServedMachine extends KvMachine {
  #flushing = false
  /** The last record that the state on disk contains. */
  #flushed: Index = 0
  #waiting: Waiting[] = []

  override open(done: Parameters<KvMachine['open']>[0]): void {
    super.open((error, opened) => {
      if (error === null) this.#flushed = opened.durable.index
      done(error, opened)
    })
  }

  override flush(upTo: LogId, sidecar: Uint8Array, done: Done): void {
    this.#flushing = true
    super.flush(upTo, sidecar, error => {
      this.#flushing = false
      if (error === null) this.#flushed = upTo.index
      this.#look()
      done(error)
    })
  }

  /** Freezes the state as soon as a flush has brought the record at `least` to disk; null where nothing was ever flushed. */
  freeze(least: Index, done: Done<SnapshotSource | null>): void {
    this.#waiting.push({ least, done })
    if (!this.#flushing) this.#look()
  }

  override close(done: Done): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const { done } of waiting) done(new StrettoError('STOPPED', 'the node has stopped'), null)
    super.close(done)
  }

  /** Between two flushes. */
  #look(): void {
    assert(!this.#flushing, 'a state is frozen between two flushes')
    const due = this.#waiting.filter(({ least }) => least <= this.#flushed)
    this.#waiting = this.#waiting.filter(({ least }) => least > this.#flushed)
    for (const { done } of due) this.snapshot(done)
  }
}
