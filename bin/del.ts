// `stretto del KEY`: deletes a key.
import type { Command } from 'commander'
import { jsonOfBytes } from '../lib/server/json-entry.ts'
import { addClientOptions, type ClientOptions, outputOf, parseCount, useClient } from './client-options.ts'
import { CommandFault, exitCode } from './faults.ts'
import { jsonOfPrevious, printJson, printLine, printValue, shown, shownBytes } from './print.ts'

interface DelOptions extends ClientOptions {
  readonly ifRevision?: string
  readonly prev?: boolean
}

export function del(command: Command): void {
  command
    .argument('<key>')
    .option('--if-revision <n>', 'only if the key was last written at this revision')
    .option('--prev', 'show the entry that was deleted')
  addClientOptions(command)
  command.action(runDel)
}

async function runDel(key: string, options: DelOptions): Promise<void> {
  const { ifRevision, prev = false } = options
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
