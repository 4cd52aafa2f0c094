// `stretto compact REVISION`: lets go of the past before a revision.
import type { Command } from 'commander'
import { addClientOptions, type ClientOptions, outputOf, parseCount, useClient } from './client-options.ts'
import { printJson, printLine, printValue } from './print.ts'

export function compact(command: Command): void {
  command.argument('<revision>', 'the earliest revision that can still be read afterwards')
  addClientOptions(command)
  command.action(runCompact)
}

async function runCompact(text: string, options: ClientOptions): Promise<void> {
  const compacted = parseCount('REVISION', text, 1)
  await useClient(options, async ({ cluster }) => {
    const { revision } = await cluster.compact(compacted)
    const output = outputOf(options)
    if (output === 'json') printJson({ compactedRevision: compacted, revision })
    else if (output === 'value') printValue(compacted)
    else printLine(`nothing before revision ${compacted} can be read any more; the present one is ${revision}`)
  })
}
