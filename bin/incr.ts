// `stretto incr KEY`: adds to a counter, exactly once.
import type { Command } from 'commander'
import { jsonOfBytes } from '../lib/server/json-entry.ts'
import { addClientOptions, type ClientOptions, outputOf, parseCount, useClient } from './client-options.ts'
import { printJson, printLine, printValue, shownBytes } from './print.ts'

interface IncrOptions extends ClientOptions {
  readonly by: string
}

export function incr(command: Command): void {
  command.argument('<key>').option('--by <n>', 'what to add; may be negative', '1')
  addClientOptions(command)
  command.action(runIncr)
}

async function runIncr(key: string, options: IncrOptions): Promise<void> {
  const by = parseCount('--by', options.by, Number.MIN_SAFE_INTEGER)
  await useClient(options, async db => {
    const { value, revision } = await db.increment(key, by)
    const output = outputOf(options)
    if (output === 'value') printValue(value)
    else if (output === 'json') printJson({ ...jsonOfBytes('key', key), value, revision })
    else printLine(`${shownBytes(key)} is ${value} at revision ${revision}`)
  })
}
