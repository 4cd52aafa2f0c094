// What the clients of an application's machine asked and were told, and whether that machine alone could have told it.
import { toHex } from '../../base/bytes.ts'
import type { StrettoError } from '../../base/errors.ts'
import type { MemoryMachine } from '../../machine/memory-machine.ts'
import { keptAnswerBytesMax } from '../../machine/session.ts'
import { Violation } from '../ghost/violation.ts'
import { History, Operation } from '../history/history.ts'
import { checkLinearizable } from '../history/linearizable.ts'
import { type MachineAnswer, type MachineInput, machineModel } from './model.ts'
import { shownBytes } from './shown-bytes.ts'
import type { ExecutedCommand, MachineWatch } from './watch.ts'

export type AskedMachine = Operation<MachineInput, MachineAnswer>

/** What became of a command, as far as its caller knows: the revision after it, or the name of the write. */
type Trail = { readonly revision: number } | { readonly operationId: string }

export class MachineHistory {
  readonly #create: () => MemoryMachine
  readonly #watch: MachineWatch
  readonly #history = new History<MachineInput, MachineAnswer>()
  readonly #trails = new Map<AskedMachine, Trail>()

  constructor(create: () => MemoryMachine, watch: MachineWatch) {
    this.#create = create
    this.#watch = watch
  }

  /** Each question that was asked, once; the latest ones first. */
  get questions(): readonly Uint8Array[] {
    const queries = this.#history.operations.filter(({ input }) => input.kind === 'query')
    return [...new Map(queries.toReversed().map(({ input }) => [toHex(input.bytes), input.bytes])).values()]
  }

  invoke(process: number, kind: MachineInput['kind'], bytes: Uint8Array, now: number): AskedMachine {
    return this.#history.invoke(process, { kind, bytes: new Uint8Array(bytes) }, now)
  }

  executed(asked: AskedMachine, answer: Uint8Array | null, revision: number, now: number): void {
    this.#trails.set(asked, { revision })
    this.#history.ok(asked, copyOf(answer), now, revision)
  }

  answered(asked: AskedMachine, answer: Uint8Array | 'refused', now: number): void {
    this.#history.ok(asked, copyOf(answer), now)
  }

  failed(asked: AskedMachine, error: StrettoError, now: number): void {
    if (error.operationId !== undefined) this.#trails.set(asked, { operationId: error.operationId })
    if (error.fate === 'unknown') this.#history.info(asked, now)
    else this.#history.fail(asked, now)
  }

  /** @throws Violation */
  judge(): void {
    const operations = this.#history.operations.map(operation => this.#settled(operation))
    const verdict = checkLinearizable(operations, machineModel(this.#create))
    const { counterexample } = verdict
    if (counterexample !== undefined) {
      const { stuck, operations: before } = counterexample
      const told = `${textOf(stuck)}, as the answer to process ${stuck.process}, has no place`
      throw new Violation('linearizable', `after ${before.length} operations ${told}`)
    }
    if (verdict.valid === null)
      throw new Violation('linearizable', `no order was found among ${verdict.configurations} that were tried`)
  }

  /**
   * With what is known by the end: where a command was executed, with which answer, and that it was not executed at all.
   * The order in which the machines have gone through all of them is then the first to be tried, so that a sound history is
   * judged in one go, however many callers were left without an answer.
   */
  #settled(operation: AskedMachine): AskedMachine {
    const { input, outcome } = operation
    if (input.kind === 'query') return operation
    const known = this.#executionOf(operation)
    if (known === undefined && outcome !== 'info') return operation
    const { process, invoked, invokedTime, ended, endedTime } = operation
    const settled: AskedMachine = new Operation(
      process,
      { ...input, ...(known && { context: known.context }) },
      invoked,
      invokedTime
    )
    Object.assign(settled, { ended, endedTime, outcome: known === undefined ? 'fail' : 'ok' })
    if (known === undefined) return settled
    const { answer, revision } = known
    settled.output = outcome === 'ok' ? toldOf(operation.output!, answer) : answer
    settled.hint = answer === 'refused' ? revision + 0.5 : revision
    return settled
  }

  #executionOf(operation: AskedMachine): ExecutedCommand | undefined {
    const trail = this.#trails.get(operation)
    if (trail === undefined) return undefined
    return 'revision' in trail ? this.#watch.byRevision(trail.revision) : this.#watch.byCall(trail.operationId)
  }
}

/** A retry is not told an answer that was too large to be kept. */
function toldOf(told: MachineAnswer, executed: MachineAnswer): MachineAnswer {
  const gone = told === null && executed instanceof Uint8Array && executed.length > keptAnswerBytesMax
  return gone ? executed : told
}

function copyOf<A extends MachineAnswer>(answer: A): A {
  return answer instanceof Uint8Array ? (new Uint8Array(answer) as A) : answer
}

function textOf({ input: { kind, bytes }, output }: AskedMachine): string {
  const answer = output instanceof Uint8Array ? shownBytes(output) : (output ?? 'nothing')
  return `${kind === 'query' ? 'query' : 'command'} ${shownBytes(bytes)} -> ${answer}`
}
