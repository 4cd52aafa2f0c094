// The state of the ceiling: the product's machine with its sessions, fed with blocks, flushed when the product would.
import { assert } from '../../lib/base/assert.ts'
import type { Env } from '../../lib/base/env.ts'
import { KvMachine } from '../../lib/kv/kv-machine.ts'
import { stateLevel } from '../../lib/kv/state-level.ts'
import type { Answer } from '../../lib/machine/answer.ts'
import { ReplicatedMachine } from '../../lib/machine/replicated-machine.ts'
import { nodeLimits } from '../../lib/node/limits.ts'
import type { Block } from '../../lib/raft/types.ts'

export class AppliedState {
  readonly kv: KvMachine
  readonly #machine: ReplicatedMachine
  readonly #applied: (answers: readonly Answer[]) => void
  #waiting: Block[] = []
  #applying = false
  #flushing = false

  private constructor(kv: KvMachine, machine: ReplicatedMachine, applied: (answers: readonly Answer[]) => void) {
    this.kv = kv
    this.#machine = machine
    this.#applied = applied
  }

  /** In an empty folder. `applied` hears one answer per record, in order. */
  static async open(folder: string, env: Env, applied: (answers: readonly Answer[]) => void): Promise<AppliedState> {
    const kv = new KvMachine(stateLevel(folder), env)
    const machine = new ReplicatedMachine(kv)
    await new Promise<void>((resolve, reject) => machine.open(error => (error === null ? resolve() : reject(error))))
    return new AppliedState(kv, machine, applied)
  }

  /** Index of the last record applied. */
  get index(): number {
    return this.#machine.applied.index
  }

  apply(blocks: readonly Block[]): void {
    this.#waiting.push(...blocks)
    if (!this.#applying) this.#next()
  }

  #next(): void {
    const blocks = this.#waiting
    if (blocks.length === 0) return
    this.#waiting = []
    this.#applying = true
    this.#flushIfDue()
    this.#machine.apply(blocks, (error, answers) => {
      assert(error === null, 'nothing here fails')
      this.#applying = false
      this.#applied(answers)
      this.#next()
    })
  }

  #flushIfDue(): void {
    if (this.#flushing || this.#machine.unflushedBytes < nodeLimits.flushStateBytes) return
    this.#flushing = true
    this.#machine.flush(error => {
      assert(error === null, 'nothing here fails')
      this.#flushing = false
    })
  }
}
