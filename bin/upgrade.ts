// `stretto upgrade [--force]`: by which rules commands are executed, and which the voters can follow.
import type { Command } from 'commander'
import type { MachineVersions } from '../lib/client/client.ts'
import { addClientOptions, type ClientOptions, outputOf, useClient } from './client-options.ts'
import { printJson, printLine, printValue } from './print.ts'

interface UpgradeOptions extends ClientOptions {
  readonly force?: boolean
}

export function upgrade(command: Command): void {
  command.option('--force', 'order what a quorum of the voters can run, without waiting for the others')
  addClientOptions(command)
  command.action(runUpgrade)
}

async function runUpgrade(options: UpgradeOptions): Promise<void> {
  await useClient(options, async ({ cluster }) => {
    const versions = await (options.force === true ? cluster.forceUpgrade() : cluster.machineVersions())
    const output = outputOf(options)
    if (output === 'json') printJson(versions)
    else if (output === 'value') printValue(String(versions.inForce))
    else printLine(upgradeText(versions))
  })
}

/** For people: what is in force, what each voter can run, and what that means. */
export function upgradeText({ inForce, voters }: MachineVersions): string {
  const lines = [`machine version ${inForce} is in force`]
  for (const { id, max } of voters) {
    const behind = max !== null && max < inForce ? ': it votes and holds the log, and serves nothing' : ''
    lines.push(max === null ? `${id}  is not heard` : `${id}  runs up to ${max}${behind}`)
  }
  const waiting = voters.filter(({ max }) => max === null || max <= inForce).map(({ id }) => id)
  const isUnderWay = voters.some(({ max }) => max !== null && max > inForce)
  if (isUnderWay && waiting.length > 0) lines.push(`a higher one waits for ${waiting.join(', ')}`)
  return lines.join('\n')
}
