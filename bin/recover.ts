// `stretto recover DIR...`: founds a new cluster on what survived, when a majority of the old one is lost for good.
import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import type { Comparison } from '../lib/offline/recover.ts'
import { readServerOptions } from '../lib/server/options.ts'
import { UsageError } from '../lib/server/usage-error.ts'
import { CommandFault, exitCode } from './faults.ts'
import { addOutputOption, type OfflineOptions, offline } from './offline.ts'
import { defaultOutput, printJson, printLine, printTable, shown } from './print.ts'

interface RecoverOptions extends OfflineOptions {
  readonly id?: string
  readonly address?: string
  readonly dataDir?: string
  readonly yes?: boolean
}

export function recover(command: Command): void {
  command
    .argument('<dir...>', 'the data directories of all survivors; none of them runs')
    .option('--data-dir <dir>', 'where the data of the new cluster are to live; new (default: only compare)')
    .option('--id <id>', 'name of its first member (default: n1)')
    .option('--address <address>', 'where that is reached (default: 127.0.0.1:7001)')
    .option('--yes', 'do it without asking')
  addOutputOption(command)
  command.addHelpText(
    'after',
    `
The directories of the survivors are not changed. The new cluster has one member; others join it with empty directories
(stretto start --join). Start no node of the old cluster again.`
  )
  command.action(runRecover)
}

async function runRecover(directories: string[], options: RecoverOptions): Promise<void> {
  const { compareSurvivors, recoverCluster } = await import('../lib/offline/recover.ts')
  const { refuseUsed } = await import('../lib/offline/refound.ts')
  const { id = 'n1', address = '127.0.0.1:7001' } = options
  const flags = { id, 'data-dir': options.dataDir, cluster: `${id}=${address}`, insecure: true }
  const order = await readServerOptions({ flags, env: {}, directory: process.cwd() })
  const directory = order.dataDir
  if (options.dataDir !== undefined) await offline(() => refuseUsed(directory))
  const comparison = await offline(() => compareSurvivors(directories))
  const isJson = (options.output ?? defaultOutput()) === 'json'
  if (isJson) printJson(comparison)
  else await printComparison(comparison)
  if (options.dataDir === undefined) {
    if (!isJson) printLine('nothing was done: --data-dir says where to found the new cluster')
    return
  }
  if (options.yes !== true) await confirm(comparison)
  const founded = await offline(() => recoverCluster({ comparison, directory, id, address: order.advertise }))
  if (isJson) return printJson(founded)
  printLine(shown(`founded: cluster ${founded.clusterId} in ${directory}, revision ${founded.revision}`))
  const list = founded.members.map(member => `${member.id}=${member.address}`).join(',')
  printLine(shown(`start it: stretto start --id ${founded.id} --data-dir ${directory} --cluster ${list}`))
}

async function printComparison({ clusterId, survivors, best, missing, voters, risks }: Comparison): Promise<void> {
  printLine(`cluster ${clusterId}, ${voters} voters, without a directory: ${missing.join(', ') || 'none'}`)
  const rows = survivors.map(({ directory, id, last, promised, applied, trusted, unusable }) => [
    directory === best.directory ? `${directory} (best)` : directory,
    id,
    `${last.index}@${last.term}`,
    `${promised.index}@${promised.term}`,
    applied === null ? 'unknown' : `${applied.index}@${applied.term}`,
    trusted ? 'yes' : 'no',
    unusable ?? ''
  ])
  await printTable(['directory', 'node', 'log ends', 'promised', 'in the state', 'trusted', 'unusable'], rows)
  for (const risk of risks) printLine(shown(risk))
}

/** @throws UsageError where nobody can be asked, CommandFault where the answer is no */
async function confirm({ best }: Comparison): Promise<void> {
  if (!process.stdin.isTTY) throw new UsageError('nobody can be asked here: add --yes to go on')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await terminal.question(`Found a new cluster on ${shown(best.directory)}? Write yes: `)
    if (answer.trim().toLowerCase() !== 'yes') throw new CommandFault(exitCode.failed, 'nothing was done')
  } finally {
    terminal.close()
  }
}
