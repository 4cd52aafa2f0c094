// `stretto inspect DIR`: what the data directory of a stopped node holds, and whether all of it is sound.
import type { Command } from 'commander'
import type { Inspection } from '../lib/offline/inspect.ts'
import { formatSize } from '../lib/server/sizes.ts'
import { CommandFault, exitCode } from './faults.ts'
import { addOutputOption, type OfflineOptions, offline } from './offline.ts'
import { defaultOutput, printJson, printLine, printTable, shown } from './print.ts'

export function inspect(command: Command): void {
  command.argument('<directory>', 'the data directory of a node that does not run')
  addOutputOption(command)
  command.addHelpText(
    'after',
    `
Reads and checks everything, and changes nothing. Exit code 0 where all is sound, 1 where something was found.`
  )
  command.action(runInspect)
}

async function runInspect(directory: string, options: OfflineOptions): Promise<void> {
  const { inspectDirectory } = await import('../lib/offline/inspect.ts')
  const inspection = await offline(() => inspectDirectory(directory))
  if ((options.output ?? defaultOutput()) === 'json') printJson(inspection)
  else await printInspection(inspection)
  if (!inspection.sound) {
    const { length } = inspection.findings
    throw new CommandFault(exitCode.failed, `${length} finding${length === 1 ? '' : 's'} in ${directory}`)
  }
}

async function printInspection(inspection: Inspection): Promise<void> {
  await printTable(['part', 'content'], rowsOf(inspection))
  for (const { id, address, role, incarnation } of inspection.members) {
    printLine(shown(`member ${id} at ${address}, ${role}, incarnation ${incarnation}`))
  }
  for (const note of inspection.notes) printLine(shown(`note: ${note}`))
  for (const finding of inspection.findings) printLine(shown(`finding: ${finding}`))
  printLine(inspection.sound ? 'sound' : 'not sound: stretto repair mends what can be mended')
}

function rowsOf({ id, incarnation, clusterId, boot, term, vote, mark, base, log, state, trusted }: Inspection) {
  const rows: [string, string][] = [
    ['node', id === null ? 'unknown' : `${id}, incarnation ${incarnation}, boot ${boot}`],
    ['cluster', clusterId ?? 'none'],
    ['vote', term === null ? 'unknown' : `term ${term}, ${vote === null ? 'no vote' : `voted for ${vote}`}`],
    ['promised', mark === null ? 'unknown' : `${mark.index}@${mark.term}`]
  ]
  if (base !== null) {
    const version = `machine version ${base.machineVersion}`
    rows.push(['base', `${base.index}@${base.term}, state ${base.state}, ${version}`])
  }
  if (log !== null) {
    const range = log.blocks === 0 ? 'empty' : `${log.firstIndex} to ${log.lastIndex}@${log.lastTerm}`
    rows.push(['log', `${range}, ${log.blocks} blocks, ${formatSize(log.bytes)}`])
  }
  if (state !== null) {
    const applied = state.appliedIndex === null ? 'unknown' : `${state.appliedIndex}@${state.appliedTerm}`
    const sessions = `${state.sessions} sessions, ${formatSize(state.bytes)}`
    rows.push(['state', `${state.folder}, applied ${applied}, revision ${state.revision}, ${sessions}`])
    const kinds = Object.entries(state.rows).map(([kind, count]) => `${count} ${kind}`)
    if (kinds.length > 0) rows.push(['rows', kinds.join(', ')])
  }
  rows.push(['trusted', trusted ? 'yes' : 'no'])
  return rows
}
