// `stretto lease ...`: leases that are granted, renewed and ended by hand, and what there is of them.
import { Argument, type Command } from 'commander'
import type { LeaseInfo } from '../lib/client/leases.ts'
import { formatDuration, parseDuration } from '../lib/server/durations.ts'
import { jsonOfBytes } from '../lib/server/json-entry.ts'
import { UsageError } from '../lib/server/usage-error.ts'
import { addClientOptions, type ClientOptions, outputOf, parseCount, useClient } from './client-options.ts'
import { CommandFault, exitCode } from './faults.ts'
import { printJson, printLine, printTable, printValue, shownBytes } from './print.ts'

interface LeaseOptions extends ClientOptions {
  readonly keys?: boolean
}

type Db = Parameters<Parameters<typeof useClient>[1]>[0]

const actions = ['list', 'grant', 'renew', 'revoke', 'ttl'] as const
type Action = (typeof actions)[number]

export function lease(command: Command): void {
  command
    .addArgument(new Argument('[action]', 'what to do').choices(actions).default('list'))
    .argument('[what]', 'for grant how long it lasts, such as 30s; for all others the id of the lease')
    .option('--keys', 'ttl: show the keys that end with it')
  addClientOptions(command)
  command.addHelpText(
    'after',
    `
  grant TTL    grant a lease, and show its id; nobody renews it by itself
  renew ID     let it last its ttl from now on
  revoke ID    end it now, and delete its keys
  ttl ID       how much is left of it
  list         all leases (the default)

A lease that is not there ends the command with exit code 3.`
  )
  command.action(runLease)
}

async function runLease(action: Action, what: string | undefined, options: LeaseOptions): Promise<void> {
  if ((what === undefined) !== (action === 'list')) {
    throw new UsageError(
      what === undefined ? `'stretto lease ${action}' lacks its argument` : `'${what}' has no place here`
    )
  }
  if (options.keys === true && action !== 'ttl') throw new UsageError('--keys belongs to ttl')
  if (action === 'list') return await useClient(options, db => list(db, options))
  if (action === 'grant') {
    const ttl = parseDuration(what!)
    return await useClient(options, db => grant(db, ttl, options))
  }
  const id = parseCount('the id of the lease', what!, 1)
  await useClient(options, db => {
    if (action === 'renew') return renew(db, id, options)
    return action === 'revoke' ? revoke(db, id, options) : show(db, id, options)
  })
}

/** Whoever closes the client does not end the lease: it goes on for its ttl. */
async function grant(db: Db, ttlMs: number, options: LeaseOptions): Promise<void> {
  const { id, ttl } = await db.lease({ ttl: ttlMs })
  const output = outputOf(options)
  if (output === 'value') printValue(id)
  else if (output === 'json') printJson({ id, ttl })
  else printLine(`lease ${id} lasts ${formatDuration(ttl)}`)
}

async function renew(db: Db, id: number, options: LeaseOptions): Promise<void> {
  const ttl = await db.leases.renew(id)
  const output = outputOf(options)
  if (output === 'value') printValue(ttl)
  else if (output === 'json') printJson({ id, ttl })
  else printLine(`lease ${id} lasts ${formatDuration(ttl)} from now on`)
}

async function revoke(db: Db, id: number, options: LeaseOptions): Promise<void> {
  const { revision, deleted } = await db.leases.revoke(id)
  const output = outputOf(options)
  if (output === 'value') printValue(deleted)
  else if (output === 'json') printJson({ id, deleted, revision })
  else printLine(`lease ${id} has ended, and ${deleted} ${deleted === 1 ? 'key' : 'keys'} with it`)
}

async function show(db: Db, id: number, options: LeaseOptions): Promise<void> {
  const found = await db.leases.ttl(id, { keys: options.keys })
  if (found === null) throw new CommandFault(exitCode.notFound, `there is no lease ${id}`)
  const output = outputOf(options)
  if (output === 'value') printValue(found.remaining)
  else if (output === 'json')
    printJson({ ...found, ...(found.keys && { keys: found.keys.map(key => jsonOfBytes('key', key)) }) })
  else {
    await printLeases([found])
    for (const key of found.keys ?? []) printLine(shownBytes(key))
  }
}

async function list(db: Db, options: LeaseOptions): Promise<void> {
  const output = outputOf(options)
  const all: LeaseInfo[] = []
  for await (const each of db.leases.list()) {
    if (output === 'json') printJson(each)
    else if (output === 'value') printValue(each.id)
    else all.push(each)
  }
  if (output === 'table') await printLeases(all)
}

async function printLeases(all: readonly LeaseInfo[]): Promise<void> {
  const rows = all.map(({ id, ttl, remaining, keyCount }) => [
    id,
    formatDuration(ttl),
    formatDuration(remaining),
    keyCount
  ])
  await printTable(['lease', 'ttl', 'left', 'keys'], rows)
}
