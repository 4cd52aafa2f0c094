// `stretto watch KEY`: prints what changes, as it changes, and goes on by itself whatever happens to nodes and links.
import type { Command } from 'commander'
import type { Batch, Change, WatchOptions as Wanted } from '../lib/client/client.ts'
import { jsonOfEntry } from '../lib/server/json-entry.ts'
import { UsageError } from '../lib/server/usage-error.ts'
import { addClientOptions, type ClientOptions, outputOf, parseCount, useClient } from './client-options.ts'
import { jsonOfPrevious, type Output, printJson, printLine, printValue, shownBytes, styled } from './print.ts'

interface WatchOptions extends ClientOptions {
  readonly prefix?: boolean
  readonly rangeEnd?: string
  readonly fromRevision?: string
  readonly prev?: boolean
  readonly filter?: string
}

const types = ['put', 'delete'] as const

export function watch(command: Command): void {
  command
    .argument('<key>', 'the key, or where the range begins')
    .option('--prefix', 'all keys that begin with KEY')
    .option('--range-end <key>', 'all keys from KEY up to, and without, this one')
    .option('--from-revision <n>', 'from this revision on; from now on when left out')
    .option('--prev', 'show the entry that was there before')
    .option('--filter <types>', 'put, delete or put,delete')
  addClientOptions(command)
  command.action(runWatch)
}

async function runWatch(key: string, options: WatchOptions): Promise<void> {
  const { prefix = false, rangeEnd, fromRevision, prev = false, filter } = options
  if (prefix && rangeEnd !== undefined) throw new UsageError('--prefix and --range-end exclude each other')
  const bounds = rangeEnd !== undefined ? { from: key, to: rangeEnd } : prefix ? { prefix: key } : { key }
  const wanted: Wanted = {
    ...bounds,
    ...(fromRevision !== undefined && { fromRevision: parseCount('--from-revision', fromRevision, 1) }),
    ...(prev && { previous: true }),
    ...(filter !== undefined && { filter: parseFilter(filter) })
  }
  const output = outputOf(options)
  await useClient(options, async db => {
    for await (const batch of db.watch(wanted)) printBatch(batch, output, prev)
  })
}

/** @throws UsageError */
function parseFilter(text: string): ('put' | 'delete')[] {
  return text.split(',').map(name => {
    const type = types.find(known => known === name.trim())
    if (type === undefined) throw new UsageError(`--filter '${text}' is none of put, delete and put,delete`)
    return type
  })
}

function printBatch({ revision, changes, reset, synced }: Batch<Uint8Array>, output: Output, prev: boolean): void {
  for (const change of changes) {
    if (output === 'json') printJson(jsonOfChange(change, revision))
    else if (output === 'table') printLine(lineOf(change, prev))
    else printValue(change.entry.value ?? '')
  }
  // History was compacted away while nobody could be reached: what is printed next is the present state.
  if (reset === true && output === 'json') printJson({ revision, reset })
  if (synced === true && output === 'json') printJson({ revision, synced })
  if (reset === true && output === 'table') printLine(`older changes have been compacted away; present state:`)
}

function jsonOfChange(change: Change<Uint8Array>, revision: number): object {
  const { type, entry, previous } = change
  return {
    revision,
    type,
    ...jsonOfEntry(entry),
    ...(previous !== undefined && { previous: jsonOfPrevious(previous) }),
    ...(change.type === 'delete' && change.cause !== undefined && { cause: change.cause })
  }
}

function lineOf(change: Change<Uint8Array>, prev: boolean): string {
  const { entry, previous } = change
  const before = prev && previous ? styled('dim', `  was ${shownBytes(previous.value)}`) : ''
  const revision = String(entry.modRevision).padStart(8)
  const key = shownBytes(entry.key)
  if (change.type === 'put')
    return `${revision}  ${styled('green', 'put   ')}  ${key}  ${shownBytes(change.entry.value)}${before}`
  const cause = change.cause === undefined ? '' : '  (lease expired)'
  return `${revision}  ${styled('red', 'delete')}  ${key}${cause}${before}`
}
