// `stretto members ...`: who the members are, and every change of them.
import { Argument, type Command } from 'commander'
import type { MemberStatus } from '../lib/client/client.ts'
import { formatAddress, parseAddress } from '../lib/server/address.ts'
import { formatDuration } from '../lib/server/durations.ts'
import { UsageError } from '../lib/server/usage-error.ts'
import { addClientOptions, type ClientOptions, outputOf, useClient } from './client-options.ts'
import { type Output, printJson, printLine, printTable } from './print.ts'

export interface ChangeOptions extends ClientOptions {
  readonly learner?: boolean
  readonly address?: string
}

/** A change as it was typed: checked. */
export interface TypedChange {
  readonly action: ChangeAction
  readonly id: string
  readonly address: string | undefined
  readonly learner: boolean
}

export const changeActions = ['add', 'remove', 'promote', 'replace'] as const
export type ChangeAction = (typeof changeActions)[number]

const usages: Readonly<Record<ChangeAction, string>> = {
  add: 'add ID ADDRESS [--learner]',
  remove: 'remove ID',
  promote: 'promote ID',
  replace: 'replace ID [--address ADDRESS]'
}

export function members(command: Command): void {
  command
    .addArgument(new Argument('[action]', 'what to do').choices(['list', ...changeActions]).default('list'))
    .argument('[id]', 'the member')
    .argument('[address]', 'where it is reached: for add')
  addChangeOptions(command)
  addClientOptions(command)
  command.addHelpText('after', changesHelp)
  command.action(runMembers)
}

export function addChangeOptions(command: Command): void {
  command
    .option('--learner', 'add: it is to stay a learner until it is promoted')
    .option('--address <address>', 'replace: only the node that waits there')
}

export const changesHelp = `
  add ID ADDRESS    take in a node that was started with --join; it is promoted once it is level
  remove ID         let a member go, alive or dead
  promote ID        make a voter of a learner that is level
  replace ID        let in a node of that id with another disk, in the place of the member whose disk was lost`

/** @throws UsageError */
export function readChange(
  command: string,
  action: ChangeAction,
  id: string | undefined,
  address: string | undefined,
  options: ChangeOptions
): TypedChange {
  const wrong = (what: string): UsageError => new UsageError(`${what}: write 'stretto ${command} ${usages[action]}'`)
  if (id === undefined) throw wrong('which member is not said')
  if (action === 'add' && address === undefined) throw wrong('the address is missing')
  if (action !== 'add' && address !== undefined) throw wrong(`'${address}' has no place here`)
  if (action !== 'add' && options.learner === true) throw wrong('--learner has no place here')
  if (action !== 'replace' && options.address !== undefined) throw wrong('--address has no place here')
  const given = address ?? options.address
  return {
    action,
    id,
    address: given === undefined ? undefined : formatAddress(parseAddress(given)),
    learner: options.learner === true
  }
}

async function runMembers(
  action: 'list' | ChangeAction,
  id: string | undefined,
  address: string | undefined,
  options: ChangeOptions
): Promise<void> {
  if (action === 'list') {
    if (id !== undefined) throw new UsageError(`'${id}' has no place here: write 'stretto members list'`)
    await useClient(options, async db => printMembers(await db.cluster.members(), outputOf(options)))
    return
  }
  const change = readChange('members', action, id, address, options)
  await useClient(options, async ({ cluster }) => {
    const all = await made(cluster, change)
    if (outputOf(options) === 'json') await printMembers(all, 'json')
    else printLine(changeText(change, all))
  })
}

type Changes = Parameters<Parameters<typeof useClient>[1]>[0]['cluster']

function made(cluster: Changes, { action, id, address, learner }: TypedChange): Promise<MemberStatus[]> {
  switch (action) {
    case 'add':
      return cluster.addMember(id, address!, { learner })
    case 'remove':
      return cluster.removeMember(id)
    case 'promote':
      return cluster.promote(id)
    case 'replace':
      return cluster.replaceMember(id, { address })
  }
}

export function changeText({ action, id }: TypedChange, all: readonly MemberStatus[]): string {
  const voters = all.filter(({ role }) => role === 'voter').length
  const rest = `the cluster has ${voters} voter${voters === 1 ? '' : 's'}`
  if (action === 'remove') return `${id} is no member any more; ${rest}`
  const role = all.find(member => member.id === id && member.role !== 'waiting')?.role ?? 'learner'
  return `${id} is a ${role}; ${rest}`
}

/** Who waits is no member, and is told beside the others. */
async function printMembers(all: readonly MemberStatus[], output: Output): Promise<void> {
  const inside = all.filter(({ role }) => role !== 'waiting')
  for (const { id, address } of all.filter(({ role }) => role === 'waiting')) {
    process.stderr.write(`${id} at ${address} waits to be let in with another disk: 'stretto members replace ${id}'\n`)
  }
  if (output === 'json') {
    for (const member of inside) printJson({ ...member, healthy: isHealthy(member) })
  } else if (output === 'value') {
    for (const { id } of inside) printLine(id)
  } else await printTable(['node', 'role', 'address', 'incarnation', 'state'], inside.map(memberRow))
}

const heardMsMax = 1_200

function isHealthy({ silentMs }: MemberStatus): boolean {
  return silentMs !== null && silentMs <= heardMsMax
}

/** A member in the table. */
export function memberRow(member: MemberStatus): string[] {
  const { id, role, leader, address, incarnation } = member
  return [id, leader ? 'leader' : role, address, incarnation, stateOf(member)]
}

function stateOf(member: MemberStatus): string {
  const { silentMs, lacks } = member
  if (silentMs === null) return 'never heard'
  if (!isHealthy(member)) return `not heard for ${formatDuration(silentMs)}`
  if (lacks === null || lacks === 0) return 'level'
  return `lacks ${lacks} records`
}
