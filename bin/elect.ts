// `stretto elect NAME [VALUE]`: campaigns, and leads until it is interrupted; or shows who leads.
import type { Command } from 'commander'
import type { Client, Leader } from '../lib/client/client.ts'
import { jsonOfBytes } from '../lib/server/json-entry.ts'
import { addClientOptions, outputOf, useClient } from './client-options.ts'
import { acquireOptionsOf, addHoldingOptions, type HoldingOptions, hold, interruption } from './holding.ts'
import { printJson, printLine, printValue, shown, shownBytes } from './print.ts'

export function elect(command: Command): void {
  command
    .argument('<name>')
    .argument('[value]', 'what this candidate is known by; without it, only show who leads and each that follows')
  addHoldingOptions(command)
  addClientOptions(command)
  command.action(runElect)
}

async function runElect(name: string, value: string | undefined, options: HoldingOptions): Promise<void> {
  const interrupted = interruption()
  await useClient(
    options,
    async db => {
      if (value === undefined) return await observe(db, name, options, interrupted)
      const content = Buffer.from(value)
      const held = await db.election(name).campaign(content, acquireOptionsOf(options, interrupted))
      try {
        show(name, { value: content, fencingToken: held.fencingToken }, options)
        await hold(held, interrupted)
      } finally {
        await held[Symbol.asyncDispose]()
      }
    },
    true
  )
}

async function observe(
  db: Client<Uint8Array>,
  name: string,
  options: HoldingOptions,
  signal: AbortSignal
): Promise<void> {
  for await (const leader of db.election(name).observe({ signal })) show(name, leader, options)
}

function show(name: string, leader: Leader<Uint8Array> | null, options: HoldingOptions): void {
  const output = outputOf(options)
  if (output === 'value') printValue(leader?.value ?? '')
  else if (output === 'json') {
    const found = leader === null ? { leader: null } : jsonOfBytes('leader', leader.value)
    printJson({ name, ...found, ...(leader !== null && { fencingToken: leader.fencingToken }) })
  } else {
    const line =
      leader === null ? 'nobody leads' : `${shownBytes(leader.value)} leads; fencing token ${leader.fencingToken}`
    printLine(`'${shown(name)}': ${line}`)
  }
}
