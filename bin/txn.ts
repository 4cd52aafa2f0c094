// `stretto txn [FILE]`: an atomic transaction, written as JSON.
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { UsageError } from '../lib/server/usage-error.ts'
import { addClientOptions, type ClientOptions, outputOf, useClient } from './client-options.ts'
import { CommandFault, exitCode } from './faults.ts'
import { printJson, printLine, printValue } from './print.ts'
import { readInput } from './read-input.ts'
import { jsonOfResult, readTxnJson } from './txn-json.ts'

interface TxnOptions extends ClientOptions {
  readonly failOnElse?: boolean
}

/** As much as a transaction may take, and what JSON adds to it. */
const inputBytesMax = 8_388_608

export function txn(command: Command): void {
  command
    .argument('[file]', "the transaction, or '-' for the standard input", '-')
    .option('--fail-on-else', 'end with exit code 4 where a comparison does not hold')
  addClientOptions(command)
  command.addHelpText(
    'after',
    `
  { "if":   [ { "key": "a", "version": { "eq": 0 } }, { "prefix": "b/", "modRevision": { "lt": 77 } } ],
    "then": [ { "put": "a", "value": "1" }, { "add": "n", "by": 1 }, { "deleteRange": { "prefix": "c/" } } ],
    "else": [ { "get": "a" } ] }

A comparison is of a key or a range (prefix, from, to): version, createRevision, modRevision, value, valueBase64 or lease with
eq, ne, lt or gt; or "exists": true, or "absent": true. Operations:
  put KEY value|valueBase64 [previous] [ttl] [lease]     delete KEY [previous]     deleteRange { prefix | from, to }
  get KEY     getRange { prefix | from, to, limit, reverse, keysOnly }     count { prefix | from, to }
  add KEY [by]     min KEY number     max KEY number     append KEY value|valueBase64     txn { if, then, else }`
  )
  command.action(runTxn)
}

async function runTxn(file: string, options: TxnOptions): Promise<void> {
  const asked = readTxnJson(parsed(file === '-' ? await readInput(inputBytesMax) : await readFile(file)))
  await useClient(options, async db => {
    const result = await db
      .txn()
      .if(...asked.if)
      .then(...asked.then)
      .else(...asked.else)
      .commit()
    const { succeeded, revision } = result
    const output = outputOf(options)
    if (output === 'json') printJson(jsonOfResult(result) as object)
    else if (output === 'value') printValue(succeeded ? 'then' : 'else')
    else {
      const verdict = succeeded ? 'all comparisons hold' : 'a comparison does not hold'
      printLine(`${verdict}; revision ${revision}`)
      for (const response of result.responses) printLine(JSON.stringify(jsonOfResult(response)))
    }
    if (!succeeded && options.failOnElse === true) {
      throw new CommandFault(exitCode.conditionFailed, 'a comparison does not hold')
    }
  })
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw new UsageError(`the transaction is no JSON: ${(error as Error).message}`)
  }
}
