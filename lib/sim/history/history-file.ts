// Histories as text, a JSON object on each line: what `stretto check-history` reads, and what a run can leave behind.
//
//   { process, type: 'invoke' | 'ok' | 'fail' | 'info', f: 'get' | 'put' | 'delete' | 'cas' | 'txn', key, value, expected?, time }
//
// Lines stand in the order in which things happened. A process has one operation at a time: an `invoke`, and later a line
// that ends it. Keys are text or whole numbers; values are text, numbers or booleans, and null for what is absent.
import { History, type Operation, type OperationOutcome } from './history.ts'
import { type Fields, MalformedLine, readFields, readInput, readOutput } from './history-line.ts'
import type { StoreInput, StoreOutput } from './transaction-model.ts'

export type StoreOperation = Operation<StoreInput, StoreOutput>

/** A file that is no history, with the first line at fault. */
export class MalformedHistory extends Error {
  override readonly name = 'MalformedHistory'
}

interface Open {
  readonly operation: StoreOperation
  readonly f: unknown
  readonly key: unknown
  readonly line: number
  lost: boolean
}

/** Takes the lines of a file, one after the other. What has no end when there are no more is unknown. */
export class HistoryReader {
  readonly #history = new History<StoreInput, StoreOutput>()
  readonly #lines = new Map<StoreOperation, { readonly invoked: number; ended: number | null }>()
  /** By process: what it has not ended, or what it will never know the end of. */
  readonly #open = new Map<string | number, Open>()
  #line = 0
  #time = Number.NEGATIVE_INFINITY

  get operations(): readonly StoreOperation[] {
    return this.#history.operations
  }

  /** The lines of its call and of its end, counted from 1. */
  linesOf(operation: StoreOperation): { readonly invoked: number; readonly ended: number | null } | undefined {
    return this.#lines.get(operation)
  }

  /** @throws MalformedHistory */
  read(text: string): void {
    this.#line++
    if (text.trim() === '') return
    try {
      this.#take(readFields(text))
    } catch (error) {
      if (!(error instanceof MalformedLine)) throw error
      throw new MalformedHistory(`line ${this.#line}: ${error.message}`)
    }
  }

  #take(fields: Fields): void {
    const { type, time } = fields
    if (time < this.#time) throw new MalformedLine(`time ${time} is before that of an earlier line, ${this.#time}`)
    this.#time = time
    if (type === 'invoke') this.#invoke(fields)
    else this.#end(fields, type)
  }

  #invoke({ process, time, rest }: Fields): void {
    const open = this.#open.get(process)
    if (open?.lost === true) {
      const why = `the outcome of its operation of line ${open.line} is unknown`
      throw new MalformedLine(`process ${nameOf(process)} must not be used again: ${why}`)
    }
    if (open !== undefined) {
      throw new MalformedLine(`process ${nameOf(process)} has not ended its operation of line ${open.line}`)
    }
    const operation = this.#history.invoke(process, readInput(rest), time)
    this.#lines.set(operation, { invoked: this.#line, ended: null })
    this.#open.set(process, { operation, f: rest['f'], key: rest['key'], line: this.#line, lost: false })
  }

  #end({ process, time, rest }: Fields, type: OperationOutcome): void {
    const open = this.#open.get(process)
    if (open === undefined || open.lost) throw new MalformedLine(`process ${nameOf(process)} has no operation to end`)
    const { operation } = open
    for (const name of ['f', 'key'] as const) {
      if (rest[name] === undefined || rest[name] === open[name]) continue
      if (name === 'key' && operation.input.f === 'txn') continue
      const begun = `the operation of line ${open.line}, which this line ends, has ${JSON.stringify(open[name])}`
      throw new MalformedLine(`${name} is ${JSON.stringify(rest[name])}, and ${begun}`)
    }
    if (type === 'ok') this.#history.ok(operation, readOutput(operation.input, rest), time)
    else this.#history[type](operation, time)
    this.#lines.get(operation)!.ended = this.#line
    if (type === 'info') open.lost = true
    else this.#open.delete(process)
  }
}

/** The lines of a history. A process that has several operations at once is told as several. */
export function* historyLines(operations: readonly StoreOperation[]): Generator<string> {
  const processes = new Processes()
  for (const { operation, type, time } of eventsOf(operations)) {
    const { input } = operation
    const process = type === 'invoke' ? processes.take(operation) : processes.release(operation)
    const head = { process, type, f: input.f }
    if (input.f === 'txn') {
      const value = type === 'ok' ? operation.output : input.steps
      yield JSON.stringify({ ...head, key: null, value, time })
    } else {
      const asked = 'value' in input ? input.value : null
      const value = type === 'ok' && input.f === 'get' ? operation.output : asked
      const condition = input.f === 'cas' ? { expected: input.expected } : {}
      yield JSON.stringify({ ...head, key: input.key, value, ...condition, time })
    }
  }
}

interface HistoryEvent {
  readonly operation: StoreOperation
  readonly type: 'invoke' | OperationOutcome
  readonly place: number
  readonly time: number
}

function eventsOf(operations: readonly StoreOperation[]): HistoryEvent[] {
  const events: HistoryEvent[] = []
  for (const operation of operations) {
    const { invoked, ended, invokedTime, endedTime, outcome } = operation
    events.push({ operation, type: 'invoke', place: invoked, time: invokedTime })
    if (endedTime !== undefined && outcome !== 'info') {
      events.push({ operation, type: outcome, place: ended, time: endedTime })
    }
  }
  return events.sort((a, b) => a.place - b.place)
}

/** Gives names to processes, so that each has one operation at a time. */
class Processes {
  readonly #names = new Map<StoreOperation, string | number>()
  readonly #free = new Map<string | number, (string | number)[]>()
  readonly #counts = new Map<string | number, number>()

  take(operation: StoreOperation): string | number {
    const { process } = operation
    let name = this.#free.get(process)?.pop()
    if (name === undefined) {
      const count = (this.#counts.get(process) ?? 0) + 1
      this.#counts.set(process, count)
      name = count === 1 ? process : `${process}/${count}`
    }
    this.#names.set(operation, name)
    return name
  }

  release(operation: StoreOperation): string | number {
    const name = this.#names.get(operation)!
    const free = this.#free.get(operation.process)
    if (free === undefined) this.#free.set(operation.process, [name])
    else free.push(name)
    return name
  }
}

function nameOf(process: string | number): string {
  return JSON.stringify(process)
}
