// `stretto repair DIR`: mends the data directory of a stopped node from what is sound in it, and says what it did.
import type { Command } from 'commander'
import { CommandFault, exitCode } from './faults.ts'
import { addOutputOption, type OfflineOptions, offline } from './offline.ts'
import { defaultOutput, printJson, printLine, shown } from './print.ts'

interface RepairOptions extends OfflineOptions {
  readonly dryRun?: boolean
}

export function repair(command: Command): void {
  command.argument('<directory>', 'the data directory of a node that does not run')
  command.option('--dry-run', 'say what would be done, and change nothing')
  addOutputOption(command)
  command.addHelpText(
    'after',
    `
What gives way is kept in the directory, in a folder repaired-N. Exit code 0 where a node can start with the directory,
1 where it can only be replaced.`
  )
  command.action(runRepair)
}

async function runRepair(directory: string, options: RepairOptions): Promise<void> {
  const { repairDirectory } = await import('../lib/offline/repair.ts')
  const repaired = await offline(() => repairDirectory(directory, { dryRun: options.dryRun ?? false }))
  const { dryRun, mended, kept, notes, unmendable } = repaired
  if ((options.output ?? defaultOutput()) === 'json') printJson(repaired)
  else {
    for (const line of mended) printLine(shown(dryRun ? `would be done: ${line}` : line))
    for (const line of notes) printLine(shown(`note: ${line}`))
    if (kept !== null) printLine(shown(`what gave way is kept in ${kept}: remove it once the node serves again`))
    if (mended.length === 0 && unmendable.length === 0) printLine('there is nothing to mend')
  }
  if (unmendable.length > 0) throw new CommandFault(exitCode.failed, unmendable.join('; '))
}
