// `stretto get KEY`: reads a key, or a range of keys at one revision.
import { type Command, Option } from 'commander'
import type { Client } from '../lib/client/client.ts'
import { parseDuration } from '../lib/server/durations.ts'
import { jsonOfEntry, type PlainEntry } from '../lib/server/json-entry.ts'
import { UsageError } from '../lib/server/usage-error.ts'
import { type Consistency, consistencies } from '../lib/wire/client.ts'
import { addClientOptions, type ClientOptions, outputOf, parseCount, useClient } from './client-options.ts'
import { CommandFault, exitCode } from './faults.ts'
import { type Output, printEntries, printJson, printLine, printValue, shown } from './print.ts'

interface GetOptions extends ClientOptions {
  readonly prefix?: boolean
  readonly rangeEnd?: string
  readonly limit?: string
  readonly keysOnly?: boolean
  readonly countOnly?: boolean
  readonly consistency?: Consistency
  readonly atRevision?: string
  readonly minRevision?: string
  readonly maxStaleness?: string
}

type Bounds = { readonly prefix: string } | { readonly from: string; readonly to: string }

export function get(command: Command): void {
  command
    .argument('<key>', 'the key, or where the range begins')
    .option('--prefix', 'all keys that begin with KEY')
    .option('--range-end <key>', 'all keys from KEY up to, and without, this one')
    .option('--limit <n>', 'at most so many keys of a range')
    .option('--keys-only', 'without the values')
    .option('--count-only', 'only how many keys there are')
    .addOption(
      new Option('--consistency <level>', 'linearizable (default), lease, session or stale').choices(consistencies)
    )
    .option('--at-revision <n>', 'as it was at this revision')
    .option('--min-revision <n>', 'from a state of this revision or later')
    .option('--max-staleness <duration>', 'with stale: from no node out of touch for longer than this')
  addClientOptions(command)
  command.action(runGet)
}

async function runGet(key: string, options: GetOptions): Promise<void> {
  const { prefix = false, rangeEnd, limit, keysOnly = false, countOnly = false, maxStaleness } = options
  if (prefix && rangeEnd !== undefined) throw new UsageError('--prefix and --range-end exclude each other')
  if (countOnly && (keysOnly || limit !== undefined))
    throw new UsageError('--count-only takes neither --keys-only nor --limit')
  const isRange = prefix || rangeEnd !== undefined
  if (!isRange && limit !== undefined) throw new UsageError('--limit is for a range: add --prefix or --range-end')
  if (maxStaleness !== undefined && options.consistency !== 'stale') {
    throw new UsageError('--max-staleness is for --consistency stale')
  }
  const bounds: Bounds = rangeEnd === undefined ? { prefix: key } : { from: key, to: rangeEnd }
  const terms = {
    ...(options.consistency === undefined ? {} : { consistency: options.consistency }),
    ...(options.atRevision === undefined ? {} : { atRevision: parseCount('--at-revision', options.atRevision, 1) }),
    ...(options.minRevision === undefined ? {} : { minRevision: parseCount('--min-revision', options.minRevision, 1) }),
    ...(maxStaleness === undefined ? {} : { maxStaleness: parseDuration(maxStaleness) })
  }
  const most = limit === undefined ? {} : { limit: parseCount('--limit', limit, 1) }
  const output = outputOf(options)
  await useClient(options, async db => {
    if (isRange && countOnly) return printCount(await db.count({ ...bounds, ...terms }), output)
    if (isRange) return printRange(db, { ...bounds, ...terms, ...most, keysOnly }, output)
    const entry = await db.get(key, terms)
    if (countOnly) return printCount(entry === null ? 0 : 1, output)
    if (entry === null) throw new CommandFault(exitCode.notFound, `there is no key '${shown(key)}'`)
    const plain = keysOnly ? { ...entry, value: null } : entry
    if (output === 'table') await printEntries([plain])
    else printEntry(plain, output)
  })
}

async function printRange(
  db: Client<Uint8Array>,
  range: Parameters<Client<Uint8Array>['range']>[0],
  output: Output
): Promise<void> {
  const rows: PlainEntry[] = []
  for await (const entry of db.range(range)) {
    if (output === 'table') rows.push(entry)
    else printEntry(entry, output)
  }
  if (output !== 'table') return
  if (rows.length > 0) await printEntries(rows)
  printLine(rows.length === 1 ? '1 key' : `${rows.length} keys`)
}

function printEntry(entry: PlainEntry, output: Output): void {
  if (output === 'json') printJson(jsonOfEntry(entry))
  else printValue(entry.value ?? entry.key)
}

function printCount(count: number, output: Output): void {
  if (output === 'json') printJson({ count })
  else if (output === 'value') printValue(count)
  else printLine(count === 1 ? '1 key' : `${count} keys`)
}
