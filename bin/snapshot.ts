// `stretto snapshot save|verify|restore FILE`: backups of a cluster that runs, and new clusters founded on them.
import { createWriteStream } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { get, type IncomingMessage } from 'node:http'
import { dirname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Argument, type Command } from 'commander'
import { parseDuration } from '../lib/server/durations.ts'
import { readServerOptions } from '../lib/server/options.ts'
import { formatSize } from '../lib/server/sizes.ts'
import { faultText, UsageError } from '../lib/server/usage-error.ts'
import { defaultEndpoints, readEndpoints } from './client-options.ts'
import { CommandFault, exitCode } from './faults.ts'
import { addOutputOption, type OfflineOptions, offline } from './offline.ts'
import { defaultOutput, printJson, printLine, shown } from './print.ts'

interface SnapshotOptions extends OfflineOptions {
  readonly endpoints?: string
  readonly timeout: string
  readonly id?: string
  readonly dataDir?: string
  readonly cluster?: string
}

const actions = { save, verify, restore }

export function snapshot(command: Command): void {
  command
    .addArgument(new Argument('<action>', 'save, verify or restore').choices(Object.keys(actions)))
    .argument('<file>', 'the backup')
    .option('--endpoints <list>', `save: nodes to ask, host:port,... (default: ${defaultEndpoints})`)
    .option('--timeout <duration>', 'save: how long a node may be silent', '60s')
    .option('--id <id>', 'restore: which member of the new cluster this is (default: n1)')
    .option('--data-dir <dir>', 'restore: where its data are to live; new (default: ./stretto-data/ID)')
    .option('--cluster <list>', 'restore: all members of the new cluster, n1=host:port,... (default: this one alone)')
  addOutputOption(command)
  command.addHelpText(
    'after',
    `
A cluster of several: restore on each machine, from the same file and with the same --cluster, each with its --id. The
new cluster has an id of its own, and revisions far above those of the old one.`
  )
  command.action((action: keyof typeof actions, file: string, options: SnapshotOptions) =>
    actions[action](file, options)
  )
}

async function save(file: string, options: SnapshotOptions): Promise<void> {
  const endpoints = readEndpoints(options.endpoints).map(endpoint => endpoint.replace(/^wss?:\/\//, ''))
  const timeoutMs = parseDuration(options.timeout)
  const { readBackup } = await import('../lib/offline/backup-file.ts')
  const part = `${file}.part`
  await offline(() => refuseTaken(file))
  process.once('SIGINT', () => void rm(part, { force: true }).finally(() => process.exit(exitCode.interrupted)))
  try {
    await offline(() => download(endpoints, part, timeoutMs))
    const { header, fingerprint } = await readBackup(part)
    await rename(part, file)
    await syncFolder(dirname(file))
    const { clusterId, last, size } = header
    if (outputOf(options) === 'json') printJson({ file, clusterId, ...last, bytes: size, fingerprint })
    else printLine(shown(`${file}: cluster ${clusterId} up to record ${last.index}@${last.term}, ${formatSize(size)}`))
  } finally {
    await rm(part, { force: true })
  }
}

async function refuseTaken(file: string): Promise<void> {
  const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (handle === null) return
  await handle.close()
  throw new UsageError(`${file} exists already: choose another name`)
}

/** From the first node that gives one. */
async function download(endpoints: readonly string[], part: string, timeoutMs: number): Promise<void> {
  const faults: string[] = []
  for (const endpoint of endpoints) {
    const answer = await ask(endpoint, timeoutMs).catch((error: Error) => error)
    if (answer instanceof Error) {
      faults.push(`${endpoint}: ${faultText(answer)}`)
      continue
    }
    try {
      await pipeline(answer, createWriteStream(part, { mode: 0o600, flush: true }))
      return
    } catch (error) {
      if (error instanceof Error && 'syscall' in error && error.syscall !== 'read') throw error
      faults.push(`${endpoint}: the backup broke off (${faultText(error)})`)
    }
  }
  throw new CommandFault(exitCode.unavailable, `no node gives a backup: ${faults.join('; ')}`)
}

function ask(endpoint: string, timeoutMs: number): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = get(`http://${endpoint}/snapshot`, { agent: false }, response => {
      if (response.statusCode === 200) return resolve(response)
      let text = ''
      response.setEncoding('utf8').on('data', (piece: string) => {
        if (text.length < 4_096) text += piece
      })
      response.on('error', reject)
      response.on('end', () => reject(new Error(reasonIn(text))))
    })
    request.setTimeout(timeoutMs, () => request.destroy(new Error('no answer in time')))
    request.on('error', reject)
  })
}

function reasonIn(text: string): string {
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body === 'object' && body !== null && 'error' in body) return String(body.error)
  } catch {
    // Not one of ours.
  }
  return 'it does not answer as a stretto node'
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function verify(file: string, options: SnapshotOptions): Promise<void> {
  const { verifyBackup } = await import('../lib/offline/restore.ts')
  const verified = await offline(() => verifyBackup(file))
  if (outputOf(options) === 'json') return printJson(verified)
  const { clusterId, madeAt, index, term, revision, members, keys, sessions, bytes } = verified
  const made = new Date(madeAt).toISOString()
  printLine(shown(`sound: cluster ${clusterId}, made ${made}, up to record ${index}@${term}, revision ${revision}`))
  printLine(`${keys} keys, ${sessions} sessions, ${formatSize(bytes)}`)
  for (const { id, address, role } of members) printLine(shown(`member ${id} at ${address}, ${role}`))
}

async function restore(file: string, options: SnapshotOptions): Promise<void> {
  const { id, dataDir, cluster } = options
  // Where the node will listen is for its start to judge.
  const flags = { id, 'data-dir': dataDir, cluster, insecure: true }
  const { restoreBackup } = await import('../lib/offline/restore.ts')
  const order = await readServerOptions({ flags, env: {}, directory: process.cwd() })
  const restored = await offline(() =>
    restoreBackup({ file, id: order.id, directory: order.dataDir, cluster: order.cluster })
  )
  if (outputOf(options) === 'json') return printJson(restored)
  const list = restored.members.map(member => `${member.id}=${member.address}`).join(',')
  printLine(shown(`${restored.directory}: ${restored.id} of the new cluster ${restored.clusterId}`))
  printLine(shown(`start it: stretto start --id ${restored.id} --data-dir ${restored.directory} --cluster ${list}`))
}

function outputOf({ output }: SnapshotOptions): 'table' | 'json' {
  return output ?? (defaultOutput() === 'json' ? 'json' : 'table')
}
