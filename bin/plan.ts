// `stretto plan members ...`: what a change of the members would do, without doing it.
import { Argument, type Command } from 'commander'
import type { Plan, PlannedChange } from '../lib/client/client.ts'
import { UsageError } from '../lib/server/usage-error.ts'
import { addClientOptions, outputOf, useClient } from './client-options.ts'
import {
  addChangeOptions,
  type ChangeAction,
  type ChangeOptions,
  changeActions,
  changesHelp,
  readChange,
  type TypedChange
} from './members.ts'
import { printJson, printLine } from './print.ts'

export function plan(command: Command): void {
  command
    .addArgument(new Argument('<what>', 'what is to be changed').choices(['members']))
    .addArgument(new Argument('[action]', 'the change').choices(changeActions))
    .argument('[id]', 'the member')
    .argument('[address]', 'where it is reached: for add')
  addChangeOptions(command)
  addClientOptions(command)
  command.addHelpText('after', changesHelp)
  command.action(runPlan)
}

async function runPlan(
  _what: string,
  action: ChangeAction | undefined,
  id: string | undefined,
  address: string | undefined,
  options: ChangeOptions
): Promise<void> {
  if (action === undefined) {
    throw new UsageError(`the change is not said: write 'stretto plan members' and one of ${changeActions.join(', ')}`)
  }
  const change = readChange('plan members', action, id, address, options)
  await useClient(options, async ({ cluster }) => {
    const made = await cluster.plan(plannedOf(change))
    const output = outputOf(options)
    if (output === 'json') printJson({ change: action, id: change.id, ...made })
    else if (output === 'value') printLine(made.refused ?? String(made.toleratesAfter))
    else printLine(planText(made))
  })
}

function plannedOf({ action, id, address, learner }: TypedChange): PlannedChange {
  switch (action) {
    case 'add':
      return { add: id, address: address!, learner }
    case 'remove':
      return { remove: id }
    case 'promote':
      return { promote: id }
    case 'replace':
      return { replace: id, address }
  }
}

/** For people: what holds now, what would hold then, and what speaks against it. */
export function planText(made: Plan): string {
  const { voters, votersAfter, tolerates, toleratesAfter, toleratesNow, toleratesNowAfter, refused, risks } = made
  const lines = [
    `now    ${votersText(voters)}; they survive ${survival(tolerates, toleratesNow)}`,
    `after  ${votersText(votersAfter)}; they survive ${survival(toleratesAfter, toleratesNowAfter)}`
  ]
  for (const risk of risks) lines.push(`risk   ${risk}`)
  lines.push(refused === null ? 'It would be done.' : `It would be refused: ${refused}.`)
  return lines.join('\n')
}

function votersText(ids: readonly string[]): string {
  return `${ids.length} voter${ids.length === 1 ? '' : 's'}: ${ids.join(', ') || 'nobody'}`
}

function survival(all: number, present: number): string {
  const failures = `${all} failure${all === 1 ? '' : 's'}`
  return present === all ? failures : `${failures}, ${present} with those that are heard at present`
}
