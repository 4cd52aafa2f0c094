// What the commands that talk to a cluster have in common: endpoints, output, timeout, and a client for as long as it lasts.
import { type Command, Option } from 'commander'
import type { Client } from '../lib/client/client.ts'
import { formatAddress, parseAddress } from '../lib/server/address.ts'
import { parseDuration } from '../lib/server/durations.ts'
import { UsageError } from '../lib/server/usage-error.ts'
import { exitCode } from './faults.ts'
import { defaultOutput, type Output, outputs } from './print.ts'

export const defaultEndpoints = '127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003'

export interface ClientOptions {
  readonly endpoints?: string
  readonly output?: Output
  readonly timeout: string
}

export function addClientOptions(command: Command): void {
  command
    .option('--endpoints <list>', `nodes to ask, host:port,... (default: ${defaultEndpoints})`)
    .addOption(
      new Option('-o, --output <format>', 'table, json or value (default: table on a terminal, else json)').choices(
        outputs
      )
    )
    .option('--timeout <duration>', 'how long the whole command may take', '5s')
}

/** @throws UsageError */
export function readEndpoints(text: string | undefined): string[] {
  const endpoints = (text ?? defaultEndpoints)
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')
  if (endpoints.length === 0) throw new UsageError('--endpoints is empty: write host:port,host:port,...')
  return endpoints.map(endpoint => {
    const scheme = /^wss?:\/\//.exec(endpoint)?.[0] ?? ''
    return `${scheme}${formatAddress(parseAddress(endpoint.slice(scheme.length)))}`
  })
}

export function outputOf(options: ClientOptions): Output {
  return options.output ?? defaultOutput()
}

/**
 * Runs with a client whose values are bytes, and closes it. Ctrl-C ends the process, unless the command deals with that by
 * itself, being `interruptible`.
 */
export async function useClient(
  options: ClientOptions,
  run: (db: Client<Uint8Array>) => Promise<void>,
  interruptible = false
): Promise<void> {
  const endpoints = readEndpoints(options.endpoints)
  const timeout = parseDuration(options.timeout)
  if (!interruptible) process.once('SIGINT', () => process.exit(exitCode.interrupted))
  const { connect } = await import('../lib/client/client.ts')
  const db = connect(endpoints, { valueEncoding: 'bytes', timeout })
  try {
    await run(db)
  } finally {
    await db.close()
  }
}

/** @throws UsageError unless the text is a whole number that is exact */
export function parseCount(name: string, text: string, least: number): number {
  const number = Number(text)
  if (!/^[+-]?\d{1,16}$/.test(text) || !Number.isSafeInteger(number) || number < least) {
    throw new UsageError(
      `${name} '${text}' is not a whole number${least === Number.MIN_SAFE_INTEGER ? '' : ` of ${least} or more`}`
    )
  }
  return number
}
