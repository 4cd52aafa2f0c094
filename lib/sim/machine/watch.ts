// The machines of an application in a run: each can be asked from outside, and what was executed with which answer is known.
import { AssertionError } from '../../base/assert.ts'
import { readU64, toHex, writeU64 } from '../../base/bytes.ts'
import type { Env } from '../../base/env.ts'
import { type CommandContext, fromMemoryMachine, type MemoryMachine } from '../../machine/memory-machine.ts'
import type { MakeMachine } from '../ghost/machines.ts'
import type { SimNode } from '../node/sim-node.ts'
import type { MachineAnswer } from './model.ts'

/** A command as the machines have executed it, all alike. */
export interface ExecutedCommand {
  readonly context: CommandContext
  readonly answer: MachineAnswer
  /** After it. */
  readonly revision: number
}

export class MachineWatch {
  readonly make: MakeMachine
  readonly #byEnv = new WeakMap<Env, WatchedMachine>()
  readonly #byCall = new Map<string, ExecutedCommand>()
  readonly #byRevision = new Map<number, ExecutedCommand>()

  constructor(create: () => MemoryMachine) {
    this.make = ({ env, vault }) => {
      const machine = new WatchedMachine(create(), this)
      this.#byEnv.set(env, machine)
      return { machine: fromMemoryMachine(machine, vault, env), revision: () => machine.revision }
    }
  }

  /** The machine of a node that is running. */
  of({ env }: SimNode): WatchedMachine {
    return this.#byEnv.get(env!)!
  }

  /** The first to execute a command tells of it; that the others come to the same is judged elsewhere. */
  executed(context: CommandContext, answer: MachineAnswer, revision: number): void {
    const call = `${toHex(context.session)}-${context.serial}`
    if (this.#byCall.has(call)) return
    const copy = answer instanceof Uint8Array ? new Uint8Array(answer) : answer
    const command = { context, answer: copy, revision }
    this.#byCall.set(call, command)
    if (answer !== 'refused') this.#byRevision.set(revision, command)
  }

  /** By the operation id of its write; undefined where nobody has executed it. */
  byCall(operationId: string): ExecutedCommand | undefined {
    return this.#byCall.get(operationId)
  }

  byRevision(revision: number): ExecutedCommand | undefined {
    return this.#byRevision.get(revision)
  }
}

const countBytes = 8

/** Counts what its machine executes, across lives: the count is saved along with the machine. */
export class WatchedMachine implements MemoryMachine {
  readonly inner: MemoryMachine
  /** As the caller of a command is told: 1 at first, and one more with each command executed. */
  revision = 1
  readonly #watch: MachineWatch

  constructor(inner: MemoryMachine, watch: MachineWatch) {
    this.inner = inner
    this.#watch = watch
  }

  apply(command: Uint8Array, context: CommandContext): Uint8Array | null {
    let answer: Uint8Array | null
    try {
      answer = this.inner.apply(command, context) ?? null
    } catch (error) {
      if (!(error instanceof AssertionError)) this.#watch.executed(context, 'refused', this.revision)
      throw error
    }
    this.#watch.executed(context, answer, ++this.revision)
    return answer
  }

  query(question: Uint8Array): Uint8Array {
    return this.inner.query(question)
  }

  save(): Uint8Array {
    const state = this.inner.save()
    const bytes = new Uint8Array(countBytes + state.length)
    writeU64(bytes, 0, this.revision)
    bytes.set(state, countBytes)
    return bytes
  }

  load(bytes: Uint8Array): void {
    this.revision = readU64(bytes, 0)
    this.inner.load(bytes.slice(countBytes))
  }
}
