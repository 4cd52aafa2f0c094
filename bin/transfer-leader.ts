// `stretto transfer-leader [ID]`: hands leadership over.
import type { Command } from 'commander'
import { addClientOptions, type ClientOptions, outputOf, useClient } from './client-options.ts'
import { printJson, printLine, printValue } from './print.ts'

export function transferLeader(command: Command): void {
  command.argument('[id]', 'the voter that is to lead (default: the one that is furthest ahead)')
  addClientOptions(command)
  command.action(runTransferLeader)
}

async function runTransferLeader(id: string | undefined, options: ClientOptions): Promise<void> {
  await useClient(options, async ({ cluster }) => {
    const leader = await cluster.transferLeader(id ?? null)
    const output = outputOf(options)
    if (output === 'json') printJson({ leader })
    else if (output === 'value') printValue(leader)
    else printLine(`${leader} leads`)
  })
}
