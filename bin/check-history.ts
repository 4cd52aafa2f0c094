// `stretto check-history FILE`: whether a recorded history is linearizable, and what in it is not.
import { createReadStream } from 'node:fs'
import { type Command, Option } from 'commander'
import { faultText, UsageError } from '../lib/server/usage-error.ts'
import { HistoryReader, MalformedHistory, type StoreOperation } from '../lib/sim/history/history-file.ts'
import { type Counterexample, checkLinearizable, configurationsMaxDefault } from '../lib/sim/history/linearizable.ts'
import type { Key } from '../lib/sim/history/sequential-model.ts'
import {
  type Store,
  type StoreInput,
  type StoreOutput,
  transactionModel
} from '../lib/sim/history/transaction-model.ts'
import { parseCount } from './client-options.ts'
import { CommandFault, exitCode } from './faults.ts'
import { defaultOutput, type Output, printJson, printLine, printTable, shown } from './print.ts'

interface CheckOptions {
  readonly output?: Output
  readonly configurations?: string
}

/** A table of more is not read by anybody. */
const rowsMax = 20

export function checkHistory(command: Command): void {
  command
    .argument('<file>', "JSON lines, or '-' to read them from the standard input")
    .addOption(
      new Option('-o, --output <format>', 'table or json (default: table on a terminal, else json)').choices([
        'table',
        'json'
      ])
    )
    .option(
      '--configurations <n>',
      `how much to search for each key before it is left undecided (default: ${configurationsMaxDefault})`
    )
    .addHelpText(
      'after',
      `
A line for each call and each answer, in the order in which they happened:
  {"process":1,"type":"invoke","f":"put","key":"k","value":7,"time":12}
  {"process":1,"type":"ok","f":"put","key":"k","time":15}
type: invoke, ok, fail (it never took effect) or info (not known). f: get, put, delete, cas (with "expected"), or txn with
a value such as [["get","a",null],["put","b",1]]. null stands for an absent key. Ends with 0 where the history is
linearizable, 1 where it is not, 6 where that could not be decided.`
    )
    .action(runCheck)
}

async function runCheck(file: string, options: CheckOptions): Promise<void> {
  const configurationsMax =
    options.configurations === undefined
      ? configurationsMaxDefault
      : parseCount('--configurations', options.configurations, 1)
  const history = await readHistory(file)
  const { valid, operations, counterexample } = checkLinearizable(history.operations, transactionModel, {
    configurationsMax
  })
  const keys = countKeys(history.operations)
  const about = `${counted(operations, 'operation')} on ${counted(keys, 'key')}`
  const output = options.output ?? defaultOutput()
  if (output === 'json') {
    const why = counterexample === undefined ? {} : { counterexample: jsonOf(counterexample, history) }
    printJson({ valid, operations, keys, ...why })
  } else if (counterexample !== undefined) await printCounterexample(counterexample, history)
  else if (valid === true) printLine(`linearizable: ${about}`)
  if (counterexample !== undefined) {
    throw new CommandFault(exitCode.failed, `not linearizable: ${describe(counterexample, history)}`)
  }
  if (valid === null) {
    const bound = `undecided after ${configurationsMax} configurations of one key`
    throw new CommandFault(exitCode.unknownOutcome, `${bound}: raise --configurations to search for longer`)
  }
}

async function readHistory(file: string): Promise<HistoryReader> {
  const reader = new HistoryReader()
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let rest = ''
  const take = (text: string): void => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!
    for (const line of lines) reader.read(line)
  }
  try {
    const input = file === '-' ? process.stdin : createReadStream(file)
    for await (const part of input as AsyncIterable<Uint8Array>) take(decoder.decode(part, { stream: true }))
    take(`${decoder.decode()}\n`)
  } catch (error) {
    const name = file === '-' ? 'the standard input' : file
    if (error instanceof MalformedHistory) throw new UsageError(`${name}, ${error.message}`)
    if (error instanceof TypeError) throw new UsageError(`${name} is not UTF-8`)
    throw new UsageError(`the history cannot be read: ${faultText(error)}`)
  }
  return reader
}

function countKeys(operations: readonly StoreOperation[]): number {
  const keys = new Set<Key>()
  for (const { input } of operations) for (const key of transactionModel.keysOf?.(input) ?? []) keys.add(key)
  return keys.size
}

type Found = Counterexample<Store, StoreInput, StoreOutput>

function jsonOf({ keys, stuck, states, operations }: Found, history: HistoryReader): object {
  return {
    keys,
    stuck: jsonOfOperation(stuck, history),
    states: states.map(jsonOfState),
    operations: operations.map(operation => jsonOfOperation(operation, history))
  }
}

function jsonOfOperation(operation: StoreOperation, history: HistoryReader): object {
  const { process, input, outcome, output } = operation
  const lines = history.linesOf(operation)
  const asked =
    input.f === 'txn'
      ? { f: input.f, value: output ?? input.steps }
      : { ...input, ...(input.f === 'get' && outcome === 'ok' ? { value: output } : {}) }
  return { process, type: outcome, ...asked, lines: [lines?.invoked, lines?.ended] }
}

function jsonOfState(state: Store): unknown {
  return state instanceof Map ? Object.fromEntries(state) : state
}

function describe({ stuck, operations }: Found, history: HistoryReader): string {
  const { invoked, ended } = history.linesOf(stuck)!
  const others = counted(operations.length - 1, 'other')
  return `${nameOf(stuck)} in lines ${invoked} to ${ended} fits nowhere among ${others} on its key${stuck.input.f === 'txn' ? 's' : ''}`
}

function nameOf({ process, input, output }: StoreOperation): string {
  if (input.f === 'txn') return shown(`${input.f} ${JSON.stringify(output ?? input.steps)} of process ${process}`)
  const { f, key } = input
  const values: Readonly<Record<typeof f, string>> = {
    get: output === undefined ? '' : ` = ${JSON.stringify(output)}`,
    put: f === 'put' ? ` ${JSON.stringify(input.value)}` : '',
    delete: '',
    cas: f === 'cas' ? ` ${JSON.stringify(input.expected)} to ${JSON.stringify(input.value)}` : ''
  }
  return shown(`${f} ${JSON.stringify(key)}${values[f]} of process ${process}`)
}

async function printCounterexample({ operations, stuck, states }: Found, history: HistoryReader): Promise<void> {
  const last = operations.slice(-rowsMax)
  const rows = last.map(operation => {
    const lines = history.linesOf(operation)
    const ended = operation.outcome === 'info' ? '' : (lines?.ended ?? '')
    const outcome = operation === stuck ? `${operation.outcome}, fits nowhere` : operation.outcome
    return [lines?.invoked ?? '', ended, nameOf(operation), outcome]
  })
  if (last.length < operations.length) printLine(`the last ${rowsMax} of ${operations.length} operations:`)
  await printTable(['called in line', 'ended in line', 'operation', 'outcome'], rows)
  if (states.length > 0) {
    const found = shown(states.map(state => JSON.stringify(jsonOfState(state))).join(', '))
    printLine(`what the others may have left: ${found}`)
  }
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
