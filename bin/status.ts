// `stretto status`: what each node says about itself and the cluster.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { formatDuration, parseDuration } from '../lib/server/durations.ts'
import { formatSize } from '../lib/server/sizes.ts'
import type { NodeStatus } from '../lib/server/status.ts'
import { faultText } from '../lib/server/usage-error.ts'
import { addClientOptions, type ClientOptions, outputOf, readEndpoints } from './client-options.ts'
import { CommandFault, exitCode } from './faults.ts'
import { getJson } from './node-http.ts'
import { type Output, printLine, tableText } from './print.ts'

interface StatusOptions extends ClientOptions {
  readonly watch?: boolean
}

interface Report {
  readonly endpoint: string
  readonly status: NodeStatus | null
  readonly error: string | null
}

const watchMs = 1_000
const nodesMax = 64

export function status(command: Command): void {
  command.option('--watch', 'show it again every second')
  addClientOptions(command)
  command.action(runStatus)
}

async function runStatus(options: StatusOptions): Promise<void> {
  process.once('SIGINT', () => process.exit(exitCode.interrupted))
  const endpoints = readEndpoints(options.endpoints).map(endpoint => endpoint.replace(/^wss?:\/\//, ''))
  const timeoutMs = parseDuration(options.timeout)
  const output = outputOf(options)
  const named = options.endpoints !== undefined
  while (options.watch) {
    const text = await textOf(await gather(endpoints, timeoutMs, named), output)
    if (process.stdout.isTTY && output === 'table') process.stdout.write('\u001b[H\u001b[2J')
    printLine(text)
    await sleep(watchMs)
  }
  const reports = await gather(endpoints, timeoutMs, named)
  if (reports.every(report => report.status === null)) {
    throw new CommandFault(exitCode.unavailable, `no node answers at ${endpoints.join(', ')}: ${reports[0]!.error}`)
  }
  printLine(await textOf(reports, output))
}

/** One report for each endpoint and each member that they name. Default endpoints where nobody answers are passed over. */
async function gather(endpoints: readonly string[], timeoutMs: number, named: boolean): Promise<Report[]> {
  const given = await Promise.all(endpoints.map(endpoint => ask(endpoint, timeoutMs)))
  const members = new Set(given.flatMap(({ status }) => status?.members.map(member => member.address) ?? []))
  const answered = given.some(({ status }) => status !== null)
  const told =
    named || !answered ? given : given.filter(({ endpoint, status }) => status !== null || members.has(endpoint))
  const ids = new Set(told.map(({ status }) => status?.id))
  const others = given
    .flatMap(({ status }) => status?.members ?? [])
    .filter(({ id, address }, at, all) => !ids.has(id) && !endpoints.includes(address) && isFirst(address, at, all))
  const more = await Promise.all(others.slice(0, nodesMax).map(({ address }) => ask(address, timeoutMs)))
  return [...told, ...more]
}

function isFirst(address: string, at: number, all: readonly { readonly address: string }[]): boolean {
  return all.findIndex(member => member.address === address) === at
}

async function ask(endpoint: string, timeoutMs: number): Promise<Report> {
  try {
    const answer = await getJson(endpoint, '/status', timeoutMs)
    if (!isStatus(answer)) throw new Error(`${endpoint} does not answer as a stretto node`)
    return { endpoint, status: answer, error: null }
  } catch (error) {
    return { endpoint, status: null, error: faultText(error) }
  }
}

function isStatus(value: unknown): value is NodeStatus {
  return (
    typeof value === 'object' &&
    value !== null &&
    'clusterId' in value &&
    'members' in value &&
    Array.isArray(value.members)
  )
}

async function textOf(reports: readonly Report[], output: Output): Promise<string> {
  if (output === 'json') {
    return reports
      .map(({ endpoint, status, error }) =>
        JSON.stringify(status === null ? { endpoint, error } : { ...status, endpoint })
      )
      .join('\n')
  }
  if (output === 'value')
    return reports.map(({ endpoint, status }) => `${endpoint} ${status?.role ?? 'unreachable'}`).join('\n')
  const head = [
    'node',
    'address',
    'role',
    'leader',
    'term',
    'commit',
    'applied',
    'revision',
    'log',
    'memory',
    'up',
    'state'
  ]
  const text = await tableText(head, reports.map(rowOf))
  const clusters = [...new Set(reports.flatMap(({ status }) => (status === null ? [] : [status.clusterId])))]
  const insecure = reports.some(({ status }) => status?.insecure) ? '\nplaintext is allowed by --insecure' : ''
  return `cluster ${clusters.map(id => id || 'not founded yet').join(', ')}\n${text}${insecure}`
}

function rowOf({ endpoint, status, error }: Report): (string | number)[] {
  if (status === null) return ['?', endpoint, 'unreachable', '', '', '', '', '', '', '', '', error ?? '']
  const { id, role, leader, term, commitIndex, appliedIndex, revision, logBytes, rssBytes, uptimeMs } = status
  const state = status.ready ? 'ready' : status.reasons.join('; ') || 'not ready'
  const size = [formatSize(logBytes), formatSize(rssBytes), formatDuration(uptimeMs)]
  return [id, endpoint, role, leader ?? 'none', term, commitIndex, appliedIndex, revision, ...size, state]
}
