// Clients of an application's own machine: its program runs once for each of them, and what they are told is judged.
import { StrettoError } from '../../base/errors.ts'
import { MachineClient } from '../../client/machine-client.ts'
import type { MemoryMachine } from '../../machine/memory-machine.ts'
import { Violation } from '../ghost/violation.ts'
import { Caller, Calls, callMsMax, type Workload, type WorkloadParts } from '../workload.ts'
import { type Acknowledged, lookAt, type NamedInvariant, thrownText } from './checks.ts'
import { MachineHistory } from './history.ts'
import { askRunning, type QueryConsistency, RefusedQuestion } from './query.ts'
import { shownBytes } from './shown-bytes.ts'
import type { MachineWatch } from './watch.ts'

export interface SimQueryOptions {
  /** `linearizable` by default: after all that was acknowledged before the call. `stale`: whatever the node has. */
  readonly consistency?: QueryConsistency
}

/** Calls are given up after two seconds, and reject with a `StrettoError` whose `fate` says whether a command may have been executed. */
export interface SimClient {
  /** Has the machine execute `command`, once, on all nodes. */
  readonly propose: (command: Uint8Array) => Promise<Uint8Array | null>
  /** Asks the machine of a node that is running. */
  readonly query: (question: Uint8Array, options?: SimQueryOptions) => Promise<Uint8Array>
}

/** What a client has to do with the world; it has no other clock, no other chance and nothing else to wait for. */
export interface SimProcess {
  readonly client: SimClient
  /** From 1. */
  readonly process: number
  /** A whole number from 0 up to, and without, `below`. */
  readonly random: (below: number) => number
  /** Virtual milliseconds; shorter where the run comes to its end. */
  readonly sleep: (ms: number) => Promise<void>
  /** Virtual milliseconds since the beginning. */
  readonly now: () => number
  /** False once it is time to come to an end, which then has to follow soon. */
  readonly running: () => boolean
}

/** Runs once for each client. What it throws ends the run, so it has to expect that calls fail. */
export type SimProgram = (process: SimProcess) => Promise<void>

export interface MachineOrders {
  readonly create: () => MemoryMachine
  readonly watch: MachineWatch
  readonly program: SimProgram
  readonly invariants: readonly NamedInvariant[]
  readonly linearizable: boolean
  /** How often the invariants are looked at, virtual milliseconds. */
  readonly everyMs: number
}

/** A program that goes on for longer, after it was told to end, waits for something that is not of this world. */
const endMsMax = 4_000
/** So many questions are asked again at the end, by somebody who was not there before. */
const lookQuestionsMax = 16

interface Running {
  readonly process: number
  ended: boolean
}

export class MachineWorkload implements Workload {
  readonly mayRest = true
  readonly hosts: readonly string[]
  readonly #parts: WorkloadParts
  readonly #orders: MachineOrders
  readonly #calls: Calls
  readonly #callers: readonly Caller[]
  readonly #history: MachineHistory
  readonly #acknowledged: Acknowledged[] = []
  readonly #programs: Running[] = []
  readonly #sleepers = new Set<() => void>()
  #stopped = false
  #looks = 0

  constructor(parts: WorkloadParts, orders: MachineOrders) {
    this.#parts = parts
    this.#orders = orders
    this.#calls = new Calls(parts)
    this.#history = new MachineHistory(orders.create, orders.watch)
    this.#callers = Array.from({ length: parts.clients }, (_, at) => new Caller(parts.cluster, at + 1))
    this.hosts = this.#callers.map(({ host }) => host)
  }

  get operations(): number {
    return this.#calls.operations
  }

  get pending(): number {
    return this.#calls.pending + this.#programs.filter(({ ended }) => !ended).length
  }

  start(): void {
    for (const caller of this.#callers) void this.#run(caller)
    if (this.#orders.invariants.length > 0) this.#lookAgain()
  }

  stop(): void {
    this.#stopped = true
    for (const wakeNow of this.#sleepers) wakeNow()
    this.#sleepers.clear()
    this.#parts.cluster.world.after(endMsMax, null, () => {
      const late = this.#programs.find(({ ended }) => !ended)
      if (late === undefined) return
      const why = 'it waits for something outside virtual time, or does not ask running()'
      const text = `client ${late.process} has not ended ${endMsMax} ms after it was told to: ${why}`
      this.#parts.cluster.fail(new Violation('workload', text))
    })
  }

  async look(): Promise<void> {
    const caller = new Caller(this.#parts.cluster, 900 + this.#looks++)
    for (const question of this.#history.questions.slice(0, lookQuestionsMax)) {
      try {
        await this.#query(caller, question, 'linearizable')
      } catch (error) {
        if (!(error instanceof StrettoError)) throw error
      }
    }
    this.#look()
  }

  judge(): void {
    this.#look()
    if (this.#orders.linearizable) this.#history.judge()
  }

  async #run(caller: Caller): Promise<void> {
    const { cluster } = this.#parts
    const running: Running = { process: caller.process, ended: false }
    this.#programs.push(running)
    try {
      await this.#orders.program(this.#processOf(caller))
    } catch (error) {
      const own = error instanceof Violation
      cluster.fail(own ? error : new Violation('workload', `client ${caller.process}: ${thrownText(error)}`))
    }
    running.ended = true
  }

  #processOf(caller: Caller): SimProcess {
    const { world } = this.#parts.cluster
    const chance = world.random(`program ${caller.process}`)
    const machine = new MachineClient(caller.parts, caller.endpoints, { timeout: callMsMax })
    const client: SimClient = {
      propose: command => this.#yielding(caller, () => this.#propose(machine, caller, command)),
      query: (question, { consistency = 'linearizable' } = {}) =>
        this.#yielding(caller, () => this.#query(caller, question, consistency))
    }
    return {
      client,
      process: caller.process,
      random: below => chance.below(below),
      sleep: ms => this.#sleep(caller, ms),
      now: () => world.now,
      running: () => !this.#stopped
    }
  }

  /** A refusal takes a moment, or a program that tries again at once would let no time pass. */
  async #yielding<T>(caller: Caller, call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (error) {
      await caller.sleep(1)
      throw error
    }
  }

  /** At the end all who sleep are woken; who then sleeps again does so in full, so that time goes on. */
  #sleep(caller: Caller, ms: number): Promise<void> {
    const { world } = this.#parts.cluster
    return new Promise(resolve => {
      const wakeNow = (): void => void world.after(0, caller.life, resolve)
      if (!this.#stopped) this.#sleepers.add(wakeNow)
      world.after(Number.isFinite(ms) ? ms : 0, caller.life, () => {
        this.#sleepers.delete(wakeNow)
        resolve()
      })
    })
  }

  async #propose(machine: MachineClient, { process }: Caller, command: Uint8Array): Promise<Uint8Array | null> {
    refuseUnlessBytes(command, 'a command')
    const text = `propose ${shownBytes(command)}`
    const asked = this.#history.invoke(process, 'command', command, this.#now)
    const { bytes } = asked.input
    try {
      const { answer, revision } = await this.#calls.make(process, text, async () => {
        const proposed = await machine.propose(bytes)
        return new Told(proposed.answer, proposed.revision)
      })
      this.#stir(answer)
      this.#history.executed(asked, answer, revision, this.#now)
      this.#acknowledged.push({ process, command: bytes, answer, revision })
      return answer
    } catch (error) {
      if (error instanceof StrettoError) this.#history.failed(asked, error, this.#now)
      throw error
    }
  }

  async #query(caller: Caller, question: Uint8Array, consistency: QueryConsistency): Promise<Uint8Array> {
    refuseUnlessBytes(question, 'a question')
    const { process } = caller
    const stale = consistency === 'stale'
    const asked = stale ? null : this.#history.invoke(process, 'query', question, this.#now)
    const text = `${stale ? 'stale ' : ''}query ${shownBytes(question)}`
    let told: Told<Uint8Array> | RefusedQuestion
    try {
      told = await this.#calls.make(process, text, () => this.#ask(caller, question, consistency))
    } catch (error) {
      if (asked !== null && error instanceof StrettoError) this.#history.failed(asked, error, this.#now)
      throw error
    }
    const answer = told instanceof RefusedQuestion ? 'refused' : told.answer
    if (asked !== null) this.#history.answered(asked, answer, this.#now)
    if (told instanceof RefusedQuestion) throw told.fault
    this.#stir(told.answer)
    return told.answer
  }

  async #ask(
    caller: Caller,
    question: Uint8Array,
    consistency: QueryConsistency
  ): Promise<Told<Uint8Array> | RefusedQuestion> {
    try {
      return new Told(await askRunning(this.#parts.cluster, caller, question, consistency))
    } catch (error) {
      if (error instanceof RefusedQuestion) return error
      throw error
    }
  }

  #lookAgain(): void {
    this.#parts.cluster.world.after(this.#orders.everyMs, null, () => {
      try {
        this.#look()
        this.#lookAgain()
      } catch (error) {
        this.#parts.cluster.fail(error as Error)
      }
    })
  }

  #look(): void {
    const { cluster } = this.#parts
    const { invariants, watch } = this.#orders
    if (invariants.length === 0) return
    const machines = cluster.running.map(node => {
      const machine = watch.of(node)
      const { inner, revision } = machine
      return {
        node: node.id,
        revision,
        query: (question: Uint8Array) => inner.query(new Uint8Array(question)),
        save: () => inner.save()
      }
    })
    const view = { now: this.#now, machines, acknowledged: this.#acknowledged }
    for (const invariant of invariants) lookAt(view, invariant)
  }

  /** What the machines have answered is part of what has happened. */
  #stir(answer: Uint8Array | null): void {
    const { world } = this.#parts.cluster
    for (const byte of answer ?? []) world.stir(byte)
  }

  get #now(): number {
    return this.#parts.cluster.world.now
  }
}

function refuseUnlessBytes(value: unknown, what: string): void {
  if (!(value instanceof Uint8Array)) throw new StrettoError('BAD_REQUEST', `${what} is a Uint8Array`)
}

/** An answer that can be shown in a trace. */
class Told<A extends Uint8Array | null> {
  readonly answer: A
  readonly revision: number

  constructor(answer: A, revision = 0) {
    this.answer = answer
    this.revision = revision
  }

  toJSON(): string {
    return this.answer === null ? 'nothing' : shownBytes(this.answer)
  }
}
