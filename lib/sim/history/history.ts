// What clients asked and were told, in the order in which it happened: the evidence on which a run is judged.
import { assert } from '../../base/assert.ts'

/**
 * `ok`: it took effect, between its call and its answer. `fail`: it never did and never will. `info`: not known, or not
 * answered yet: it may have taken effect once at any time since the call, may still, or never.
 */
export type OperationOutcome = 'ok' | 'fail' | 'info'

/** A call, and what came of it. `I` says what was asked; `O` what was answered, and is never undefined. */
export class Operation<I, O> {
  /** Who asked. The order of calls says more than this: it is for people. */
  readonly process: string | number
  readonly input: I
  /** Place of the call among all calls and answers of the history. */
  readonly invoked: number
  /** Place of the answer; infinite while there is none, and where the outcome is not known. */
  ended = Number.POSITIVE_INFINITY
  outcome: OperationOutcome = 'info'
  /** Only of an `ok`. */
  output: O | undefined = undefined
  /** Orders the search, and proves nothing: what took effect earlier should have the smaller one, such as a revision. */
  hint: number | undefined = undefined
  /** Time of the call and of the answer, by the recorder's clock: for people. */
  readonly invokedTime: number
  endedTime: number | undefined = undefined

  constructor(process: string | number, input: I, invoked: number, invokedTime: number) {
    this.process = process
    this.input = input
    this.invoked = invoked
    this.invokedTime = invokedTime
  }
}

/** Recorded while it happens. Each operation is ended once, or stays as one whose outcome is not known. */
export class History<I, O> {
  readonly #operations: Operation<I, O>[] = []
  #places = 0

  /** In the order of their calls. */
  get operations(): readonly Operation<I, O>[] {
    return this.#operations
  }

  /** The call is made now. What this gives is to be ended by one of the three below. */
  invoke(process: string | number, input: I, time: number): Operation<I, O> {
    const operation = new Operation<I, O>(process, input, this.#places++, time)
    this.#operations.push(operation)
    return operation
  }

  /** It took effect. */
  ok(operation: Operation<I, O>, output: O, time: number, hint?: number): void {
    assert(output !== undefined, 'an answer is never undefined')
    this.#end(operation, 'ok', time)
    operation.ended = this.#places++
    operation.output = output
    operation.hint = hint
  }

  /** It certainly did not take effect, and will not. */
  fail(operation: Operation<I, O>, time: number): void {
    this.#end(operation, 'fail', time)
    operation.ended = this.#places++
  }

  /** Nobody will tell what became of it. */
  info(operation: Operation<I, O>, time: number): void {
    this.#end(operation, 'info', time)
  }

  #end(operation: Operation<I, O>, outcome: OperationOutcome, time: number): void {
    assert(operation.endedTime === undefined, 'an operation ends once')
    operation.outcome = outcome
    operation.endedTime = time
  }
}
