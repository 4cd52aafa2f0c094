// `stretto del KEY`: deletes a key, or a range of keys.
import type { Command } from 'commander'
import type { NamedBounds } from '../lib/client/options.ts'
import { jsonOfBytes } from '../lib/server/json-entry.ts'
import { UsageError } from '../lib/server/usage-error.ts'
import { addClientOptions, type ClientOptions, outputOf, parseCount, useClient } from './client-options.ts'
import { CommandFault, exitCode } from './faults.ts'
import { jsonOfPrevious, printJson, printLine, printValue, shown, shownBytes } from './print.ts'

interface DelOptions extends ClientOptions {
  readonly ifRevision?: string
  readonly prev?: boolean
  readonly prefix?: boolean
  readonly rangeEnd?: string
  readonly paged?: boolean
}

export function del(command: Command): void {
  command
    .argument('<key>', 'the key, or where the range begins')
    .option('--if-revision <n>', 'only if the key was last written at this revision')
    .option('--prev', 'show the entry that was deleted')
    .option('--prefix', 'all keys that begin with KEY')
    .option('--range-end <key>', 'all keys from KEY up to, and without, this one')
    .option('--paged', 'a range of more than 10,000 keys, page after page')
  addClientOptions(command)
  command.action(runDel)
}

async function runDel(key: string, options: DelOptions): Promise<void> {
  const { ifRevision, prev = false, prefix = false, rangeEnd, paged = false } = options
  if (prefix && rangeEnd !== undefined) throw new UsageError('--prefix and --range-end exclude each other')
  if (prefix || rangeEnd !== undefined) {
    if (prev || ifRevision !== undefined) throw new UsageError('--if-revision and --prev are for a single key')
    return await deleteRange(rangeEnd === undefined ? { prefix: key } : { from: key, to: rangeEnd }, options)
  }
  if (paged) throw new UsageError('--paged is for a range: add --prefix or --range-end')
  const conditions = {
    ...(ifRevision === undefined ? {} : { ifRevision: parseCount('--if-revision', ifRevision, 0) }),
    ...(prev ? { previous: true } : {})
  }
  await useClient(options, async db => {
    const { deleted, revision, previous } = await db.delete(key, conditions)
    const output = outputOf(options)
    if (output === 'value') printValue(deleted)
    else if (output === 'json') {
      printJson({
        ...jsonOfBytes('key', key),
        deleted,
        revision,
        ...(prev ? { previous: jsonOfPrevious(previous) } : {})
      })
    } else if (deleted > 0) {
      const before = prev && previous?.value ? `, before: ${shownBytes(previous.value)}` : ''
      printLine(`${shownBytes(key)} deleted at revision ${revision}${before}`)
    }
    if (deleted === 0) throw new CommandFault(exitCode.notFound, `there is no key '${shown(key)}'`)
  })
}

async function deleteRange(bounds: NamedBounds, options: DelOptions): Promise<void> {
  await useClient(options, async db => {
    const { deleted, revision } = await db.deleteRange(bounds, { atomic: options.paged !== true })
    const output = outputOf(options)
    if (output === 'json') printJson({ deleted, revision })
    else if (output === 'value') printValue(deleted)
    else printLine(`${deleted === 1 ? '1 key' : `${deleted} keys`} deleted; revision ${revision}`)
  })
}
